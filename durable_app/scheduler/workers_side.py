"""What workers send: that they are there, and what came of the items that they were given."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from durable_app.errors import UnsupportedOnHostError
from durable_app.protocol import (
    ActivityResponse,
    EntityBatchResult,
    ExecutionCompleted,
    FailureDetails,
    OrchestrationStatus,
    OrchestratorResponse,
    StartNewOrchestration,
)
from durable_app.scheduler.hot import Hot, Part
from durable_app.scheduler.inputs import (
    Abandon,
    Connect,
    Decline,
    Disconnect,
    Pause,
    PutBack,
    Results,
)
from durable_app.scheduler.streams import Held, Stream
from durable_app.taskhub import activity, lifecycle
from durable_app.taskhub.delivery import Turn
from durable_app.taskhub.entities import EntityBatch, complete_batch, why_unstartable
from durable_app.taskhub.instance import ActivityTask, Decision
from durable_app.taskhub.orchestration import complete, end_execution

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.ports import WorkResult
    from durable_app.scheduler.commits import Commits
    from durable_app.scheduler.state import HubState
    from durable_app.scheduler.steps import Steps

_log = logging.getLogger(__name__)

#: An item that a worker did not run is offered again after so long, and then ever more rarely.
_PUT_BACK: Final = timedelta(seconds=1)
_PUT_BACK_MOST: Final = timedelta(seconds=16)


class WorkersSide:
    """Carries out what workers send, for one hub."""

    def __init__(self, state: HubState, steps: Steps, commits: Commits) -> None:
        """Nobody is connected."""
        self._state = state
        self._steps = steps
        self._commits = commits

    @property
    def rules(self) -> dict[type, Callable[[Any], None]]:
        """What to do with each kind of input."""
        return {
            Results: self._on_results,
            Abandon: self._on_abandon,
            Decline: self._on_decline,
            PutBack: self._on_put_back,
            Connect: self._on_connect,
            Disconnect: self._on_disconnect,
            Pause: self._on_pause,
        }

    def _on_connect(self, item: Connect) -> None:
        stream = Stream(
            item.stream_id,
            item.sink,
            item.capacity,
            item.only,
            whole_history=item.whole_history,
        )
        self._state.streams.connect(stream)
        self._state.backlog.workers_changed()
        self._steps.workers_changed()

    def _on_pause(self, item: Pause) -> None:
        self._state.streams.pause(item.stream_id)

    def _on_disconnect(self, item: Disconnect) -> None:
        state = self._state
        if item.is_lost:
            # First what the store may refuse: then the stream is still here when this comes again.
            for task in state.streams.tasks_of(item.stream_id):
                state.store.postpone(activity.lost(task))
            state.quarantine.recover(state.now)
        for held in state.streams.disconnect(item.stream_id):
            if held.task is not None:
                task = activity.lost(held.task) if item.is_lost else held.task
                state.backlog.give_back(task, state.now)
                continue
            hot = state.cache.get(held.instance_id)
            if hot is not None:
                hot.turn = hot.token = None
                if item.is_lost:
                    self._steps.decide(hot, lifecycle.lost(hot.instance))
                state.touch(hot)

    def _on_results(self, item: Results) -> None:
        for result in item.results:
            held = self._state.streams.held(result.token)
            if held is None:
                self._on_late_result(result)
                continue
            if not held.fits(result):
                continue  # it would free the slot of something that goes on
            # Before the slot is freed: where the store cannot be read, the result comes again.
            hot = self._state.find(held.instance_id)
            if isinstance(result, OrchestratorResponse) and result.requires_history:
                self._send_again(hot, held, result)
            self._state.streams.release(result.token)
            self._state.completed[type(result)] += 1
            if held.task is not None and isinstance(result, ActivityResponse):
                self._state.backlog.finished(held.task)
                decision = activity.finish(held.task, result, self._state.now, self._state.ids)
                self._resolve(hot, held.task, decision)
            elif isinstance(result, OrchestratorResponse) and hot is not None:
                self._turn_done(hot, result)
            elif isinstance(result, EntityBatchResult) and hot is not None:
                self._batch_done(hot, result)

    def _on_late_result(self, result: WorkResult) -> None:
        """One for a stream that has ended: an activity that is done needs not run once more."""
        task = self._state.streams.late(result.token)
        if task is not None and isinstance(result, ActivityResponse):
            hot = self._state.find(task.instance.instance_id)
            # Where another worker was quicker the schedule is resolved, and this changes nothing.
            decision = activity.finish(task, result, self._state.now, self._state.ids)
            self._resolve(hot, task, decision, is_late=True)

    def _resolve(
        self, hot: Hot | None, task: ActivityTask, decision: Decision, *, is_late: bool = False
    ) -> None:
        wanted = (
            hot is not None
            and hot.instance.execution_id == task.instance.execution_id
            and not hot.instance.is_terminal
        )
        if hot is None or not wanted:
            if is_late:
                self._state.backlog.discard(task.key)
            self._commits.add_loose(Decision(decision.instance_id, finished=decision.finished))
            return
        # A task whose result is late waits for a slot, or has got one, once more. It is discarded
        # when the result is committed, and not given back where the commit fails.
        self._steps.decide(hot, decision, task=None if is_late else task)

    def give_up_task(self, task: ActivityTask, reason: str) -> None:
        """An activity was lost too often: it fails."""
        hot = self._state.find(task.instance.instance_id)
        self._state.backlog.finished(task)
        decision = activity.give_up(task, reason, self._state.now, self._state.ids)
        self._resolve(hot, task, decision)

    def _send_again(self, hot: Hot | None, held: Held, result: OrchestratorResponse) -> None:
        """The worker does not hold the execution (any more): give it the whole history."""
        if hot is not None and isinstance(hot.turn, Turn) and hot.token == result.token:
            self._steps.send_turn(hot, hot.turn, held.stream, with_history=True)

    def _turn_done(self, hot: Hot, response: OrchestratorResponse) -> None:
        if not isinstance(hot.turn, Turn) or hot.token != response.token:
            return
        turn, hot.turn, hot.token = hot.turn, None, None
        self._commit_turn(hot, self._decide(hot, turn, response))

    def _batch_done(self, hot: Hot, result: EntityBatchResult) -> None:
        if not isinstance(hot.turn, EntityBatch) or hot.token != result.token:
            return
        batch, hot.turn, hot.token = hot.turn, None, None
        if result.failure is not None or not result.results:
            failure = result.failure
            reason = failure.error_message if failure is not None else "it had no results"
            self._steps.postpone(hot, reason)
            return
        state = self._state
        decision = complete_batch(hot.instance, batch, result, state.now, state.ids)
        for action in result.actions:
            if isinstance(action, StartNewOrchestration) and (why := why_unstartable(action)):
                _log.error("A start by entity %s is dropped: %s", hot.instance_id, why)
        self._commit_turn(hot, decision)

    def _commit_turn(self, hot: Hot, decision: Decision) -> None:
        hot.put_backs = 0
        hot.put_back_by = frozenset()
        hot.apply(decision, self._state.now)
        part = Part(decision, self._state.clock.monotonic())
        self._commits.add_turn(hot, [*hot.take_settled_parts(), part])

    def _decide(self, hot: Hot, turn: Turn, response: OrchestratorResponse) -> Decision:
        state = self._state
        known = hot.known
        try:
            return complete(known, turn, response, state.now, state.ids)
        except UnsupportedOnHostError as error:
            failure = FailureDetails("UnsupportedOnHostError", str(error))
            last = ExecutionCompleted(-1, state.now, OrchestrationStatus.FAILED, None, failure)
            ended = end_execution(known, last, state.now, state.ids, turn.events)
            consumed = tuple(dict.fromkeys((*turn.messages, *ended.consumed)))
            return msgspec.structs.replace(ended, consumed=consumed)

    def _on_abandon(self, item: Abandon) -> None:
        held = self._state.streams.held(item.token)
        if held is None:
            return
        if held.task is not None:
            self._task_abandoned(held.task, item.reason)
        self._state.streams.release(item.token)
        if held.task is not None:
            return
        hot = self._state.cache.get(held.instance_id)
        if hot is not None and hot.token == item.token:
            hot.turn = hot.token = None
            self._steps.postpone(hot, item.reason)

    def _on_decline(self, item: Decline) -> None:
        held = self._state.streams.release(item.token)
        hot = None if held is None else self._state.cache.get(held.instance_id)
        if held is not None and hot is not None and hot.token == item.token:
            hot.turn = hot.token = None
            hot.declined_by |= {held.stream.id}
            self._state.touch(hot)

    def _on_put_back(self, item: PutBack) -> None:
        state = self._state
        held = state.streams.release(item.token)
        if held is None:
            return
        if held.task is not None:
            later = msgspec.structs.replace(held.task, not_before=state.now + _PUT_BACK)
            state.backlog.give_back(later, state.now)
            return
        hot = state.cache.get(held.instance_id)
        if hot is not None and hot.token == item.token:
            hot.turn = hot.token = None
            hot.put_back_by |= {held.stream.id}
            if self._steps.passed_over(hot) == hot.declined_by:
                # All that take it have seen it: one of them gets it again, in a while.
                hot.put_backs += 1
                wait = min(activity.back_off(hot.put_backs), _PUT_BACK_MOST)
                hot.not_before = state.now + wait
            state.touch(hot)

    def _task_abandoned(self, task: ActivityTask, reason: str) -> None:
        later = activity.postponed(task, self._state.now)
        if self._state.quarantine.is_spent(later.attempts):
            self.give_up_task(later, reason)
            return
        self._state.store.postpone(later)
        self._state.backlog.give_back(later, self._state.now)
