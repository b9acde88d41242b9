"""What an entity does with its inbox: operations, locks, and what follows from a batch.

Theory of operation. An entity runs one batch of operations at a time. Its messages are taken in
the order of arrival, which keeps each sender's order. A lock request is a fence in that order:
what came before it runs first, and then the entity belongs to one critical section. While it does,
only calls of the orchestration that holds the lock run; everything else waits.

A critical section names its entities in one order that all sections use, and each entity that is
locked passes the request on to the next: so no two sections wait for each other. The last one
tells the orchestration. A release is a message to each entity; it also takes back a request that
still waits.

What must never happen: an operation that runs twice for one message, or for a sender out of order;
a lock that is held by nobody who will release it; an answer for a message that is not consumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from durable_app.instance_id import check_instance_id
from durable_app.protocol import (
    EntityBatchResult,
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityOperationSignaled,
    EntityUnlockSent,
    FailureDetails,
    HistoryEvent,
    OperationFailure,
    OperationSuccess,
    OrchestrationStatus,
    SendSignal,
    StartNewOrchestration,
)
from durable_app.taskhub.entity_rows import new_entity
from durable_app.taskhub.instance import (
    Decision,
    EntityRow,
    Ids,
    Instance,
    LockHolder,
    Message,
    MessageId,
    RowChange,
)
from durable_app.taskhub.orchestration import start_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from durable_app.protocol import TraceContext

Operation = EntityOperationSignaled | EntityOperationCalled


class EntityBatch(msgspec.Struct, frozen=True):
    """What a worker is asked to run; ``messages`` are those of the operations, in their order."""

    instance_id: str
    operations: tuple[Operation, ...]
    messages: tuple[MessageId, ...]


def birth(instance_id: str, now: datetime) -> Decision:
    """The first message for an entity that has no row."""
    return Decision(instance_id, new_entity(instance_id, now), RowChange.INSERT)


# ---------------------------------------------------------------------------------------------
# The next step
# ---------------------------------------------------------------------------------------------


def next_step(
    instance: Instance, messages: Iterable[Message], now: datetime, ids: Ids, most: int
) -> Decision | EntityBatch | None:
    """What the entity does next; None where it waits for its lock to be released.

    Args:
        messages: visible ones, in order of arrival.
        most: operations in one batch, >= 1.
    """
    waiting = list(messages)
    released = _release(instance, waiting, now)
    if released is not None:
        return released
    lock = _row(instance).lock
    if lock is not None:
        of_holder = [m for m in waiting if _is_call_of(m, lock)]
        return _batch(instance, of_holder[:most]) if of_holder else None
    ready: list[Message] = []
    for message in waiting:
        if type(message.event) is EntityLockRequested:
            if not ready:
                return _grant(instance, message, message.event, now, ids)
            break
        ready.append(message)
        if len(ready) == most:
            break
    return _batch(instance, ready) if ready else None


def _release(instance: Instance, waiting: Sequence[Message], now: datetime) -> Decision | None:
    """Carry out releases, each with the request that it takes back; drop what no entity gets."""
    lock = _row(instance).lock
    consumed: list[MessageId] = []
    over: set[str] = set()
    is_called = False
    for message in waiting:
        event = message.event
        if lock is not None and _is_call_of(message, lock):
            is_called = True
        elif type(event) is EntityUnlockSent:
            if lock is not None and event.critical_section_id == lock.section_id and is_called:
                # What the holder called before it let go runs under its lock.
                continue
            consumed.append(message.id)
            over.add(event.critical_section_id)
        elif type(event) not in _KNOWN:
            consumed.append(message.id)
    if not consumed:
        return None
    consumed += [
        message.id
        for message in waiting
        if type(message.event) is EntityLockRequested and message.event.critical_section_id in over
    ]
    if lock is None or lock.section_id not in over:
        return Decision(instance.instance_id, consumed=tuple(consumed))
    row = msgspec.structs.replace(_row(instance), lock=None)
    return _changed(instance, row, now, consumed=tuple(consumed))


def _grant(
    instance: Instance, message: Message, event: EntityLockRequested, now: datetime, ids: Ids
) -> Decision:
    holder = event.parent_instance_id or ""
    row = msgspec.structs.replace(
        _row(instance), lock=LockHolder(event.critical_section_id, holder)
    )
    following = event.position + 1
    answer: HistoryEvent
    if following < len(event.lock_set):
        target = event.lock_set[following]
        answer = msgspec.structs.replace(event, timestamp=now, position=following)
        births: tuple[Instance, ...] = (new_entity(target, now),)
    else:
        target, births = holder, ()
        answer = EntityLockGranted(-1, now, event.critical_section_id)
    passed_on = Message(MessageId(ids.next_key()), target, None, answer, now)
    return _changed(
        instance, row, now, messages=(passed_on,), births=births, consumed=(message.id,)
    )


def _batch(instance: Instance, messages: Sequence[Message]) -> EntityBatch:
    operations: Any = tuple(message.event for message in messages)
    return EntityBatch(instance.instance_id, operations, tuple(m.id for m in messages))


def _is_call_of(message: Message, lock: LockHolder) -> bool:
    event = message.event
    return type(event) is EntityOperationCalled and event.parent_instance_id == lock.instance_id


# ---------------------------------------------------------------------------------------------
# What follows from a batch
# ---------------------------------------------------------------------------------------------


def complete_batch(
    instance: Instance, batch: EntityBatch, result: EntityBatchResult, now: datetime, ids: Ids
) -> Decision:
    """Decide what follows from a worker's answer. Operations without a result come again."""
    messages: list[Message] = []
    births: list[Instance] = []
    for operation, outcome in zip(batch.operations, result.results, strict=False):
        messages += _answer(operation, outcome, now, ids)
    for action in result.actions:
        if type(action) is SendSignal:
            births.append(new_entity(action.instance_id, now))
            messages.append(_signal(action, now, ids))
        elif type(action) is StartNewOrchestration and why_unstartable(action) is None:
            begun = _begun(action, now, ids)
            births.append(begun)
            messages.append(start_message(begun, now, ids))
    row = msgspec.structs.replace(_row(instance), state=result.entity_state)
    done = min(len(batch.operations), len(result.results))
    return _changed(
        instance,
        row,
        now,
        messages=tuple(messages),
        births=tuple(births),
        consumed=batch.messages[:done],
    )


def give_up_first(
    instance: Instance, batch: EntityBatch, reason: str, now: datetime, ids: Ids
) -> Decision:
    """The batch was lost too often: its first operation fails, so that others get their turn."""
    operation = batch.operations[0]
    failure = FailureDetails(
        "PoisonedOperation",
        f"Operation '{operation.operation}' of entity '{instance.instance_id}' was given up after"
        f" {instance.attempts} batches that ended without a result; the last one: {reason}",
    )
    outcome = OperationFailure(failure, now, now)
    return _changed(
        instance,
        _row(instance),
        now,
        messages=tuple(_answer(operation, outcome, now, ids)),
        consumed=batch.messages[:1],
    )


def _answer(
    operation: Operation, outcome: OperationSuccess | OperationFailure, now: datetime, ids: Ids
) -> list[Message]:
    """What the caller is told; a signal has nobody who waits."""
    if type(operation) is not EntityOperationCalled or operation.parent_instance_id is None:
        return []
    event: HistoryEvent
    if type(outcome) is OperationSuccess:
        event = EntityOperationCompleted(-1, now, operation.request_id, outcome.result)
    else:
        event = EntityOperationFailed(-1, now, operation.request_id, outcome.failure)  # type: ignore[union-attr]  # the only other one
    target, execution_id = operation.parent_instance_id, operation.parent_execution_id
    return [Message(MessageId(ids.next_key()), target, execution_id, event, now)]


def signal_message(
    instance_id: str,
    operation: str,
    data: str | None,
    now: datetime,
    ids: Ids,
    signal_time: datetime | None = None,
    trace: TraceContext | None = None,
) -> Message:
    """A signal from somebody who waits for no answer, visible at its time."""
    key = ids.next_key()
    event = EntityOperationSignaled(
        -1, now, f"{key:032x}", operation, signal_time, data, instance_id, trace
    )
    visible_at = max(signal_time, now) if signal_time is not None else now
    return Message(MessageId(key), instance_id, None, event, visible_at)


def _signal(action: SendSignal, now: datetime, ids: Ids) -> Message:
    return signal_message(
        action.instance_id,
        action.name,
        action.input,
        now,
        ids,
        action.scheduled_time,
        action.parent_trace_context,
    )


def why_unstartable(action: StartNewOrchestration) -> str | None:
    """Why a start is left out; None where it is not.

    Our workers refuse such an id while the operation runs. Where another one sends it, the
    operation has succeeded already, and nobody waits for an answer who could be told.
    """
    try:
        check_instance_id(action.instance_id)
    except ValueError as error:
        return str(error)
    return None


def _begun(action: StartNewOrchestration, now: datetime, ids: Ids) -> Instance:
    later = action.scheduled_time is not None and action.scheduled_time > now
    return Instance(
        action.instance_id,
        ids.execution_id(),
        action.name,
        OrchestrationStatus.PENDING,
        now,
        now,
        version=action.version,
        scheduled_start=action.scheduled_time if later else None,
        input=action.input,
        parent_trace_context=action.parent_trace_context,
    )


def release_orphan(instance: Instance, now: datetime, ids: Ids) -> Decision:
    """Take the lock from a holder that does not run any more."""
    lock = _row(instance).lock
    if lock is None:
        return Decision(instance.instance_id)
    event = EntityUnlockSent(-1, now, lock.section_id, lock.instance_id, instance.instance_id)
    message = Message(MessageId(ids.next_key()), instance.instance_id, None, event, now)
    return Decision(instance.instance_id, messages=(message,))


def _row(instance: Instance) -> EntityRow:
    return instance.entity or EntityRow()


def _changed(
    instance: Instance,
    row: EntityRow,
    now: datetime,
    *,
    messages: tuple[Message, ...] = (),
    births: tuple[Instance, ...] = (),
    consumed: tuple[MessageId, ...] = (),
) -> Decision:
    changed = msgspec.structs.replace(
        instance,
        entity=row,
        updated_at=max(now, instance.updated_at),
        revision=instance.revision + 1,
        attempts=0,
        not_before=None,
    )
    return Decision(
        instance.instance_id,
        changed,
        RowChange.TOUCH,
        instance.revision,
        births=births,
        messages=messages,
        consumed=consumed,
    )


_KNOWN: Final = frozenset(
    {EntityOperationSignaled, EntityOperationCalled, EntityLockRequested, EntityUnlockSent}
)
