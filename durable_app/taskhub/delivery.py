"""What one turn of an instance gets to see.

Theory of operation. The visible messages of an inbox are sorted into four heaps:

* *strays*: resolutions of schedules that are not open, messages for another execution, anything
  but a start or a rewind for an instance that has ended. They are consumed and forgotten.
* *control*: terminate, suspend, resume, rewind. The hub carries them out itself, in order.
* *arrivals*: starts that meet an existing instance; the id-conflict rules decide.
* *events*: what the orchestrator will see. The start always comes first, the others in order of
  arrival. While the instance is suspended they stay in the inbox.

What must never happen: one schedule resolved twice within a batch, a turn without a leading
``OrchestratorStarted``, time that runs backwards between two turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from durable_app.protocol import (
    EntityLockGranted,
    EntityOperationCompleted,
    EntityOperationFailed,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorStarted,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from durable_app.taskhub.instance import Instance, Message, MessageId, OpenWork

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

CONTROL: Final = (ExecutionTerminated, ExecutionSuspended, ExecutionResumed, ExecutionRewound)
RESOLUTIONS: Final = frozenset(
    {
        TaskCompleted,
        TaskFailed,
        TimerFired,
        SubOrchestrationInstanceCompleted,
        SubOrchestrationInstanceFailed,
    }
)


class Turn(msgspec.Struct, frozen=True):
    """What a worker is asked to process.

    Attributes:
        events: ``OrchestratorStarted`` first, never empty.
        messages: ids of the messages that the turn consumes.
    """

    instance_id: str
    execution_id: str
    events: tuple[HistoryEvent, ...]
    messages: tuple[MessageId, ...]


class Sorted(msgspec.Struct):
    """An inbox, sorted; see the module's text."""

    strays: list[MessageId]
    control: list[Message]
    arrivals: list[Message]
    events: list[Message]


def sort_inbox(instance: Instance, work: OpenWork, messages: Iterable[Message]) -> Sorted:
    """Sort visible messages, given in order of arrival."""
    heaps = Sorted([], [], [], [])
    resolved: set[int | str] = set()
    unstarted = instance.history_count == 0 and not instance.is_terminal
    ended = instance.is_terminal
    for message in messages:
        event = message.event
        kind = type(event)
        if kind is ExecutionStarted:
            if unstarted and message.execution_id == instance.execution_id:
                heaps.events.insert(0, message)
                unstarted = False
            else:
                heaps.arrivals.append(message)
        elif (ended and kind is not ExecutionRewound) or (
            message.execution_id is not None and message.execution_id != instance.execution_id
        ):
            heaps.strays.append(message.id)
        elif (resolution := _resolution(message)) is not None:
            # By key alone: a failure and a completion may answer the same schedule, where a child
            # failed, was rewound and completed while its parent was suspended.
            if resolution not in resolved and work.accepts(event, message.key):
                resolved.add(resolution)
                heaps.events.append(message)
            else:
                heaps.strays.append(message.id)
        elif kind in CONTROL:
            if _is_meant(instance, message):
                heaps.control.append(message)
            else:
                heaps.strays.append(message.id)
        else:
            heaps.events.append(message)
    return heaps


def _resolution(message: Message) -> int | str | None:
    """What a message resolves: the key of a schedule, the id of a request; None for nothing."""
    event: Any = message.event
    kind = type(event)
    if kind in RESOLUTIONS:
        return message.key
    if kind is EntityLockGranted:
        granted: str = event.critical_section_id
        return granted
    if kind is EntityOperationCompleted or kind is EntityOperationFailed:
        answered: str = event.request_id
        return answered
    return None


def _is_meant(instance: Instance, message: Message) -> bool:
    """False where a parent ends its child and the id belongs to somebody else's instance."""
    parent = instance.parent
    return message.key == 0 or (parent is not None and parent.key == message.key)


def is_ready(instance: Instance, events: list[Message]) -> bool:
    """True when the instance can take a turn with these events."""
    if not events or instance.status is OrchestrationStatus.SUSPENDED:
        return False
    # Before its start nothing can be processed, however many events have arrived.
    return instance.history_count > 0 or type(events[0].event) is ExecutionStarted


def make_turn(instance: Instance, events: list[Message], now: datetime) -> Turn:
    """The turn in which ``instance`` processes ``events``."""
    started = OrchestratorStarted(timestamp=max(now, instance.updated_at))
    # A bare wake-up (after a rewind) is a turn of its leading event alone.
    carried = tuple(m.event for m in events if type(m.event) is not OrchestratorStarted)
    return Turn(
        instance.instance_id,
        instance.execution_id,
        (started, *carried),
        tuple(m.id for m in events),
    )
