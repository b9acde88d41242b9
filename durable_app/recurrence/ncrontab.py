"""NCRONTAB expressions: six fields, or five without seconds, over wall-clock time.

::

    {second} {minute} {hour} {day} {month} {day of the week}

A field is ``*``, a value, a range ``a-b``, each with a step ``/n``, or a list of these. Months and
days of the week also have their English names, or three letters and more of them; Sunday is 0 and
there is no 7. Azure reads expressions with a library of .NET, whose habits these are:

- a day must match both day fields, where Unix cron is content with one of them;
- ``a/n`` means from ``a`` to the field's maximum;
- a range that is written backwards is turned round: ``FRI-MON`` is Monday to Friday;
- a step of 0 is a step of 1.

Nothing here knows of time zones: moments are naive, and each second of a day exists once.
"""

from __future__ import annotations

import calendar
import dataclasses
import re
from bisect import bisect_left
from datetime import MAXYEAR, date, datetime, time, timedelta
from typing import Final, NamedTuple

_FIELDS_WITHOUT_SECONDS: Final = 5
_FIELDS: Final = 6
_LETTERS_OF_A_NAME: Final = 3
_SECOND: Final = timedelta(seconds=1)
# The calendar repeats itself after so many years: what has not occurred by then never does.
_CALENDAR_YEARS: Final = 400
# One less than Python's, so that any time zone can show what is found.
_LAST_YEAR: Final = MAXYEAR - 1
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


class _Field(NamedTuple):
    """Name, bounds (inclusive) and the names of the values from ``low`` on."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_LAYOUT: Final = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, tuple(calendar.month_name[1:])),
    _Field("day-of-week", 0, 6, (calendar.day_name[6], *calendar.day_name[:6])),
)


@dataclasses.dataclass(frozen=True)
class CronExpression:
    """What an expression says: the values of each field, ascending and never empty.

    Attributes:
        weekdays: 0 for Sunday to 6 for Saturday.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    def matches(self, moment: datetime) -> bool:
        """Whether every field has its part of a naive moment; fractions of seconds are ignored."""
        return (
            moment.second in self.seconds
            and moment.minute in self.minutes
            and moment.hour in self.hours
            and self._has_day(moment.date())
        )

    def next_after(self, moment: datetime) -> datetime | None:
        """The first occurrence after a naive moment, in whole seconds; None where there is none."""
        if moment.year > _LAST_YEAR:
            return None
        first = moment.replace(microsecond=0) + _SECOND
        if first.year > _LAST_YEAR:
            return None
        today = first.date()
        if self._has_day(today) and (later := self._time_from(first.time())) is not None:
            return datetime.combine(today, later)
        day = self._day_after(today)
        if day is None:
            return None
        return datetime.combine(day, time(self.hours[0], self.minutes[0], self.seconds[0]))

    def _has_day(self, day: date) -> bool:
        return (
            day.month in self.months
            and day.day in self.days
            and day.isoweekday() % 7 in self.weekdays
        )

    def _time_from(self, earliest: time) -> time | None:
        """The first time of the day that is not before ``earliest``."""
        for hour in self.hours[bisect_left(self.hours, earliest.hour) :]:
            if hour > earliest.hour:
                return time(hour, self.minutes[0], self.seconds[0])
            for minute in self.minutes[bisect_left(self.minutes, earliest.minute) :]:
                if minute > earliest.minute:
                    return time(hour, minute, self.seconds[0])
                at = bisect_left(self.seconds, earliest.second)
                if at < len(self.seconds):
                    return time(hour, minute, self.seconds[at])
        return None

    def _day_after(self, day: date) -> date | None:
        for year in range(day.year, min(day.year + _CALENDAR_YEARS, _LAST_YEAR) + 1):
            for month in self.months:
                if (year, month) < (day.year, day.month):
                    continue
                length = calendar.monthrange(year, month)[1]
                for number in self.days:
                    if number <= length:
                        found = date(year, month, number)
                        if found > day and self._has_day(found):
                            return found
        return None


def parse_cron(text: str) -> CronExpression:
    """Read an expression of five or six fields.

    Raises:
        ValueError: it is none; the message names the field.
    """
    parts = text.split()
    if len(parts) == _FIELDS_WITHOUT_SECONDS:
        parts = ["0", *parts]
    if len(parts) != _FIELDS:
        raise ValueError(
            f"it has {len(parts)} fields, and an expression has six:"
            " {second} {minute} {hour} {day} {month} {day-of-week}"
        )
    return CronExpression(*map(_values, _LAYOUT, parts))


def _values(field: _Field, text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for item in text.split(","):
        found.update(_item(field, item, text))
    return tuple(sorted(found))


def _item(field: _Field, item: str, text: str) -> range:
    span, slash, step_text = item.partition("/")
    step = 1
    if slash:
        if not _NUMBER.fullmatch(step_text):
            raise _refusal(field, text, f"'{step_text}' is no step")
        step = max(1, int(step_text))
    if span == "*":
        return range(field.low, field.high + 1, step)
    low_text, dash, high_text = span.partition("-")
    low = _value(field, low_text, text)
    if dash:
        low, high = sorted((low, _value(field, high_text, text)))
    else:
        high = field.high if slash else low
    return range(low, high + 1, step)


def _value(field: _Field, value: str, text: str) -> int:
    if _NUMBER.fullmatch(value):
        number = int(value)
        if field.low <= number <= field.high:
            return number
        hint = "; Sunday is 0" if field.name == "day-of-week" else ""
        raise _refusal(field, text, f"{value} is not within {field.low}-{field.high}{hint}")
    if len(value) >= _LETTERS_OF_A_NAME:
        for number, name in enumerate(field.names, field.low):
            if name.casefold().startswith(value.casefold()):
                return number
    if not value:
        raise _refusal(field, text, "a value is missing")
    raise _refusal(field, text, f"'{value}' is no value of it")


def _refusal(field: _Field, text: str, reason: str) -> ValueError:
    return ValueError(f"the {field.name} field '{text}' is invalid: {reason}")
