"""Where an HTTP call goes next: redirects, and what is polled, and when.

What must never happen: a secret goes to a server that it was not meant for. Once a call has left
its origin it has lost its token and all headers that are not known to hold none, even if it comes
back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from durable_app.errors import NonRetriableError

_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER: Final = 303
_SAME_METHOD: Final = frozenset({307, 308})
_ACCEPTED: Final = 202
_PORTS: Final = {"http": 80, "https": 443}
_OF_A_BODY: Final = frozenset(
    {"content-encoding", "content-language", "content-length", "content-type", "transfer-encoding"}
)
#: What goes to other origins. Names of headers with secrets are without number: all others stay.
_HARMLESS: Final = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "content-encoding",
        "content-language",
        "content-type",
        "prefer",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-correlation-id",
        "x-ms-client-request-id",
        "x-request-id",
    }
)
_SHORTEST_S: Final = 0.1
_LONGEST_S: Final = 30 * 86_400.0
_MOST_DIGITS: Final = 9

Request = Mapping[str, Any]


def redirected(request: Request, status: int, headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the request that a redirect asks for; None where the answer is none to follow.

    As in .NET and in browsers 301, 302 and 303 turn a POST into a GET, 307 and 308 keep it. A
    redirect from https to http is not followed.
    """
    location = _header(headers, "location")
    if status not in _MOVED or location is None:
        return None
    target = _joined(request["uri"], location)
    if target is None or _is_downgrade(request["uri"], target):
        return None
    method = request["method"]
    becomes_get = status == _SEE_OTHER or (status not in _SAME_METHOD and method == "POST")
    return _moved(request, target, becomes_get=becomes_get and method != "HEAD")


def to_poll(request: Request, status: int, headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the request that polls for the outcome; None where there is nothing to poll.

    Raises:
        NonRetriableError: the Location is no URL of http or https.
    """
    location = _header(headers, "location")
    if status != _ACCEPTED or location is None:
        return None
    target = _joined(request["uri"], location)
    if target is None or _is_downgrade(request["uri"], target):
        raise NonRetriableError(
            f"{shown(request)}: answered 202 with a Location that cannot be polled: it is no URL"
            " of http or https, or leaves https. Use enable_polling=False to get the answer itself."
        )
    return _moved(request, target, becomes_get=True)


def pause_s(headers: Mapping[str, str], now: datetime, default_s: float) -> float:
    """Seconds until the next poll, from 0.1 to those of 30 days.

    A date counts from the moment that the server itself tells, if it does: its clock may be wrong.

    Args:
        now: aware.
        default_s: without a Retry-After that can be read.
    """
    text = (_header(headers, "retry-after") or "").strip()
    asked = default_s
    if text.isascii() and text.isdigit():
        asked = float(text) if len(text) <= _MOST_DIGITS else _LONGEST_S
    elif (moment := _date(text)) is not None:
        asked = (moment - (_date(_header(headers, "date")) or now)) / timedelta(seconds=1)
    return min(max(asked, _SHORTEST_S), _LONGEST_S)


def shown(request: Request) -> str:
    """Method and URL as texts may show them: a query can hold keys."""
    parts = urlsplit(request["uri"])
    return f"{request['method']} {parts.scheme}://{_host(parts)}{parts.path}"


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)


def _joined(base: str, location: str) -> str | None:
    """Return the absolute URL without user name and fragment, None if it is none of the web."""
    try:
        parts = urlsplit(urljoin(base, location.strip()))
        if parts.scheme not in _PORTS or not parts.hostname:
            return None
        return urlunsplit((parts.scheme, _host(parts), parts.path, parts.query, ""))
    except ValueError:
        return None


def _host(parts: SplitResult) -> str:
    _ = parts.port  # raises ValueError itself
    return parts.netloc.rpartition("@")[2]


def _is_downgrade(uri: str, target: str) -> bool:
    return urlsplit(uri).scheme == "https" and urlsplit(target).scheme == "http"


def _origin(uri: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _moved(request: Request, target: str, *, becomes_get: bool) -> dict[str, Any]:
    moved: dict[str, Any] = {**request, "uri": target}
    headers = dict(request["headers"])
    if becomes_get:
        moved |= {"method": "GET", "content": None}
        headers = {name: text for name, text in headers.items() if name.lower() not in _OF_A_BODY}
    if _origin(request["uri"]) != _origin(target):
        moved["tokenSource"] = None
        headers = {name: text for name, text in headers.items() if name.lower() in _HARMLESS}
    return moved | {"headers": headers}


def _date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
