"""What a user says about a schedule, and what is said of one."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final

from durable_app.errors import ScheduleClientValidationError
from durable_app.recurrence.ncrontab import parse_cron
from durable_app.recurrence.zones import named_zone

MINIMUM_INTERVAL: Final = timedelta(seconds=1)
#: Ids of runs are made of it: a moment and a suffix follow, and an instance's id has 256.
LONGEST_ID: Final = 190
_FORBIDDEN: Final = frozenset("/\\#?")
#: What a type checker would say, for those who use none.
_TYPES: Final[dict[str, tuple[type, str]]] = {
    "interval": (timedelta, "a timedelta"),
    "start_at": (datetime, "a datetime"),
    "end_at": (datetime, "a datetime"),
    "cron": (str, "a text"),
    "time_zone": (str, "the name of a time zone"),
}


class ScheduleStatus(StrEnum):
    """Status of a schedule."""

    UNINITIALIZED = "Uninitialized"
    """There is no such schedule (yet)."""
    ACTIVE = "Active"
    """It starts runs."""
    PAUSED = "Paused"
    """It starts none, unless it is triggered."""


class OverlapPolicy(StrEnum):
    """What an occurrence does while the last run is still in progress."""

    ALLOW = "Allow"
    """It starts another run beside it."""
    SKIP = "Skip"
    """It is left out."""
    BUFFER_ONE = "BufferOne"
    """It starts when the run has ended; of several that come meanwhile one does."""


@dataclasses.dataclass
class ScheduleCreationOptions:
    r"""A new schedule. It has either an interval or a cron expression.

    Attributes:
        schedule_id: 1 to 190 characters without ``/ \ # ?`` and control characters, no ``@`` in
            front.
        orchestration_name: what to start: a name, or the decorated function.
        interval: between two runs, at least a second. They lie on a grid that begins at
            ``start_at``, else at the creation.
        orchestration_input: of every run, any JSON-encodable value.
        orchestration_instance_id: of every run; None for ids of their own, made of the schedule's
            id and the moment of the occurrence. With one id, runs that overlap are left out.
        start_at: no run before. None for the creation. Naive times are UTC.
        end_at: no run after; then the schedule removes itself. None for never.
        start_immediately_if_late: the first run is at once where ``start_at`` has passed already,
            or there is none.
        cron: five fields ``minute hour day month weekday``, or six with seconds in front. A day has
            to match both ``day`` and ``weekday``; Sunday is 0.
        time_zone: IANA name in which ``cron`` is read. A time that is skipped in spring runs late
            by what was skipped, one that comes twice in autumn runs once, the second time.
        overlap: what happens while the last run is in progress.

    Raises:
        ScheduleClientValidationError: it makes no sense.
    """

    schedule_id: str
    orchestration_name: Any
    interval: timedelta | None = None
    orchestration_input: Any = None
    orchestration_instance_id: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    start_immediately_if_late: bool = False
    _: dataclasses.KW_ONLY
    cron: str | None = None
    time_zone: str | None = None
    overlap: OverlapPolicy = OverlapPolicy.ALLOW

    def __post_init__(self) -> None:
        check_id(self.schedule_id)
        _check_types(self.schedule_id, self)
        self.start_at, self.end_at = aware(self.start_at), aware(self.end_at)
        check_name(self.schedule_id, self.orchestration_name)
        check_times(self.schedule_id, self.start_at, self.end_at)
        check_recurrence(self.schedule_id, self.interval, self.cron, self.time_zone)


@dataclasses.dataclass
class ScheduleUpdateOptions:
    """What changes of a schedule; None leaves as it is.

    An interval takes the place of a cron expression and the other way round. To take something
    away, such as the end, create the schedule again.

    Attributes:
        orchestration_name: as those of ScheduleCreationOptions, like all others.

    Raises:
        ScheduleClientValidationError: both an interval and a cron expression, or one that makes no
            sense.
    """

    orchestration_name: Any = None
    orchestration_input: Any = None
    orchestration_instance_id: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    interval: timedelta | None = None
    start_immediately_if_late: bool | None = None
    _: dataclasses.KW_ONLY
    cron: str | None = None
    time_zone: str | None = None
    overlap: OverlapPolicy | None = None

    def __post_init__(self) -> None:
        _check_types("", self)
        self.start_at, self.end_at = aware(self.start_at), aware(self.end_at)
        check_times("", self.start_at, self.end_at)
        if self.interval is not None or self.cron is not None:
            check_recurrence("", self.interval, self.cron, self.time_zone)


@dataclasses.dataclass
class ScheduleQuery:
    """Which schedules; all conditions must hold, None is no condition.

    Attributes:
        status: of the schedule.
        schedule_id_prefix: beginning of the id; case matters.
        created_from: exclusive. created_to: exclusive. Naive times are UTC.
        page_size: schedules that are read at a time, from 1, 100 without one; the number of the
            results is not limited by it.
    """

    DEFAULT_PAGE_SIZE: ClassVar[int] = 100

    status: ScheduleStatus | None = None
    schedule_id_prefix: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    page_size: int | None = None

    def __post_init__(self) -> None:
        self.created_from, self.created_to = aware(self.created_from), aware(self.created_to)


@dataclasses.dataclass
class ScheduleDescription:
    """A schedule at one moment. All times are aware UTC.

    Attributes:
        interval: None where it has a cron expression.
        execution_token: of the signal that is under way to it.
        last_run_at: the occurrence of the last run that was started; of one that had waited or was
            triggered, the moment at which it was. None before the first one.
        next_run_at: the next occurrence; None while it is paused, and after the last one.
        running_instance_id: the run in progress; None where there is none, and with
            OverlapPolicy.ALLOW, which does not watch its runs.
        buffered_instance_id: the run that starts when that one has ended.
    """

    schedule_id: str
    orchestration_name: str | None = None
    orchestration_input: Any = None
    orchestration_instance_id: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    interval: timedelta | None = None
    start_immediately_if_late: bool | None = None
    status: ScheduleStatus = ScheduleStatus.UNINITIALIZED
    execution_token: str = ""
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None
    cron: str | None = None
    time_zone: str | None = None
    overlap: OverlapPolicy = OverlapPolicy.ALLOW
    created_at: datetime | None = None
    last_modified_at: datetime | None = None
    running_instance_id: str | None = None
    buffered_instance_id: str | None = None


def _check_types(
    schedule_id: str, options: ScheduleCreationOptions | ScheduleUpdateOptions
) -> None:
    for name, (kind, wording) in _TYPES.items():
        value = getattr(options, name)
        if value is not None and not isinstance(value, kind):
            reason = f"{name} is {wording}, not {value!r}."
            raise ScheduleClientValidationError(schedule_id, reason)
    if options.overlap is not None:
        try:
            options.overlap = OverlapPolicy(options.overlap)
        except ValueError:
            reason = f"overlap is an OverlapPolicy, not {options.overlap!r}."
            raise ScheduleClientValidationError(schedule_id, reason) from None


def aware(moment: datetime | None) -> datetime | None:
    """The moment in UTC; a naive one is UTC already."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def check_id(schedule_id: object) -> None:
    """Raise ScheduleClientValidationError if a schedule, or its runs, cannot have that id."""
    if not isinstance(schedule_id, str) or not schedule_id:
        raise ScheduleClientValidationError(str(schedule_id or ""), "schedule_id must be a text.")
    if len(schedule_id) > LONGEST_ID:
        reason = f"schedule_id has at most {LONGEST_ID} characters."
        raise ScheduleClientValidationError(schedule_id, reason)
    is_bad = any(each in _FORBIDDEN or not each.isprintable() for each in schedule_id)
    if is_bad or schedule_id.startswith("@"):
        reason = "schedule_id has no /, \\, #, ? and control characters, and no @ in front."
        raise ScheduleClientValidationError(schedule_id, reason)


def check_name(schedule_id: str, name: object) -> None:
    """Raise ScheduleClientValidationError if nothing to start is named."""
    if not name:
        raise ScheduleClientValidationError(schedule_id, "orchestration_name must not be empty.")


def check_times(schedule_id: str, start_at: datetime | None, end_at: datetime | None) -> None:
    """Raise ScheduleClientValidationError if the end comes before the start."""
    if start_at is not None and end_at is not None and start_at > end_at:
        raise ScheduleClientValidationError(schedule_id, "end_at must not be before start_at.")


def check_recurrence(
    schedule_id: str, interval: timedelta | None, cron: str | None, time_zone: str | None
) -> None:
    """Raise ScheduleClientValidationError unless there is one good rule of recurrence."""
    if (interval is None) == (cron is None):
        reason = "give either interval or cron."
        raise ScheduleClientValidationError(schedule_id, reason)
    if interval is not None and interval < MINIMUM_INTERVAL:
        raise ScheduleClientValidationError(schedule_id, "interval must be at least 1 second.")
    if cron is None:
        if time_zone is not None:
            reason = "time_zone belongs to cron, an interval has none."
            raise ScheduleClientValidationError(schedule_id, reason)
        return
    _check_cron(schedule_id, cron, time_zone)


def _check_cron(schedule_id: str, cron: str, time_zone: str | None) -> None:
    try:
        parse_cron(cron)
    except ValueError as error:
        reason = f"cron '{cron}': {error}"
        raise ScheduleClientValidationError(schedule_id, reason) from None
    try:
        named_zone(time_zone or "UTC")
    except ValueError as error:
        reason = f"time_zone is '{time_zone}', {error}"
        raise ScheduleClientValidationError(schedule_id, reason) from None
