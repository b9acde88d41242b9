"""What follows from a turn: its actions become events, messages, tasks, or the end.

Theory of operation. :func:`complete` takes the state that the turn was made from and the worker's
answer. History grows by the turn's own events and one event per action, ``event_id`` being the
action's id. Work that an action asks for is part of the same decision as the event that records it.

What must never happen: an action recorded without its task, timer or message, or the other way
round; a parent that is not told of its child's end; the timers and results of an ended execution
left behind; external events lost by continue-as-new.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from durable_app.errors import UnsupportedOnHostError
from durable_app.instance_id import check_instance_id
from durable_app.protocol import (
    PATCH_MARKER,
    CompleteOrchestration,
    CreateSubOrchestration,
    CreateTimer,
    EntityLockRequested,
    EntityUnlockSent,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    ExecutionTerminated,
    FailureDetails,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestrationTraceContext,
    OrchestratorAction,
    OrchestratorResponse,
    OrchestratorStarted,
    ParentInstance,
    RewindOrchestration,
    ScheduleTask,
    SendEntityMessage,
    SendEvent,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskScheduled,
    TerminateOrchestration,
    TimerCreated,
    TimerFired,
)
from durable_app.taskhub.entity_rows import new_entity, releases
from durable_app.taskhub.instance import (
    ActivityTask,
    Decision,
    Ids,
    Instance,
    Known,
    Message,
    MessageId,
    RowChange,
    TaskKey,
)
from durable_app.taskhub.parents import notify_parent, pending_child, resolve_parent
from durable_app.taskhub.rewind import apply_rewind, stay_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from durable_app.taskhub.delivery import Turn

#: From these statuses the queued activities of an instance are of no use to anybody.
_DISCARDS_TASKS: Final = frozenset({OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED})
#: The smallest step of stored times.
_A_MOMENT: Final = timedelta(microseconds=1)


def complete(
    known: Known, turn: Turn, response: OrchestratorResponse, now: datetime, ids: Ids
) -> Decision:
    """Decide what follows from the answer to ``turn``.

    Args:
        known: what the turn was made from; its open work follows the decision (throw it away if
            the commit fails).
        now: aware UTC, not before the turn was made.

    Raises:
        UnsupportedOnHostError: an action that this hub does not know; nothing else happens.
    """
    for action in response.actions:
        if type(action) is RewindOrchestration:
            # It goes on in another span than the one that has failed.
            trace = response.trace_context or known.instance.trace_context
            row = msgspec.structs.replace(known.instance, trace_context=trace)
            traced = Known(row, known.work, known.inbox)
            return apply_rewind(traced, turn, action.new_history, now, ids)
    if known.instance.is_terminal:
        return stay_failed(known, turn.messages, turn.events, now, ids)
    builder = _Builder(known.instance, now, ids)
    end = builder.carry_out(response.actions)
    events = (*turn.events, *builder.events)
    for event in events:
        known.work.apply(event)
    if end is None:
        return builder.go_on(turn, events, response)
    if end.status is OrchestrationStatus.CONTINUED_AS_NEW:
        if any(type(m.event) is ExecutionTerminated for m in known.inbox):
            # A termination that arrived meanwhile wins: the execution ends instead of going on.
            return builder.go_on(turn, events, response)
        return builder.continue_as_new(turn, end, known, response.trace_context)
    return builder.end(turn, events, response, end, known)


def end_execution(
    known: Known,
    event: ExecutionCompleted,
    now: datetime,
    ids: Ids,
    history: Sequence[HistoryEvent] = (),
) -> Decision:
    """End an instance with ``event`` as its last; ``history`` comes before it.

    One that ends before its first turn gets its start recorded first: a history begins with it,
    and a rewind needs it.
    """
    instance = known.instance
    if instance.history_count == 0 and not any(type(e) is ExecutionStarted for e in history):
        history = (*_opening(known, now), *history)
    ended = msgspec.structs.replace(
        instance,
        status=event.status,
        updated_at=max(now, instance.updated_at),
        completed_at=now,
        output=event.result,
        failure=event.failure,
        history_count=instance.history_count + len(history) + 1,
        revision=instance.revision + 1,
        attempts=0,
        not_before=None,
        unsuspended_status=None,
    )
    finished = tuple(TaskKey(key) for key in known.work.tasks.values())
    return Decision(
        instance.instance_id,
        ended,
        RowChange.REPLACE,
        instance.revision,
        history=(*history, event),
        messages=(*notify_parent(ended, now, ids), *_releases(known, now, ids)),
        consumed=own_messages(known),
        finished=finished if event.status in _DISCARDS_TASKS else (),
    )


def _releases(known: Known, now: datetime, ids: Ids) -> list[Message]:
    """Whatever of entities the execution still has locked, or waits to lock, is released."""
    return releases(known.work, known.instance.instance_id, now, ids)


def _opening(known: Known, now: datetime) -> tuple[HistoryEvent, ...]:
    """What the first turn would have recorded first."""
    instance = known.instance
    started = OrchestratorStarted(timestamp=max(now, instance.updated_at))
    starts = (
        m.event
        for m in known.inbox
        if type(m.event) is ExecutionStarted and m.execution_id == instance.execution_id
    )
    return (started, *starts)


def own_messages(known: Known) -> tuple[MessageId, ...]:
    """Timers and results that die with the execution; external events do not."""
    execution_id = known.instance.execution_id
    return tuple(m.id for m in known.inbox if m.execution_id == execution_id)


class _Builder:
    """Collects what the actions of one turn cause."""

    __slots__ = ("births", "events", "ids", "instance", "messages", "now", "tasks")

    def __init__(self, instance: Instance, now: datetime, ids: Ids) -> None:
        self.instance = instance
        self.now = now
        self.ids = ids
        self.events: list[HistoryEvent] = []
        self.messages: list[Message] = []
        self.tasks: list[ActivityTask] = []
        self.births: list[Instance] = []

    def post(
        self,
        target: str,
        execution_id: str | None,
        event: HistoryEvent,
        visible_at: datetime,
        key: int = 0,
    ) -> None:
        self.messages.append(
            Message(MessageId(self.ids.next_key()), target, execution_id, event, visible_at, key)
        )

    def carry_out(self, actions: Iterable[OrchestratorAction]) -> CompleteOrchestration | None:
        """Everything but the end, which is returned where there is one."""
        end: CompleteOrchestration | None = None
        for action in actions:
            if type(action) is CompleteOrchestration:
                end = action
                continue
            rule = _RULES.get(type(action))
            if rule is None:
                raise UnsupportedOnHostError(
                    f"This task hub does not know the action {type(action).__name__}."
                )
            rule(self, action)
        return end

    # -- how a turn can end ------------------------------------------------------------------

    def go_on(
        self, turn: Turn, events: tuple[HistoryEvent, ...], response: OrchestratorResponse
    ) -> Decision:
        """The execution waits for what it has scheduled."""
        old = self.instance
        running = old.status is OrchestrationStatus.PENDING
        row = msgspec.structs.replace(
            old,
            status=OrchestrationStatus.RUNNING if running else old.status,
            updated_at=self._not_before(turn),
            custom_status=_latest(response.custom_status, old.custom_status),
            trace_context=response.trace_context or old.trace_context,
            history_count=old.history_count + len(events),
            revision=old.revision + 1,
            attempts=0,
            not_before=None,
        )
        return Decision(
            old.instance_id,
            row,
            RowChange.TOUCH,
            old.revision,
            history=events,
            births=tuple(self.births),
            messages=tuple(self.messages),
            tasks=tuple(self.tasks),
            consumed=turn.messages,
        )

    def _not_before(self, turn: Turn) -> datetime:
        # The clock may have been set back; the next turn must not be earlier than this one.
        return max(self.now, turn.events[0].timestamp)

    def end(
        self,
        turn: Turn,
        events: tuple[HistoryEvent, ...],
        response: OrchestratorResponse,
        action: CompleteOrchestration,
        known: Known,
    ) -> Decision:
        """The execution is over."""
        last = ExecutionCompleted(action.id, self.now, action.status, action.result, action.failure)
        status = _latest(response.custom_status, self.instance.custom_status)
        row = msgspec.structs.replace(self.instance, custom_status=status)
        now_known = Known(row, known.work, known.inbox)
        ended = end_execution(now_known, last, self.now, self.ids, events)
        # Timers set in the same turn have nobody to wake; everything else was asked for.
        messages = [m for m in self.messages if type(m.event) is not TimerFired]
        keep_tasks = action.status not in _DISCARDS_TASKS
        discarded = set(ended.finished)
        return msgspec.structs.replace(
            ended,
            births=tuple(self.births),
            messages=(*messages, *ended.messages),
            tasks=tuple(self.tasks) if keep_tasks else (),
            consumed=_union(turn.messages, ended.consumed),
            finished=tuple(discarded - {task.key for task in self.tasks}),
        )

    def continue_as_new(
        self,
        turn: Turn,
        action: CompleteOrchestration,
        known: Known,
        trace: OrchestrationTraceContext | None,
    ) -> Decision:
        """A new execution takes the place of this one, with an empty history."""
        old = self.instance
        released = _releases(known, self.now, self.ids)
        known.work.clear()
        consumed = _union(turn.messages, own_messages(known))
        row = msgspec.structs.replace(
            old,
            execution_id=self.ids.execution_id(),
            status=OrchestrationStatus.RUNNING,
            updated_at=self._not_before(turn),
            version=_latest(action.new_version, old.version),
            tags=action.tags or old.tags,
            input=action.result,
            custom_status=None,
            # For its first turn: the span that its own follows from.
            trace_context=trace or old.trace_context,
            history_count=0,
            revision=old.revision + 1,
            attempts=0,
            not_before=None,
        )
        messages = [m for m in self.messages if type(m.event) is not TimerFired]
        messages += released
        messages.append(start_message(row, self.now, self.ids))
        # Carried-over events go before those that arrived meanwhile, whatever the clock did.
        gone = set(consumed)
        waiting = [m.visible_at for m in known.inbox if m.id not in gone]
        ahead = min((self.now, *waiting)) - _A_MOMENT
        messages += [
            Message(MessageId(self.ids.next_key()), row.instance_id, None, event, ahead)
            for event in action.carryover_events
        ]
        return Decision(
            old.instance_id,
            row,
            RowChange.REPLACE,
            old.revision,
            replaces_history=True,
            births=tuple(self.births),
            messages=tuple(messages),
            tasks=tuple(self.tasks),
            consumed=consumed,
        )

    # -- actions -----------------------------------------------------------------------------

    def schedule_task(self, action: ScheduleTask) -> None:
        key = self.ids.next_key()
        self.events.append(
            TaskScheduled(
                action.id,
                self.now,
                action.name,
                action.version,
                action.input,
                action.parent_trace_context,
                action.tags,
                key,
            )
        )
        if action.name.startswith(PATCH_MARKER):
            # Whatever workers there are, and whatever they filter.
            done = TaskCompleted(-1, self.now, action.id)
            self.post(self.instance.instance_id, self.instance.execution_id, done, self.now, key)
            return
        self.tasks.append(
            ActivityTask(
                TaskKey(key),
                self.instance.as_reference,
                action.id,
                action.name,
                action.version,
                action.input,
                action.tags,
                action.parent_trace_context,
            )
        )

    def create_timer(self, action: CreateTimer) -> None:
        if action.is_canceled:
            return
        key = self.ids.next_key()
        self.events.append(TimerCreated(action.id, self.now, action.fire_at, key))
        self.post(
            self.instance.instance_id,
            self.instance.execution_id,
            TimerFired(-1, action.fire_at, action.id, action.fire_at),
            max(action.fire_at, self.now),
            key,
        )

    def create_sub_orchestration(self, action: CreateSubOrchestration) -> None:
        key = self.ids.next_key()
        child_id = action.instance_id or f"{self.instance.execution_id}:{action.id:04x}"
        parent = ParentInstance(
            action.id, self.instance.as_reference, self.instance.name, self.instance.version, key
        )
        self.events.append(
            SubOrchestrationInstanceCreated(
                action.id,
                self.now,
                child_id,
                action.name,
                action.version,
                action.input,
                action.parent_trace_context,
                action.tags,
                key,
            )
        )
        try:
            check_instance_id(child_id)
        except ValueError as error:
            # The hub could not keep it: the task fails, so that the code learns of it.
            failure = FailureDetails("ValueError", str(error), is_non_retriable=True)
            refused = SubOrchestrationInstanceFailed(-1, self.now, action.id, failure)
            self.messages.append(resolve_parent(parent, refused, self.now, self.ids))
            return
        child = pending_child(child_id, self.ids.execution_id(), action, parent, self.now)
        self.births.append(child)
        self.messages.append(start_message(child, self.now, self.ids))

    def send_event(self, action: SendEvent) -> None:
        target = action.instance.instance_id
        self.events.append(EventSent(action.id, self.now, target, action.name, action.data))
        self.post(
            target,
            action.instance.execution_id,
            EventRaised(-1, self.now, action.name, action.data),
            self.now,
        )

    def terminate(self, action: TerminateOrchestration) -> None:
        event = ExecutionTerminated(-1, self.now, action.reason, action.recurse)
        self.post(action.instance_id, None, event, self.now)

    def send_entity_message(self, action: SendEntityMessage) -> None:
        sent: Any = msgspec.structs.replace(action.message, event_id=action.id, timestamp=self.now)
        self.events.append(sent)
        if type(sent) is EntityLockRequested:
            target = sent.lock_set[sent.position]
        else:
            target = sent.target_instance_id
        visible_at = self.now
        later = getattr(sent, "scheduled_time", None)
        if later is not None:
            visible_at = max(later, self.now)
        if type(sent) is not EntityUnlockSent:
            self.births.append(new_entity(target, self.now))
        self.post(target, None, sent, visible_at)


def start_message(instance: Instance, now: datetime, ids: Ids) -> Message:
    """The message that starts ``instance``, visible at its scheduled start."""
    event = ExecutionStarted(
        0,
        now,
        instance.name,
        instance.version,
        instance.input,
        OrchestrationInstance(instance.instance_id, instance.execution_id),
        instance.parent,
        instance.scheduled_start,
        instance.parent_trace_context,
        None,
        instance.tags,
    )
    visible_at = max(instance.scheduled_start, now) if instance.scheduled_start else now
    return Message(
        MessageId(ids.next_key()), instance.instance_id, instance.execution_id, event, visible_at
    )


def _latest(new: str | None, old: str | None) -> str | None:
    return old if new is None else new


def _union(first: tuple[MessageId, ...], second: tuple[MessageId, ...]) -> tuple[MessageId, ...]:
    return tuple(dict.fromkeys((*first, *second)))


_RULES: Final[dict[type[OrchestratorAction], Callable[[_Builder, Any], None]]] = {
    ScheduleTask: _Builder.schedule_task,
    CreateTimer: _Builder.create_timer,
    CreateSubOrchestration: _Builder.create_sub_orchestration,
    SendEvent: _Builder.send_event,
    TerminateOrchestration: _Builder.terminate,
    SendEntityMessage: _Builder.send_entity_message,
}
