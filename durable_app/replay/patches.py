"""Patches: changed code beside the old one, for executions that have begun before the change.

Theory of operation. ``context.is_patched("id")`` answers once per execution. It says yes where the
code comes to that place for the first time, and writes that into history as a marker: a call of an
activity whose name tells the patch, which hubs and workers answer by themselves. In a replay the
marker is what counts: an execution that went by that place without one did so before the patch, and
goes on with the old code.

A place is new unless history shows that a later turn has begun: that turn's predecessor was here.

What must never happen: the answer depends on where a history was cut, or on who asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable_app.protocol import PATCH_MARKER, ScheduleTask, TaskScheduled
from durable_app.replay.tasks import ActivityTask

if TYPE_CHECKING:
    from durable_app.replay.chronicle import Chronicle
    from durable_app.replay.context import OrchestrationContext


class Patches:
    """The answers that one execution has got; see ``ReplayEnv.patches`` for those it has before."""

    __slots__ = ("_answers", "_chronicle", "_known")

    def __init__(self, chronicle: Chronicle, known: frozenset[str] | None) -> None:
        self._chronicle = chronicle
        self._known = known
        self._answers: dict[str, bool] = {}

    def ask(self, patch_id: str, context: OrchestrationContext) -> bool:
        """Tell whether the execution runs the patched code."""
        answer = self._answers.get(patch_id)
        if answer is None:
            name = PATCH_MARKER + patch_id
            if self._known is None:
                answer = self._is_marked(name) or not self._chronicle.is_old
            else:
                answer = patch_id in self._known
            self._answers[patch_id] = answer
            if answer:
                _mark(name, context)
        return answer

    def _is_marked(self, name: str) -> bool:
        return any(
            type(event) is TaskScheduled and event.name == name
            for event in self._chronicle.everything()
        )


def _mark(name: str, context: OrchestrationContext) -> None:
    task: ActivityTask[Any] = ActivityTask(context, Any)
    ledger = context._ledger  # noqa: SLF001  a task and its context are one
    task.action = ScheduleTask(ledger.next_id, name)
    # At the call in every mode: nobody yields it.
    ledger.place(task)
