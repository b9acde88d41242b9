"""Tasks: what an orchestrator yields.

Theory of operation. A leaf task (activity, sub-orchestration, call of an entity, lock, timer, event
wait) is settled once by the engine: with a value, with an error, or by its own ``cancel``. A
composite is settled by its children; a child knows its composites, so that one task can stand in
several. Nothing here reads history or decides about retries.

Both vocabularies of Durable Functions for Python are offered: ``is_completed`` and ``is_complete``,
``state`` and ``is_failed``, ``result`` and ``get_result()``.

What must never happen: a settled task changes; settling one child costs more than its own parents;
``result`` raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

from durable_app.errors import OrchestratorError, TaskCancelledError
from durable_app.protocol import (
    CreateTimer,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityUnlockSent,
    OrchestratorAction,
    SendEntityMessage,
)

if TYPE_CHECKING:
    from durable_app.replay.context import OrchestrationContext
    from durable_app.replay.locks import CriticalSection, EntityLock
    from durable_app.replay.retrying import Attempts

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

WATCHER: Final = "_durable_watcher"
"""Key in the ``__dict__`` of a task's error: called with it when user code gets to see it."""


class TaskState(IntEnum):
    """Where a task stands; a cancelled timer or wait has failed."""

    RUNNING = 0
    SUCCEEDED = 1
    FAILED = 2


RUNNING: Final = TaskState.RUNNING
SUCCEEDED: Final = TaskState.SUCCEEDED
FAILED: Final = TaskState.FAILED


class Task(Generic[T_co]):
    """Something that an orchestrator can wait for: with ``yield``, in an ``async def`` ``await``.

    Attributes:
        id: id of its latest action; -1 while it has none, and for waits and composites.
        state: RUNNING until it is settled.
        is_played: it was settled by an event of the past, during replay.
        outcome: for the engine: the value, or the error of a failed task.
        context: for the engine: the context that made it.
        composites: for the engine: those that it is a child of.
    """

    __slots__ = ("composites", "context", "id", "is_played", "outcome", "state")

    def __init__(self, context: OrchestrationContext) -> None:
        self.context = context
        self.composites: list[CompositeTask[Any]] | None = None
        self.outcome: Any = None
        self.id: int = -1
        self.is_played: bool = False
        self.state: TaskState = RUNNING

    @property
    def is_completed(self) -> bool:
        """True when it has a result, an error, or was cancelled."""
        return self.state is not RUNNING

    @property
    def is_complete(self) -> bool:
        """The same as ``is_completed``."""
        return self.state is not RUNNING

    @property
    def is_failed(self) -> bool:
        """True when it ended with an error."""
        return self.state is FAILED

    @property
    def is_faulted(self) -> bool:
        """The same as ``is_failed``."""
        return self.state is FAILED

    def __await__(self) -> Generator[Any, Any, T_co]:
        """Wait for it in an ``async def`` orchestrator."""
        return (yield self)  # type: ignore[no-any-return]  # the engine sends what it is

    @property
    def result(self) -> T_co | Any:
        """None until it is completed, then its value; of a failed task the exception itself."""
        if self.state is FAILED:
            reveal(self.outcome)
        return self.outcome

    def get_result(self) -> T_co:
        """Return the value.

        Raises:
            OrchestratorError: the task is not completed.
            TaskFailedError: it failed (or whatever error it ended with).
        """
        if self.state is SUCCEEDED:
            return self.outcome  # type: ignore[no-any-return] # the slot holds errors too
        if self.state is RUNNING:
            raise OrchestratorError("The task is not completed yet: yield it first.")
        raise fresh(self.outcome)

    def to_json(self) -> NoReturn:
        """Refuse to be sent: a task in an input or a result is a forgotten ``yield``."""
        raise TypeError("it is a task; yield it, and send what that gives")

    def get_exception(self) -> BaseException | None:
        """Return the error of a failed task, None for any other."""
        if self.state is not FAILED:
            return None
        reveal(self.outcome)
        error: BaseException = self.outcome
        return error

    def __repr__(self) -> str:
        number = f" #{self.id}" if self.id >= 0 else ""
        return f"<{type(self).__name__}{number} {self.state.name.lower()}>"


class ActionTask(Task[T]):
    """A task behind which stands an action.

    Attributes:
        action: the latest one; its id is -1 until the task is scheduled.
        position: index of the action in the log of all actions, where one is kept.
        is_scheduled: it has an id.
    """

    __slots__ = ("action", "is_scheduled", "position")

    def __init__(self, context: OrchestrationContext) -> None:
        super().__init__(context)
        self.action: OrchestratorAction
        self.position: int = -1
        self.is_scheduled: bool = False


class CompletableTask(ActionTask[T]):
    """A task that other code works on: an activity or a sub-orchestration.

    Attributes:
        expected_type: what its result is decoded as.
        attempts: how it is tried again, None where it is not.
    """

    __slots__ = ("attempts", "expected_type")

    def __init__(self, context: OrchestrationContext, expected_type: Any) -> None:
        # The two constructors above, spelled out: a fan-out calls this thousands of times.
        self.context = context
        self.composites = None
        self.outcome = None
        self.id = -1
        self.is_played = False
        self.state = RUNNING
        self.position = -1
        self.is_scheduled = False
        self.expected_type = expected_type
        self.attempts: Attempts | None = None


class ActivityTask(CompletableTask[T]):
    """A call of an activity."""

    __slots__ = ()


class SubOrchestrationTask(CompletableTask[T]):
    """A call of another orchestrator."""

    __slots__ = ()


class EntityCallTask(CompletableTask[T]):
    """A call of an entity's operation.

    Attributes:
        section: the critical section that it is made in, None outside of one.
    """

    __slots__ = ("section",)

    def __init__(
        self,
        context: OrchestrationContext,
        expected_type: Any,
        message: EntityOperationCalled,
        section: CriticalSection | None,
    ) -> None:
        super().__init__(context, expected_type)
        self.action = SendEntityMessage(-1, message)
        self.section = section


class EntityMessageTask(ActionTask[None]):
    """A message to an entity that nobody answers: a signal, or an unlock."""

    __slots__ = ()

    def __init__(
        self, context: OrchestrationContext, message: EntityOperationSignaled | EntityUnlockSent
    ) -> None:
        super().__init__(context)
        self.action = SendEntityMessage(-1, message)


class EntityLockTask(ActionTask["EntityLock"]):
    """A request for a lock on entities; its result is an EntityLock.

    ``async with context.lock_entities([...]):`` waits for it, and releases it at the block's end.
    """

    __slots__ = ()

    def __init__(self, context: OrchestrationContext, message: EntityLockRequested) -> None:
        super().__init__(context)
        self.action = SendEntityMessage(-1, message)

    def __enter__(self) -> NoReturn:
        raise OrchestratorError(
            "The lock is not held yet: write `with (yield context.lock_entities([...])):`; in an"
            " `async def`, `async with context.lock_entities([...]):`."
        )

    def __exit__(self, *_: object) -> None:
        """Python looks for it before it enters."""

    async def __aenter__(self) -> EntityLock:
        lock = await self
        return lock.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.get_result().release()


class TimerTask(ActionTask[None]):
    """A durable timer."""

    __slots__ = ("is_cancelled",)

    def __init__(self, context: OrchestrationContext) -> None:
        super().__init__(context)
        self.is_cancelled: bool = False

    @property
    def fire_at(self) -> datetime:
        """When it fires: aware UTC."""
        action = self.action
        assert isinstance(action, CreateTimer)  # noqa: S101  for the type checker
        return action.fire_at

    def is_canceled(self) -> bool:
        """The same as ``is_cancelled``: the name that long timers of 1.x have for it."""
        return self.is_cancelled

    def cancel(self) -> bool:
        """Stop waiting for it.

        Returns:
            True if it was pending; it is then completed with a TaskCancelledError. False, and
            nothing happens, if it was completed before.
        """
        if self.state is not RUNNING:
            return False
        self.context._ledger.cancelled(self)  # noqa: SLF001  a task and its context are one
        self.is_cancelled = True
        settle(self, FAILED, TaskCancelledError("The timer was cancelled."))
        return True


class RetryTimer(TimerTask):
    """The pause before a further attempt; users never see it.

    Attributes:
        task: what is tried again.
    """

    __slots__ = ("task",)

    def __init__(self, task: CompletableTask[Any]) -> None:
        super().__init__(task.context)
        self.task = task


class CompositeTask(Task[T]):
    """A task of tasks.

    Attributes:
        children: in the order in which they were given.
        completed_tasks: in the order in which they were completed.
    """

    __slots__ = ("_pending", "children", "completed_tasks")

    def __init__(self, context: OrchestrationContext, children: list[Task[Any]]) -> None:
        super().__init__(context)
        self.children = children
        self.completed_tasks: list[Task[Any]] = []
        self._pending = len(children)
        for child in children:
            if child.state is RUNNING:
                parents = child.composites
                if parents is None:
                    child.composites = [self]
                else:
                    parents.append(self)
            elif self.note(child):
                self.is_played = child.is_played

    def get_tasks(self) -> list[Task[Any]]:
        """Return the children, in the order in which they were given."""
        return list(self.children)

    @property
    def begun(self) -> list[Task[Any]]:
        """For the engine: the children that run as soon as this task is waited for: all of them."""
        return self.children

    @property
    def pending_tasks(self) -> set[Task[Any]]:
        """The children that are still running."""
        return {child for child in self.children if child.state is RUNNING}

    def get_completed_tasks(self) -> int:
        """Return how many children are completed."""
        return len(self.completed_tasks)

    def note(self, child: Task[Any]) -> bool:
        """Take the news that a child is settled; True if it settles this task too."""
        raise AssertionError(child)  # pragma: no cover  both subclasses replace it


class WhenAllTask(CompositeTask[list[T]]):
    """Completed with all results, in the order of its children, or with the first error."""

    __slots__ = ()

    def __init__(self, context: OrchestrationContext, children: list[Task[Any]]) -> None:
        super().__init__(context, children)
        if not children:
            self.outcome = []
            self.state = SUCCEEDED

    def note(self, child: Task[Any]) -> bool:
        """Count the child."""
        self._pending -= 1
        self.completed_tasks.append(child)
        if self.state is not RUNNING:
            return False
        if child.state is FAILED:
            self.outcome = child.outcome
            self.state = FAILED
            return True
        if self._pending:
            return False
        self.outcome = [each.outcome for each in self.children]
        self.state = SUCCEEDED
        return True


class WhenAnyTask(CompositeTask[Task[T]]):
    """Completed with the first child that is completed, even one that failed."""

    __slots__ = ()

    def note(self, child: Task[Any]) -> bool:
        """Count the child."""
        self._pending -= 1
        self.completed_tasks.append(child)
        if self.state is not RUNNING:
            return False
        self.outcome = child
        self.state = SUCCEEDED
        if child.state is FAILED:
            # Code goes on because of this failure, whether or not it looks at it.
            reveal(child.outcome)
        return True


def settle(task: Task[Any], state: TaskState, value: Any) -> None:
    """End a running task, and all composites that this ends."""
    task.outcome = value
    task.state = state
    task.is_played = task.context.is_replaying
    if task.composites is not None:
        _tell_parents(task)


def _tell_parents(task: Task[Any]) -> None:
    # A queue, not recursion: a loop that wraps its last composite into the next one nests deeply.
    settled = deque((task,))
    while settled:
        child = settled.popleft()
        parents = child.composites
        child.composites = None
        for parent in parents or ():
            if parent.note(child):
                parent.is_played = child.is_played
                settled.append(parent)


def reveal(error: BaseException) -> None:
    """Tell whoever watches that user code gets to see this error."""
    watcher = vars(error).get(WATCHER)
    if watcher is not None:
        watcher(error)


def fresh(error: BaseException) -> BaseException:
    """Return the error ready to be raised once more: without the traceback of the last time."""
    reveal(error)
    return error.with_traceback(None)


def checked_children(
    context: OrchestrationContext | None, tasks: Iterable[Any], api: str
) -> list[Any]:
    """Return the tasks of a composite as a list.

    Args:
        context: the one that the composite belongs to; None for that of any task.
        tasks: any iterable of tasks.
        api: name of the method that was called, for messages.

    Raises:
        TypeError: not an iterable, or an item is no task; the message names index and type.
        OrchestratorError: a running task of another orchestration.
    """
    if isinstance(tasks, Task) or not isinstance(tasks, Iterable):
        raise TypeError(
            f"{api} takes a list of tasks, not {type(tasks).__name__}:"
            f" write {api}([first, second])."
        )
    children = list(tasks)
    for index, child in enumerate(children):
        if not isinstance(child, Task):
            raise TypeError(
                f"{api}: item {index} is no task but {type(child).__name__}. Items are what"
                " context.call_activity and its like return, not yielded results."
            )
        if context is not None and child.context is not context and child.state is RUNNING:
            raise foreign(child)
    return children


def foreign(task: Task[Any]) -> OrchestratorError:
    """Return the error for waiting on a task that this orchestration never gets an answer to."""
    return OrchestratorError(
        f"The orchestrator waits for {task!r}, which belongs to another orchestration or to an"
        " earlier execution of this one: it would wait for ever. Create the task on this context."
    )
