"""Durations as .NET writes them: ``[-][d.]hh:mm:ss[.fffffff]``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_HOURS: Final = 24
_MINUTES: Final = 60
_FORM: Final = re.compile(
    r"(?:(?P<days>[0-9]{1,8})\.)?(?P<a>[0-9]{1,8}):(?P<b>[0-9]{1,2})(?::(?P<c>[0-9]{1,2}))?"
    r"(?:\.(?P<fraction>[0-9]{1,7}))?"
)


def is_timespan(text: str) -> bool:
    """Whether a text has the form of a duration, whatever its numbers are."""
    return _FORM.fullmatch(text) is not None


def parse_timespan(text: str) -> timedelta:
    """Read a duration that is not negative; a tenth of a microsecond is cut off.

    Raises:
        ValueError: it has another form, or a number of it is too large.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("a duration looks like 00:05:00 or 1.00:00:00")
    days, a, b = int(found["days"] or 0), int(found["a"]), int(found["b"])
    c = int(found["c"] or 0)
    # .NET reads three parts as days, hours, minutes where the first is no hour of a day.
    if a >= _HOURS and found["days"] is None and found["c"] is not None:
        days, a, b, c = a, b, c, 0
    if a >= _HOURS or b >= _MINUTES or c >= _MINUTES:
        raise ValueError("hours end at 23, minutes and seconds at 59")
    fraction = int((found["fraction"] or "").ljust(7, "0")) // 10
    return timedelta(days=days, hours=a, minutes=b, seconds=c, microseconds=fraction)


def timespan_text(duration: timedelta) -> str:
    """Write a duration that is not negative; a fraction of a second has seven digits."""
    days, clock = divmod(duration, _DAY)
    hours, minutes = divmod(clock // _MINUTE, _MINUTES)
    fraction = f".{clock.microseconds:06d}0" if clock.microseconds else ""
    whole = f"{hours:02}:{minutes:02}:{clock.seconds % _MINUTES:02}{fraction}"
    return f"{days}.{whole}" if days else whole
