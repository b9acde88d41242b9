"""Simulated workers: they take items, think for a while, and answer, or do not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from durable_app.errors import StoreUnavailableError
from durable_app.ports import Capacity, WorkFilter
from durable_app.protocol import (
    ActivityRequest,
    ActivityResponse,
    CompleteOrchestration,
    CompletionToken,
    EntityBatchResult,
    EntityRequest,
    FailureDetails,
    HistoryEvent,
    OrchestratorRequest,
    OrchestratorResponse,
)
from durable_app.scheduler.inputs import Abandon, Connect, Disconnect, Results
from tests.simulation.accounts import run_batch
from tests.simulation.invariants import ViolationError
from tests.simulation.programs import Execution, is_rewind, rewind

if TYPE_CHECKING:
    from tests.simulation.world import World

Response = OrchestratorResponse | ActivityResponse | EntityBatchResult


class SimWorker:
    """One worker process. Implements ``ports.WorkSink``; a connection is one stream id."""

    def __init__(self, world: World, rng: Random, name: str) -> None:
        self.world = world
        self.name = name
        self._rng = rng
        self._capacity = Capacity(rng.randint(1, 3), rng.randint(1, 4), rng.randint(1, 3))
        self._warm: dict[str, tuple[str, Execution]] = {}
        self.stream_id: int | None = None
        self._busy: dict[CompletionToken, Any] = {}

    # -- the connection ----------------------------------------------------------------------

    def connect(self) -> None:
        """Come (back)."""
        if self.stream_id is None:
            self.stream_id = self.world.new_stream_id()
            self.world.post(Connect(self.stream_id, self, self._capacity, WorkFilter()))

    def disconnect(self) -> None:
        """Go away, and come back later; what is being worked on goes on."""
        if self.stream_id is None:
            return
        self.world.post(Disconnect(self.stream_id))
        self.broken()

    def broken(self) -> None:
        """The connection is gone."""
        self.stream_id = None
        # Turns may be given to somebody else now: what is warm here is no longer the truth.
        self._warm.clear()
        busy, self._busy = self._busy, {}
        for item in busy.values():
            if self.world.faults.happens("answer of an earlier connection", 0.5):
                delay = self._rng.uniform(0, 3)
                self.world.later(delay, lambda item=item: self._answer(item, -1), "earlier")  # type: ignore[misc]  # the default binds the item
        self.world.later(self._rng.uniform(0, 2), self.connect, "connect")

    # -- what the hub calls ------------------------------------------------------------------

    def push(self, items: Sequence[Any]) -> None:
        faults = self.world.faults
        faults.point("at a dispatch")
        for item in items:
            self.world.checker.dispatched(item, self.world.hub)
            self._take(item)

    def forget(self, instance_id: str) -> None:
        self._warm.pop(instance_id, None)

    # -- thinking ----------------------------------------------------------------------------

    def _take(self, item: Any) -> None:
        faults, rng, stream_id = self.world.faults, self._rng, self.stream_id
        delay = rng.choice((0.0, 0.0, 0.002, rng.uniform(0, 0.05)))
        if isinstance(item, ActivityRequest) and item.name == "slow":
            delay = rng.uniform(0.5, 4)
        if isinstance(item, EntityRequest) and any(o.operation == "slow" for o in item.operations):
            delay = rng.uniform(0.2, 2)
        self._busy[item.token] = item
        if isinstance(item, ActivityRequest) and item.name == "poison":
            self.world.later(delay, lambda: self._abandon(item.token, "poison"), "poison")
        elif faults.happens("item lost", 0.01):
            # It never answers; its worker is found dead after a while.
            self.world.later(rng.uniform(1, 5), self.disconnect, "found dead")
            if rng.random() < 0.5:
                faults.count("answer after the end")
                late = rng.uniform(3, 20)
                self.world.later(late, lambda: self._answer(item, stream_id), "too late")
        elif self.world.may_abandon(item) and faults.happens("abandon", 0.02):
            self.world.later(delay, lambda: self._abandon(item.token, "not today"), "abandon")
        else:
            if faults.happens("late answer", 0.03):
                delay += rng.uniform(1, 30)
            self.world.later(delay, lambda: self._answer(item, stream_id), "answer")

    def _abandon(self, token: CompletionToken, reason: str) -> None:
        self._busy.pop(token, None)
        self.world.post(Abandon(token, reason))

    def _answer(self, item: Any, stream_id: int | None) -> None:
        self._busy.pop(item.token, None)
        response: Response | None
        if isinstance(item, ActivityRequest):
            # Poison has no answer, late ones of an earlier connection included: these count.
            response = self._run_activity(item) if item.name != "poison" else None
        elif isinstance(item, EntityRequest):
            response = self._run_batch(item)
        else:
            response = self._run_turn(item, is_connected=stream_id == self.stream_id)
        if response is None:
            self._abandon(item.token, "it cannot be carried out")
            return
        self.world.post(Results([response]))
        if self.world.faults.happens("answer sent twice", 0.03):
            delay = self._rng.choice((0.0, 0.0, 1.0))
            again: Results = Results([response])
            self.world.later(delay, lambda: self.world.post(again), "twice")

    def _run_activity(self, item: ActivityRequest) -> ActivityResponse:
        value = json.loads(item.input or "null")
        failure = None
        if item.name == "fail":
            failure = FailureDetails("Wanted", "as the program says")
        elif item.name == "gate" and value not in self.world.open_gates:
            failure = FailureDetails("GateClosed", "not yet")
            if self.world.faults.is_on:
                delay = self._rng.uniform(0.1, 1)
                self.world.later(delay, self.world.clients.mend, "mend a gate")
        result = None if failure else item.input
        instance_id = item.instance.instance_id
        return ActivityResponse(instance_id, item.task_id, item.token, result, failure)

    def _run_batch(self, item: EntityRequest) -> EntityBatchResult | None:
        most = len(item.operations)
        if self._rng.random() < 0.2:
            most = self._rng.randint(1, most)
        result = run_batch(item, most, self.world.clock.now())
        if result is not None and len(result.results) < len(item.operations):
            self.world.counts["step part of a batch"] += 1
        if len(item.operations) > 1:
            self.world.counts["step batch of several"] += 1
        if self.world.may_abandon(item) and self.world.faults.happens("failed batch", 0.02):
            failure = FailureDetails("Broken", "the whole batch")
            return EntityBatchResult(item.token, (), failure=failure)
        return result

    # -- orchestrators -----------------------------------------------------------------------

    def _run_turn(
        self, item: OrchestratorRequest, *, is_connected: bool
    ) -> OrchestratorResponse | None:
        new = list(item.new_events)
        warm = self._take_warm(item) if is_connected else None
        try:
            past = self._past(item, can_ask=warm is None)
        except StoreUnavailableError:
            return None
        if past is None:
            return OrchestratorResponse(item.instance_id, item.token, (), requires_history=True)
        if is_rewind(new):
            self.world.counts["step rewind"] += 1
            return OrchestratorResponse(item.instance_id, item.token, rewind(past, new))
        execution = Execution()
        # An end that is not in the history was taken back by a rewind: it is still wanted.
        ends = [a for a in execution.feed(past) if isinstance(a, CompleteOrchestration)]
        actions = [*ends, *execution.feed(new)]
        if warm is not None and warm.fed == item.past_count:
            self.world.counts["step warm turn"] += 1
            if list(warm.feed(new)) != actions:
                raise ViolationError(f"{item.instance_id}: warm and cold disagree")
            execution = warm
        if any(getattr(a, "carryover_events", ()) for a in actions):
            self.world.clients.one_more(item.instance_id, actions[-1])
        if is_connected:
            self._keep(item, execution, actions)
        status = execution.custom_status
        return OrchestratorResponse(item.instance_id, item.token, actions, status)

    def _take_warm(self, item: OrchestratorRequest) -> Execution | None:
        execution_id, execution = self._warm.pop(item.instance_id, ("", None))
        if execution_id != item.execution_id or self._rng.random() < 0.2:
            return None
        return execution

    def _keep(self, item: OrchestratorRequest, execution: Execution, actions: list[Any]) -> None:
        if any(isinstance(a, CompleteOrchestration) for a in actions):
            return
        # The events that record the actions: an execution does not listen to them.
        execution.fed = item.past_count + len(item.new_events) + len(actions)
        self._warm[item.instance_id] = (item.execution_id, execution)

    def _past(self, item: OrchestratorRequest, *, can_ask: bool) -> list[HistoryEvent] | None:
        if not item.requires_history_streaming:
            past = list(item.past_events)
        elif can_ask and self._rng.random() < 0.3:
            return None
        else:
            past = self.world.store.read_history(item.instance_id, item.execution_id)
        if len(past) != item.past_count and self.world.is_held(item.token):
            raise ViolationError(
                f"{item.instance_id}: {item.past_count} past events were promised, {len(past)} came"
            )
        return past
