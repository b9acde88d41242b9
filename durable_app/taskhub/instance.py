"""State of one instance, and the decision that changes it.

Theory of operation. An *instance* is a row; its *open work* is what its history has scheduled and
not resolved; its *inbox* holds the messages it has not seen. A *step* takes all of it and returns
one :class:`Decision`, which a store applies in one transaction or not at all. A step changes one
instance and posts messages to others, so that no transaction locks two instances.

What must never happen, and what prevents it:

* A result is counted twice, or reaches the wrong execution: every schedule has a *key* of its own
  (a hub-wide sequence). A resolution carries it and is accepted only while that very schedule is
  open. Neither event ids (SDKs reuse them for retries) nor execution and id are unique enough.
* A timer of an older execution wakes the new one: its message names the execution it belongs to.
* A turn of an outdated owner is committed: ``revision`` is compared in the same transaction.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NewType, Protocol

import msgspec

from durable_app.protocol import (
    EPOCH,
    ActivityRequest,
    CompletionToken,
    EntityLockGranted,
    EntityLockRequested,
    EntityMetadata,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityUnlockSent,
    FailureDetails,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationState,
    OrchestrationStatus,
    OrchestrationTraceContext,
    ParentInstance,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TraceContext,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MessageId = NewType("MessageId", int)
TaskKey = NewType("TaskKey", int)


class Ids(Protocol):
    """Where a rule takes new identities from."""

    def next_key(self) -> int:
        """Next number of the hub's sequence: for messages and schedules, never reused."""
        ...

    def execution_id(self) -> str:
        """A new execution id: 32 lower-case hex digits."""
        ...


class LockHolder(msgspec.Struct, frozen=True):
    """Who has the lock of an entity: a critical section of an orchestration."""

    section_id: str
    instance_id: str


class EntityRow(msgspec.Struct, frozen=True):
    """What the row of an entity has beside what all rows have.

    Attributes:
        state: JSON text; None where it has none.
        lock: None where nobody has it.
    """

    state: str | None = None
    lock: LockHolder | None = None


class Instance(msgspec.Struct, frozen=True):
    """The row of an instance: of an orchestration, or of an entity.

    An entity has an id such as ``@counter@key``, no history and no end: it stays RUNNING.

    Attributes:
        revision: counts commits of this row; the fence against outdated owners.
        history_count: events in the history of this execution.
        attempts: turns in a row that were lost (crash, abandon) without a result.
        not_before: no turn is tried earlier; back-off after a lost one.
        unsuspended_status: what a resume restores; None unless suspended.
        entity: None for an orchestration.
    """

    instance_id: str
    execution_id: str
    name: str
    status: OrchestrationStatus
    created_at: datetime
    updated_at: datetime
    version: str | None = None
    scheduled_start: datetime | None = None
    completed_at: datetime | None = None
    input: str | None = None
    output: str | None = None
    custom_status: str | None = None
    failure: FailureDetails | None = None
    parent: ParentInstance | None = None
    tags: dict[str, str] | None = None
    trace_context: OrchestrationTraceContext | None = None
    parent_trace_context: TraceContext | None = None
    history_count: int = 0
    revision: int = 0
    attempts: int = 0
    not_before: datetime | None = None
    unsuspended_status: OrchestrationStatus | None = None
    entity: EntityRow | None = None

    @property
    def is_terminal(self) -> bool:
        """True when nothing but rewind, restart, replace or purge can happen to it."""
        return self.status.is_terminal

    @property
    def as_reference(self) -> OrchestrationInstance:
        """This execution, as events and actions name it."""
        return OrchestrationInstance(self.instance_id, self.execution_id)

    def state(self, *, fetch_payloads: bool) -> OrchestrationState:
        """The row as clients see it; input and output only when asked for."""
        return OrchestrationState(
            instance_id=self.instance_id,
            name=self.name,
            status=self.status,
            created_at=self.created_at,
            last_updated_at=self.updated_at,
            version=self.version,
            scheduled_start=self.scheduled_start,
            completed_at=self.completed_at,
            execution_id=self.execution_id,
            parent_instance_id=self.parent.instance.instance_id if self.parent else None,
            tags=self.tags,
            input=self.input if fetch_payloads else None,
            output=self.output if fetch_payloads else None,
            custom_status=self.custom_status,
            failure=self.failure,
        )

    def metadata(self, backlog: int, *, include_state: bool) -> EntityMetadata:
        """An entity's row as clients see it."""
        row = self.entity or EntityRow()
        return EntityMetadata(
            self.instance_id,
            self.updated_at,
            backlog,
            row.lock.instance_id if row.lock is not None else None,
            row.state if include_state else None,
            row.state is not None,
        )


class Message(msgspec.Struct, frozen=True):
    """One inbox row.

    A timer is a message that is not visible yet; so are a delayed signal and a scheduled start.

    Attributes:
        execution_id: the execution it is meant for; None for any (external events, control).
        key: of the schedule that it resolves; 0 when it resolves none.
        visible_at: not delivered earlier.
    """

    id: MessageId
    instance_id: str
    execution_id: str | None
    event: HistoryEvent
    visible_at: datetime
    key: int = 0


class ActivityTask(msgspec.Struct, frozen=True):
    """One row of the activity queue; ``attempts`` counts executions that were lost."""

    key: TaskKey
    instance: OrchestrationInstance
    task_id: int
    name: str
    version: str | None = None
    input: str | None = None
    tags: dict[str, str] | None = None
    parent_trace_context: TraceContext | None = None
    attempts: int = 0
    not_before: datetime = EPOCH

    def request(self, token: CompletionToken) -> ActivityRequest:
        """The work item of one dispatch."""
        return ActivityRequest(
            self.name,
            self.version,
            self.input,
            self.instance,
            self.task_id,
            token,
            self.parent_trace_context,
            self.tags,
            self.attempts + 1,
        )


class RowChange(Enum):
    """How a decision changes the instance's row."""

    INSERT = 1
    """The row is new."""
    TOUCH = 2
    """Only what changes with every turn: status, times, custom status, counters."""
    REPLACE = 3
    """Any column may have changed."""


class Decision(msgspec.Struct, frozen=True):
    """Everything that one step changes; a store applies it as a whole or not at all.

    Attributes:
        instance_id: the one instance that the step is about.
        instance: the row as it shall be; None where only messages or tasks change.
        expected_revision: the row's revision must be this (INSERT: there must be no row, or
            that of an entity at revision 0, which it replaces).
        history: events to append, after ``replaces_history`` has removed the older ones.
        births: rows of instances that a message of this decision starts; inserted where absent.
        messages: to any instance, this one included.
        tasks: for the activity queue.
        consumed: messages that the step has dealt with.
        finished: tasks that need not run (any more).
    """

    instance_id: str
    instance: Instance | None = None
    change: RowChange = RowChange.TOUCH
    expected_revision: int = 0
    history: tuple[HistoryEvent, ...] = ()
    replaces_history: bool = False
    births: tuple[Instance, ...] = ()
    messages: tuple[Message, ...] = ()
    tasks: tuple[ActivityTask, ...] = ()
    consumed: tuple[MessageId, ...] = ()
    finished: tuple[TaskKey, ...] = ()


class Known:
    """All that a rule may know of an instance: row, open work, inbox.

    Attributes:
        inbox: every message that is known, those of the turn in question included.
    """

    __slots__ = ("inbox", "instance", "work")

    def __init__(self, instance: Instance, work: OpenWork, inbox: Iterable[Message]) -> None:
        """Collect what is known."""
        self.instance = instance
        self.work = work
        self.inbox = inbox


class OpenChild(msgspec.Struct, frozen=True):
    """A sub-orchestration that has been created and has not ended."""

    key: int
    instance_id: str


class OpenWork:
    """What an execution has scheduled and not resolved, folded from its history.

    Mutable, and owned by whoever holds the lease; it is thrown away with the lease when a commit
    fails. Keys are the ids that resolutions name: ``task_scheduled_id`` or ``timer_id``.

    Attributes:
        calls: of entities, by request id.
        sections: critical sections that were asked for or granted, by their id: the entities
            whose locks they have or wait for.
        ungranted: ids of those that wait.
    """

    __slots__ = ("calls", "children", "sections", "tasks", "timers", "ungranted")

    def __init__(self) -> None:
        """Nothing is open."""
        self.calls: dict[str, int] = {}
        self.sections: dict[str, list[str]] = {}
        self.ungranted: set[str] = set()
        self.tasks: dict[int, int] = {}
        self.timers: dict[int, int] = {}
        self.children: dict[int, OpenChild] = {}

    @classmethod
    def of(cls, history: Iterable[HistoryEvent]) -> OpenWork:
        """Fold a whole history."""
        work = cls()
        for event in history:
            work.apply(event)
        return work

    def clear(self) -> None:
        """Nothing is open any more."""
        self.tasks.clear()
        self.timers.clear()
        self.children.clear()
        self.calls.clear()
        self.sections.clear()
        self.ungranted.clear()

    def __len__(self) -> int:
        schedules = len(self.tasks) + len(self.timers) + len(self.children)
        return schedules + len(self.calls) + len(self.sections)

    def apply(self, event: HistoryEvent) -> None:
        """Follow one recorded event."""
        rule = _FOLD.get(type(event))
        if rule is not None:
            rule(self, event)

    def accepts(self, event: HistoryEvent, key: int) -> bool:
        """True unless ``event`` resolves a schedule that is not open (any more)."""
        kind = type(event)
        if kind is TaskCompleted or kind is TaskFailed:
            return self.tasks.get(event.task_scheduled_id) == key  # type: ignore[union-attr]  # narrowed by `kind`, which is cheaper than isinstance
        if kind is TimerFired:
            return self.timers.get(event.timer_id) == key  # type: ignore[union-attr]  # as above
        if kind is SubOrchestrationInstanceCompleted or kind is SubOrchestrationInstanceFailed:
            child = self.children.get(event.task_scheduled_id)  # type: ignore[union-attr]  # as above
            return child is not None and child.key == key
        if kind is EntityOperationCompleted or kind is EntityOperationFailed:
            return event.request_id in self.calls  # type: ignore[union-attr]  # as above
        if kind is EntityLockGranted:
            return event.critical_section_id in self.ungranted  # type: ignore[union-attr]  # as above
        return True


def _open_task(work: OpenWork, event: TaskScheduled) -> None:
    work.tasks[event.event_id] = event.key


def _close_task(work: OpenWork, event: TaskCompleted | TaskFailed) -> None:
    work.tasks.pop(event.task_scheduled_id, None)


def _open_timer(work: OpenWork, event: TimerCreated) -> None:
    work.timers[event.event_id] = event.key


def _close_timer(work: OpenWork, event: TimerFired) -> None:
    work.timers.pop(event.timer_id, None)


def _open_child(work: OpenWork, event: SubOrchestrationInstanceCreated) -> None:
    work.children[event.event_id] = OpenChild(event.key, event.instance_id)


def _close_child(
    work: OpenWork, event: SubOrchestrationInstanceCompleted | SubOrchestrationInstanceFailed
) -> None:
    work.children.pop(event.task_scheduled_id, None)


def _open_call(work: OpenWork, event: EntityOperationCalled) -> None:
    work.calls[event.request_id] = event.event_id


def _close_call(work: OpenWork, event: EntityOperationCompleted | EntityOperationFailed) -> None:
    work.calls.pop(event.request_id, None)


def _open_section(work: OpenWork, event: EntityLockRequested) -> None:
    work.sections[event.critical_section_id] = list(event.lock_set)
    work.ungranted.add(event.critical_section_id)


def _grant_section(work: OpenWork, event: EntityLockGranted) -> None:
    work.ungranted.discard(event.critical_section_id)


def _unlock(work: OpenWork, event: EntityUnlockSent) -> None:
    held = work.sections.get(event.critical_section_id, [])
    if event.target_instance_id in held:
        held.remove(event.target_instance_id)
    if not held:
        work.sections.pop(event.critical_section_id, None)
        work.ungranted.discard(event.critical_section_id)


_FOLD: Final[dict[type, Callable[[OpenWork, Any], None]]] = {
    TaskScheduled: _open_task,
    TaskCompleted: _close_task,
    TaskFailed: _close_task,
    TimerCreated: _open_timer,
    TimerFired: _close_timer,
    SubOrchestrationInstanceCreated: _open_child,
    SubOrchestrationInstanceCompleted: _close_child,
    SubOrchestrationInstanceFailed: _close_child,
    EntityOperationCalled: _open_call,
    EntityOperationCompleted: _close_call,
    EntityOperationFailed: _close_call,
    EntityLockRequested: _open_section,
    EntityLockGranted: _grant_section,
    EntityUnlockSent: _unlock,
}
