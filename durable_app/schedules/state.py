"""What is kept of a schedule, and its stored form.

The form is that of the .NET SDK, which dashboards read: names in PascalCase, the status as a
number, the interval as a TimeSpan, the input as JSON text. What only this package knows (``Cron``,
``TimeZone``, ``Overlap``, ``RunningInstanceId``, ``BufferedInstanceId``, ``LastTriggeredAt``,
``WatcherInstanceId``) are members more, which other readers ignore. A cron expression is stored
with an interval beside it, the time between two of its occurrences: other readers cannot do without
one.
"""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from durable_app.payload import from_text
from durable_app.recurrence.ncrontab import parse_cron
from durable_app.recurrence.schedules import CronSchedule, Grid
from durable_app.recurrence.timespan import parse_timespan, timespan_text
from durable_app.recurrence.zones import named_zone
from durable_app.schedules.options import OverlapPolicy, ScheduleDescription, ScheduleStatus

_NUMBERS: Final = {
    ScheduleStatus.UNINITIALIZED: 0,
    ScheduleStatus.ACTIVE: 1,
    ScheduleStatus.PAUSED: 2,
}
_STATUSES: Final = {number: status for status, number in _NUMBERS.items()}
_A_DAY: Final = timedelta(days=1)
# .NET writes seven digits of the second, Python reads six.
_SEVENTH_DIGIT: Final = re.compile(r"(\.\d{6})\d+")


@dataclasses.dataclass(frozen=True)
class Configuration:
    """What a schedule was told. The attributes are those of ScheduleCreationOptions.

    Attributes:
        orchestration_input: JSON text; None for no input.
        interval: None where ``cron`` is not.
    """

    schedule_id: str
    orchestration_name: str
    interval: timedelta | None = None
    orchestration_input: str | None = None
    orchestration_instance_id: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    start_immediately_if_late: bool = False
    cron: str | None = None
    time_zone: str | None = None
    overlap: OverlapPolicy = OverlapPolicy.ALLOW

    def next_after(self, moment: datetime, created_at: datetime) -> datetime | None:
        """The first occurrence after a moment, in UTC; None where there is none.

        An interval without a start counts from ``created_at``, which is no occurrence itself.
        """
        if self.interval is not None:
            return Grid(self.start_at or created_at, self.interval).next_after(moment)
        text = self.cron or ""
        return CronSchedule(text, parse_cron(text), named_zone(self.time_zone or "UTC")).next_after(
            moment
        )

    def to_json(self, now: datetime) -> dict[str, Any]:
        """The stored form."""
        interval = self.interval or self._gap(now)
        return {
            "ScheduleId": self.schedule_id,
            "OrchestrationName": self.orchestration_name,
            "Interval": timespan_text(interval),
            "OrchestrationInput": self.orchestration_input,
            "OrchestrationInstanceId": self.orchestration_instance_id,
            "StartAt": _text(self.start_at),
            "EndAt": _text(self.end_at),
            "StartImmediatelyIfLate": self.start_immediately_if_late,
            "Cron": self.cron,
            "TimeZone": self.time_zone,
            "Overlap": self.overlap.value,
        }

    def _gap(self, now: datetime) -> timedelta:
        first = self.next_after(now, now)
        second = None if first is None else self.next_after(first, now)
        return _A_DAY if first is None or second is None else second - first

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Configuration:
        """Read the stored form."""
        cron = stored.get("Cron")
        return cls(
            stored["ScheduleId"],
            stored["OrchestrationName"],
            None if cron else parse_timespan(stored["Interval"]),
            stored.get("OrchestrationInput"),
            stored.get("OrchestrationInstanceId"),
            _moment(stored.get("StartAt")),
            _moment(stored.get("EndAt")),
            bool(stored.get("StartImmediatelyIfLate")),
            cron,
            stored.get("TimeZone"),
            OverlapPolicy(stored.get("Overlap") or OverlapPolicy.ALLOW),
        )


@dataclasses.dataclass(frozen=True)
class ScheduleState:
    """A schedule.

    Attributes:
        token: of the signal to itself that counts.
        running: id of the run in progress, with a policy that watches runs.
        buffered: id of the run that starts when that one has ended.
        watcher: id of the last orchestration that watches, or has watched, a run.
        triggered_at: of the last run that was asked for by hand.
    """

    configuration: Configuration
    created_at: datetime
    modified_at: datetime
    status: ScheduleStatus = ScheduleStatus.ACTIVE
    token: str = ""
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None
    running: str | None = None
    buffered: str | None = None
    triggered_at: datetime | None = None
    watcher: str = ""

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "Status": _NUMBERS[self.status],
            "ExecutionToken": self.token,
            "LastRunAt": _text(self.last_run_at),
            "NextRunAt": _text(self.next_run_at),
            "ScheduleCreatedAt": _text(self.created_at),
            "ScheduleLastModifiedAt": _text(self.modified_at),
            "ScheduleConfiguration": self.configuration.to_json(self.modified_at),
            "RunningInstanceId": self.running,
            "BufferedInstanceId": self.buffered,
            "LastTriggeredAt": _text(self.triggered_at),
            "WatcherInstanceId": self.watcher,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any] | None) -> ScheduleState | None:
        """Read the stored form; None where no schedule is stored."""
        if stored is None:
            return None
        configuration = stored.get("ScheduleConfiguration")
        status = _STATUSES[stored["Status"]]
        if configuration is None or status is ScheduleStatus.UNINITIALIZED:
            return None
        created_at = _moment(stored.get("ScheduleCreatedAt")) or datetime.min.replace(tzinfo=UTC)
        return cls(
            Configuration.from_json(configuration),
            created_at,
            _moment(stored.get("ScheduleLastModifiedAt")) or created_at,
            status,
            stored.get("ExecutionToken") or "",
            _moment(stored.get("LastRunAt")),
            _moment(stored.get("NextRunAt")),
            stored.get("RunningInstanceId"),
            stored.get("BufferedInstanceId"),
            _moment(stored.get("LastTriggeredAt")),
            stored.get("WatcherInstanceId") or "",
        )

    def description(self) -> ScheduleDescription:
        """What a client is told."""
        told = self.configuration
        return ScheduleDescription(
            told.schedule_id,
            told.orchestration_name,
            from_text(told.orchestration_input),
            told.orchestration_instance_id,
            told.start_at,
            told.end_at,
            told.interval,
            told.start_immediately_if_late,
            self.status,
            self.token,
            self.last_run_at,
            self.next_run_at,
            told.cron,
            told.time_zone,
            told.overlap,
            self.created_at,
            self.modified_at,
            self.running,
            self.buffered,
        )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(_SEVENTH_DIGIT.sub(r"\1", text))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
