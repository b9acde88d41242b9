"""History events of entities, which double as the messages of orchestrators' actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from durable_app import protocol as p
from durable_app.rpc.codec.values import (
    read_optional_failure,
    read_optional_time,
    read_text,
    write_failure,
    write_time,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from durable_app.rpc.generated import taskhub_pb2 as pb

EntityMessage = (
    p.EntityOperationSignaled | p.EntityOperationCalled | p.EntityLockRequested | p.EntityUnlockSent
)


def _signaled(event: p.EntityOperationSignaled, into: Any) -> None:
    body: pb.EntityOperationSignaledEvent = into.entityOperationSignaled
    body.requestId = event.request_id
    body.operation = event.operation
    if event.scheduled_time is not None:
        write_time(event.scheduled_time, body.scheduledTime)
    if event.input is not None:
        body.input.value = event.input
    if event.target_instance_id is not None:
        body.targetInstanceId.value = event.target_instance_id


def _called(event: p.EntityOperationCalled, into: Any) -> None:
    body: pb.EntityOperationCalledEvent = into.entityOperationCalled
    body.requestId = event.request_id
    body.operation = event.operation
    if event.scheduled_time is not None:
        write_time(event.scheduled_time, body.scheduledTime)
    if event.input is not None:
        body.input.value = event.input
    if event.parent_instance_id is not None:
        body.parentInstanceId.value = event.parent_instance_id
    if event.parent_execution_id is not None:
        body.parentExecutionId.value = event.parent_execution_id
    if event.target_instance_id is not None:
        body.targetInstanceId.value = event.target_instance_id


def _lock_requested(event: p.EntityLockRequested, into: Any) -> None:
    body: pb.EntityLockRequestedEvent = into.entityLockRequested
    body.criticalSectionId = event.critical_section_id
    body.lockSet.extend(event.lock_set)
    body.position = event.position
    if event.parent_instance_id is not None:
        body.parentInstanceId.value = event.parent_instance_id


def _unlock_sent(event: p.EntityUnlockSent, into: Any) -> None:
    body: pb.EntityUnlockSentEvent = into.entityUnlockSent
    body.criticalSectionId = event.critical_section_id
    if event.parent_instance_id is not None:
        body.parentInstanceId.value = event.parent_instance_id
    if event.target_instance_id is not None:
        body.targetInstanceId.value = event.target_instance_id


def _completed(event: p.EntityOperationCompleted, into: Any) -> None:
    body: pb.EntityOperationCompletedEvent = into.entityOperationCompleted
    body.requestId = event.request_id
    if event.output is not None:
        body.output.value = event.output


def _failed(event: p.EntityOperationFailed, into: Any) -> None:
    body: pb.EntityOperationFailedEvent = into.entityOperationFailed
    body.requestId = event.request_id
    if event.failure is not None:
        write_failure(event.failure, body.failureDetails)


def _lock_granted(event: p.EntityLockGranted, into: Any) -> None:
    into.entityLockGranted.criticalSectionId = event.critical_section_id


MESSAGE_WRITERS: Final[dict[type[p.Event], Callable[[Any, Any], None]]] = {
    p.EntityOperationSignaled: _signaled,
    p.EntityOperationCalled: _called,
    p.EntityLockRequested: _lock_requested,
    p.EntityUnlockSent: _unlock_sent,
}
"""Set the field of that name: of a history event, or of an action that sends a message."""

ENTITY_WRITERS: Final[dict[type[p.Event], Callable[[Any, Any], None]]] = {
    **MESSAGE_WRITERS,
    p.EntityOperationCompleted: _completed,
    p.EntityOperationFailed: _failed,
    p.EntityLockGranted: _lock_granted,
}


def _read_signaled(
    body: pb.EntityOperationSignaledEvent, event_id: int, at: datetime
) -> p.EntityOperationSignaled:
    return p.EntityOperationSignaled(
        event_id,
        at,
        body.requestId,
        body.operation,
        read_optional_time(body, "scheduledTime"),
        read_text(body, "input"),
        read_text(body, "targetInstanceId"),
    )


def _read_called(
    body: pb.EntityOperationCalledEvent, event_id: int, at: datetime
) -> p.EntityOperationCalled:
    return p.EntityOperationCalled(
        event_id,
        at,
        body.requestId,
        body.operation,
        read_optional_time(body, "scheduledTime"),
        read_text(body, "input"),
        read_text(body, "parentInstanceId"),
        read_text(body, "parentExecutionId"),
        read_text(body, "targetInstanceId"),
    )


def _read_lock_requested(
    body: pb.EntityLockRequestedEvent, event_id: int, at: datetime
) -> p.EntityLockRequested:
    return p.EntityLockRequested(
        event_id,
        at,
        body.criticalSectionId,
        tuple(body.lockSet),
        body.position,
        read_text(body, "parentInstanceId"),
    )


def _read_unlock_sent(
    body: pb.EntityUnlockSentEvent, event_id: int, at: datetime
) -> p.EntityUnlockSent:
    return p.EntityUnlockSent(
        event_id,
        at,
        body.criticalSectionId,
        read_text(body, "parentInstanceId"),
        read_text(body, "targetInstanceId"),
    )


MESSAGE_READERS: Final[dict[str, Callable[[Any, int, datetime], EntityMessage]]] = {
    "entityOperationSignaled": _read_signaled,
    "entityOperationCalled": _read_called,
    "entityLockRequested": _read_lock_requested,
    "entityUnlockSent": _read_unlock_sent,
}
"""Make the event of such a field, of its body, id and time."""

ENTITY_READERS: Final[dict[str, Callable[[Any, int, datetime], p.HistoryEvent]]] = {
    **MESSAGE_READERS,
    "entityOperationCompleted": lambda body, event_id, at: p.EntityOperationCompleted(
        event_id, at, body.requestId, read_text(body, "output")
    ),
    "entityOperationFailed": lambda body, event_id, at: p.EntityOperationFailed(
        event_id, at, body.requestId, read_optional_failure(body)
    ),
    "entityLockGranted": lambda body, event_id, at: p.EntityLockGranted(
        event_id, at, body.criticalSectionId
    ),
}
