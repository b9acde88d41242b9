"""Rewind: a failed instance goes on from the point of its failure.

Theory of operation. The worker knows which failures killed the execution; it answers the rewind
turn with the history as it should have been: without the completion and without those failures.
The hub puts that history in place and dispatches again whatever is open in it: activities get a
new task, timers keep their time, calls of entities are sent again, failed sub-orchestrations are
rewound in their turn. An execution that failed inside a critical section stays failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from durable_app.protocol import (
    EntityOperationCalled,
    ExecutionRewound,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorStarted,
    ParentInstance,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durable_app.taskhub.entity_rows import new_entity
from durable_app.taskhub.instance import (
    ActivityTask,
    Decision,
    Ids,
    Instance,
    Known,
    Message,
    MessageId,
    OpenWork,
    RowChange,
    TaskKey,
)
from durable_app.taskhub.parents import notify_parent, pending_child

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from durable_app.taskhub.delivery import Turn

_Opening = TaskScheduled | TimerCreated | SubOrchestrationInstanceCreated


def apply_rewind(
    known: Known, turn: Turn, new_history: Sequence[HistoryEvent], now: datetime, ids: Ids
) -> Decision:
    """Put ``new_history`` in place and dispatch again what is open in it."""
    instance, work = known.instance, known.work
    before = OpenWork.of(new_history)
    if before.sections:
        # Its locks were released when it failed, and what they guarded may have changed since.
        return stay_failed(known, turn.messages, turn.events, now, ids)
    again = _Again(instance, now, ids)
    history = again.dispatch(new_history, before)
    messages = again.messages
    work.clear()
    for event in history:
        work.apply(event)
    # A wake-up: even where nothing is dispatched again the code has to go on.
    messages.append(
        Message(
            MessageId(ids.next_key()),
            instance.instance_id,
            instance.execution_id,
            OrchestratorStarted(timestamp=now),
            now,
        )
    )
    # Rewound by its own parent: that one waits with a new key.
    asked = next((e.parent for e in turn.events if isinstance(e, ExecutionRewound)), None)
    row = msgspec.structs.replace(
        instance,
        status=OrchestrationStatus.RUNNING,
        parent=asked or instance.parent,
        updated_at=max(now, turn.events[0].timestamp),
        completed_at=None,
        output=None,
        failure=None,
        history_count=len(history),
        revision=instance.revision + 1,
        attempts=0,
        not_before=None,
    )
    # A child that was purged meanwhile is born anew; the rows of the others stay.
    asked_for = ((m.event, m.instance_id) for m in messages)
    births = (reborn(e, i, now, ids) for e, i in asked_for if isinstance(e, ExecutionRewound))
    return Decision(
        instance.instance_id,
        row,
        RowChange.REPLACE,
        instance.revision,
        history=tuple(history),
        replaces_history=True,
        births=(
            *(birth for birth in births if birth is not None),
            *(new_entity(entity_id, now) for entity_id in again.called),
        ),
        messages=tuple(messages),
        tasks=tuple(again.tasks),
        consumed=turn.messages,
    )


def stay_failed(
    known: Known,
    consumed: tuple[MessageId, ...],
    events: Iterable[HistoryEvent],
    now: datetime,
    ids: Ids,
) -> Decision:
    """A rewind that its worker cannot carry out: all stays as it was.

    Args:
        consumed: the messages that asked for the rewind.
        events: their events; a parent that asked is told of the failure again, as it waits with a
            new key.
    """
    instance = known.instance
    asked = next((e.parent for e in events if isinstance(e, ExecutionRewound) and e.parent), None)
    row = msgspec.structs.replace(
        instance,
        parent=asked or instance.parent,
        revision=instance.revision + 1,
        attempts=0,
        not_before=None,
    )
    return Decision(
        instance.instance_id,
        row,
        RowChange.REPLACE,
        instance.revision,
        messages=notify_parent(row, now, ids) if asked else (),
        consumed=consumed,
    )


def reborn(event: ExecutionRewound, instance_id: str, now: datetime, ids: Ids) -> Instance | None:
    """The row of a child that its rewound parent needs, should it have been purged meanwhile."""
    if event.parent is None or event.name is None:
        return None
    return pending_child(instance_id, ids.execution_id(), event, event.parent, now)


def _open_positions(history: Sequence[HistoryEvent]) -> set[int]:
    """Where schedules stand that nothing resolves.

    Neither ids (SDKs reuse them for retries) nor keys (remote workers do not know them) tell the
    schedules apart, so the position serves as the key.
    """
    work = OpenWork()
    for position, event in enumerate(history):
        opens = isinstance(event, _Opening)
        work.apply(msgspec.structs.replace(event, key=position) if opens else event)
    children = (child.key for child in work.children.values())
    return {*work.tasks.values(), *work.timers.values(), *children}


class _Again:
    """What is asked for once more."""

    def __init__(self, instance: Instance, now: datetime, ids: Ids) -> None:
        self._instance = instance
        self._now = now
        self._ids = ids
        self.tasks: list[ActivityTask] = []
        self.messages: list[Message] = []
        self.called: list[str] = []

    def dispatch(self, history: Sequence[HistoryEvent], before: OpenWork) -> list[HistoryEvent]:
        """Dispatch what is open in a history; the history with the new keys."""
        still_open = _open_positions(history)
        renewed: list[HistoryEvent] = []
        for position, event in enumerate(history):
            if isinstance(event, _Opening) and position in still_open:
                again: Any = msgspec.structs.replace(event, key=self._ids.next_key())
                self._schedule(again)
                renewed.append(again)
                continue
            if isinstance(event, EntityOperationCalled) and event.request_id in before.calls:
                # Its answer, if there was one, came after the end and was dropped.
                self.called.append(event.target_instance_id or "")
                self._post(self.called[-1], None, event, self._now)
            renewed.append(event)
        return renewed

    def _post(
        self,
        target: str,
        execution_id: str | None,
        event: HistoryEvent,
        visible_at: datetime,
        key: int = 0,
    ) -> None:
        message_id = MessageId(self._ids.next_key())
        self.messages.append(Message(message_id, target, execution_id, event, visible_at, key))

    def _schedule(self, event: _Opening) -> None:
        instance, now = self._instance, self._now
        match event:
            case TaskScheduled():
                self.tasks.append(
                    ActivityTask(
                        TaskKey(event.key),
                        instance.as_reference,
                        event.event_id,
                        event.name,
                        event.version,
                        event.input,
                        event.tags,
                        event.parent_trace_context,
                    )
                )
            case TimerCreated():
                fired = TimerFired(-1, event.fire_at, event.event_id, event.fire_at)
                self._post(
                    instance.instance_id,
                    instance.execution_id,
                    fired,
                    max(event.fire_at, now),
                    event.key,
                )
            case SubOrchestrationInstanceCreated():
                self._rewind_child(event)
            case _:
                assert_never(event)

    def _rewind_child(self, event: SubOrchestrationInstanceCreated) -> None:
        instance = self._instance
        parent = ParentInstance(
            event.event_id, instance.as_reference, instance.name, instance.version, event.key
        )
        # Name, version and input are there so that a child which was purged can be born anew.
        rewound = ExecutionRewound(
            -1,
            self._now,
            instance_id=event.instance_id,
            parent_execution_id=instance.execution_id,
            parent_trace_context=event.parent_trace_context,
            name=event.name,
            version=event.version,
            input=event.input,
            parent=parent,
            tags=event.tags,
        )
        self._post(event.instance_id, None, rewound, self._now)
