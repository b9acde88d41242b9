"""What follows from the outcome of an activity."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from durable_app.protocol import (
    ActivityResponse,
    FailureDetails,
    HistoryEvent,
    TaskCompleted,
    TaskFailed,
)
from durable_app.taskhub.instance import (
    ActivityTask,
    Decision,
    Ids,
    Message,
    MessageId,
)


def finish(task: ActivityTask, response: ActivityResponse, now: datetime, ids: Ids) -> Decision:
    """The task leaves the queue and its outcome is posted to the orchestration."""
    event: HistoryEvent
    if response.failure is not None:
        event = TaskFailed(-1, now, task.task_id, response.failure)
    else:
        event = TaskCompleted(-1, now, task.task_id, response.result)
    return _resolve(task, event, now, ids)


def give_up(task: ActivityTask, reason: str, now: datetime, ids: Ids) -> Decision:
    """The task was lost too often: it fails, so that its orchestration can go on."""
    failure = FailureDetails(
        "PoisonedActivity",
        f"Activity '{task.name}' was given up after {task.attempts} attempts that ended without"
        f" a result; the last one: {reason}",
    )
    return _resolve(task, TaskFailed(-1, now, task.task_id, failure), now, ids)


def lost(task: ActivityTask) -> ActivityTask:
    """The task after its worker's process has died: one attempt is lost, and nothing to wait for.

    Whether it is to blame nobody knows yet.
    """
    return msgspec.structs.replace(task, attempts=task.attempts + 1)


def postponed(task: ActivityTask, now: datetime) -> ActivityTask:
    """The task after one more lost attempt, not to be tried before a back-off."""
    attempts = task.attempts + 1
    return msgspec.structs.replace(task, attempts=attempts, not_before=now + back_off(attempts))


def back_off(attempts: int) -> timedelta:
    """Wait after ``attempts`` >= 1 lost attempts in a row: 1, 2, 4 ... at most 60 seconds."""
    # The exponent is bounded first: a large power of a float overflows.
    return timedelta(seconds=min(2.0 ** min(attempts - 1, 6), 60.0))


def _resolve(task: ActivityTask, event: HistoryEvent, now: datetime, ids: Ids) -> Decision:
    message = Message(
        MessageId(ids.next_key()),
        task.instance.instance_id,
        task.instance.execution_id,
        event,
        now,
        task.key,
    )
    return Decision(task.instance.instance_id, messages=(message,), finished=(task.key,))
