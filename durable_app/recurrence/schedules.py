"""When something recurs: by a cron expression in a time zone, or every so often. Pure.

An *occurrence* is a moment at which a schedule wants a run.

Rules of daylight saving time, for a schedule with hours of its own (a schedule for every hour runs
by elapsed time and knows neither of them):

- a time of the day that is skipped runs late by what was skipped: 02:30 at 03:30;
- a time of the day that comes twice runs once, when it comes the second time, in standard time.
  .NET reads an ambiguous time like this, so Azure does.

What must never happen: an occurrence that is not after the moment it was asked for; one that is
left out, or comes twice, because a clock steps.

Source: timer extension of the WebJobs SDK.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import MAXYEAR, UTC, datetime, timedelta, tzinfo
from typing import Final, Protocol

from durable_app.recurrence.ncrontab import CronExpression
from durable_app.recurrence.timespan import timespan_text

# A schedule whose runs are closer together is not monitored unless its function asks for it.
MONITORED_FROM: Final = timedelta(minutes=1)
_HOURS: Final = 24
# Longer than any step that a time zone ever made; Samoa left out a day.
_AROUND_A_STEP: Final = timedelta(hours=25)


class Schedule(Protocol):
    """When a timer wants to run. Moments are aware."""

    @property
    def text(self) -> str:
        """As it was written."""
        ...

    @property
    def description(self) -> str:
        """As the host's log shows it: ``Cron: '0 * * * * *'`` or ``Constant: 00:05:00``."""
        ...

    @property
    def zone(self) -> tzinfo:
        """Time zone in which its moments are shown."""
        ...

    @property
    def adjust_for_dst(self) -> bool:
        """Whether it follows the wall clock."""
        ...

    @property
    def is_frequent(self) -> bool:
        """Whether two runs may be less than a minute apart."""
        ...

    def next_after(self, moment: datetime) -> datetime | None:
        """The first occurrence after ``moment``, in UTC; None where there is none."""
        ...


@dataclasses.dataclass(frozen=True)
class CronSchedule:
    """An NCRONTAB expression in a time zone. See :class:`Schedule`."""

    text: str
    expression: CronExpression
    zone: tzinfo = UTC
    adjust_for_dst: bool = True

    @property
    def description(self) -> str:
        """As the host's log shows it."""
        return f"Cron: '{self.text}'"

    @property
    def is_frequent(self) -> bool:
        """Whether a minute has several of its seconds."""
        return len(self.expression.seconds) > 1

    def next_after(self, moment: datetime) -> datetime | None:
        """The first occurrence after ``moment``, in UTC; None where there is none."""
        after = moment.astimezone(UTC)
        if after.year >= MAXYEAR:
            return None
        best: datetime | None = None
        for local in self._locals_from(self._first_local(after)):
            if best is not None and self._earliest(local) >= best:
                break
            later = [instant for instant in self._instants(local) if instant > after]
            best = min(later if best is None else [best, *later], default=None)
        return best

    def _locals_from(self, start: datetime) -> Iterator[datetime]:
        local = self.expression.next_after(start)
        while local is not None:
            yield local
            local = self.expression.next_after(local)

    def _first_local(self, after: datetime) -> datetime:
        """Local time before every occurrence after ``after``.

        That is the local time of ``after``, unless the clock steps nearby: a skipped time runs
        later than its name says, and a time that was served comes a second time.
        """
        local = after.astimezone(self.zone).replace(tzinfo=None)
        step = abs(self._offset(after + _AROUND_A_STEP) - self._offset(after - _AROUND_A_STEP))
        if step and self._offset(after + step) != self._offset(after - step):
            return local - step
        return local

    def _earliest(self, local: datetime) -> datetime:
        """No occurrence with this local time, or a later one, is before this."""
        by_name = local.replace(tzinfo=UTC)
        around = (by_name - _AROUND_A_STEP, by_name, by_name + _AROUND_A_STEP)
        return by_name - max(self._offset(moment) for moment in around)

    def _instants(self, local: datetime) -> list[datetime]:
        """Moments at which something happens for a matching local time."""
        first = local.replace(tzinfo=self.zone)
        second = first.replace(fold=1)
        instants = [first.astimezone(UTC), second.astimezone(UTC)]
        # A skipped time has no moment: the way to UTC and back leads to another time.
        exists = instants[0].astimezone(self.zone).replace(tzinfo=None, fold=0) == local
        if len(self.expression.hours) == _HOURS:
            return instants if exists else []
        return instants[1:] if exists else instants[:1]

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self.zone).utcoffset() or timedelta()


@dataclasses.dataclass(frozen=True)
class IntervalSchedule:
    """A run every so often, counted from the last run. See :class:`Schedule`.

    Raises:
        ValueError: the interval is nothing or less.
    """

    text: str
    interval: timedelta
    zone: tzinfo = UTC
    adjust_for_dst: bool = False

    def __post_init__(self) -> None:
        if self.interval <= timedelta(0):
            raise ValueError("an interval must be longer than nothing")

    @property
    def description(self) -> str:
        """As the host's log shows it."""
        return f"Constant: {timespan_text(self.interval)}"

    @property
    def is_frequent(self) -> bool:
        """Whether the interval is below a minute."""
        return self.interval < MONITORED_FROM

    def next_after(self, moment: datetime) -> datetime | None:
        """One interval later, in UTC; None where the calendar ends before."""
        try:
            return moment.astimezone(UTC) + self.interval
        except OverflowError:
            return None


@dataclasses.dataclass(frozen=True)
class Grid:
    """Moments that are whole intervals away from a first one.

    Attributes:
        anchor: the first moment, aware.
        interval: longer than nothing.
    """

    anchor: datetime
    interval: timedelta

    def next_after(self, moment: datetime) -> datetime | None:
        """The first moment of the grid after ``moment``, in UTC; None where the calendar ends."""
        anchor, after = self.anchor.astimezone(UTC), moment.astimezone(UTC)
        if after < anchor:
            return anchor
        try:
            return anchor + self.interval * ((after - anchor) // self.interval + 1)
        except OverflowError:
            return None
