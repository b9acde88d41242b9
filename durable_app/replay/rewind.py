"""Which events of a failed execution must go so that it can go on.

Gone are: the completion; the failures that killed the execution, which are those in the cause and
context chain of the fatal exception; the failures that its code never got to see (of tasks that ran
beside); and what the code asked for after it had seen one of these failures, with the results of
that (a compensation, say): this time it will not get there, or it will ask again.

Failures that the code caught and went on from stay, and so do attempts of a retry that were
followed by another one. What was scheduled stays scheduled: the hub dispatches what is open.

Only for hosts whose retries the engine makes; a host that repeats tasks also rewinds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from durable_app.protocol import (
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    Event,
    ExecutionCompleted,
    HistoryEvent,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from durable_app.replay.determinism import MATCHING
from durable_app.replay.tasks import WATCHER

if TYPE_CHECKING:
    from durable_app.errors import TaskFailedError


class Inquest:
    """Takes note of failures while the failed execution is replayed.

    Args:
        asked: tells how many actions the code has asked for so far.
    """

    def __init__(self, asked: Callable[[], int]) -> None:
        self._asked = asked
        self._failures: list[tuple[TaskFailedError, HistoryEvent]] = []
        self._late: set[int] = set()
        self._seen_at: dict[int, int] = {}

    def on_failure(self, error: TaskFailedError, event: HistoryEvent) -> None:
        """A task has failed for good."""
        self._failures.append((error, event))
        vars(error)[WATCHER] = self._on_seen

    def on_late_failure(self, event: HistoryEvent) -> None:
        """A task has failed after the execution was over: nobody saw it."""
        self._late.add(id(event))

    def _on_seen(self, error: BaseException) -> None:
        self._seen_at.setdefault(id(error), self._asked())

    def without_failures(
        self, history: Sequence[HistoryEvent], fatal: BaseException, *, unseen: bool
    ) -> tuple[HistoryEvent, ...]:
        """Return the history from which the execution goes on.

        Args:
            history: up to the completion, without it.
            fatal: what killed the execution.
            unseen: leave out the failures too that the code never got to see.
        """
        killers = _chain(fatal)
        gone = set(self._late) if unseen else set()
        first_dropped: int | None = None
        for error, event in self._failures:
            seen_at = self._seen_at.get(id(error))
            if id(error) not in killers and not (unseen and seen_at is None):
                continue
            gone.add(id(event))
            if seen_at is not None and (first_dropped is None or seen_at < first_dropped):
                first_dropped = seen_at
        kept = [event for event in history if id(event) not in gone]
        return tuple(kept if first_dropped is None else _until(kept, first_dropped))


def before_completion(past: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """Return the history without its completion and all after it."""
    kept: list[HistoryEvent] = []
    for event in past:
        if isinstance(event, ExecutionCompleted):
            break
        kept.append(event)
    return kept


def _chain(fatal: BaseException) -> set[int]:
    found: set[int] = set()
    waiting: list[BaseException | None] = [fatal]
    while waiting:
        error = waiting.pop()
        if error is not None and id(error) not in found:
            found.add(id(error))
            waiting += (error.__cause__, error.__context__)
    return found


def _until(history: list[HistoryEvent], first_dropped: int) -> list[HistoryEvent]:
    """Leave out the actions from an ordinal on, with what they led to.

    Ids may be used again within a history, so a resolution belongs to the latest action of its id.
    """
    kept: list[HistoryEvent] = []
    ordinal = 0
    dropped: set[int | str] = set()
    for event in history:
        if type(event) in MATCHING:
            if ordinal >= first_dropped:
                dropped.add(_asking_id(event))
            else:
                dropped.discard(_asking_id(event))
                kept.append(event)
            ordinal += 1
        elif _resolved_id(event) not in dropped:
            kept.append(event)
    return kept


def _asking_id(event: Event) -> int | str:
    """Return what a resolution names: the id of the action, or that of the request."""
    if isinstance(event, EntityOperationCalled):
        return event.request_id
    return event.critical_section_id if isinstance(event, EntityLockRequested) else event.event_id


def _resolved_id(event: HistoryEvent) -> int | str | None:
    if isinstance(event, EntityOperationCompleted | EntityOperationFailed):
        return event.request_id
    if isinstance(event, EntityLockGranted):
        return event.critical_section_id
    if isinstance(
        event,
        TaskCompleted
        | TaskFailed
        | SubOrchestrationInstanceCompleted
        | SubOrchestrationInstanceFailed,
    ):
        return event.task_scheduled_id
    return event.timer_id if isinstance(event, TimerFired) else None
