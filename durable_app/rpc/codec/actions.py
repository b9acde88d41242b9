"""Actions of orchestrators, and those of entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from durable_app import protocol as p
from durable_app.errors import UnknownActionError, WireFormatError
from durable_app.rpc.codec.entity_events import MESSAGE_READERS, MESSAGE_WRITERS
from durable_app.rpc.codec.events import read_event, read_events, unknown_fields, write_event
from durable_app.rpc.codec.values import (
    read_instance,
    read_optional_failure,
    read_optional_time,
    read_optional_trace,
    read_status,
    read_tags,
    read_text,
    read_time,
    status_number,
    write_failure,
    write_instance,
    write_time,
    write_trace,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.rpc.generated import taskhub_pb2 as pb


# ---------------------------------------------------------------------------------------------
# Encoding
# ---------------------------------------------------------------------------------------------


def write_action(action: p.OrchestratorAction, into: pb.OrchestratorAction) -> None:
    """Set an action of an orchestrator."""
    into.id = action.id
    _WRITERS[type(action)](action, into)


def _schedule_task(action: p.ScheduleTask, into: pb.OrchestratorAction) -> None:
    body = into.scheduleTask
    body.name = action.name
    if action.version is not None:
        body.version.value = action.version
    if action.input is not None:
        body.input.value = action.input
    if action.tags:
        body.tags.update(action.tags)
    if action.parent_trace_context is not None:
        write_trace(action.parent_trace_context, body.parentTraceContext)


def _create_child(action: p.CreateSubOrchestration, into: pb.OrchestratorAction) -> None:
    body = into.createSubOrchestration
    body.instanceId = action.instance_id or ""
    body.name = action.name
    if action.version is not None:
        body.version.value = action.version
    if action.input is not None:
        body.input.value = action.input
    if action.parent_trace_context is not None:
        write_trace(action.parent_trace_context, body.parentTraceContext)
    if action.tags:
        body.tags.update(action.tags)


def _create_timer(action: p.CreateTimer, into: pb.OrchestratorAction) -> None:
    write_time(action.fire_at, into.createTimer.fireAt)


def _send_event(action: p.SendEvent, into: pb.OrchestratorAction) -> None:
    body = into.sendEvent
    write_instance(action.instance, body.instance)
    body.name = action.name
    if action.data is not None:
        body.data.value = action.data


def _complete(action: p.CompleteOrchestration, into: pb.OrchestratorAction) -> None:
    body = into.completeOrchestration
    body.orchestrationStatus = status_number(action.status)
    for text, wrapper in (
        (action.result, body.result),
        (action.details, body.details),
        (action.new_version, body.newVersion),
    ):
        if text is not None:
            wrapper.value = text
    for event in action.carryover_events:
        write_event(event, body.carryoverEvents.add())
    if action.failure is not None:
        write_failure(action.failure, body.failureDetails)
    if action.tags:
        body.tags.update(action.tags)


def _terminate(action: p.TerminateOrchestration, into: pb.OrchestratorAction) -> None:
    body = into.terminateOrchestration
    body.instanceId = action.instance_id
    body.recurse = action.recurse
    if action.reason is not None:
        body.reason.value = action.reason


def _send_entity_message(action: p.SendEntityMessage, into: pb.OrchestratorAction) -> None:
    MESSAGE_WRITERS[type(action.message)](action.message, into.sendEntityMessage)


def _rewind(action: p.RewindOrchestration, into: pb.OrchestratorAction) -> None:
    body = into.rewindOrchestration
    body.SetInParent()
    for event in action.new_history:
        write_event(event, body.newHistory.add())


_WRITERS: Final[dict[type[p.Action], Callable[[Any, pb.OrchestratorAction], None]]] = {
    p.ScheduleTask: _schedule_task,
    p.CreateSubOrchestration: _create_child,
    p.CreateTimer: _create_timer,
    p.SendEvent: _send_event,
    p.CompleteOrchestration: _complete,
    p.TerminateOrchestration: _terminate,
    p.SendEntityMessage: _send_entity_message,
    p.RewindOrchestration: _rewind,
}


# ---------------------------------------------------------------------------------------------
# Decoding
# ---------------------------------------------------------------------------------------------


def read_action(message: pb.OrchestratorAction) -> p.OrchestratorAction:
    """An action of an orchestrator.

    Raises:
        UnknownActionError: the worker is newer than this version.
        WireFormatError: a time, a status or a target that cannot be.
    """
    kind = message.WhichOneof("orchestratorActionType")
    if kind is None:
        raise _unknown(message)
    action: p.OrchestratorAction = _READERS[kind](getattr(message, kind), message.id)
    return action


def _unknown(message: pb.OrchestratorAction | pb.OperationAction) -> UnknownActionError:
    numbers = ", ".join(map(str, unknown_fields(message))) or "none"
    return UnknownActionError(
        f"Action {message.id} is of a kind that this version does not know (fields: {numbers})."
        " Update the hub, or use a feature of this version instead.",
        "actions",
    )


def _read_schedule_task(body: pb.ScheduleTaskAction, id_: int) -> p.ScheduleTask:
    return p.ScheduleTask(
        id_,
        body.name,
        body.version.value if body.HasField("version") else None,
        body.input.value if body.HasField("input") else None,
        read_tags(body),
        read_optional_trace(body),
    )


def _read_create_child(body: pb.CreateSubOrchestrationAction, id_: int) -> p.CreateSubOrchestration:
    return p.CreateSubOrchestration(
        id_,
        body.instanceId or None,
        body.name,
        read_text(body, "version"),
        read_text(body, "input"),
        read_optional_trace(body),
        read_tags(body),
    )


def _read_create_timer(body: pb.CreateTimerAction, id_: int) -> p.CreateTimer:
    return p.CreateTimer(id_, read_time(body.fireAt, "fireAt"))


def _read_send_event(body: pb.SendEventAction, id_: int) -> p.SendEvent:
    return p.SendEvent(id_, read_instance(body.instance), body.name, read_text(body, "data"))


def _read_complete(body: pb.CompleteOrchestrationAction, id_: int) -> p.CompleteOrchestration:
    return p.CompleteOrchestration(
        id_,
        read_status(body.orchestrationStatus),
        read_text(body, "result"),
        read_optional_failure(body),
        read_text(body, "newVersion"),
        tuple([_carried_over(event) for event in body.carryoverEvents]),
        read_tags(body),
        read_text(body, "details"),
    )


def _carried_over(message: pb.HistoryEvent) -> p.EventRaised:
    event = read_event(message)
    if type(event) is not p.EventRaised:
        raise WireFormatError(
            f"Only raised events can be carried over, not {type(event).__name__}.",
            "carryoverEvents",
        )
    return event


def _read_terminate(body: pb.TerminateOrchestrationAction, id_: int) -> p.TerminateOrchestration:
    return p.TerminateOrchestration(id_, body.instanceId, read_text(body, "reason"), body.recurse)


def _read_send_entity_message(body: pb.SendEntityMessageAction, id_: int) -> p.SendEntityMessage:
    kind = body.WhichOneof("EntityMessageType")
    if kind is None:
        raise UnknownActionError(
            f"Action {id_} sends a message to an entity of a kind that this version does not know.",
            "sendEntityMessage",
        )
    message = MESSAGE_READERS[kind](getattr(body, kind), id_, p.EPOCH)
    if isinstance(message, p.EntityLockRequested):
        if not 0 <= message.position < len(message.lock_set):
            raise WireFormatError(
                f"There is no entity {message.position} among the {len(message.lock_set)} to lock.",
                "position",
            )
    elif not message.target_instance_id:
        raise WireFormatError("A message for an entity names that entity.", "targetInstanceId")
    return p.SendEntityMessage(id_, message)


def _read_rewind(body: pb.RewindOrchestrationAction, id_: int) -> p.RewindOrchestration:
    return p.RewindOrchestration(id_, tuple(read_events(body.newHistory)))


_READERS: Final[dict[str, Callable[[Any, int], p.OrchestratorAction]]] = {
    "scheduleTask": _read_schedule_task,
    "createSubOrchestration": _read_create_child,
    "createTimer": _read_create_timer,
    "sendEvent": _read_send_event,
    "completeOrchestration": _read_complete,
    "terminateOrchestration": _read_terminate,
    "sendEntityMessage": _read_send_entity_message,
    "rewindOrchestration": _read_rewind,
}


# ---------------------------------------------------------------------------------------------
# Actions of entities
# ---------------------------------------------------------------------------------------------


def write_operation_action(
    action: p.SendSignal | p.StartNewOrchestration, into: pb.OperationAction
) -> None:
    """Set an action of an entity's operation."""
    into.id = action.id
    body = into.sendSignal if isinstance(action, p.SendSignal) else into.startNewOrchestration
    body.instanceId = action.instance_id
    body.name = action.name
    if isinstance(action, p.StartNewOrchestration) and action.version is not None:
        into.startNewOrchestration.version.value = action.version
    if action.input is not None:
        body.input.value = action.input
    if action.scheduled_time is not None:
        write_time(action.scheduled_time, body.scheduledTime)
    if action.request_time is not None:
        write_time(action.request_time, body.requestTime)
    if action.parent_trace_context is not None:
        write_trace(action.parent_trace_context, body.parentTraceContext)


def read_operation_action(
    message: pb.OperationAction,
) -> p.SendSignal | p.StartNewOrchestration:
    """An action of an entity's operation. Raises as :func:`read_action`."""
    kind = message.WhichOneof("operationActionType")
    if kind == "sendSignal":
        signal = message.sendSignal
        return p.SendSignal(
            message.id,
            signal.instanceId,
            signal.name,
            read_text(signal, "input"),
            read_optional_time(signal, "scheduledTime"),
            read_optional_time(signal, "requestTime"),
            read_optional_trace(signal),
        )
    if kind == "startNewOrchestration":
        start = message.startNewOrchestration
        return p.StartNewOrchestration(
            message.id,
            start.instanceId,
            start.name,
            read_text(start, "version"),
            read_text(start, "input"),
            read_optional_time(start, "scheduledTime"),
            read_optional_time(start, "requestTime"),
            read_optional_trace(start),
        )
    raise _unknown(message)
