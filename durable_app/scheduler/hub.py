"""The owner of all mutable state of a task hub.

Theory of operation. One thread calls :meth:`Hub.handle` with whatever has arrived and then sleeps
for :meth:`Hub.wait_s`. One call is one *drain*:

1. take in the inputs: results become parts of their instances, requests are checked and posted;
2. step every instance that has something to do: control messages are carried out, a turn is made
   and handed to a worker where one has a slot;
3. commit, in one transaction, all parts that nothing carries: those of finished turns, and those
   that have waited for their turn too long;
4. only then act: answer clients, queue the activities, deliver messages to other instances.

A turn in flight may be based on parts that are not committed; its own decision is committed
together with them. Nothing that leaves the hub was not committed before.

What must never happen: two turns of one instance in flight; an effect of a step that is not
committed; state of a failed commit used again; a slot freed twice or never.
"""

from __future__ import annotations

import logging
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from durable_app.errors import (
    SchedulerUnavailableError,
    StoreCorruptError,
    StoreUnavailableError,
    UnsupportedOnHostError,
)
from durable_app.ports import Mark, Store
from durable_app.protocol import (
    ActivityResponse,
    EntityBatchResult,
    ExecutionCompleted,
    FailureDetails,
    OrchestrationStatus,
    OrchestratorResponse,
    StartNewOrchestration,
)
from durable_app.scheduler.commits import Commits
from durable_app.scheduler.hot import Hot, Part
from durable_app.scheduler.inputs import (
    READS,
    WRITES,
    Abandon,
    Connect,
    Decline,
    Disconnect,
    Input,
    Pause,
    PutBack,
    Results,
)
from durable_app.scheduler.state import HubOptions, HubState
from durable_app.scheduler.steps import Steps
from durable_app.scheduler.streams import Held, Stream
from durable_app.taskhub import activity
from durable_app.taskhub.delivery import Turn
from durable_app.taskhub.entities import EntityBatch, complete_batch, why_unstartable
from durable_app.taskhub.instance import ActivityTask, Decision
from durable_app.taskhub.orchestration import complete, end_execution

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durable_app.ports import Clock, WorkResult

_log = logging.getLogger(__name__)

#: With more instances than this waiting for a slot no further ones are woken.
_READY_LIMIT: Final = 2_000
#: With so many items in hands or waiting for some, a commit is shared by enough of them.
SATURATED: Final = 96
#: An item that a worker did not run is offered again after so long, and then ever more rarely.
_PUT_BACK: Final = timedelta(seconds=1)
_PUT_BACK_MOST: Final = timedelta(seconds=16)
_RETRY_FIRST_S: Final = 0.1
_RETRY_MOST_S: Final = 5.0


class Hub:
    """See the module's text. Not thread-safe: one owner calls it."""

    def __init__(self, store: Store, clock: Clock, options: HubOptions) -> None:
        """Nothing is opened yet."""
        self.state = HubState(store, clock, options)
        self.steps = Steps(self.state)
        self.commits = Commits(self.state, self.steps)
        self._rules: dict[type, Callable[[Any], None]] = {
            Results: self._on_results,
            Abandon: self._on_abandon,
            Decline: self._on_decline,
            PutBack: self._on_put_back,
            Connect: self._on_connect,
            Disconnect: self._on_disconnect,
            Pause: self._on_pause,
        }
        self._stuck_s = 0.0
        self._retry_at = 0.0
        self._deferred: list[Input] = []
        self._awake: deque[tuple[int, str]] = deque()

    def serve(self, rules: dict[type, Callable[[Any], None]]) -> None:
        """Let these rules handle inputs of these types."""
        self._rules.update(rules)

    # -- the drain ---------------------------------------------------------------------------

    def handle(self, inputs: Sequence[Input]) -> None:
        """One drain; see the module's text.

        Raises:
            StoreCorruptError: the hub cannot go on.
        """
        self.state.now = self.state.clock.now()
        was_stuck = self._stuck_s > 0
        if was_stuck and not self._unstick():
            self._turn_away(inputs)
            return
        waiting = [*self._deferred, *inputs]
        self._deferred = []
        try:
            self._take_in(waiting)
            self._wake()
            self._settle()
        except StoreUnavailableError as error:
            self._get_stuck(error)
        else:
            if was_stuck:
                self._stuck_s = 0.0
                _log.warning("The database of the task hub works again; nothing was lost.")
        self.commits.send_acks()

    def finish(self) -> None:
        """Write what rides with turns in flight, so that everybody has an answer; no more steps.

        Raises:
            StoreCorruptError: nothing can be written any more.
        """
        try:
            self.commits.collect(is_last=True)
            while not self.commits.is_empty:
                self.commits.commit()
                # What came too late for a turn that was to be committed then.
                self.commits.collect(is_last=True)
        except StoreUnavailableError as error:
            self.commits.refuse_all(error)
        self.commits.send_acks()
        refusal = SchedulerUnavailableError("The task hub has stopped.")
        for item in self._deferred:
            if isinstance(item, (*WRITES, *READS)):
                item.reply.reject(refusal)

    def _take_in(self, inputs: Sequence[Input]) -> None:
        for number, item in enumerate(inputs):
            try:
                self._rules[type(item)](item)
            except StoreUnavailableError as error:
                if isinstance(item, (*WRITES, *READS)):
                    item.reply.reject(error)
                    number += 1  # noqa: PLW2901  this one has its answer; the others come later
                self._deferred += inputs[number:]
                raise
            except StoreCorruptError:
                raise
            except Exception as error:
                if not isinstance(item, (*WRITES, *READS)):
                    raise
                # No rule foresaw this request. Its client is told; the others' work goes on.
                _log.exception("A request could not be handled: %s", type(item).__name__)
                item.reply.reject(error)

    @property
    def is_saturated(self) -> bool:
        """True while there is enough under way to fill commits."""
        return self.state.streams.in_flight + len(self.state.backlog) >= SATURATED

    def wait_s(self) -> float | None:
        """Seconds until there is something to do without an input; None for never."""
        state = self.state
        if self._stuck_s:
            return max(0.0, self._retry_at - state.clock.monotonic())
        ride = self.commits.ride_left_s()
        waits = [wait for wait in (ride, state.quarantine.opens_in_s) if wait is not None]
        moments = [state.backlog.next_due()]
        if self.steps.ready_count <= _READY_LIMIT:
            moments.append(state.wakeups.next())
        now = state.clock.now()
        waits += [(moment - now).total_seconds() for moment in moments if moment is not None]
        return max(0.0, min(waits)) if waits else None

    def _settle(self) -> None:
        """Step, commit and act until nothing is left to do."""
        while True:
            if self.commits.is_empty:
                self.state.quarantine.settle()
            self.steps.run()
            self._mark_turns()
            self._dispatch_tasks()
            # Workers begin while the commit waits for the disk.
            self.state.streams.flush()
            self.commits.collect()
            if self.commits.is_empty:
                break
            self.commits.commit()
        self.state.cache.trim()

    def _mark_turns(self) -> None:
        # All in one transaction, and before any of them leaves with the flush.
        if self.steps.recovered:
            self.state.store.mark(Mark.INSTANCE, self.steps.recovered)
            self.steps.recovered = []

    def _dispatch_tasks(self) -> None:
        state = self.state
        sent = state.backlog.dispatch(state.now)
        recovered = [task.key for task in sent if task.key <= state.recovered_key]
        if recovered:
            state.store.mark(Mark.TASK, recovered)
        exhausted = state.backlog.exhausted
        while exhausted:
            self._give_up_task(exhausted[0], "its process died")
            exhausted.popleft()

    def _wake(self) -> None:
        state = self.state
        self._awake += ((0, instance_id) for instance_id in state.wakeups.due_alarms(state.now))
        if self.steps.ready_count <= _READY_LIMIT:
            self._awake += state.wakeups.due_messages(state.now)
        while self._awake:
            message_id, instance_id = self._awake[0]
            hot = state.find(instance_id)
            if hot is not None:
                hot.mature(message_id)
                state.touch(hot)
            elif message_id:
                state.store.orphans([message_id])
            self._awake.popleft()

    # -- a store that refuses ----------------------------------------------------------------

    def _get_stuck(self, error: StoreUnavailableError) -> None:
        """Nothing can be written: keep what is decided, refuse what is new, try again later."""
        if not self._stuck_s:
            _log.error("%s New requests are refused until it works again.", error)
        self.commits.refuse_unborn(error)
        self._stuck_s = min(max(self._stuck_s * 2, _RETRY_FIRST_S), _RETRY_MOST_S)
        self._retry_at = self.state.clock.monotonic() + self._stuck_s

    def _unstick(self) -> bool:
        """Try the commit again; True where nothing speaks against going on."""
        if self.state.clock.monotonic() < self._retry_at:
            return False
        try:
            if not self.commits.is_empty:
                self.commits.commit()
        except StoreUnavailableError as error:
            self._get_stuck(error)
            return False
        return True

    def _turn_away(self, inputs: Sequence[Input]) -> None:
        """Refuse writes, answer reads, keep everything else for later."""
        refusal = StoreUnavailableError(
            "The task hub cannot write to its database at the moment; nothing was changed."
            " Mend its disk and try again."
        )
        for item in inputs:
            if isinstance(item, WRITES):
                item.reply.reject(refusal)
            elif isinstance(item, READS):
                try:
                    self._rules[type(item)](item)
                except StoreUnavailableError as error:
                    item.reply.reject(error)
            else:
                self._deferred.append(item)

    # -- what comes from workers -------------------------------------------------------------

    def _on_connect(self, item: Connect) -> None:
        stream = Stream(
            item.stream_id,
            item.sink,
            item.capacity,
            item.only,
            whole_history=item.whole_history,
        )
        self.state.streams.connect(stream)
        self.state.backlog.workers_changed()
        self.steps.workers_changed()

    def _on_pause(self, item: Pause) -> None:
        self.state.streams.pause(item.stream_id)

    def _on_disconnect(self, item: Disconnect) -> None:
        state = self.state
        for held in state.streams.disconnect(item.stream_id):
            if held.task is not None:
                state.backlog.give_back(held.task, state.now)
                continue
            hot = state.cache.get(held.instance_id)
            if hot is not None:
                hot.turn = hot.token = None
                state.touch(hot)

    def _on_results(self, item: Results) -> None:
        for result in item.results:
            held = self.state.streams.held(result.token)
            if held is None:
                self._on_late_result(result)
                continue
            if not held.fits(result):
                continue  # it would free the slot of something that goes on
            # Before the slot is freed: where the store cannot be read, the result comes again.
            hot = self.state.find(held.instance_id)
            if isinstance(result, OrchestratorResponse) and result.requires_history:
                self._send_again(hot, held, result)
            self.state.streams.release(result.token)
            self.state.completed[type(result)] += 1
            if held.task is not None and isinstance(result, ActivityResponse):
                self.state.backlog.finished(held.task)
                decision = activity.finish(held.task, result, self.state.now, self.state.ids)
                self._resolve(hot, held.task, decision)
            elif isinstance(result, OrchestratorResponse) and hot is not None:
                self._turn_done(hot, result)
            elif isinstance(result, EntityBatchResult) and hot is not None:
                self._batch_done(hot, result)

    def _on_late_result(self, result: WorkResult) -> None:
        """One for a stream that has ended: an activity that is done needs not run once more."""
        task = self.state.streams.late(result.token)
        if task is not None and isinstance(result, ActivityResponse):
            hot = self.state.find(task.instance.instance_id)
            self.state.backlog.discard(task.key)
            # Where another worker was quicker the schedule is resolved, and this changes nothing.
            self._resolve(hot, task, activity.finish(task, result, self.state.now, self.state.ids))

    def _resolve(self, hot: Hot | None, task: ActivityTask, decision: Decision) -> None:
        wanted = (
            hot is not None
            and hot.instance.execution_id == task.instance.execution_id
            and not hot.instance.is_terminal
        )
        if hot is None or not wanted:
            self.commits.add_loose(Decision(decision.instance_id, finished=decision.finished))
            return
        self.steps.decide(hot, decision, task=task)

    def _give_up_task(self, task: ActivityTask, reason: str) -> None:
        hot = self.state.find(task.instance.instance_id)
        self.state.backlog.finished(task)
        decision = activity.give_up(task, reason, self.state.now, self.state.ids)
        self._resolve(hot, task, decision)

    def _send_again(self, hot: Hot | None, held: Held, result: OrchestratorResponse) -> None:
        """The worker does not hold the execution (any more): give it the whole history."""
        if hot is not None and isinstance(hot.turn, Turn) and hot.token == result.token:
            self.steps.send_turn(hot, hot.turn, held.stream, with_history=True)

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
            self.steps.postpone(hot, reason)
            return
        state = self.state
        decision = complete_batch(hot.instance, batch, result, state.now, state.ids)
        for action in result.actions:
            if isinstance(action, StartNewOrchestration) and (why := why_unstartable(action)):
                _log.error("A start by entity %s is dropped: %s", hot.instance_id, why)
        self._commit_turn(hot, decision)

    def _commit_turn(self, hot: Hot, decision: Decision) -> None:
        hot.put_backs = 0
        hot.apply(decision, self.state.now)
        part = Part(decision, self.state.clock.monotonic())
        self.commits.add_turn(hot, [*hot.take_settled_parts(), part])

    def _decide(self, hot: Hot, turn: Turn, response: OrchestratorResponse) -> Decision:
        state = self.state
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
        held = self.state.streams.held(item.token)
        if held is None:
            return
        if held.task is not None:
            self._task_abandoned(held.task, item.reason)
        self.state.streams.release(item.token)
        if held.task is not None:
            return
        hot = self.state.cache.get(held.instance_id)
        if hot is not None and hot.token == item.token:
            hot.turn = hot.token = None
            self.steps.postpone(hot, item.reason)

    def _on_decline(self, item: Decline) -> None:
        held = self.state.streams.release(item.token)
        hot = None if held is None else self.state.cache.get(held.instance_id)
        if held is not None and hot is not None and hot.token == item.token:
            hot.turn = hot.token = None
            hot.declined_by |= {held.stream.id}
            self.state.touch(hot)

    def _on_put_back(self, item: PutBack) -> None:
        state = self.state
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
            hot.put_backs += 1
            wait = min(activity.back_off(hot.put_backs), _PUT_BACK_MOST)
            hot.not_before = state.now + wait
            state.touch(hot)

    def _task_abandoned(self, task: ActivityTask, reason: str) -> None:
        later = activity.postponed(task, self.state.now)
        if self.state.quarantine.is_spent(later.attempts):
            self._give_up_task(later, reason)
            return
        self.state.store.postpone(later)
        self.state.backlog.give_back(later, self.state.now)
