"""Start, restart, terminate, suspend, resume, rewind: what clients and parents may ask for.

Theory of operation. A request is first *checked* against the committed row (typed errors), then
*posted* as a message, and carried out when the instance takes its next step. So a request never
changes an instance whose turn is in flight, and requests keep their order.

    PENDING -> RUNNING -> COMPLETED | FAILED | TERMINATED
    PENDING | RUNNING <-> SUSPENDED;  SUSPENDED -> TERMINATED
    FAILED -> RUNNING (rewind);  any terminal one -> PENDING (replaced by a new start)

What must never happen: a start that is acknowledged twice for one id, a child that starts over the
running instance of somebody else, a parent that waits for a child which was refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from durable_app.errors import InstanceExistsError, WrongStatusError
from durable_app.protocol import (
    TERMINAL,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    FailureDetails,
    HistoryEvent,
    OrchestrationStatus,
    ParentInstance,
    SubOrchestrationInstanceFailed,
)
from durable_app.taskhub.activity import back_off
from durable_app.taskhub.delivery import Turn, make_turn
from durable_app.taskhub.entity_rows import releases
from durable_app.taskhub.instance import (
    Decision,
    Ids,
    Instance,
    Known,
    Message,
    MessageId,
    RowChange,
    TaskKey,
)
from durable_app.taskhub.orchestration import (
    end_execution,
    own_messages,
    start_message,
)
from durable_app.taskhub.parents import notify_parent, pending_child, resolve_parent
from durable_app.taskhub.rewind import reborn, stay_failed

if TYPE_CHECKING:
    from datetime import datetime

#: A start may replace these unless the caller says otherwise.
DEFAULT_REPLACEABLE: Final = TERMINAL


def start(
    new: Instance,
    existing: Known | None,
    replaceable: frozenset[OrchestrationStatus],
    now: datetime,
    ids: Ids,
) -> Decision:
    """Create ``new``, or let it replace what the id belongs to now.

    Args:
        new: a pending row with a fresh execution id.

    Raises:
        InstanceExistsError: the status of ``existing`` is not in ``replaceable``.
    """
    if existing is None:
        message = start_message(new, now, ids)
        return Decision(new.instance_id, new, RowChange.INSERT, messages=(message,))
    old = existing.instance
    if old.status not in replaceable:
        raise InstanceExistsError(old.instance_id, old.status)
    messages: tuple[Message, ...] = ()
    if not old.is_terminal:
        # Its parent, if any, must not wait for an execution that no longer exists.
        gone = msgspec.structs.replace(old, status=OrchestrationStatus.TERMINATED)
        released = releases(existing.work, old.instance_id, now, ids)
        messages = (*notify_parent(gone, now, ids), *released)
    row = msgspec.structs.replace(new, revision=old.revision + 1)
    return Decision(
        new.instance_id,
        row,
        RowChange.REPLACE,
        old.revision,
        replaces_history=True,
        messages=(*messages, start_message(row, now, ids)),
        consumed=tuple(m.id for m in existing.inbox),
        finished=tuple(TaskKey(key) for key in existing.work.tasks.values()),
    )


def new_instance(
    instance_id: str,
    name: str,
    now: datetime,
    ids: Ids,
    *,
    version: str | None = None,
    input: str | None = None,
    tags: dict[str, str] | None = None,
    start_at: datetime | None = None,
) -> Instance:
    """A pending row; a start time in the past means now."""
    return Instance(
        instance_id,
        ids.execution_id(),
        name,
        OrchestrationStatus.PENDING,
        now,
        now,
        version=version,
        scheduled_start=start_at if start_at is not None and start_at > now else None,
        input=input,
        tags=tags,
    )


def restarted(old: Instance, instance_id: str, now: datetime, ids: Ids) -> Instance:
    """A pending row with the name, version, input and tags of ``old``."""
    return new_instance(
        instance_id, old.name, now, ids, version=old.version, input=old.input, tags=old.tags
    )


def check_running(instance: Instance, request: str) -> None:
    """Raise WrongStatusError where the instance has finished."""
    if instance.is_terminal:
        raise WrongStatusError(instance.instance_id, instance.status, request)


def check_rewindable(instance: Instance) -> None:
    """Raise WrongStatusError unless the instance has failed."""
    if instance.status is not OrchestrationStatus.FAILED:
        raise WrongStatusError(
            instance.instance_id, instance.status, "be rewound; only failed ones can"
        )


def post(instance_id: str, event: HistoryEvent, now: datetime, ids: Ids) -> Decision:
    """A message for any execution of an instance: an external event or a request."""
    message = Message(MessageId(ids.next_key()), instance_id, None, event, now)
    return Decision(instance_id, messages=(message,))


# ---------------------------------------------------------------------------------------------
# Carrying out control messages
# ---------------------------------------------------------------------------------------------


def control(known: Known, message: Message, now: datetime, ids: Ids) -> Decision | Turn:
    """Carry out one control message; a rewind needs a turn, the others are decided at once."""
    event = message.event
    instance = known.instance
    match event:
        case ExecutionTerminated():
            decision = _terminate(known, event, now, ids)
        case ExecutionSuspended():
            decision = _suspend(instance, event, now)
        case ExecutionResumed():
            decision = _resume(instance, event, now)
        case ExecutionRewound():
            return _rewind(known, message, event, now, ids)
        case _:
            raise AssertionError(f"{type(event).__name__} is no control message")
    return msgspec.structs.replace(
        decision, consumed=tuple(dict.fromkeys((message.id, *decision.consumed)))
    )


def _terminate(known: Known, event: ExecutionTerminated, now: datetime, ids: Ids) -> Decision:
    children = list(known.work.children.values()) if event.recurse else []
    last = ExecutionCompleted(-1, now, OrchestrationStatus.TERMINATED, event.input)
    ended = end_execution(known, last, now, ids, (event,))
    cascade = tuple(
        Message(
            MessageId(ids.next_key()),
            child.instance_id,
            None,
            ExecutionTerminated(-1, now, event.input, recurse=True),
            now,
            child.key,
        )
        for child in children
    )
    return msgspec.structs.replace(ended, messages=(*ended.messages, *cascade))


def _touch(instance: Instance, event: HistoryEvent, now: datetime, **changes: object) -> Decision:
    # Before the start has been processed the history stays empty: it must begin with the start.
    history = (event,) if instance.history_count else ()
    row = msgspec.structs.replace(
        instance,
        updated_at=max(now, instance.updated_at),
        history_count=instance.history_count + len(history),
        revision=instance.revision + 1,
        **changes,
    )
    return Decision(instance.instance_id, row, RowChange.TOUCH, instance.revision, history=history)


def _suspend(instance: Instance, event: ExecutionSuspended, now: datetime) -> Decision:
    if instance.status is OrchestrationStatus.SUSPENDED:
        return Decision(instance.instance_id)
    return _touch(
        instance,
        event,
        now,
        status=OrchestrationStatus.SUSPENDED,
        unsuspended_status=instance.status,
    )


def _resume(instance: Instance, event: ExecutionResumed, now: datetime) -> Decision:
    if instance.status is not OrchestrationStatus.SUSPENDED:
        return Decision(instance.instance_id)
    status = instance.unsuspended_status or OrchestrationStatus.RUNNING
    return _touch(instance, event, now, status=status, unsuspended_status=None)


def _rewind(
    known: Known, message: Message, event: ExecutionRewound, now: datetime, ids: Ids
) -> Decision | Turn:
    instance, parent = known.instance, event.parent
    if parent is not None and not _is_child(instance, parent):
        return _claim(known, message, event, parent, now, ids)
    if instance.status is OrchestrationStatus.FAILED:
        return make_turn(instance, [message], now)
    if parent is None:
        return Decision(instance.instance_id, consumed=(message.id,))
    if instance.parent == parent:
        # It was purged, and the rewind of its parent has put a new row in its place.
        begin = start_message(instance, now, ids)
        return Decision(instance.instance_id, messages=(begin,), consumed=(message.id,))
    # A parent was rewound and waits for this child with a new key.
    adopted = msgspec.structs.replace(instance, parent=parent, revision=instance.revision + 1)
    return Decision(
        instance.instance_id,
        adopted,
        RowChange.REPLACE,
        instance.revision,
        messages=notify_parent(adopted, now, ids) if instance.is_terminal else (),
        consumed=(message.id,),
    )


def _is_child(instance: Instance, parent: ParentInstance) -> bool:
    own = instance.parent
    return (
        own is not None
        and own.instance == parent.instance
        and own.task_scheduled_id == parent.task_scheduled_id
    )


def _claim(
    known: Known,
    message: Message,
    event: ExecutionRewound,
    parent: ParentInstance,
    now: datetime,
    ids: Ids,
) -> Decision:
    """A rewound parent wants a child whose id is somebody else's: the rules for a start hold."""
    instance = known.instance
    born = reborn(event, instance.instance_id, now, ids)
    if born is None or not instance.is_terminal:
        return _refuse(instance, message, parent, now, ids)
    return start(born, known, TERMINAL, now, ids)


# ---------------------------------------------------------------------------------------------
# Starts that meet an existing instance
# ---------------------------------------------------------------------------------------------


def arrive(known: Known, message: Message, now: datetime, ids: Ids) -> Decision:
    """A parent, or an entity, wants to start an instance whose id exists already.

    Over an instance that has ended the child replaces it: retries use an id again. Over one that
    still runs the parent's task fails, rather than waiting for a child that is not its own.
    """
    event = message.event
    if not isinstance(event, ExecutionStarted):
        raise TypeError(f"{type(event).__name__} starts nothing")
    instance = known.instance
    others = [m for m in known.inbox if m.id != message.id]
    execution_id = message.execution_id
    if execution_id in (None, instance.execution_id):
        return Decision(instance.instance_id, consumed=(message.id,))
    if instance.is_terminal:
        born = pending_child(instance.instance_id, execution_id, event, event.parent, now)
        row = msgspec.structs.replace(born, revision=instance.revision + 1)
        return Decision(
            instance.instance_id,
            row,
            RowChange.REPLACE,
            instance.revision,
            replaces_history=True,
            consumed=own_messages(Known(instance, known.work, others)),
            finished=tuple(TaskKey(key) for key in known.work.tasks.values()),
        )
    if event.parent is None:
        # An entity has asked for it, and waits for no answer: what runs goes on.
        return Decision(instance.instance_id, consumed=(message.id,))
    return _refuse(instance, message, event.parent, now, ids)


def _refuse(
    instance: Instance, message: Message, parent: ParentInstance, now: datetime, ids: Ids
) -> Decision:
    """The id is taken: the parent's task fails."""
    taken = InstanceExistsError(instance.instance_id, instance.status)
    failure = FailureDetails("InstanceExistsError", str(taken))
    refused = SubOrchestrationInstanceFailed(-1, now, parent.task_scheduled_id, failure)
    return Decision(
        instance.instance_id,
        messages=(resolve_parent(parent, refused, now, ids),),
        consumed=(message.id,),
    )


# ---------------------------------------------------------------------------------------------
# Turns that were lost
# ---------------------------------------------------------------------------------------------


def postpone(instance: Instance, now: datetime) -> Decision:
    """One more turn was lost: back off before the next one."""
    return lost(instance, now + back_off(instance.attempts + 1))


def lost(instance: Instance, not_before: datetime | None = None) -> Decision:
    """A turn was lost with its worker's process; whether it is to blame nobody knows yet.

    Args:
        not_before: when it may be tried again; None for at once.
    """
    row = msgspec.structs.replace(
        instance,
        attempts=instance.attempts + 1,
        not_before=not_before or instance.not_before,
        revision=instance.revision + 1,
    )
    return Decision(instance.instance_id, row, RowChange.TOUCH, instance.revision)


def give_up(known: Known, reason: str, now: datetime, ids: Ids) -> Decision:
    """Its turns were lost too often: the instance fails, others are not held up."""
    instance = known.instance
    if instance.is_terminal:
        # What was lost are turns that should have rewound it: it stays failed.
        asked = [m for m in known.inbox if type(m.event) is ExecutionRewound]
        consumed = tuple(m.id for m in asked)
        return stay_failed(known, consumed, [m.event for m in asked], now, ids)
    failure = FailureDetails(
        "PoisonedOrchestration",
        f"Orchestration '{instance.name}' was given up after {instance.attempts} turns that ended"
        f" without a result; the last one: {reason}",
    )
    last = ExecutionCompleted(-1, now, OrchestrationStatus.FAILED, None, failure)
    return end_execution(known, last, now, ids)
