"""The vocabulary of the task hub: history events, actions, work items, responses.

Theory of operation. An orchestration is a fold over its history. A *history event* is a fact in
the past tense; an *action* is a wish in the imperative that an orchestrator turn returns; a *work
item* is what the hub hands to a worker, and a *response* is what comes back. The unions at the end
of each section are closed: an exhaustive match over them is checked by the type checker.

Rules for this file:

* Values are immutable and hold no behaviour beyond what follows from their fields.
* Instances are stored for ever as MessagePack arrays (see ``encode_events``): fields are only ever
  appended, with a default, never removed, renamed, reordered or retyped; tags are never reused.
* Payloads (``input``, ``result``, ...) are opaque JSON text; ``None`` means "no payload", which is
  not the same as the JSON text ``null``.
* Times are aware UTC datetimes.

Names and meaning follow the Durable Task protocol. Fields marked *hub only* never leave the hub.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final

import msgspec

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

PATCH_MARKER: Final = "durable_app.patch:"
"""Begins the names of activities that only note which code an execution runs; a patch's id follows.

There is nothing to run: they are complete as soon as they are scheduled."""


class OrchestrationStatus(IntEnum):
    """Life-cycle state of an instance; the numbers are those of the wire."""

    RUNNING = 0
    COMPLETED = 1
    CONTINUED_AS_NEW = 2
    FAILED = 3
    CANCELED = 4
    TERMINATED = 5
    PENDING = 6
    SUSPENDED = 7

    @property
    def title(self) -> str:
        """Name as the Functions host spells it: ``ContinuedAsNew``."""
        return self.name.title().replace("_", "")

    @property
    def is_terminal(self) -> bool:
        """True when the instance will never run again by itself."""
        return self in TERMINAL


TERMINAL: Final = frozenset(
    {
        OrchestrationStatus.COMPLETED,
        OrchestrationStatus.FAILED,
        OrchestrationStatus.CANCELED,
        OrchestrationStatus.TERMINATED,
    }
)


class _Value(msgspec.Struct, frozen=True, array_like=True):
    """An immutable value, stored as an array."""


class OrchestrationInstance(_Value, frozen=True):
    """One execution of one instance; every continue-as-new has a new ``execution_id``."""

    instance_id: str
    execution_id: str | None = None


class ParentInstance(_Value, frozen=True):
    """The orchestration that waits for this one."""

    task_scheduled_id: int
    instance: OrchestrationInstance
    name: str | None = None
    version: str | None = None
    key: int = 0
    """Hub only: key of the schedule that this child resolves."""


class TraceContext(_Value, frozen=True):
    """W3C trace context."""

    trace_parent: str
    trace_state: str | None = None


class OrchestrationTraceContext(_Value, frozen=True):
    """The one long span of an execution, kept between its turns."""

    span_id: str | None = None
    span_start_time: datetime | None = None
    trace_parent: str | None = None  # hub only: the span's traceparent, for roots
    previous: str | None = None  # hub only: traceparent of the span that this one follows from


class FailureDetails(_Value, frozen=True):
    """What went wrong, as the worker that ran the code saw it.

    Attributes:
        error_type: name of the exception's class.
        error_message: its text; may be empty.
        stack_trace: of the code that raised it; None where it is not known.
        inner_failure: its cause.
        is_non_retriable: another attempt would fail, too; retries end at once.
        properties: JSON-ready facts that other SDKs send along.
        base_types: names of the classes that the exception's class derives from, as the worker
            knew them, without those that all exceptions have. Empty for Python's own exceptions,
            and where the worker does not tell, such as one of another SDK.
    """

    error_type: str
    error_message: str
    stack_trace: str | None = None
    inner_failure: FailureDetails | None = None
    is_non_retriable: bool = False
    properties: dict[str, Any] | None = None
    base_types: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """The name that other Durable Task libraries have for ``error_message``."""
        return self.error_message

    def is_caused_by(self, error_type: type[BaseException] | str) -> bool:
        """Whether the error itself, not one behind it, is of a class or has a name.

        The answer follows from the failure alone, whatever this process has loaded. So a base
        class counts where the failure names it (``base_types``), and for Python's own exceptions.

        Args:
            error_type: a class: the error's own, or one that it derives from. A text: the name of
                exactly the error's class, with or without its module.

        Raises:
            TypeError: it is neither.
        """
        own = self.error_type.removeprefix("builtins.")
        if isinstance(error_type, str):
            return error_type in (self.error_type, own, own.rpartition(".")[2], f"builtins.{own}")
        given: object = error_type
        if not (isinstance(given, type) and issubclass(given, BaseException)):
            raise TypeError(f"is_caused_by takes an exception class or a name, not {given!r}.")
        names = (own, *self.base_types)
        full = f"{given.__module__}.{given.__qualname__}"
        pythons = [kind for name in names if isinstance(kind := vars(builtins).get(name), type)]
        others = (name for name in names if name not in vars(builtins))
        if any(name == (full if "." in name else given.__name__) for name in others):
            return True
        if pythons:
            return any(issubclass(kind, given) for kind in pythons)
        return given in (Exception, BaseException)


class RetryPolicy(_Value, frozen=True):
    """When a failed task is tried again. Attempts include the first one.

    Bounds: ``max_number_of_attempts`` >= 1, ``first_retry_interval`` > 0, ``backoff_coefficient``
    >= 1, the two limits > 0 where given. They are checked where users build a policy.
    """

    first_retry_interval: timedelta
    max_number_of_attempts: int
    backoff_coefficient: float = 1.0
    max_retry_interval: timedelta | None = None
    retry_timeout: timedelta | None = None


# ---------------------------------------------------------------------------------------------
# History events
# ---------------------------------------------------------------------------------------------


class Event(msgspec.Struct, frozen=True, array_like=True, tag=True, kw_only=False):
    """What all history events have.

    Attributes:
        event_id: id of the action that caused it, -1 for what the hub or the outside caused.
        timestamp: when the hub recorded it.
    """

    event_id: int = -1
    timestamp: datetime = EPOCH


class ExecutionStarted(Event, frozen=True, tag=3):
    name: str = ""
    version: str | None = None
    input: str | None = None
    instance: OrchestrationInstance | None = None
    parent: ParentInstance | None = None
    scheduled_start: datetime | None = None
    parent_trace_context: TraceContext | None = None
    orchestration_span_id: str | None = None
    tags: dict[str, str] | None = None


class ExecutionCompleted(Event, frozen=True, tag=4):
    status: OrchestrationStatus = OrchestrationStatus.COMPLETED
    result: str | None = None
    failure: FailureDetails | None = None


class ExecutionTerminated(Event, frozen=True, tag=5):
    input: str | None = None
    recurse: bool = False


class TaskScheduled(Event, frozen=True, tag=6):
    name: str = ""
    version: str | None = None
    input: str | None = None
    parent_trace_context: TraceContext | None = None
    tags: dict[str, str] | None = None
    key: int = 0
    """Hub only: what a resolution must carry to be accepted."""


class TaskCompleted(Event, frozen=True, tag=7):
    task_scheduled_id: int = -1
    result: str | None = None


class TaskFailed(Event, frozen=True, tag=8):
    task_scheduled_id: int = -1
    failure: FailureDetails | None = None


class SubOrchestrationInstanceCreated(Event, frozen=True, tag=9):
    instance_id: str = ""
    name: str = ""
    version: str | None = None
    input: str | None = None
    parent_trace_context: TraceContext | None = None
    tags: dict[str, str] | None = None
    key: int = 0
    """Hub only: what a resolution must carry to be accepted."""


class SubOrchestrationInstanceCompleted(Event, frozen=True, tag=10):
    task_scheduled_id: int = -1
    result: str | None = None


class SubOrchestrationInstanceFailed(Event, frozen=True, tag=11):
    task_scheduled_id: int = -1
    failure: FailureDetails | None = None


class TimerCreated(Event, frozen=True, tag=12):
    fire_at: datetime = EPOCH
    key: int = 0
    """Hub only: what a resolution must carry to be accepted."""


class TimerFired(Event, frozen=True, tag=13):
    timer_id: int = -1
    fire_at: datetime = EPOCH


class OrchestratorStarted(Event, frozen=True, tag=14):
    """First event of a turn; its timestamp is the orchestration's time until the next one."""


class OrchestratorCompleted(Event, frozen=True, tag=15):
    """Last event of a turn in the classic protocol; this hub writes none."""


class EventSent(Event, frozen=True, tag=16):
    instance_id: str = ""
    name: str = ""
    input: str | None = None


class EventRaised(Event, frozen=True, tag=17):
    name: str = ""
    input: str | None = None


class GenericEvent(Event, frozen=True, tag=18):
    """An event that this version does not know, or a note; replay ignores it."""

    data: str | None = None


class HistoryState(Event, frozen=True, tag=19):
    """A snapshot that some hubs store; replay ignores it."""

    state: OrchestrationState | None = None


class ContinueAsNew(Event, frozen=True, tag=20):
    input: str | None = None


class ExecutionSuspended(Event, frozen=True, tag=21):
    input: str | None = None


class ExecutionResumed(Event, frozen=True, tag=22):
    input: str | None = None


class EntityOperationSignaled(Event, frozen=True, tag=23):
    request_id: str = ""
    operation: str = ""
    scheduled_time: datetime | None = None
    input: str | None = None
    target_instance_id: str | None = None
    parent_trace_context: TraceContext | None = None  # hub only


class EntityOperationCalled(Event, frozen=True, tag=24):
    request_id: str = ""
    operation: str = ""
    scheduled_time: datetime | None = None
    input: str | None = None
    parent_instance_id: str | None = None
    parent_execution_id: str | None = None
    target_instance_id: str | None = None
    parent_trace_context: TraceContext | None = None  # hub only


class EntityOperationCompleted(Event, frozen=True, tag=25):
    request_id: str = ""
    output: str | None = None


class EntityOperationFailed(Event, frozen=True, tag=26):
    request_id: str = ""
    failure: FailureDetails | None = None


class EntityLockRequested(Event, frozen=True, tag=27):
    critical_section_id: str = ""
    lock_set: tuple[str, ...] = ()
    position: int = 0
    parent_instance_id: str | None = None


class EntityLockGranted(Event, frozen=True, tag=28):
    critical_section_id: str = ""


class EntityUnlockSent(Event, frozen=True, tag=29):
    critical_section_id: str = ""
    parent_instance_id: str | None = None
    target_instance_id: str | None = None


class ExecutionRewound(Event, frozen=True, tag=30):
    reason: str | None = None
    parent_execution_id: str | None = None
    instance_id: str | None = None
    parent_trace_context: TraceContext | None = None
    name: str | None = None
    version: str | None = None
    input: str | None = None
    parent: ParentInstance | None = None
    tags: dict[str, str] | None = None


HistoryEvent = (
    ExecutionStarted
    | ExecutionCompleted
    | ExecutionTerminated
    | TaskScheduled
    | TaskCompleted
    | TaskFailed
    | SubOrchestrationInstanceCreated
    | SubOrchestrationInstanceCompleted
    | SubOrchestrationInstanceFailed
    | TimerCreated
    | TimerFired
    | OrchestratorStarted
    | OrchestratorCompleted
    | EventSent
    | EventRaised
    | GenericEvent
    | HistoryState
    | ContinueAsNew
    | ExecutionSuspended
    | ExecutionResumed
    | EntityOperationSignaled
    | EntityOperationCalled
    | EntityOperationCompleted
    | EntityOperationFailed
    | EntityLockRequested
    | EntityLockGranted
    | EntityUnlockSent
    | ExecutionRewound
)


# ---------------------------------------------------------------------------------------------
# Actions of an orchestrator turn
# ---------------------------------------------------------------------------------------------


class Action(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What all actions have: the id that the event which records it will carry."""

    id: int


class ScheduleTask(Action, frozen=True, tag=2):
    name: str
    version: str | None = None
    input: str | None = None
    tags: dict[str, str] | None = None
    parent_trace_context: TraceContext | None = None
    retry_policy: RetryPolicy | None = None  # only where the host retries (RetryMode.HOST)


class CreateSubOrchestration(Action, frozen=True, tag=3):
    instance_id: str | None
    """None only where the host chooses it (the classic one)."""
    name: str
    version: str | None = None
    input: str | None = None
    parent_trace_context: TraceContext | None = None
    tags: dict[str, str] | None = None
    retry_policy: RetryPolicy | None = None  # only where the host retries (RetryMode.HOST)


class CreateTimer(Action, frozen=True, tag=4):
    fire_at: datetime
    is_canceled: bool = False
    """Only the classic host is told."""


class SendEvent(Action, frozen=True, tag=5):
    instance: OrchestrationInstance
    name: str
    data: str | None = None


class CompleteOrchestration(Action, frozen=True, tag=6):
    status: OrchestrationStatus
    result: str | None = None
    failure: FailureDetails | None = None
    new_version: str | None = None
    carryover_events: tuple[EventRaised, ...] = ()
    tags: dict[str, str] | None = None
    details: str | None = None


class TerminateOrchestration(Action, frozen=True, tag=7):
    instance_id: str
    reason: str | None = None
    recurse: bool = False


class SendEntityMessage(Action, frozen=True, tag=8):
    message: (
        EntityOperationSignaled | EntityOperationCalled | EntityLockRequested | EntityUnlockSent
    )


class RewindOrchestration(Action, frozen=True, tag=9):
    new_history: tuple[HistoryEvent, ...]


OrchestratorAction = (
    ScheduleTask
    | CreateSubOrchestration
    | CreateTimer
    | SendEvent
    | CompleteOrchestration
    | TerminateOrchestration
    | SendEntityMessage
    | RewindOrchestration
)


# ---------------------------------------------------------------------------------------------
# Work items and responses
# ---------------------------------------------------------------------------------------------


class CompletionToken(_Value, frozen=True):
    """Names one dispatch of one work item; another dispatch of the same item has another token.

    Attributes:
        target: the kind of the item, ``i`` for an instance's turn or ``t`` for a task.
        nonce: unique within the hub's run.
    """

    target: str
    nonce: int


class OrchestratorRequest(_Value, frozen=True):
    """One turn of one orchestration.

    Attributes:
        past_events: committed history; empty when ``requires_history_streaming`` is set, and then
            a worker that does not hold the suspended execution asks the hub for it.
        past_count: how many events the committed history has.
        new_events: never empty, an ``OrchestratorStarted`` first.
    """

    instance_id: str
    execution_id: str
    name: str
    past_events: Sequence[HistoryEvent]
    new_events: Sequence[HistoryEvent]
    token: CompletionToken
    past_count: int = 0
    requires_history_streaming: bool = False
    entity_reorder_window: timedelta | None = None
    properties: dict[str, Any] | None = None
    trace_context: OrchestrationTraceContext | None = None


class ActivityRequest(_Value, frozen=True):
    """One execution of one activity. ``attempt`` counts dispatches that were lost, from 1."""

    name: str
    version: str | None
    input: str | None
    instance: OrchestrationInstance
    task_id: int
    token: CompletionToken
    parent_trace_context: TraceContext | None = None
    tags: dict[str, str] | None = None
    attempt: int = 1


class OperationRequest(_Value, frozen=True):
    operation: str
    request_id: str
    input: str | None = None
    trace_context: TraceContext | None = None


class EntityBatchRequest(_Value, frozen=True):
    """Operations for one entity in the older form, without reply addresses."""

    instance_id: str
    entity_state: str | None
    operations: tuple[OperationRequest, ...]
    token: CompletionToken
    properties: dict[str, Any] | None = None


class EntityRequest(_Value, frozen=True):
    """Operations for one entity in the newer form: the messages themselves."""

    instance_id: str
    execution_id: str
    entity_state: str | None
    operations: tuple[EntityOperationSignaled | EntityOperationCalled, ...]
    token: CompletionToken


WorkItem = OrchestratorRequest | ActivityRequest | EntityBatchRequest | EntityRequest


class OrchestratorResponse(_Value, frozen=True):
    """What a turn decided. ``custom_status`` is None to keep the old one."""

    instance_id: str
    token: CompletionToken
    actions: Sequence[OrchestratorAction]
    custom_status: str | None = None
    num_events_processed: int | None = None
    trace_context: OrchestrationTraceContext | None = None
    requires_history: bool = False


class ActivityResponse(_Value, frozen=True):
    """Outcome of one activity: a failure when ``failure`` is set, else a result (or none)."""

    instance_id: str
    task_id: int
    token: CompletionToken
    result: str | None = None
    failure: FailureDetails | None = None


class OperationSuccess(_Value, frozen=True, tag=1):
    result: str | None
    started_at: datetime
    ended_at: datetime


class OperationFailure(_Value, frozen=True, tag=2):
    failure: FailureDetails
    started_at: datetime
    ended_at: datetime


class OperationInfo(_Value, frozen=True):
    request_id: str
    response_destination: OrchestrationInstance | None = None


class SendSignal(Action, frozen=True, tag=20):
    instance_id: str
    name: str
    input: str | None = None
    scheduled_time: datetime | None = None
    request_time: datetime | None = None
    parent_trace_context: TraceContext | None = None


class StartNewOrchestration(Action, frozen=True, tag=21):
    instance_id: str
    name: str
    version: str | None = None
    input: str | None = None
    scheduled_time: datetime | None = None
    request_time: datetime | None = None
    parent_trace_context: TraceContext | None = None


class EntityBatchResult(_Value, frozen=True):
    """Outcome of a batch; ``entity_state`` None deletes the state."""

    token: CompletionToken
    results: tuple[OperationSuccess | OperationFailure, ...]
    actions: tuple[SendSignal | StartNewOrchestration, ...] = ()
    entity_state: str | None = None
    failure: FailureDetails | None = None
    operation_infos: tuple[OperationInfo, ...] = ()
    requires_state: bool = False


# ---------------------------------------------------------------------------------------------
# What clients see
# ---------------------------------------------------------------------------------------------


class OrchestrationState(_Value, frozen=True):
    """An instance as clients see it. Payload fields are None when they were not asked for."""

    instance_id: str
    name: str
    status: OrchestrationStatus
    created_at: datetime
    last_updated_at: datetime
    version: str | None = None
    scheduled_start: datetime | None = None
    completed_at: datetime | None = None
    execution_id: str | None = None
    parent_instance_id: str | None = None
    tags: Mapping[str, str] | None = None
    input: str | None = None
    output: str | None = None
    custom_status: str | None = None
    failure: FailureDetails | None = None


class EntityMetadata(_Value, frozen=True):
    """An entity as clients see it.

    Attributes:
        backlog: messages that it has not dealt with.
        locked_by: id of the orchestration that holds its lock.
        state: JSON text; None where it has none, or was not asked for.
        exists: it has a state.
    """

    instance_id: str
    last_modified: datetime
    backlog: int = 0
    locked_by: str | None = None
    state: str | None = None
    exists: bool = False


_encoder = msgspec.msgpack.Encoder()
_events_decoder: Final = msgspec.msgpack.Decoder[list[HistoryEvent]](list[HistoryEvent])


def encode_events(events: Sequence[HistoryEvent]) -> bytes:
    """Events as the bytes in which they are stored: a MessagePack array of tagged arrays."""
    return _encoder.encode(events)


def decode_events(blob: bytes) -> list[HistoryEvent]:
    """Inverse of :func:`encode_events`.

    Raises:
        msgspec.DecodeError: the bytes are damaged or were written by a newer version.
    """
    return _events_decoder.decode(blob)
