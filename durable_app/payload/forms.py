"""How single values and field paths are written: durations, keys, names of types."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from durable_app.errors import PayloadError

# Beyond this the JSON parsers of the standard library give up on a usual call stack.
MAX_DEPTH: Final = 900
MAX_QUOTED_CHARS: Final = 80
_MAX_REASON_CHARS: Final = 300
_MAX_SEGMENTS: Final = 40

_MARKS: Final = frozenset({"__class__", "__module__", "__data__"})

_DURATION = re.compile(
    r"(?P<sign>[+-]?)P(?=[\dT])(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?"
    r"(?:(?P<seconds>\d+)(?:[.,](?P<fraction>\d{1,9}))?S)?)?",
    re.ASCII,
)
_UNITS = ("weeks", "days", "hours", "minutes", "seconds")


class Misfit(Exception):  # noqa: N818 - never leaves the package; callers see PayloadError
    """A value has no JSON form or the wrong one; gathers its path from the inside out.

    Attributes:
        reason: a full sentence.
        segments: keys and indexes, innermost first.
    """

    def __init__(self, reason: str, *segments: str | int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.segments = list(segments)

    def within(self, *segments: str | int) -> Misfit:
        """Add the places that hold what has failed, innermost first."""
        self.segments.extend(segments)
        return self


def failure(misfit: Misfit) -> PayloadError:
    """Return the error that callers see."""
    return PayloadError(misfit.reason, path_text(misfit.segments))


def path_text(segments: list[str | int]) -> str:
    """Return segments, innermost first, as ``order.lines[2]["unit price"]``."""
    if len(segments) > _MAX_SEGMENTS:
        segments = [*segments[: _MAX_SEGMENTS // 2], "...", *segments[-_MAX_SEGMENTS // 2 :]]
    path = ""
    for segment in reversed(segments):
        if isinstance(segment, int):
            path += f"[{segment}]"
        elif segment.isidentifier() or segment == "...":
            path += f".{segment}" if path else segment
        else:
            path += f"[{json.dumps(segment[:MAX_QUOTED_CHARS], ensure_ascii=False)}]"
    return path


def type_name(kind: Any) -> str:
    """Return the name of a class or annotation as people write it."""
    if kind is None or kind is type(None):
        return "None"
    if isinstance(kind, type) and not hasattr(kind, "__origin__"):
        return kind.__name__
    return re.sub(r"[A-Za-z_][\w<>]*\.", "", repr(kind).replace("NoneType", "None"))


def mismatch(expected: Any, plain: Any) -> Misfit:
    """Return the error of JSON that is of another type than the reader's."""
    return Misfit(f"{type_name(expected)} was expected, but the JSON holds {json_name(plain)}.")


def json_name(plain: Any) -> str:
    """Return the type of a piece of plain JSON."""
    return type_name(type(plain))


def is_envelope(plain: Any) -> bool:
    """True for ``{"__class__": ..., "__module__": ..., "__data__": ...}`` and nothing else."""
    return type(plain) is dict and len(plain) == len(_MARKS) and plain.keys() == _MARKS


def rejection(what: str, error: BaseException) -> Misfit:
    """Return the error of users' code or of a parser that refused a value."""
    return Misfit(f"{what}: {type(error).__name__}: {error}"[:_MAX_REASON_CHARS])


def duration_text(value: timedelta) -> str:
    """Return an ISO 8601 duration: ``P1DT2H3M4.5S``, ``-PT1S``, ``PT0S``."""
    size = abs(value)
    minutes, seconds = divmod(size.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{size.microseconds:06d}".rstrip("0") if size.microseconds else ""
    clock = f"{hours}H" if hours else ""
    clock += f"{minutes}M" if minutes else ""
    clock += f"{seconds}{fraction}S" if seconds or fraction else ""
    days = f"{size.days}D" if size.days else ""
    if not days and not clock:
        clock = "0S"
    return f"{'-' if value < timedelta(0) else ''}P{days}{'T' + clock if clock else ''}"


def parse_duration(text: str) -> timedelta:
    """Read an ISO 8601 duration of weeks, days, hours, minutes and seconds.

    Years and months have no fixed length and are refused; digits beyond microseconds are cut.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("an ISO 8601 duration such as P1DT2H3M4.5S is needed")
    units = {unit: int(found[unit] or 0) for unit in _UNITS}
    micros = int((found["fraction"] or "0").ljust(6, "0")[:6])
    size = timedelta(**units, microseconds=micros)
    return -size if found["sign"] == "-" else size


def datetime_text(value: datetime) -> str:
    """Return ISO 8601 with offset; a naive datetime is refused."""
    if value.utcoffset() is None:
        raise Misfit(
            "A datetime without time zone cannot be sent, since its instant is unknown; make it"
            " aware: datetime.now(UTC), or value.replace(tzinfo=UTC)."
        )
    return datetime.isoformat(value)


def parse_datetime(text: str) -> datetime:
    """Read ISO 8601 with offset or Z."""
    value = datetime.fromisoformat(text)
    if value.utcoffset() is None:
        raise ValueError("it has no offset; end it with Z or +00:00")
    return value


def decimal_text(value: Decimal) -> str:
    """Return the text of a finite Decimal."""
    if not value.is_finite():
        raise Misfit("Decimal NaN and infinities have no JSON form; send None or a text instead.")
    return str(value)


def parse_decimal(text: str) -> Decimal:
    """Read a finite Decimal."""
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError("a finite number is needed")
    return value


def parse_bytes(text: str) -> bytes:
    """Read standard base64."""
    return base64.b64decode(text, validate=True)


def bytes_text(value: bytes | bytearray | memoryview) -> str:
    """Return standard base64."""
    return base64.b64encode(value).decode("ascii")


# Written by the first class that fits, so that datetime stands before date, its parent.
TEXT_WRITERS: Final[Mapping[type, Callable[[Any], str]]] = {
    datetime: datetime_text,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: duration_text,
    UUID: str,
    Decimal: decimal_text,
    bytes: bytes_text,
    bytearray: bytes_text,
    memoryview: bytes_text,
}

TEXT_READERS: Final[Mapping[Any, Callable[[str], Any]]] = {
    datetime: parse_datetime,
    date: date.fromisoformat,
    time: time.fromisoformat,
    timedelta: parse_duration,
    UUID: UUID,
    Decimal: parse_decimal,
    bytes: parse_bytes,
    bytearray: lambda text: bytearray(parse_bytes(text)),
}

KEY_READERS: Final[Mapping[Any, Callable[[str], Any]]] = {
    kind: TEXT_READERS[kind] for kind in (datetime, date, UUID, Decimal)
}


def key_text(key: Any) -> str:
    """Return the text of a dict key: str, int, UUID, Decimal, date, datetime or an Enum of such."""
    while isinstance(key, Enum):
        key = key.value
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return int_text(key)
    for kind in KEY_READERS:
        if isinstance(key, kind):
            return TEXT_WRITERS[kind](key)
    raise Misfit(
        f"A dict key of type {type_name(type(key))} cannot be sent as JSON; use str, int, UUID,"
        " Decimal, date, datetime or Enum keys."
    )


def int_text(value: int) -> str:
    """Return decimal digits; Python limits their number (sys.set_int_max_str_digits)."""
    try:
        return int.__repr__(value)
    except ValueError as error:
        raise rejection("An int is too large to be sent as JSON", error) from error
