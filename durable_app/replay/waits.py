"""Waits for external events, with or without a limit of time.

A wait with a limit has a timer beside it. Whichever comes first settles the wait and ends the
other; users see one task.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from durable_app.errors import TaskCancelledError, TaskTimeoutError
from durable_app.protocol import CreateTimer
from durable_app.replay.tasks import FAILED, RUNNING, SUCCEEDED, Task, TaskState, TimerTask, settle

if TYPE_CHECKING:
    from durable_app.replay.context import OrchestrationContext
    from durable_app.replay.ledger import Ledger

T = TypeVar("T")


class ExternalEventTask(Task[T]):
    """A wait for an external event.

    Attributes:
        name: as the orchestrator spelled it; events match it whatever their case.
        expected_type: what the payload is decoded as.
        deadline: for the engine: the timer that ends it, None where it has no limit.
    """

    __slots__ = ("deadline", "expected_type", "is_cancelled", "name")

    def __init__(self, context: OrchestrationContext, name: str, expected_type: Any) -> None:
        super().__init__(context)
        self.name = name
        self.expected_type = expected_type
        self.is_cancelled: bool = False
        self.deadline: EventDeadline | None = None

    def cancel(self) -> bool:
        """Stop waiting; the next event of that name goes to the next wait.

        Returns:
            True if it was pending; it is then completed with a TaskCancelledError.
        """
        if self.state is not RUNNING:
            return False
        self.context._ledger.forget_wait(self)  # noqa: SLF001  a task and its context are one
        self.is_cancelled = True
        self.end(FAILED, TaskCancelledError(f"The wait for '{self.name}' was cancelled."))
        return True

    def end(self, state: TaskState, value: Any) -> None:
        """Settle it; its timer is no longer of interest. For the engine."""
        if self.deadline is not None:
            self.deadline.cancel()
        settle(self, state, value)


class EventDeadline(TimerTask):
    """The time that a wait has; users never see it.

    Attributes:
        wait: what it ends.
    """

    __slots__ = ("wait",)

    def __init__(self, wait: ExternalEventTask[Any], number: int, moment: datetime) -> None:
        super().__init__(wait.context)
        self.action = CreateTimer(number, moment)
        self.wait = wait

    def expire(self, ledger: Ledger) -> None:
        """End the wait: no event has come, or the timer would have been cancelled.

        Args:
            ledger: the execution's own; that of a context may be closed already.
        """
        settle(self, SUCCEEDED, None)
        wait = self.wait
        ledger.forget_wait(wait)
        limit = f"{self.fire_at:%Y-%m-%d %H:%M:%S} UTC"
        settle(wait, FAILED, TaskTimeoutError(f"No event '{wait.name}' came until {limit}."))
