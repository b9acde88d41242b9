"""Several tasks as one: the context's ``task_all`` and ``task_any``, ``when_all`` and ``when_any``.

As with ``asyncio.gather``, a tuple of tasks gives a list whose items a type checker knows one by
one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from durable_app.replay.tasks import (
    FAILED,
    SUCCEEDED,
    CompositeTask,
    Task,
    WhenAllTask,
    WhenAnyTask,
    checked_children,
    foreign,
)

if TYPE_CHECKING:
    from durable_app.replay.context import OrchestrationContext

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")


class EveryTask(CompositeTask[list[T]]):
    """Completed when all children are: with all results, or with the error that came first."""

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
        if self._pending:
            return False
        failed = next((each for each in self.completed_tasks if each.state is FAILED), None)
        if failed is not None:
            self.outcome = failed.outcome
            self.state = FAILED
        else:
            self.outcome = [each.outcome for each in self.children]
            self.state = SUCCEEDED
        return True


class Gathering:
    """What an orchestrator can wait for as a whole."""

    __slots__ = ()

    @overload
    def task_all(self, tasks: tuple[Task[T1], Task[T2]]) -> Task[tuple[T1, T2]]: ...  # type: ignore[overload-overlap]  # a list, as asyncio.gather

    @overload
    def task_all(self, tasks: tuple[Task[T1], Task[T2], Task[T3]]) -> Task[tuple[T1, T2, T3]]: ...  # type: ignore[overload-overlap]  # a list, as asyncio.gather

    @overload
    def task_all(  # type: ignore[overload-overlap]  # a list, as asyncio.gather
        self, tasks: tuple[Task[T1], Task[T2], Task[T3], Task[T4]]
    ) -> Task[tuple[T1, T2, T3, T4]]: ...

    @overload
    def task_all(  # type: ignore[overload-overlap]  # a list, as asyncio.gather
        self, tasks: tuple[Task[T1], Task[T2], Task[T3], Task[T4], Task[T5]]
    ) -> Task[tuple[T1, T2, T3, T4, T5]]: ...

    @overload
    def task_all(self, tasks: Iterable[Task[T]]) -> Task[list[T]]: ...

    @overload
    def task_all(self, *, activities: Iterable[Task[T]]) -> Task[list[T]]: ...

    def task_all(
        self,
        tasks: Iterable[Task[Any]] | None = None,
        *,
        activities: Iterable[Task[Any]] | None = None,
    ) -> Task[Any]:
        """Wait for all tasks; the result is the list of their results, in the same order.

        The first failure fails the whole at once; the other tasks run on and are ignored.

        Args:
            tasks: any iterable of tasks.
            activities: another name of ``tasks``.

        Raises:
            TypeError: an item is no task.
        """
        context: Any = self
        given: Any = activities if tasks is None else tasks
        return WhenAllTask(context, checked_children(context, given, "task_all"))

    @overload
    def task_any(self, tasks: Iterable[Task[T]]) -> Task[Task[T]]: ...

    @overload
    def task_any(self, *, activities: Iterable[Task[T]]) -> Task[Task[T]]: ...

    def task_any(
        self,
        tasks: Iterable[Task[Any]] | None = None,
        *,
        activities: Iterable[Task[Any]] | None = None,
    ) -> Task[Task[Any]]:
        """Wait for the first task that is completed; the result is that task, failed or not.

        Args:
            tasks: any iterable of tasks.
            activities: another name of ``tasks``.

        Raises:
            TypeError: an item is no task.
            ValueError: there are no tasks: none could ever be the first.
        """
        context: Any = self
        given: Any = activities if tasks is None else tasks
        children = checked_children(context, given, "task_any")
        if not children:
            raise ValueError("task_any needs at least one task: of none, none comes first.")
        return WhenAnyTask(context, children)


@overload
def when_all(tasks: tuple[Task[T1], Task[T2]]) -> Task[tuple[T1, T2]]: ...  # type: ignore[overload-overlap]  # a list, as asyncio.gather


@overload
def when_all(tasks: tuple[Task[T1], Task[T2], Task[T3]]) -> Task[tuple[T1, T2, T3]]: ...  # type: ignore[overload-overlap]  # a list, as asyncio.gather


@overload
def when_all(  # type: ignore[overload-overlap]  # a list, as asyncio.gather
    tasks: tuple[Task[T1], Task[T2], Task[T3], Task[T4]],
) -> Task[tuple[T1, T2, T3, T4]]: ...


@overload
def when_all(  # type: ignore[overload-overlap]  # a list, as asyncio.gather
    tasks: tuple[Task[T1], Task[T2], Task[T3], Task[T4], Task[T5]],
) -> Task[tuple[T1, T2, T3, T4, T5]]: ...


@overload
def when_all(tasks: Iterable[Task[T]]) -> Task[list[T]]: ...


def when_all(tasks: Iterable[Task[Any]]) -> Task[Any]:
    """Wait until every task is completed, also when one fails; ``task_all`` does not wait then.

    The result is the list of their results, in the same order; of no tasks it is empty. It fails
    when all are completed, with the failure that came first.

    Raises:
        TypeError: an item is no task.
        OrchestratorError: the tasks belong to different orchestrations.
    """
    context, children = _of_one_context(tasks, "when_all")
    return EveryTask(context, children)


def when_any(tasks: Iterable[Task[T]]) -> Task[Task[T]]:
    """Wait for the first task that is completed; the result is that task, failed or not.

    Raises:
        TypeError: an item is no task.
        ValueError: there are no tasks: none could ever be the first.
        OrchestratorError: the tasks belong to different orchestrations.
    """
    context, children = _of_one_context(tasks, "when_any")
    if not children:
        raise ValueError("when_any needs at least one task: of none, none comes first.")
    return WhenAnyTask(context, children)


def _of_one_context(tasks: Iterable[Any], api: str) -> tuple[Any, list[Any]]:
    """Return the tasks, and the context that they were made by; None where there are none."""
    children = checked_children(None, tasks, api)
    contexts = [child.context for child in children if not child.is_completed]
    context = (contexts or [child.context for child in children[:1]] or [None])[0]
    for child in children:
        if not child.is_completed and child.context is not context:
            raise foreign(child)
    return context, children
