"""Instances of an orchestration ``order`` and what happens to them, made by the hub's own rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count

from durable_app.protocol import (
    ActivityResponse,
    CompletionToken,
    OrchestrationStatus,
    OrchestratorResponse,
    ScheduleTask,
)
from durable_app.taskhub import activity
from durable_app.taskhub.delivery import Turn, make_turn, sort_inbox
from durable_app.taskhub.instance import (
    ActivityTask,
    Decision,
    Instance,
    Known,
    Message,
    OpenWork,
    RowChange,
)
from durable_app.taskhub.merge import merge
from durable_app.taskhub.orchestration import complete, start_message

NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: 47 bytes, as in the load benchmarks.
PAYLOAD = '{"k":"customer-000042","amount":1999,"ok":true}'


class Ids:
    """The sequence of a hub, without its clock and randomness."""

    def __init__(self) -> None:
        self.next_key = count(1).__next__
        self._executions = count(0)

    def execution_id(self) -> str:
        return f"{next(self._executions):032x}"


def schedule(instance_id: str, first: int, size: int = 1) -> OrchestratorResponse:
    """A turn's answer that asks for ``size`` activities, the first with this action id."""
    actions = tuple(ScheduleTask(first + i, "charge", None, PAYLOAD) for i in range(size))
    return OrchestratorResponse(instance_id, CompletionToken("i", first), actions)


def result(task: ActivityTask) -> ActivityResponse:
    instance = task.instance
    token = CompletionToken("a", task.key)
    return ActivityResponse(instance.instance_id, task.task_id, token, PAYLOAD)


def newborn(instance_id: str, ids: Ids) -> tuple[Known, Message]:
    """A pending instance and the message that starts it."""
    row = Instance(
        instance_id,
        ids.execution_id(),
        "order",
        OrchestrationStatus.PENDING,
        NOW,
        NOW,
        input=PAYLOAD,
    )
    start = start_message(row, NOW, ids)
    return Known(row, OpenWork(), [start]), start


def turn_of(known: Known, messages: Iterable[Message]) -> Turn:
    return make_turn(known.instance, sort_inbox(known.instance, known.work, messages).events, NOW)


def settle(known: Known, decision: Decision) -> None:
    """The decision was committed: the row is the new one."""
    if decision.instance is not None:
        known.instance = decision.instance


class Chain:
    """One instance that runs one activity after the other."""

    def __init__(self, instance_id: str, ids: Ids) -> None:
        self._ids = ids
        self._step = 1
        self._known, start = newborn(instance_id, ids)
        pending = Decision(instance_id, self._known.instance, RowChange.INSERT)
        self.birth = merge([pending, self._turn(start)])

    def step(self) -> Decision:
        """A result, the turn that it causes and the next task: one decision, as the hub does it."""
        finish = activity.finish(self._task, result(self._task), NOW, self._ids)
        return merge([finish, self._turn(*finish.messages)])

    def _turn(self, *messages: Message) -> Decision:
        known = self._known
        turn = turn_of(known, messages)
        answer = schedule(known.instance.instance_id, self._step, 1)
        decision = complete(known, turn, answer, NOW, self._ids)
        settle(known, decision)
        (self._task,) = decision.tasks
        self._step += 1
        return decision
