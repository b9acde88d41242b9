"""Two steps of one instance as one: what need not be written twice.

An activity's result, the turn that consumes it and the tasks that the turn schedules are one
transaction: the result never becomes a row. :func:`merge` computes the decision that has the same
effect as its parts applied in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_app.taskhub.instance import (
    ActivityTask,
    Decision,
    Instance,
    Message,
    MessageId,
    RowChange,
    TaskKey,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable_app.protocol import HistoryEvent


def merge(parts: Sequence[Decision]) -> Decision:
    """One decision with the effect of ``parts``, all of one instance, in order.

    Messages posted by an earlier part and consumed by a later one appear nowhere; so do tasks
    that are finished before they were ever stored.
    """
    if len(parts) == 1:
        return parts[0]
    posted: dict[MessageId, Message] = {}
    queued: dict[TaskKey, ActivityTask] = {}
    consumed: list[MessageId] = []
    finished: list[TaskKey] = []
    births: list[Instance] = []
    for part in parts:
        posted.update((message.id, message) for message in part.messages)
        queued.update((task.key, task) for task in part.tasks)
        consumed += [i for i in part.consumed if posted.pop(i, None) is None]
        finished += [key for key in part.finished if queued.pop(key, None) is None]
        births.extend(part.births)
    instance, change, expected = _row(parts)
    history, replaces = _history(parts)
    return Decision(
        parts[0].instance_id,
        instance,
        change,
        expected,
        history,
        replaces,
        tuple(births),
        tuple(posted.values()),
        tuple(queued.values()),
        tuple(consumed),
        tuple(finished),
    )


def _row(parts: Sequence[Decision]) -> tuple[Instance | None, RowChange, int]:
    changes = [part for part in parts if part.instance is not None]
    if not changes:
        return None, RowChange.TOUCH, 0
    change = RowChange.TOUCH
    for part in changes:
        if part.change is RowChange.INSERT or change is RowChange.INSERT:
            change = RowChange.INSERT
        elif part.change is RowChange.REPLACE:
            change = RowChange.REPLACE
    return changes[-1].instance, change, changes[0].expected_revision


def _history(parts: Sequence[Decision]) -> tuple[tuple[HistoryEvent, ...], bool]:
    history: list[HistoryEvent] = []
    replaces = False
    for part in parts:
        if part.replaces_history:
            history.clear()
            replaces = True
        history.extend(part.history)
    return tuple(history), replaces
