"""History events. An event that a newer hub has written becomes a ``GenericEvent``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.unknown_fields import UnknownFieldSet

from durable_app import protocol as p
from durable_app.rpc.codec.entity_events import (
    ENTITY_READERS,
    ENTITY_WRITERS,
)
from durable_app.rpc.codec.state import read_state, write_state
from durable_app.rpc.codec.values import (
    read_instance,
    read_optional_failure,
    read_optional_parent,
    read_optional_time,
    read_optional_trace,
    read_status,
    read_tags,
    read_text,
    read_time,
    status_number,
    write_failure,
    write_instance,
    write_parent,
    write_time,
    write_trace,
)
from durable_app.rpc.generated import taskhub_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from google.protobuf.message import Message

_log = logging.getLogger(__name__)

HISTORY_CHUNK_BYTES: Final = 256 * 1024
"""Encoded size of a chunk of history, unless one event alone is larger. Clients take 4 MiB."""


# ---------------------------------------------------------------------------------------------
# Encoding
# ---------------------------------------------------------------------------------------------


def write_event(event: p.HistoryEvent, into: pb.HistoryEvent) -> None:
    """Set a history event. The time is always there, as SDKs rely on it."""
    into.eventId = event.event_id
    write_time(event.timestamp, into.timestamp)
    _WRITERS[type(event)](event, into)


def encode_history(
    events: Iterable[p.HistoryEvent], chunk_bytes: int = HISTORY_CHUNK_BYTES
) -> Iterator[pb.HistoryChunk]:
    """History in chunks of about that size, each with one event at least; none for no events."""
    chunk, size = pb.HistoryChunk(), 0
    for event in events:
        message = chunk.events.add()
        write_event(event, message)
        added = message.ByteSize()
        if size and size + added > chunk_bytes:
            del chunk.events[-1]
            yield chunk
            chunk, size = pb.HistoryChunk(), 0
            write_event(event, chunk.events.add())
        size += added
    if chunk.events:
        yield chunk


def _execution_started(event: p.ExecutionStarted, into: pb.HistoryEvent) -> None:
    body = into.executionStarted
    body.name = event.name
    if event.version is not None:
        body.version.value = event.version
    if event.input is not None:
        body.input.value = event.input
    if event.instance is not None:
        write_instance(event.instance, body.orchestrationInstance)
    if event.parent is not None:
        write_parent(event.parent, body.parentInstance)
    if event.scheduled_start is not None:
        write_time(event.scheduled_start, body.scheduledStartTimestamp)
    if event.parent_trace_context is not None:
        write_trace(event.parent_trace_context, body.parentTraceContext)
    if event.orchestration_span_id is not None:
        body.orchestrationSpanID.value = event.orchestration_span_id
    if event.tags:
        body.tags.update(event.tags)


def _execution_completed(event: p.ExecutionCompleted, into: pb.HistoryEvent) -> None:
    body = into.executionCompleted
    body.orchestrationStatus = status_number(event.status)
    if event.result is not None:
        body.result.value = event.result
    if event.failure is not None:
        write_failure(event.failure, body.failureDetails)


def _execution_terminated(event: p.ExecutionTerminated, into: pb.HistoryEvent) -> None:
    body = into.executionTerminated
    body.recurse = event.recurse
    if event.input is not None:
        body.input.value = event.input


def _task_scheduled(event: p.TaskScheduled, into: pb.HistoryEvent) -> None:
    body = into.taskScheduled
    body.name = event.name
    if event.version is not None:
        body.version.value = event.version
    if event.input is not None:
        body.input.value = event.input
    if event.parent_trace_context is not None:
        write_trace(event.parent_trace_context, body.parentTraceContext)
    if event.tags:
        body.tags.update(event.tags)


def _task_completed(event: p.TaskCompleted, into: pb.HistoryEvent) -> None:
    body = into.taskCompleted
    body.taskScheduledId = event.task_scheduled_id
    if event.result is not None:
        body.result.value = event.result


def _task_failed(event: p.TaskFailed, into: pb.HistoryEvent) -> None:
    body = into.taskFailed
    body.taskScheduledId = event.task_scheduled_id
    if event.failure is not None:
        write_failure(event.failure, body.failureDetails)


def _child_created(event: p.SubOrchestrationInstanceCreated, into: pb.HistoryEvent) -> None:
    body = into.subOrchestrationInstanceCreated
    body.instanceId = event.instance_id
    body.name = event.name
    if event.version is not None:
        body.version.value = event.version
    if event.input is not None:
        body.input.value = event.input
    if event.parent_trace_context is not None:
        write_trace(event.parent_trace_context, body.parentTraceContext)
    if event.tags:
        body.tags.update(event.tags)


def _child_completed(event: p.SubOrchestrationInstanceCompleted, into: pb.HistoryEvent) -> None:
    body = into.subOrchestrationInstanceCompleted
    body.taskScheduledId = event.task_scheduled_id
    if event.result is not None:
        body.result.value = event.result


def _child_failed(event: p.SubOrchestrationInstanceFailed, into: pb.HistoryEvent) -> None:
    body = into.subOrchestrationInstanceFailed
    body.taskScheduledId = event.task_scheduled_id
    if event.failure is not None:
        write_failure(event.failure, body.failureDetails)


def _timer_created(event: p.TimerCreated, into: pb.HistoryEvent) -> None:
    write_time(event.fire_at, into.timerCreated.fireAt)


def _timer_fired(event: p.TimerFired, into: pb.HistoryEvent) -> None:
    body = into.timerFired
    body.timerId = event.timer_id
    write_time(event.fire_at, body.fireAt)


def _orchestrator_started(_event: p.OrchestratorStarted, into: pb.HistoryEvent) -> None:
    into.orchestratorStarted.SetInParent()


def _orchestrator_completed(_event: p.OrchestratorCompleted, into: pb.HistoryEvent) -> None:
    into.orchestratorCompleted.SetInParent()


def _event_sent(event: p.EventSent, into: pb.HistoryEvent) -> None:
    body = into.eventSent
    body.instanceId = event.instance_id
    body.name = event.name
    if event.input is not None:
        body.input.value = event.input


def _event_raised(event: p.EventRaised, into: pb.HistoryEvent) -> None:
    body = into.eventRaised
    body.name = event.name
    if event.input is not None:
        body.input.value = event.input


def _generic(event: p.GenericEvent, into: pb.HistoryEvent) -> None:
    body = into.genericEvent
    body.SetInParent()
    if event.data is not None:
        body.data.value = event.data


def _history_state(event: p.HistoryState, into: pb.HistoryEvent) -> None:
    body = into.historyState
    body.SetInParent()
    if event.state is not None:
        write_state(event.state, body.orchestrationState)


def _continue_as_new(event: p.ContinueAsNew, into: pb.HistoryEvent) -> None:
    body = into.continueAsNew
    body.SetInParent()
    if event.input is not None:
        body.input.value = event.input


def _suspended(event: p.ExecutionSuspended, into: pb.HistoryEvent) -> None:
    body = into.executionSuspended
    body.SetInParent()
    if event.input is not None:
        body.input.value = event.input


def _resumed(event: p.ExecutionResumed, into: pb.HistoryEvent) -> None:
    body = into.executionResumed
    body.SetInParent()
    if event.input is not None:
        body.input.value = event.input


def _rewound(event: p.ExecutionRewound, into: pb.HistoryEvent) -> None:
    body = into.executionRewound
    body.SetInParent()
    for text, wrapper in (
        (event.reason, "reason"),
        (event.parent_execution_id, "parentExecutionId"),
        (event.instance_id, "instanceId"),
        (event.name, "name"),
        (event.version, "version"),
        (event.input, "input"),
    ):
        if text is not None:
            getattr(body, wrapper).value = text
    if event.parent_trace_context is not None:
        write_trace(event.parent_trace_context, body.parentTraceContext)
    if event.parent is not None:
        write_parent(event.parent, body.parentInstance)
    if event.tags:
        body.tags.update(event.tags)


_WRITERS: Final[dict[type[p.Event], Callable[[Any, pb.HistoryEvent], None]]] = {
    p.ExecutionStarted: _execution_started,
    p.ExecutionCompleted: _execution_completed,
    p.ExecutionTerminated: _execution_terminated,
    p.TaskScheduled: _task_scheduled,
    p.TaskCompleted: _task_completed,
    p.TaskFailed: _task_failed,
    p.SubOrchestrationInstanceCreated: _child_created,
    p.SubOrchestrationInstanceCompleted: _child_completed,
    p.SubOrchestrationInstanceFailed: _child_failed,
    p.TimerCreated: _timer_created,
    p.TimerFired: _timer_fired,
    p.OrchestratorStarted: _orchestrator_started,
    p.OrchestratorCompleted: _orchestrator_completed,
    p.EventSent: _event_sent,
    p.EventRaised: _event_raised,
    p.GenericEvent: _generic,
    p.HistoryState: _history_state,
    p.ContinueAsNew: _continue_as_new,
    p.ExecutionSuspended: _suspended,
    p.ExecutionResumed: _resumed,
    p.ExecutionRewound: _rewound,
    **ENTITY_WRITERS,
}


# ---------------------------------------------------------------------------------------------
# Decoding
# ---------------------------------------------------------------------------------------------


def read_event(message: pb.HistoryEvent) -> p.HistoryEvent:
    """A history event.

    Raises:
        WireFormatError: a time or a status that cannot be.
    """
    kind = message.WhichOneof("eventType")
    timestamp = read_time(message.timestamp, "timestamp")
    if kind is None:
        return _unknown(message, timestamp)
    event: p.HistoryEvent = _READERS[kind](getattr(message, kind), message.eventId, timestamp)
    return event


def read_events(messages: Iterable[pb.HistoryEvent]) -> list[p.HistoryEvent]:
    """History events in their order. Raises as :func:`read_event`."""
    return [read_event(message) for message in messages]


def _unknown(message: pb.HistoryEvent, timestamp: datetime) -> p.GenericEvent:
    _log.warning(
        "unknown_history_event",
        extra={"event_id": message.eventId, "fields": unknown_fields(message)},
    )
    return p.GenericEvent(message.eventId, timestamp)


def unknown_fields(message: Message) -> Sequence[int]:
    """Numbers of the fields that a newer version of the protocol has added."""
    return sorted({field.field_number for field in UnknownFieldSet(message)})


def _read_execution_started(
    body: pb.ExecutionStartedEvent, event_id: int, at: datetime
) -> p.ExecutionStarted:
    return p.ExecutionStarted(
        event_id,
        at,
        body.name,
        read_text(body, "version"),
        read_text(body, "input"),
        read_instance(body.orchestrationInstance)
        if body.HasField("orchestrationInstance")
        else None,
        read_optional_parent(body),
        read_optional_time(body, "scheduledStartTimestamp"),
        read_optional_trace(body),
        read_text(body, "orchestrationSpanID"),
        read_tags(body),
    )


def _read_execution_completed(
    body: pb.ExecutionCompletedEvent, event_id: int, at: datetime
) -> p.ExecutionCompleted:
    return p.ExecutionCompleted(
        event_id,
        at,
        read_status(body.orchestrationStatus),
        read_text(body, "result"),
        read_optional_failure(body),
    )


def _read_task_scheduled(
    body: pb.TaskScheduledEvent, event_id: int, at: datetime
) -> p.TaskScheduled:
    return p.TaskScheduled(
        event_id,
        at,
        body.name,
        body.version.value if body.HasField("version") else None,
        body.input.value if body.HasField("input") else None,
        read_optional_trace(body),
        read_tags(body),
    )


def _read_task_completed(
    body: pb.TaskCompletedEvent, event_id: int, at: datetime
) -> p.TaskCompleted:
    return p.TaskCompleted(
        event_id,
        at,
        body.taskScheduledId,
        body.result.value if body.HasField("result") else None,
    )


def _read_child_created(
    body: pb.SubOrchestrationInstanceCreatedEvent, event_id: int, at: datetime
) -> p.SubOrchestrationInstanceCreated:
    return p.SubOrchestrationInstanceCreated(
        event_id,
        at,
        body.instanceId,
        body.name,
        read_text(body, "version"),
        read_text(body, "input"),
        read_optional_trace(body),
        read_tags(body),
    )


def _read_history_state(body: pb.HistoryStateEvent, event_id: int, at: datetime) -> p.HistoryState:
    state = read_state(body.orchestrationState) if body.HasField("orchestrationState") else None
    return p.HistoryState(event_id, at, state)


def _read_rewound(
    body: pb.ExecutionRewoundEvent, event_id: int, at: datetime
) -> p.ExecutionRewound:
    return p.ExecutionRewound(
        event_id,
        at,
        read_text(body, "reason"),
        read_text(body, "parentExecutionId"),
        read_text(body, "instanceId"),
        read_optional_trace(body),
        read_text(body, "name"),
        read_text(body, "version"),
        read_text(body, "input"),
        read_optional_parent(body),
        read_tags(body),
    )


_READERS: Final[dict[str, Callable[[Any, int, datetime], Any]]] = {
    "executionStarted": _read_execution_started,
    "executionCompleted": _read_execution_completed,
    "executionTerminated": lambda body, event_id, at: p.ExecutionTerminated(
        event_id, at, read_text(body, "input"), body.recurse
    ),
    "taskScheduled": _read_task_scheduled,
    "taskCompleted": _read_task_completed,
    "taskFailed": lambda body, event_id, at: p.TaskFailed(
        event_id, at, body.taskScheduledId, read_optional_failure(body)
    ),
    "subOrchestrationInstanceCreated": _read_child_created,
    "subOrchestrationInstanceCompleted": lambda body, event_id, at: (
        p.SubOrchestrationInstanceCompleted(
            event_id, at, body.taskScheduledId, read_text(body, "result")
        )
    ),
    "subOrchestrationInstanceFailed": lambda body, event_id, at: p.SubOrchestrationInstanceFailed(
        event_id, at, body.taskScheduledId, read_optional_failure(body)
    ),
    "timerCreated": lambda body, event_id, at: p.TimerCreated(
        event_id, at, read_time(body.fireAt, "fireAt")
    ),
    "timerFired": lambda body, event_id, at: p.TimerFired(
        event_id, at, body.timerId, read_time(body.fireAt, "fireAt")
    ),
    "orchestratorStarted": lambda _, event_id, at: p.OrchestratorStarted(event_id, at),
    "orchestratorCompleted": lambda _, event_id, at: p.OrchestratorCompleted(event_id, at),
    "eventSent": lambda body, event_id, at: p.EventSent(
        event_id, at, body.instanceId, body.name, read_text(body, "input")
    ),
    "eventRaised": lambda body, event_id, at: p.EventRaised(
        event_id, at, body.name, read_text(body, "input")
    ),
    "genericEvent": lambda body, event_id, at: p.GenericEvent(
        event_id, at, read_text(body, "data")
    ),
    "historyState": _read_history_state,
    "continueAsNew": lambda body, event_id, at: p.ContinueAsNew(
        event_id, at, read_text(body, "input")
    ),
    "executionSuspended": lambda body, event_id, at: p.ExecutionSuspended(
        event_id, at, read_text(body, "input")
    ),
    "executionResumed": lambda body, event_id, at: p.ExecutionResumed(
        event_id, at, read_text(body, "input")
    ),
    "executionRewound": _read_rewound,
    **ENTITY_READERS,
}
