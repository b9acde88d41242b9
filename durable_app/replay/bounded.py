"""A fan-out of which only so many tasks run at a time: the context's ``map``.

All calls are prepared at once, so that what the code does to its items later changes nothing. The
first ones begin at once; each that ends lets the next one begin, before the code goes on. Nothing
begins any more after a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

from durable_app.replay.retry import retry_plan
from durable_app.replay.tasks import RUNNING, ActivityTask, Task, WhenAllTask

if TYPE_CHECKING:
    from durable_app.replay import retry
    from durable_app.replay.context import OrchestrationContext
    from durable_app.replay.ledger import Ledger
    from durable_app.replay.references import Callee
    from durable_app.replay.retry import Plan

    Policy = retry.RetryOptions | retry.RetryPolicy

T = TypeVar("T")


class BoundedTask(WhenAllTask[T]):
    """Completed with all results, in the order of its children, or with the first error."""

    __slots__ = ("_count",)

    def __init__(
        self, context: OrchestrationContext, children: list[Task[Any]], concurrency: int
    ) -> None:
        super().__init__(context, children)
        self._count = min(concurrency, len(children))
        for child in self.begun:
            context._ledger.schedule(child)  # type: ignore[arg-type]  # noqa: SLF001  they are activities; one with the context

    @property
    def begun(self) -> list[Task[Any]]:
        """The children that have begun, or do so as soon as this task is waited for."""
        return self.children[: self._count]

    def note(self, child: Task[Any]) -> bool:
        """Count the child, and let the next one begin."""
        settled = super().note(child)
        if self.state is RUNNING and self._count < len(self.children):
            task: Any = self.children[self._count]
            self._count += 1
            if task.attempts is not None:
                task.attempts.first_started = self.context.current_utc_datetime
            # In every mode at once: somebody waits for it already.
            self.context._ledger.place(task)  # noqa: SLF001  a task and its context are one
        return settled


class FanningOut:
    """What an orchestrator can do to many items."""

    __slots__ = ()

    if TYPE_CHECKING:  # the context has them
        _ledger: Ledger
        current_utc_datetime: datetime

        def _prepared(
            self,
            api: str,
            name: Any,
            input_: Any,
            expected_type: Any,
            tags: Mapping[str, str] | None,
            policy: Plan | None,
        ) -> ActivityTask[Any]: ...

    @overload
    def map(
        self,
        name: Callee[T],
        items: Iterable[Any],
        *,
        concurrency: int | None = None,
        expected_type: None = None,
        retry_policy: Policy | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[list[T]]: ...

    @overload
    def map(  # type: ignore[overload-cannot-match]  # it can: see ``Callee``
        self,
        name: Callee[object],
        items: Iterable[Any],
        *,
        concurrency: int | None = None,
        expected_type: None = None,
        retry_policy: Policy | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[list[object]]: ...

    @overload
    def map(
        self,
        name: str | Callable[..., Any],
        items: Iterable[Any],
        *,
        concurrency: int | None = None,
        expected_type: type[T],
        retry_policy: Policy | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[list[T]]: ...

    @overload
    def map(
        self,
        name: str | Callable[..., Any],
        items: Iterable[Any],
        *,
        concurrency: int | None = None,
        expected_type: Any = None,
        retry_policy: Policy | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[list[Any]]: ...

    def map(
        self,
        name: Any,
        items: Iterable[Any],
        *,
        concurrency: int | None = None,
        expected_type: Any = None,
        retry_policy: Policy | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Task[list[Any]]:
        """Call an activity for every item, so many at a time.

        Args:
            name: the activity, by name or by the function.
            items: the input of each call; anything with a JSON form.
            concurrency: most calls that run at the same time, >= 1; None for all at once.
            expected_type: of one result, as in ``call_activity``.
            retry_policy: of one call; one that pauses before its next attempt counts as running.
            tags: of every call.

        Returns:
            A task; its result is the list of all results, in the order of the items. The first
            failure fails it at once: calls that run end and are ignored, no other one begins.

        Raises:
            PayloadError: an item has no JSON form.
            TypeError: the items cannot be gone through, or the number is none.
            ValueError: the concurrency is less than 1.
        """
        api = "map"
        if isinstance(items, str) or not isinstance(items, Iterable):
            raise TypeError(f"{api} takes a list of items, not {type(items).__name__}.")
        policy = None if retry_policy is None else retry_plan(retry_policy, api)
        children: list[Any] = [
            self._prepared(api, name, item, expected_type, tags, policy) for item in items
        ]
        context: Any = self
        return BoundedTask(context, children, _limit(concurrency, len(children)))


def _limit(concurrency: Any, count: int) -> int:
    if concurrency is None:
        return count
    if isinstance(concurrency, bool) or not isinstance(concurrency, int):
        raise TypeError(f"map: concurrency is a whole number or None, not {concurrency!r}.")
    if concurrency < 1:
        raise ValueError(f"map: concurrency must be at least 1, not {concurrency}.")
    return concurrency
