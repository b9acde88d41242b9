"""What callers of the management API may say in a query, a header or a body.

What cannot be understood in a query (a date, a number, a flag, a status) counts as not said, as
in Azure's durable extension. Only bodies and continuation tokens are refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from durable_app.client.status import parse_status
from durable_app.errors import PayloadError
from durable_app.payload import from_text

if TYPE_CHECKING:
    from durable_app.host.api.exchange import ApiRequest
    from durable_app.protocol import OrchestrationStatus

CONTINUATION_HEADER: Final = "x-ms-continuation-token"
JSON_TYPE: Final = "application/json"
_MAX_PAGE: Final = 1000
_DEFAULT_PAGE: Final = 100
#: Nobody keeps a connection open for longer.
_MAX_WAIT_S: Final = 86_400.0
_INTEGER: Final = re.compile(r"\s*[+-]?\d{1,18}\s*", re.ASCII)
_DECIMAL: Final = re.compile(r"\s*\+?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)
# What .NET reads with its invariant culture, beside ISO 8601: the month comes first.
_DATES: Final = ("%m/%d/%Y", "%Y/%m/%d")
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_DOTNET: Final = (
    *(date + time for date in _DATES for time in _TIMES),
    "%a, %d %b %Y %H:%M:%S GMT",
)


class InvalidJsonError(ValueError):
    """A body that should be JSON is not."""


def json_text(request: ApiRequest) -> str | None:
    """The body as JSON text, None for an empty one.

    Raises:
        InvalidJsonError: it is no JSON.
    """
    if not request.body.strip():
        return None
    try:
        text = request.body.decode("utf-8-sig")
        from_text(text)
    except (ValueError, PayloadError) as error:
        raise InvalidJsonError(f"Invalid JSON content: {error}") from error
    return text


def is_json(request: ApiRequest) -> bool:
    """Whether the body is said to be JSON."""
    return request.headers.get("content-type", "").split(";", 1)[0].strip().casefold() == JSON_TYPE


def wait_s(request: ApiRequest) -> float | None:
    """Seconds to wait for completion: only where timeout and pollingInterval are both given.

    Raises:
        ValueError: the interval is longer than the timeout.
    """
    timeout = _number(request, "timeout")
    interval = _number(request, "pollinginterval")
    if timeout is None or interval is None:
        return None
    if interval > timeout:
        raise ValueError(
            f"Total timeout {timeout:g} should be bigger than retry timeout {interval:g}"
        )
    return min(timeout, _MAX_WAIT_S)


def _number(request: ApiRequest, name: str) -> float | None:
    text = request.query.get(name, "")
    value = float(text) if _DECIMAL.fullmatch(text) else None
    return None if value == float("inf") else value


def page_size(request: ApiRequest) -> int:
    """Rows of a page: ``top`` where that is a positive integer, at most 1,000; else 100."""
    text = request.query.get("top", "")
    top = int(text) if _INTEGER.fullmatch(text) else 0
    return min(top, _MAX_PAGE) if top > 0 else _DEFAULT_PAGE


def flag(request: ApiRequest, name: str, *, default: bool) -> bool:
    """``true`` or ``false`` in any case; ``default`` for anything else."""
    text = request.query.get(name, "").strip().casefold()
    return text == "true" if text in {"true", "false"} else default


def moment(request: ApiRequest, name: str) -> datetime | None:
    """A point in time, aware UTC. One without an offset is taken for UTC."""
    # A "+" that was not percent-encoded arrives as a blank: it was an offset's sign.
    text = request.query.get(name, "").strip()
    before, blank, offset = text.rpartition(" ")
    candidates = (text, f"{before}+{offset}") if blank else (text,)
    for candidate in candidates:
        found = _parsed(candidate)
        if found is None:
            continue
        try:
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        except OverflowError:  # an offset that leads out of the calendar
            return None
    return None


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in _DOTNET:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007  the caller makes it aware
        except ValueError:
            continue
    return None


def statuses(request: ApiRequest) -> frozenset[OrchestrationStatus] | None:
    """Known statuses among the comma-separated ones; None for any."""
    names = request.query.get("runtimestatus", "").split(",")
    found = frozenset(status for status in map(parse_status, names) if status is not None)
    return found or None


def continuation_token(request: ApiRequest) -> str | None:
    """The hub's token for the next page; None for the first page.

    Raises:
        ValueError: it was not made by :func:`continuation_header`.
    """
    text = request.headers.get(CONTINUATION_HEADER, "").strip()
    if not text:
        return None
    try:
        return base64.b64decode(text, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"'{text[:80]}' is no continuation token of this task hub.") from error


def continuation_header(token: str | None) -> dict[str, str]:
    """The header that carries a hub's token. Ids in it may be of any script, headers are ASCII."""
    if token is None:
        return {}
    return {CONTINUATION_HEADER: base64.urlsafe_b64encode(token.encode()).decode()}
