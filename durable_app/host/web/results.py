"""What an HTTP function returned, as the Functions host sends it.

HttpResponse      as it is
str               200, text/plain; but the text of a JSON object with the key "body" or
                  "status" describes a response: body, status or statusCode, headers, isRaw
None              204
anything else     the function's failure
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from azure.functions.http import HttpResponseConverter
from multidict import CIMultiDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# The server sets them itself.
_CONNECTION_HEADERS: Final = frozenset({"content-length", "transfer-encoding", "connection"})
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_STATUSES: Final = range(200, 600)
_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json; charset=utf-8"
_STREAMING: Final = "azurefunctions.extensions."


def encode(result: Any) -> web.Response:
    """The response for what a function returned.

    Raises:
        TypeError: it is nothing that Azure sends either.
        ValueError: its status or a header of it cannot be sent.
    """
    if result is None:
        return web.Response(status=204)
    try:
        datum = HttpResponseConverter.encode(result, expected_type=None)
    except NotImplementedError:
        raise TypeError(_refusal(result)) from None
    if datum.type == "string":
        return _from_text(datum.value)
    parts: Mapping[str, Any] = datum.value
    headers = _headers((name, datum.value) for name, datum in parts["headers"].items())
    for cookie in parts["cookies"] or ():
        for morsel in cookie.values():
            headers.add("Set-Cookie", _checked("Set-Cookie", morsel.OutputString()))
    status = _status(parts["status_code"].value)
    return web.Response(status=status, body=parts["body"].value, headers=headers)


def _refusal(result: Any) -> str:
    kind = type(result)
    if kind.__module__.startswith(_STREAMING) or hasattr(result, "body_iterator"):
        return (
            f"This host does not send streaming responses ({kind.__name__}). Return an"
            " azure.functions.HttpResponse with the whole body."
        )
    return (
        f"An HTTP function returns a str or an azure.functions.HttpResponse, not {kind.__name__};"
        " for JSON, HttpResponse(json.dumps(...), mimetype='application/json')."
    )


def _from_text(text: str) -> web.Response:
    described = _description(text)
    if described is None:
        return web.Response(body=text.encode(), headers={"Content-Type": _TEXT})
    given = described.get("headers")
    headers = _headers(given.items() if isinstance(given, dict) else ())
    body = described.get("body")
    if body is None:
        content, kind = b"", None
    elif isinstance(body, str):
        content, kind = body.encode(), _TEXT
    else:
        content, kind = json.dumps(body, ensure_ascii=False).encode(), _JSON
    # A raw body gets no type from the host, only the function's own.
    if kind is not None and described.get("israw") is not True:
        headers.setdefault("Content-Type", kind)
    status = described.get("status", described.get("statuscode", 200))
    return web.Response(status=_status(status), body=content, headers=headers)


def _description(text: str) -> dict[str, Any] | None:
    """The JSON object that describes a response, by lower-case name; None where it is just text."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    described = {name.casefold(): value for name, value in found.items()}
    is_one = not described.keys().isdisjoint({"body", "status", "statuscode"})
    return described if is_one else None


def _status(given: Any) -> int:
    try:
        status = int(given)
    except (TypeError, ValueError):
        status = 0
    if status not in _STATUSES:
        raise ValueError(f"{given!r} is no status of a response; there are 200 to 599.")
    return status


def _headers(given: Iterable[tuple[str, Any]]) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in given:
        if name.lower() not in _CONNECTION_HEADERS:
            headers.add(name, _checked(name, str(value)))
    return headers


def _checked(name: str, value: str) -> str:
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValueError(f"The response's header {name!r} has a character that none may have.")
    return value
