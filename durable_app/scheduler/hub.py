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

from durable_app.errors import (
    SchedulerUnavailableError,
    StoreCorruptError,
    StoreUnavailableError,
)
from durable_app.ports import Mark, Store
from durable_app.scheduler.commits import Commits
from durable_app.scheduler.inputs import (
    READS,
    WRITES,
    Input,
)
from durable_app.scheduler.state import HubOptions, HubState
from durable_app.scheduler.steps import Steps
from durable_app.scheduler.workers_side import WorkersSide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durable_app.ports import Clock

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
        self._workers = WorkersSide(self.state, self.steps, self.commits)
        self._rules = self._workers.rules
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
            self._workers.give_up_task(exhausted[0], "its process died")
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
