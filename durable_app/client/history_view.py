"""History as the status API shows it: JSON-ready events, in the Functions host's projection.

A finished task is one entry: what its scheduling event knew (time, name, input) is folded into
its completion, and the scheduling event is left out. Bookkeeping of the engine does not show.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from durable_app.payload import from_text, to_text
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
    from collections.abc import Callable, Iterable, Mapping, Sequence

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


class _Json(NamedTuple):
    """A payload that stays the JSON text that it is."""

    text: str


class Shown(NamedTuple):
    """Which payloads of a history are shown.

    Attributes:
        input: the inputs of the instance and of its tasks, as JSON text.
        output: results, decoded.
        task_input: False leaves out the inputs of tasks and sub-orchestrations all the same, as a
            host does that does not keep them in histories.
    """

    input: bool = False
    output: bool = False
    task_input: bool = True


_NOTHING: Final = Shown()


def project(events: Iterable[HistoryEvent], shown: Shown = _NOTHING) -> list[dict[str, Any]]:
    """Events as JSON-ready dicts, in the order of history."""
    return _entries(events, _View(from_text, shown))


def project_text(events: Iterable[HistoryEvent], shown: Shown = _NOTHING) -> str:
    """As :func:`project`, but JSON text: results that no reader here would take show too."""
    view = _View(lambda text: _Json(text or "null"), shown)
    entries = (
        ",".join(f'"{key}":{_json(value)}' for key, value in entry.items())
        for entry in _entries(events, view)
    )
    return f"[{','.join(f'{{{entry}}}' for entry in entries)}]"


def _json(value: Any) -> str:
    return value.text if isinstance(value, _Json) else to_text(value)


def _entries(events: Iterable[HistoryEvent], view: _View) -> list[_Fields]:
    history = list(events)
    schedules = _schedules(history)
    finished = {index for index, _ in schedules.values()}
    entries = []
    for index, event in enumerate(history):
        if isinstance(event, _HIDDEN) or index in finished:
            continue
        fields = view.fields(event)
        if index in schedules:
            fields |= view.schedule(schedules[index][1])
        entries.append({"EventType": type(event).__name__, "Timestamp": _time(event), **fields})
    return entries


def _schedules(history: Sequence[HistoryEvent]) -> dict[int, tuple[int, _Schedule]]:
    """Per index of a resolution what scheduled it and its index, where that is known.

    An id names the latest schedule that has it: the attempts of a retry may share one.
    """
    unresolved: dict[int, tuple[int, _Schedule]] = {}
    found: dict[int, tuple[int, _Schedule]] = {}
    for index, event in enumerate(history):
        if isinstance(event, _SCHEDULES):
            unresolved[event.event_id] = index, event
        elif isinstance(event, _RESOLUTIONS) and event.task_scheduled_id in unresolved:
            found[index] = unresolved.pop(event.task_scheduled_id)
    return found


class _View:
    """Which payloads are shown, and the fields of each kind of event."""

    def __init__(self, decode: Callable[[str | None], Any], shown: Shown) -> None:
        self._decode = decode
        self._shown = shown
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

    def schedule(self, event: _Schedule) -> _Fields:
        """What a resolution takes over from the event that scheduled it."""
        return {
            "ScheduledTime": _time(event),
            "FunctionName": event.name,
            **self._task_input(event.input),
        }

    def _input(self, text: str | None) -> _Fields:
        return {"Input": text} if self._shown.input else {}

    def _task_input(self, text: str | None) -> _Fields:
        return self._input(text) if self._shown.task_input else {}

    def _with_input(self, event: ExecutionTerminated | ContinueAsNew) -> _Fields:
        return {"Input": event.input}

    def _started(self, event: ExecutionStarted) -> _Fields:
        start_at = event.scheduled_start
        return {
            "FunctionName": event.name,
            "Correlation": None,
            "ScheduledStartTime": None if start_at is None else format_time(start_at),
            **self._input(event.input),
        }

    def _completed(self, event: ExecutionCompleted) -> _Fields:
        fields: _Fields = {"OrchestrationStatus": event.status.title}
        if event.failure is not None:
            fields["FailureDetails"] = _failure_details(event.failure)
        return fields | self._output(event.result)

    def _output(self, text: str | None) -> _Fields:
        return {"Result": self._decode(text)} if self._shown.output else {}

    def _task_scheduled(self, event: TaskScheduled) -> _Fields:
        return {"Name": event.name, **self._task_input(event.input)}

    def _child_created(self, event: SubOrchestrationInstanceCreated) -> _Fields:
        return {
            "Name": event.name,
            "InstanceId": event.instance_id,
            **self._task_input(event.input),
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
