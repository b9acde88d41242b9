"""What must hold after every commit, at every dispatch, and in the end.

The checker keeps a model of what was committed, fed by the decisions that the store has applied,
and compares the store with it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from durable_app.ports import Store
from durable_app.protocol import (
    EPOCH,
    ActivityRequest,
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityRequest,
    EntityUnlockSent,
    EventRaised,
    ExecutionCompleted,
    HistoryEvent,
    OrchestratorRequest,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durable_app.scheduler.hot import Hot
from durable_app.scheduler.hub import Hub
from durable_app.taskhub.instance import ActivityTask, Decision, Instance, LockHolder
from tests.simulation.entity_invariants import EntityChecker, ViolationError

__all__ = ["Checker", "ViolationError"]


class _History:
    """One history: which schedules are open in it, which events were delivered."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        self.events: list[HistoryEvent] = []
        self.sections: dict[str, list[str]] = {}
        self._open: set[tuple[str, int | str]] = set()
        self._raised: set[str] = set()

    def append(self, instance_id: str, events: Iterable[HistoryEvent]) -> None:
        for event in events:
            if self.events and isinstance(self.events[-1], ExecutionCompleted):
                raise ViolationError(f"{instance_id}: {event!r} after the end of its execution")
            self._follow(instance_id, event)
            self.events.append(event)

    def _follow(self, instance_id: str, event: HistoryEvent) -> None:
        match event:
            case TaskScheduled():
                self._open_up(instance_id, ("task", event.event_id))
            case TimerCreated():
                self._open_up(instance_id, ("timer", event.event_id))
            case SubOrchestrationInstanceCreated():
                self._open_up(instance_id, ("child", event.event_id))
            case TaskCompleted() | TaskFailed():
                self._resolve(instance_id, ("task", event.task_scheduled_id))
            case TimerFired():
                self._resolve(instance_id, ("timer", event.timer_id))
            case SubOrchestrationInstanceCompleted() | SubOrchestrationInstanceFailed():
                self._resolve(instance_id, ("child", event.task_scheduled_id))
            case EventRaised() if event.name != "note":
                if event.input in self._raised:
                    raise ViolationError(f"{instance_id}: event {event.input} delivered twice")
                self._raised.add(event.input or "")
            case _:
                self._follow_entities(instance_id, event)

    def _follow_entities(self, instance_id: str, event: HistoryEvent) -> None:
        match event:
            case EntityOperationCalled():
                self._open_up(instance_id, ("call", event.request_id))
            case EntityOperationCompleted() | EntityOperationFailed():
                self._resolve(instance_id, ("call", event.request_id))
            case EntityLockRequested():
                self.sections[event.critical_section_id] = list(event.lock_set)
                self._open_up(instance_id, ("lock", event.critical_section_id))
            case EntityLockGranted():
                self._resolve(instance_id, ("lock", event.critical_section_id))
            case EntityUnlockSent():
                self.sections[event.critical_section_id].remove(event.target_instance_id or "")
            case ExecutionCompleted():
                self.sections.clear()
            case _:
                pass

    def _open_up(self, instance_id: str, schedule: tuple[str, int | str]) -> None:
        if schedule in self._open:
            raise ViolationError(f"{instance_id}: {schedule} scheduled while it is open")
        self._open.add(schedule)

    def _resolve(self, instance_id: str, schedule: tuple[str, int | str]) -> None:
        if schedule not in self._open:
            raise ViolationError(f"{instance_id}: {schedule} resolved twice, or never scheduled")
        self._open.remove(schedule)


class Checker:
    """The model of what is committed; see the module's text."""

    def __init__(self) -> None:
        #: Of orchestrations; those of entities are elsewhere.
        self.rows: dict[str, Instance] = {}
        self.entities = EntityChecker(self._holds)
        self.ever: set[str] = set()
        #: Parents and entities have started them once more; what was sent before may be gone.
        self.reborn: set[str] = set()
        self.tasks: dict[int, ActivityTask] = {}
        self.messages: dict[int, str] = {}
        self._timers: dict[str, set[int]] = defaultdict(set)
        self._latest = EPOCH
        self.seen_messages: set[int] = set()
        self.payloads: set[str] = set()
        self.delivered: dict[str, set[str]] = defaultdict(set)
        self._done: set[int] = set()
        self._histories: dict[str, _History] = {}

    # -- the store ---------------------------------------------------------------------------

    def committed(self, decisions: Sequence[Decision], store: Store) -> None:
        """These were applied."""
        for decision in decisions:
            self._apply(decision)
        for instance_id in {d.instance_id: None for d in decisions}:
            self._compare(instance_id, store)

    def _apply(self, decision: Decision) -> None:
        instance = decision.instance
        if instance is not None:
            self._fence(decision, instance)
        if instance is not None and instance.entity is None:
            self._row(decision, instance)
        for birth in decision.births:
            rows = self.rows if birth.entity is None else self.entities.rows
            rows.setdefault(birth.instance_id, birth)
            self.ever.add(birth.instance_id)
        self.entities.follow(decision)
        self._messages(decision)
        if instance is not None and instance.is_terminal:
            self._check_timers(instance.execution_id)
        for task in decision.tasks:
            if task.key in self._done:
                raise ViolationError(f"task {task.key} queued again after its completion")
            self.tasks[task.key] = task
        for key in decision.finished:
            self.tasks.pop(key, None)
            self._done.add(key)

    def _messages(self, decision: Decision) -> None:
        for message in decision.messages:
            self.messages[message.id] = message.instance_id
            self.seen_messages.add(message.id)
            self.entities.post(message)
            if isinstance(message.event, TimerFired):
                self._timers[message.execution_id or ""].add(message.id)
            self._note_payload(message.instance_id, message.event, delivered=False)
        for event in decision.history:
            self._note_payload(decision.instance_id, event, delivered=True)
        for message_id in decision.consumed:
            self.messages.pop(message_id, None)

    def _check_timers(self, execution_id: str) -> None:
        left = self._timers.pop(execution_id, set()) & self.messages.keys()
        if left:
            raise ViolationError(f"timers of {execution_id} outlive it: {left}")

    def row(self, instance_id: str) -> Instance | None:
        """Of an orchestration or an entity."""
        return self.rows.get(instance_id) or self.entities.rows.get(instance_id)

    def _holds(self, lock: LockHolder) -> bool:
        """Whether the holder runs, and has not let go."""
        history = self._histories.get(lock.instance_id)
        return history is not None and bool(history.sections.get(lock.section_id))

    def _fence(self, decision: Decision, instance: Instance) -> None:
        old = self.row(instance.instance_id)
        if old is not None and old.revision != decision.expected_revision:
            raise ViolationError(f"{instance.instance_id}: a step on an outdated row was committed")

    def _row(self, decision: Decision, instance: Instance) -> None:
        instance_id = instance.instance_id
        old = self.rows.get(instance_id)
        ended = old is not None and old.is_terminal and not decision.replaces_history
        if ended and not instance.is_terminal:
            raise ViolationError(f"{instance_id}: lives on after its end")
        if old is not None and old.is_terminal and decision.replaces_history:
            self.reborn.add(instance_id)
        history = self._histories.get(instance_id)
        if history is None or decision.replaces_history:
            history = self._histories[instance_id] = _History(instance.execution_id)
        if history.execution_id != instance.execution_id:
            raise ViolationError(f"{instance_id}: history of another execution goes on")
        if decision.replaces_history and decision.history:
            self.entities.rewound.add(f"{instance_id}#{instance.execution_id[:8]}")
        for event in decision.history:
            if isinstance(event, EntityLockGranted) and not decision.replaces_history:
                lock_set = history.sections.get(event.critical_section_id, [])
                self.entities.granted(instance_id, event, lock_set)
        history.append(instance_id, decision.history)
        if len(history.events) != instance.history_count:
            raise ViolationError(f"{instance_id}: history_count is wrong")
        self.rows[instance_id] = instance
        self.ever.add(instance_id)

    def _note_payload(self, instance_id: str, event: HistoryEvent, *, delivered: bool) -> None:
        if isinstance(event, EventRaised) and event.input is not None:
            self.payloads.add(event.input)
            if delivered:
                self.delivered[instance_id].add(event.input)

    def _compare(self, instance_id: str, store: Store) -> None:
        row = self.row(instance_id)
        if row is None:
            return
        stored = store.load(instance_id)
        if stored is None or stored.instance.revision != row.revision:
            raise ViolationError(f"{instance_id}: the stored row is another one")
        wanted = {key for key, owner in self.messages.items() if owner == instance_id}
        if {message.id for message in stored.messages} != wanted:
            raise ViolationError(f"{instance_id}: the stored inbox is another one")
        history = self._histories.get(instance_id)
        events = history.events if history is not None else []
        if store.read_history(instance_id, None) != events:
            raise ViolationError(f"{instance_id}: the stored history is another one")

    def purged(self, instance_ids: Iterable[str]) -> None:
        """These were removed."""
        for instance_id in instance_ids:
            self.entities.drop(instance_id)
            row = self.rows.pop(instance_id, None)
            if row is not None and not row.is_terminal:
                raise ViolationError(f"{instance_id}: purged while it runs")
            self._histories.pop(instance_id, None)
            for key in [k for k, owner in self.messages.items() if owner == instance_id]:
                del self.messages[key]

    def orphaned(self, message_ids: Iterable[int]) -> None:
        """These messages were deleted since their instance does not exist."""
        for message_id in message_ids:
            owner = self.messages.pop(message_id, None)
            if owner is not None and self.row(owner) is not None:
                raise ViolationError(f"a message of {owner}, which exists, was deleted")
            self.entities.orphaned(message_id)

    def history(self, instance_id: str) -> list[HistoryEvent]:
        """What was committed of the present execution."""
        history = self._histories.get(instance_id)
        return list(history.events) if history is not None else []

    # -- the hub -----------------------------------------------------------------------------

    def dispatched(self, item: Any, hub: Hub) -> None:
        """A worker sees this item."""
        held = hub.state.streams._held.get(item.token)
        if held is None:
            raise ViolationError(f"{item!r} was handed out, but nobody holds it")
        if isinstance(item, ActivityRequest):
            assert held.task is not None
            if held.task.key in self._done:
                raise ViolationError(f"{item!r} runs again after its completion was committed")
            if held.task.key not in self.tasks:
                raise ViolationError(f"{item!r} was seen before its commit")
        elif isinstance(item, OrchestratorRequest):
            self._turn_dispatched(item, hub)
            self._in_time(item, hub.state.now)
        elif isinstance(item, EntityRequest):
            self._latest = max(hub.state.now, self._latest)
            hot = self._turn_dispatched(item, hub)
            self.entities.dispatched(item, hot, self._latest)

    def _turn_dispatched(self, item: OrchestratorRequest | EntityRequest, hub: Hub) -> Hot:
        hot = hub.state.cache._entries.get(item.instance_id)
        if hot is None or hot.turn is None or hot.token != item.token:
            raise ViolationError(f"{item.instance_id}: a turn that the hub does not know of")
        own = {m.id for part in hot.parts for m in part.decision.messages}
        for _, parts, _ in hub.commits._group:
            own |= {m.id for part in parts for m in part.decision.messages}
        for message_id in hot.turn.messages:
            if message_id not in self.seen_messages and message_id not in own:
                raise ViolationError(f"{item.instance_id}: a message was seen before its commit")
        return hot

    def _in_time(self, item: OrchestratorRequest, now: datetime) -> None:
        # The clock may have gone back since.
        self._latest = max(now, self._latest)
        for event in item.new_events:
            early = isinstance(event, TimerFired) and event.fire_at > self._latest
            if early:
                raise ViolationError(f"{item.instance_id}: {event!r} came too early")

    def drained(self, hub: Hub) -> None:
        """The hub has finished a drain."""
        self._latest = max(hub.state.now, self._latest)
        streams = hub.state.streams
        turns = Counter(h.instance_id for h in streams._held.values() if h.task is None)
        tasks = Counter(h.task.key for h in streams._held.values() if h.task is not None)
        for what, count in (*turns.items(), *tasks.items()):
            if count > 1:
                raise ViolationError(f"{what} is in flight {count} times")
        for stream in streams._streams.values():
            held = [h for h in streams._held.values() if h.stream is stream]
            counted = (
                sum(h.task is None and not h.is_batch for h in held),
                sum(h.task is not None for h in held),
                sum(h.is_batch for h in held),
            )
            found = stream.orchestrations, stream.activities, stream.entities
            if found != counted:
                raise ViolationError(
                    f"slots of stream {stream.id}: {found} are counted, {counted} are held"
                )
        for instance_id in turns:
            hot = hub.state.cache._entries.get(instance_id)
            if hot is None or hot.turn is None:
                raise ViolationError(f"{instance_id}: a slot is held for no turn")

    def at_rest(self, hub: Hub, store: Store, far: Any) -> None:
        """Everything has ended: nothing may be left."""
        if hub.state.streams.in_flight:
            raise ViolationError("slots are held although nothing is in flight")
        if store.tasks(0, 10):  # type: ignore[arg-type]  # a plain number serves as the lowest key
            raise ViolationError(f"activities are left: {store.tasks(0, 10)}")  # type: ignore[arg-type]  # as above
        left = store.due(*far)
        if left:
            raise ViolationError(f"messages are left: {left}")
        self.entities.at_rest(store)
