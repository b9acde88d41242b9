"""When a timer function runs: what is remembered of its schedule, and the next step. Pure.

Words: an *occurrence* is a moment at which a schedule wants a run. The *status* of a timer says
when it ran last and which occurrence is next; a monitored timer keeps it over restarts, and an
occurrence that passed meanwhile makes the first run *past due*.

What must never happen: two runs for one occurrence; a run before its occurrence; a missed
occurrence of a monitored timer without a run; a schedule that has changed being past due.

Source: timer extension of the WebJobs SDK.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from durable_app.errors import ConfigError
from durable_app.recurrence.ncrontab import parse_cron
from durable_app.recurrence.schedules import CronSchedule, IntervalSchedule, Schedule
from durable_app.recurrence.timespan import is_timespan, parse_timespan
from durable_app.recurrence.zones import named_zone

if TYPE_CHECKING:
    from collections.abc import Mapping

TIME_ZONE_SETTING: Final = "WEBSITE_TIME_ZONE"
#: A clock that is set back by more than this is believed; a smaller step is waited out, so that
#: an occurrence that was served does not come again.
CLOCK_STEP: Final = timedelta(minutes=1)
_OCCURRENCES_SHOWN: Final = 5
_NEVER: Final = "9999-12-31T23:59:59.9999999"
_NOT_YET: Final = "0001-01-01T00:00:00"


def parse_schedule(text: str, zone: tzinfo = UTC, function: str | None = None) -> Schedule:
    """Read ``schedule`` of a timer trigger: NCRONTAB, or a TimeSpan such as ``00:05:00``.

    Args:
        zone: in which the fields of NCRONTAB are read.
        function: named in the message of an error.

    Raises:
        ConfigError: it is neither; the message names the field that is wrong.
    """
    text = text.strip()
    try:
        if not is_timespan(text):
            return CronSchedule(text, parse_cron(text), zone)
        return IntervalSchedule(text, parse_timespan(text), zone)
    except ValueError as error:
        whose = "" if function is None else f" of function '{function}'"
        raise ConfigError(
            f"The schedule expression '{text}'{whose} is not valid: {error}. Write NCRONTAB such as"
            " '0 */5 * * * *' or an interval such as '00:05:00'."
        ) from None


def zone_of(environ: Mapping[str, str]) -> tzinfo:
    """Time zone of the app: ``WEBSITE_TIME_ZONE``, without it UTC as in Azure.

    Raises:
        ConfigError: there is no zone of that name.
    """
    name = environ.get(TIME_ZONE_SETTING, "").strip()
    try:
        return named_zone(name) if name else UTC
    except ValueError as error:
        raise ConfigError(f"{TIME_ZONE_SETTING} is '{name}', {error}") from None


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
