"""When a timer function runs: schedules, what is remembered of them, and the next step. Pure.

Words: an *occurrence* is a moment at which a schedule wants a run. The *status* of a timer says
when it ran last and which occurrence is next; a monitored timer keeps it over restarts, and an
occurrence that passed meanwhile makes the first run *past due*.

What must never happen: two runs for one occurrence; a run before its occurrence; a missed
occurrence of a monitored timer without a run; a schedule that has changed being past due.

Rules of daylight saving time, for a schedule with hours of its own (a schedule for every hour runs
by elapsed time and knows neither of them):

- a time of the day that is skipped runs late by what was skipped: 02:30 at 03:30;
- a time of the day that comes twice runs once, when it comes the second time, in standard time.
  .NET reads an ambiguous time like this, so Azure does.

Source: timer extension of the WebJobs SDK.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

from durable_app.errors import ConfigError
from durable_app.host.triggers.ncrontab import CronExpression, parse_cron

if TYPE_CHECKING:
    from collections.abc import Mapping

TIME_ZONE_SETTING: Final = "WEBSITE_TIME_ZONE"
# A schedule whose runs are closer together is not monitored unless its function asks for it.
MONITORED_FROM: Final = timedelta(minutes=1)
#: A clock that is set back by more than this is believed; a smaller step is waited out, so that
#: an occurrence that was served does not come again.
CLOCK_STEP: Final = timedelta(minutes=1)
_OCCURRENCES_SHOWN: Final = 5
_HOURS: Final = 24
# Longer than any step that a time zone ever made; Samoa left out a day.
_AROUND_A_STEP: Final = timedelta(hours=25)
_INTERVAL: Final = re.compile(
    r"(?:(?P<days>[0-9]{1,8})\.)?(?P<a>[0-9]{1,8}):(?P<b>[0-9]{1,2})(?::(?P<c>[0-9]{1,2}))?"
    r"(?:\.(?P<fraction>[0-9]{1,7}))?"
)
_NEVER: Final = "9999-12-31T23:59:59.9999999"
_NOT_YET: Final = "0001-01-01T00:00:00"


# ---------------------------------------------------------------------------------------------
# Schedules
# ---------------------------------------------------------------------------------------------


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
    """A run every so often, counted from the last run. See :class:`Schedule`."""

    text: str
    interval: timedelta
    zone: tzinfo = UTC
    adjust_for_dst: bool = False

    @property
    def description(self) -> str:
        """As the host's log shows it."""
        rest, clock = divmod(self.interval, timedelta(days=1))
        days = f"{rest}." if rest else ""
        hours, minutes = divmod(clock // timedelta(minutes=1), 60)
        seconds = (clock % timedelta(minutes=1)).total_seconds()
        shown = f"{seconds:02.0f}" if seconds.is_integer() else f"{seconds:010.7f}"
        return f"Constant: {days}{hours:02}:{minutes:02}:{shown}"

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


def parse_schedule(text: str, zone: tzinfo = UTC, function: str | None = None) -> Schedule:
    """Read ``schedule`` of a timer trigger: NCRONTAB, or a TimeSpan such as ``00:05:00``.

    Args:
        zone: in which the fields of NCRONTAB are read.
        function: named in the message of an error.

    Raises:
        ConfigError: it is neither; the message names the field that is wrong.
    """
    text = text.strip()
    found = _INTERVAL.fullmatch(text)
    try:
        if found is None:
            return CronSchedule(text, parse_cron(text), zone)
        interval = _interval(found)
    except ValueError as error:
        whose = "" if function is None else f" of function '{function}'"
        raise ConfigError(
            f"The schedule expression '{text}'{whose} is not valid: {error}. Write NCRONTAB such as"
            " '0 */5 * * * *' or an interval such as '00:05:00'."
        ) from None
    return IntervalSchedule(text, interval, zone)


def _interval(found: re.Match[str]) -> timedelta:
    days, a, b = int(found["days"] or 0), int(found["a"]), int(found["b"])
    c = int(found["c"] or 0)
    # .NET reads three parts as days, hours, minutes where the first is no hour of a day.
    if a >= _HOURS and found["days"] is None and found["c"] is not None:
        days, a, b, c = a, b, c, 0
    if a >= _HOURS or b > 59 or c > 59:  # noqa: PLR2004  minutes and seconds
        raise ValueError("hours end at 23, minutes and seconds at 59")
    fraction = int((found["fraction"] or "").ljust(7, "0")) // 10
    interval = timedelta(days=days, hours=a, minutes=b, seconds=c, microseconds=fraction)
    if not interval:
        raise ValueError("an interval must be longer than nothing")
    return interval


def zone_of(environ: Mapping[str, str]) -> tzinfo:
    """Time zone of the app: ``WEBSITE_TIME_ZONE``, without it UTC as in Azure.

    Raises:
        ConfigError: there is no zone of that name.
    """
    name = environ.get(TIME_ZONE_SETTING, "").strip()
    if not name or name.upper() == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        pass
    known = zoneinfo.available_timezones()
    if not known:
        raise ConfigError(
            f"{TIME_ZONE_SETTING} is '{name}', and this machine has no time zones. Run"
            " `pip install tzdata`."
        )
    near = difflib.get_close_matches(name, known, n=1)
    raise ConfigError(
        f"{TIME_ZONE_SETTING} is '{name}', which is no time zone. Write a name such as"
        f" '{near[0] if near else 'Europe/Paris'}'."
    )


def occurrences_text(name: str, schedule: Schedule, now: datetime) -> str:
    """The lines that announce the next occurrences of a function, as the host writes them."""
    lines = [
        f"{moment.astimezone(schedule.zone):%m/%d/%Y %H:%M:%S}{_offset_text(moment, schedule)}"
        f" ({moment:%m/%d/%Y %H:%M:%S}Z)"
        for moment in islice(_occurrences(schedule, now), _OCCURRENCES_SHOWN)
    ]
    if not lines:
        return f"The '{name}' schedule ({schedule.description}) never occurs."
    return (
        f"The next {_OCCURRENCES_SHOWN} occurrences of the '{name}' schedule"
        f" ({schedule.description}) will be:\n" + "\n".join(lines)
    )


def _occurrences(schedule: Schedule, now: datetime) -> Iterator[datetime]:
    moment = schedule.next_after(now)
    while moment is not None:
        yield moment
        moment = schedule.next_after(moment)


def _offset_text(moment: datetime, schedule: Schedule) -> str:
    digits = moment.astimezone(schedule.zone).strftime("%z")
    return f"{digits[:3]}:{digits[3:5]}"


def round_trip_text(moment: datetime, schedule: Schedule) -> str:
    """A moment as .NET's format "o" has it: seven digits of the second and the offset."""
    local = moment.astimezone(schedule.zone)
    return f"{local:%Y-%m-%dT%H:%M:%S.%f}0{_offset_text(moment, schedule)}"


# ---------------------------------------------------------------------------------------------
# Status
# ---------------------------------------------------------------------------------------------


class ScheduleStatus(NamedTuple):
    """What is known of a timer; moments are aware.

    Attributes:
        last: beginning of the last run; None before the first one.
        next: the occurrence that is waited for; None where there will be none.
        last_updated: the moment that ``next`` was reckoned from.
    """

    last: datetime | None
    next: datetime | None
    last_updated: datetime

    def to_text(self) -> str:
        """JSON for the host's state."""
        return json.dumps(
            {
                "Last": _iso(self.last),
                "Next": _iso(self.next),
                "LastUpdated": _iso(self.last_updated),
            }
        )

    def shown(self, schedule: Schedule) -> dict[str, str]:
        """As a function gets it: local time of the schedule's zone, with offset."""
        return {
            "Last": _NOT_YET if self.last is None else round_trip_text(self.last, schedule),
            "Next": _NEVER if self.next is None else round_trip_text(self.next, schedule),
            "LastUpdated": round_trip_text(self.last_updated, schedule),
        }


def status_from_text(text: str | None) -> ScheduleStatus | None:
    """Read what :meth:`ScheduleStatus.to_text` wrote; None for nothing and for anything else."""
    if text is None:
        return None
    try:
        found: Any = json.loads(text)
        last, following = _moment(found["Last"]), _moment(found["Next"])
        updated = _moment(found["LastUpdated"])
    except (ValueError, TypeError, KeyError):
        return None
    return None if updated is None else ScheduleStatus(last, following, updated)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without an offset")
    return moment


# ---------------------------------------------------------------------------------------------
# Steps
# ---------------------------------------------------------------------------------------------

Cause = Literal["Schedule", "IsPastDue", "RunOnStartup"]


class Fire(NamedTuple):
    """Run now.

    Attributes:
        original: the occurrence that was missed; None where none was.
    """

    cause: Cause = "Schedule"
    original: datetime | None = None


class WaitUntil(NamedTuple):
    """Nothing to do before that moment."""

    moment: datetime


class Never(NamedTuple):
    """Nothing to do any more."""


def opening(
    schedule: Schedule, stored: ScheduleStatus | None, now: datetime, *, run_on_startup: bool
) -> tuple[ScheduleStatus, Fire | None]:
    """How a timer begins: its status, and the run that is due at once, if any.

    Args:
        stored: of an earlier start; None for a new timer or one that is not monitored.
    """
    status = _current(schedule, stored, now)
    if stored is not None and status.next is not None and now > status.next:
        return status, Fire("IsPastDue", status.next)
    return status, Fire("RunOnStartup") if run_on_startup else None


def _current(schedule: Schedule, stored: ScheduleStatus | None, now: datetime) -> ScheduleStatus:
    fresh = ScheduleStatus(None, schedule.next_after(now), now)
    if stored is None or (stored.last or stored.last_updated) > now + CLOCK_STEP:
        return fresh
    expected = schedule.next_after(stored.last or stored.last_updated)
    if expected == stored.next:
        return stored
    # The schedule or its time zone was changed: occurrences of the new one that lie in the past
    # were never promised.
    if expected is None or now > expected:
        return fresh
    return ScheduleStatus(None, expected, stored.last or stored.last_updated)


def plan(status: ScheduleStatus, now: datetime) -> Fire | WaitUntil | Never:
    """What to do at ``now`` while nothing of this timer runs."""
    if status.next is None:
        return Never()
    return Fire() if now >= status.next else WaitUntil(status.next)


def following_clock(schedule: Schedule, status: ScheduleStatus, now: datetime) -> ScheduleStatus:
    """The status, or another one where the clock was set back behind it.

    Without this a timer would sleep until the clock has caught up with its last run.
    """
    if status.last_updated <= now + CLOCK_STEP:
        return status
    return ScheduleStatus(status.last, schedule.next_after(now), now)


def after_run(schedule: Schedule, began: datetime) -> ScheduleStatus:
    """Status after a run.

    The next occurrence is reckoned from the run's beginning: one that passed while the function
    ran is served as soon as it has ended, several of them once.
    """
    return ScheduleStatus(began, schedule.next_after(began), began)
