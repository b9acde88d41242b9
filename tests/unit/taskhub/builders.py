"""Values of the task hub's rules with everything filled in; keywords override."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from durable_app.protocol import (
    CompleteOrchestration,
    CompletionToken,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestratorAction,
    OrchestratorResponse,
    OrchestratorStarted,
    ParentInstance,
)
from durable_app.taskhub.delivery import Turn
from durable_app.taskhub.instance import (
    ActivityTask,
    Instance,
    Known,
    Message,
    MessageId,
    OpenWork,
    TaskKey,
)

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
EXECUTION = "e" * 32
OLD_EXECUTION = "d" * 32
PARENT_EXECUTION = "a" * 32

_ids = count(1)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class CountingIds:
    """Keys from 1,000 and execution ids f000..., each once."""

    def __init__(self, first: int = 1_000) -> None:
        self._keys = count(first)
        self._executions = count(0xF << 124)

    def next_key(self) -> int:
        return next(self._keys)

    def execution_id(self) -> str:
        return f"{next(self._executions):032x}"


def a_row(**changes: Any) -> Instance:
    """A running instance that has had its first turn."""
    values: dict[str, Any] = {
        "instance_id": "order-1",
        "execution_id": EXECUTION,
        "name": "order",
        "status": OrchestrationStatus.RUNNING,
        "created_at": NOW,
        "updated_at": NOW,
        "input": '"in"',
        "history_count": 2,
        "revision": 1,
    }
    return Instance(**{**values, **changes})


def a_pending_row(**changes: Any) -> Instance:
    """An instance before its first turn."""
    pending = {"status": OrchestrationStatus.PENDING, "history_count": 0, "revision": 0}
    return a_row(**{**pending, **changes})


def a_failed_row(**changes: Any) -> Instance:
    failed = {"status": OrchestrationStatus.FAILED, "completed_at": NOW, "history_count": 5}
    return a_row(**{**failed, **changes})


def a_parent(**changes: Any) -> ParentInstance:
    values: dict[str, Any] = {
        "task_scheduled_id": 3,
        "instance": OrchestrationInstance("parent-1", PARENT_EXECUTION),
        "name": "parent",
        "key": 77,
    }
    return ParentInstance(**{**values, **changes})


def a_message(event: HistoryEvent, **changes: Any) -> Message:
    """A message for any execution of order-1."""
    values: dict[str, Any] = {
        "id": MessageId(next(_ids)),
        "instance_id": "order-1",
        "execution_id": None,
        "event": event,
        "visible_at": NOW,
    }
    return Message(**{**values, **changes})


def an_own_message(event: HistoryEvent, key: int = 0, **changes: Any) -> Message:
    """A message for the present execution of order-1."""
    return a_message(event, **{"execution_id": EXECUTION, "key": key, **changes})


def a_start(row: Instance | None = None, **changes: Any) -> Message:
    """The message that starts a row."""
    row = row or a_pending_row()
    event = ExecutionStarted(
        0,
        NOW,
        row.name,
        row.version,
        row.input,
        row.as_reference,
        row.parent,
        tags=row.tags,
    )
    addressed = {"instance_id": row.instance_id, "execution_id": row.execution_id}
    return a_message(event, **{**addressed, **changes})


def a_task(**changes: Any) -> ActivityTask:
    values: dict[str, Any] = {
        "key": TaskKey(10),
        "instance": OrchestrationInstance("order-1", EXECUTION),
        "task_id": 1,
        "name": "charge",
        "input": '"in"',
    }
    return ActivityTask(**{**values, **changes})


def known(
    row: Instance | None = None,
    *inbox: Message,
    history: tuple[HistoryEvent, ...] = (),
) -> Known:
    """What a rule knows; the open work is what ``history`` leaves open."""
    return Known(row or a_row(), OpenWork.of(history), list(inbox))


def a_turn(*events: HistoryEvent | Message, row: Instance | None = None) -> Turn:
    """A turn with these events; messages are consumed by it."""
    row = row or a_row()
    messages = tuple(e.id for e in events if isinstance(e, Message))
    carried = tuple(e.event if isinstance(e, Message) else e for e in events)
    started = OrchestratorStarted(timestamp=NOW)
    return Turn(row.instance_id, row.execution_id, (started, *carried), messages)


def a_response(*actions: OrchestratorAction, **changes: Any) -> OrchestratorResponse:
    values: dict[str, Any] = {
        "instance_id": "order-1",
        "token": CompletionToken("i:order-1", 1),
        "actions": actions,
    }
    return OrchestratorResponse(**{**values, **changes})


def completed(result: str | None = '"out"', action_id: int = 9) -> CompleteOrchestration:
    return CompleteOrchestration(action_id, OrchestrationStatus.COMPLETED, result)


def continued(result: str | None = '"next"', **changes: Any) -> CompleteOrchestration:
    return CompleteOrchestration(9, OrchestrationStatus.CONTINUED_AS_NEW, result, **changes)
