"""Simulated clients: random requests to the hub."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from durable_app.errors import DurableError, StoreUnavailableError
from durable_app.ports import PurgeFilter, StartRequest
from durable_app.protocol import (
    EventRaised,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionSuspended,
    ExecutionTerminated,
    OrchestrationStatus,
)
from durable_app.scheduler.inputs import (
    Ask,
    Get,
    Purge,
    PurgeBy,
    Restart,
    Start,
    WaitFor,
    Watch,
)
from tests.simulation.entity_clients import EntityClients
from tests.simulation.invariants import ViolationError
from tests.simulation.programs import EVENTS, Spec, random_spec
from tests.simulation.promises import Promises

if TYPE_CHECKING:
    from tests.simulation.world import World


class SimReply:
    """Somebody who waits for an answer. Implements ``inputs.Reply``."""

    def __init__(
        self,
        world: World,
        what: str,
        on_done: Callable[[Any], None],
        on_refused: Callable[[], None] | None = None,
    ) -> None:
        self._world = world
        self._what = what
        self._on_done = on_done
        self._on_refused = on_refused
        self._run = world.run
        self._is_answered = False

    def resolve(self, value: Any) -> None:
        self._once()
        self._world.faults.point("at an answer")
        self._world.counts[f"op {self._what}"] += 1
        self._world.trace(f"  {self._what} -> {str(value)[:60]}")
        self._on_done(value)

    def reject(self, error: Exception) -> None:
        self._once()
        if not isinstance(error, (DurableError, ValueError)):
            raise ViolationError(f"{self._what}: rejected with {error!r}")
        if isinstance(error, StoreUnavailableError):
            self._world.counts["op refused by the store"] += 1
        self._world.trace(f"  {self._what} -> {error!r}")
        if self._on_refused is not None:
            self._on_refused()

    def _once(self) -> None:
        if self._is_answered:
            raise ViolationError(f"{self._what} was answered twice")
        self._is_answered = True
        self._world.waiting.discard(self)


class Clients:
    """Makes requests at random and notes what was promised."""

    def __init__(self, world: World, rng: Random) -> None:
        self.world = world
        self._rng = rng
        self._serial = 0
        self.roots: list[str] = []
        self.specs: dict[str, Spec] = {}
        self.promises = Promises(world.checker)
        self._programs = Random(rng.getrandbits(32))
        self.entities = EntityClients(world, Random(rng.getrandbits(32)), self._reply)

    # -- requests ----------------------------------------------------------------------------

    def act(self) -> None:
        """One random request."""
        actions = (
            (3, self._start),
            (8, self._raise),
            (1, self._terminate),
            (2, self._suspend),
            (3, self._resume),
            (3, self._rewind),
            (1, self._restart),
            (1, self._purge),
            (0.4, self._purge_by),
            (2, self._get),
            (2, self._watch),
            (8, self.entities.signal),
            (2, self.entities.read),
            (2, self.entities.clean),
        )
        weights, functions = zip(*actions, strict=True)
        self._rng.choices(functions, weights)[0]()

    def _reply(
        self,
        what: str,
        on_done: Callable[[Any], None] = lambda _value: None,
        on_refused: Callable[[], None] | None = None,
    ) -> SimReply:
        reply = SimReply(self.world, what, on_done, on_refused)
        self.world.waiting.add(reply)
        return reply

    def _any(self) -> str:
        known = sorted(self.world.checker.rows) or ["nobody"]
        return self._rng.choice([*self.roots[-4:], *known])

    def start_new(self) -> None:
        """A new instance under an id of its own."""
        instance_id = f"root-{len(self.roots)}"
        self.specs[instance_id] = random_spec(self._programs, 0, [*self.roots[-3:], "nobody"])
        self.roots.append(instance_id)
        delay = self._rng.choice((0, 0, 0, 5))
        self._post_start(instance_id, None, delay)

    def _start(self) -> None:
        if not self.roots or self._rng.random() < 0.5:
            self.start_new()
            return
        instance_id = self._rng.choice(self.roots)
        if self._rng.random() < 0.3:
            self.promises.replaced(instance_id)
            running = frozenset(OrchestrationStatus) - {OrchestrationStatus.CONTINUED_AS_NEW}
            self._post_start(instance_id, running, 0)
        elif instance_id not in self.promises.acked_starts:
            # Its first start has not been answered, or was refused: try again.
            self.promises.replaced(instance_id)
            self._post_start(instance_id, frozenset(), 0)

    def _post_start(
        self, instance_id: str, replaceable: frozenset[OrchestrationStatus] | None, delay: float
    ) -> None:
        start_at = self.world.clock.now() + timedelta(seconds=delay) if delay else None
        what = "scheduled start" if delay else "start"
        if replaceable:
            what = "start over another"
        request = StartRequest(
            "program",
            instance_id,
            self.world.encode(self.specs[instance_id]),
            start_at=start_at,
            replaceable=replaceable,
        )
        self.world.post(Start(request, self._reply(what, self._started)))

    def _started(self, instance_id: str) -> None:
        if instance_id not in self.world.checker.ever:
            raise ViolationError(f"{instance_id}: its start was acknowledged before its commit")
        self.promises.acked_starts.add(instance_id)
        self.promises.purged.discard(instance_id)

    def raise_to(self, instance_id: str, name: str) -> None:
        """An external event."""
        self._serial += 1
        payload = f"{instance_id}|{name}|{self._serial:05d}"
        sent = self.promises.event(instance_id, name, payload)
        row_then = self.world.checker.rows.get(instance_id)
        execution_then = row_then.execution_id if row_then else None

        def acked(_value: Any) -> None:
            row = self.world.checker.rows.get(instance_id)
            # An execution that has ended, or gone on as a new one, has left no trace of it.
            same = row and not row.is_terminal and row.execution_id == execution_then
            if payload not in self.world.checker.payloads and same:
                raise ViolationError(f"{payload}: acknowledged before its commit")
            sent.state = "acked"

        def refused() -> None:
            sent.state = "rejected"

        reply = self._reply("raise_event", acked, refused)
        event = EventRaised(name=name, input=payload)
        self.world.post(Ask(instance_id, event, "receive events", reply))

    def _raise(self) -> None:
        instance_id, name = self._any(), self._rng.choice(EVENTS)
        for _ in range(self._rng.choice((1, 1, 2, 3))):
            self.raise_to(instance_id, name)

    def _terminate(self) -> None:
        instance_id = self._any()
        self.promises.interfered = True
        event = ExecutionTerminated(input='"ended"', recurse=self._rng.random() < 0.7)
        self.world.post(Ask(instance_id, event, "be terminated", self._reply("terminate")))

    def _suspend(self) -> None:
        event = ExecutionSuspended(input="wait")
        self.world.post(Ask(self._any(), event, "be suspended", self._reply("suspend")))

    def _resume(self) -> None:
        suspended = [
            i
            for i, row in self.world.checker.rows.items()
            if row.status is OrchestrationStatus.SUSPENDED
        ]
        self.resume(self._rng.choice(suspended) if suspended else self._any())

    def resume(self, instance_id: str) -> None:
        """End a suspension."""
        event = ExecutionResumed(input="go on")
        self.world.post(Ask(instance_id, event, "be resumed", self._reply("resume")))

    def mend(self) -> None:
        """Open a gate and rewind what has failed before it, now and then."""
        if self._rng.random() < 0.5:
            self._rewind()

    def one_more(self, instance_id: str, action: Any) -> None:
        """An event that arrives while others are carried over into a new execution."""
        names = [event.name for event in action.carryover_events if event.name in EVENTS]
        if names and self.world.faults.is_on and self._rng.random() < 0.7:
            self.raise_to(instance_id, names[0])

    def _rewind(self) -> None:
        failed = [
            i
            for i, row in self.world.checker.rows.items()
            if row.status is OrchestrationStatus.FAILED and row.parent is None
        ]
        instance_id = self._rng.choice(failed) if failed else self._any()
        if self._rng.random() < 0.8:
            for number in range(1_000):
                self.world.open_gates.add(f"g{number}")
        event = ExecutionRewound(reason="mended")
        self.world.post(Ask(instance_id, event, "be rewound", self._reply("rewind")))

    def _restart(self) -> None:
        roots = [i for i in self.roots if i in self.world.checker.rows]
        if not roots:
            return
        instance_id = self._rng.choice(roots)
        fresh = f"root-{len(self.roots)}" if self._rng.random() < 0.5 else None
        if fresh is None:
            self.promises.replaced(instance_id)
        else:
            self.roots.append(fresh)
            self.specs[fresh] = self.specs[instance_id]
        what = "restart as new" if fresh else "restart in place"
        self.world.post(Restart(instance_id, fresh, self._reply(what, self._started)))

    def _purge(self) -> None:
        ended = [i for i, row in self.world.checker.rows.items() if row.is_terminal]
        instance_id = self._rng.choice(ended) if ended else self._any()
        self.promises.replaced(instance_id)
        reply = self._reply("purge", lambda _n: self.promises.purged.add(instance_id))
        self.promises.purged.add(instance_id)
        self.world.post(Purge(instance_id, self._rng.random() < 0.5, reply))

    def _purge_by(self) -> None:
        self.promises.interfered = True
        self.purge_all()

    def purge_all(self, on_done: Callable[[Any], None] = lambda _n: None) -> None:
        """Remove everything that has ended."""
        self.promises.purged.update(self.roots)
        self.world.post(PurgeBy(PurgeFilter(), self._reply("purge_by", on_done)))

    def _get(self) -> None:
        instance_id = self._any()

        def got(state: Any) -> None:
            row = self.world.checker.rows.get(instance_id)
            if (state is None) != (row is None):
                raise ViolationError(f"{instance_id}: a reader was told something else")

        self.world.post(Get(instance_id, True, self._reply("get", got)))

    def _watch(self) -> None:
        instance_id = self._any()

        def reached(state: Any) -> None:
            if instance_id not in self.world.checker.ever or not state.status.is_terminal:
                raise ViolationError(f"{instance_id}: a watcher was told too early")

        self.world.post(Watch(instance_id, WaitFor.COMPLETION, self._reply("watch", reached)))
