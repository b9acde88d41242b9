"""History as the status API shows it: JSON-ready events, in the Functions host's projection.

A finished task is one entry: what its scheduling event knew (time, name, input) is folded into
its completion, and the scheduling event is left out. Bookkeeping of the engine does not show.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from durable_app.payload import from_text
from durable_app.protocol import (
    ContinueAsNew,
    Event,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    FailureDetails,
    GenericEvent,
    HistoryEvent,
    OrchestratorCompleted,
    OrchestratorStarted,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_Fields = dict[str, Any]
_Schedule = TaskScheduled | SubOrchestrationInstanceCreated
_Resolution = (
    TaskCompleted | TaskFailed | SubOrchestrationInstanceCompleted | SubOrchestrationInstanceFailed
)
_HIDDEN: Final = (OrchestratorStarted, OrchestratorCompleted)
_SCHEDULES: Final = (TaskScheduled, SubOrchestrationInstanceCreated)
_RESOLUTIONS: Final = (
    TaskCompleted,
    TaskFailed,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
)


def project(
    events: Iterable[HistoryEvent], *, show_input: bool = False, show_output: bool = False
) -> list[dict[str, Any]]:
    """Events as JSON-ready dicts, in the order of history.

    Args:
        show_input: include the inputs of the instance and of its tasks, as JSON text.
        show_output: include results, decoded.
    """
    history = list(events)
    view = _View(show_input=show_input, show_output=show_output)
    scheduled = {event.event_id: event for event in history if isinstance(event, _SCHEDULES)}
    done = {event.task_scheduled_id for event in history if isinstance(event, _RESOLUTIONS)}
    entries = []
    for event in history:
        if isinstance(event, _HIDDEN):
            continue
        if isinstance(event, _SCHEDULES) and event.event_id in done:
            continue
        fields = view.fields(event)
        if isinstance(event, _RESOLUTIONS):
            fields |= view.schedule(scheduled.get(event.task_scheduled_id))
        entries.append({"EventType": type(event).__name__, "Timestamp": _time(event), **fields})
    return entries


class _View:
    """Which payloads are shown, and the fields of each kind of event."""

    def __init__(self, *, show_input: bool, show_output: bool) -> None:
        self._show_input = show_input
        self._show_output = show_output
        self._fields: Mapping[type[Event], Callable[[Any], _Fields]] = {
            ExecutionStarted: self._started,
            ExecutionCompleted: self._completed,
            ExecutionTerminated: self._with_input,
            TaskScheduled: self._task_scheduled,
            TaskCompleted: self._result,
            TaskFailed: self._failure,
            SubOrchestrationInstanceCreated: self._child_created,
            SubOrchestrationInstanceCompleted: self._result,
            SubOrchestrationInstanceFailed: self._failure,
            TimerCreated: _fire_at,
            TimerFired: _fire_at,
            EventSent: self._sent,
            EventRaised: _raised,
            ContinueAsNew: self._with_input,
            ExecutionSuspended: _reason,
            ExecutionResumed: _reason,
            GenericEvent: _generic,
        }

    def fields(self, event: HistoryEvent) -> _Fields:
        """What is shown of an event beside its type and time."""
        known = self._fields.get(type(event))
        return {} if known is None else known(event)

    def schedule(self, event: _Schedule | None) -> _Fields:
        """What a resolution takes over from the event that scheduled it."""
        if event is None:
            return {}
        fields: _Fields = {"ScheduledTime": _time(event), "FunctionName": event.name}
        return fields | self._input(event.input)

    def _input(self, text: str | None) -> _Fields:
        return {"Input": text} if self._show_input else {}

    def _with_input(self, event: ExecutionTerminated | ContinueAsNew) -> _Fields:
        return {"Input": event.input}

    def _started(self, event: ExecutionStarted) -> _Fields:
        return {"FunctionName": event.name, **self._input(event.input)}

    def _completed(self, event: ExecutionCompleted) -> _Fields:
        fields: _Fields = {"OrchestrationStatus": event.status.title}
        if event.failure is not None:
            fields["FailureDetails"] = _failure_details(event.failure)
        return fields | self._output(event.result)

    def _output(self, text: str | None) -> _Fields:
        return {"Result": from_text(text)} if self._show_output else {}

    def _task_scheduled(self, event: TaskScheduled) -> _Fields:
        return {"Name": event.name, **self._input(event.input)}

    def _child_created(self, event: SubOrchestrationInstanceCreated) -> _Fields:
        return {
            "Name": event.name,
            "InstanceId": event.instance_id,
            **self._input(event.input),
        }

    def _result(self, event: TaskCompleted | SubOrchestrationInstanceCompleted) -> _Fields:
        return self._output(event.result)

    @staticmethod
    def _failure(event: TaskFailed | SubOrchestrationInstanceFailed) -> _Fields:
        if event.failure is None:
            return {"Reason": None, "Details": None}
        return {
            "Reason": event.failure.error_message,
            "Details": event.failure.stack_trace,
            "FailureDetails": _failure_details(event.failure),
        }

    def _sent(self, event: EventSent) -> _Fields:
        return {"InstanceId": event.instance_id, "Name": event.name, **self._input(event.input)}


def _fire_at(event: TimerCreated | TimerFired) -> _Fields:
    return {"FireAt": format_time(event.fire_at)}


def _raised(event: EventRaised) -> _Fields:
    return {"Name": event.name, "Input": event.input}


def _reason(event: ExecutionSuspended | ExecutionResumed) -> _Fields:
    return {"Reason": event.input}


def _generic(event: GenericEvent) -> _Fields:
    return {"Data": event.data}


def _failure_details(failure: FailureDetails) -> _Fields:
    inner = failure.inner_failure
    return {
        "ErrorType": failure.error_type,
        "ErrorMessage": failure.error_message,
        "StackTrace": failure.stack_trace,
        "InnerFailure": None if inner is None else _failure_details(inner),
        "IsNonRetriable": failure.is_non_retriable,
    }


def _time(event: Event) -> str:
    return format_time(event.timestamp)


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds and a ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
