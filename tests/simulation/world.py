"""A whole task hub on virtual time: hub, store, workers and clients, with faults by the seed.

There is no thread and no real clock. The world keeps an agenda of what happens when; between two
entries it lets the hub drain its inputs, exactly as the owner's loop does. A crash throws the hub
away at any call that it makes to the outside; the store is opened again and everything goes on.
"""

from __future__ import annotations

import heapq
import json
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from durable_app.protocol import (
    EPOCH,
    CompletionToken,
    EntityRequest,
    OrchestrationStatus,
    OrchestratorRequest,
)
from durable_app.scheduler.entity_requests import EntityRequests
from durable_app.scheduler.hub import Hub
from durable_app.scheduler.inputs import Input
from durable_app.scheduler.requests import Requests
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore
from durable_app.storage.sqlite import SqliteStore
from tests.simulation.clients import Clients, SimReply
from tests.simulation.faults import CrashError, Faults, FaultyStore, VirtualClock
from tests.simulation.invariants import Checker, ViolationError
from tests.simulation.mishaps import Mishaps
from tests.simulation.programs import Execution, mismatch
from tests.simulation.workers import SimWorker

_FAR = datetime(2200, 1, 1, tzinfo=UTC)
_MOST_DRAINS = 30_000
_DRAIN_LIMIT = 64
#: Above what the faults of one seed can take from one item.
_MAX_ATTEMPTS = 12
_ABANDONS_PER_TARGET = 2


class Report(msgspec.Struct):
    """What happened under one seed."""

    seed: int
    store: str
    counts: Counter[str]
    trace: list[str]
    violation: str | None = None

    @property
    def command(self) -> str:
        """How to run just this seed, with a trace."""
        return f"python -m tests.simulation {self.seed} --store {self.store} --verbose"


class World:
    """Everything that takes part."""

    def __init__(self, seed: int, store: str, folder: Path | None, lines: list[str]) -> None:
        self._lines = lines
        self.counts: Counter[str] = Counter()
        rng = Random(f"{seed}/{store}")
        self._rng = rng
        self.clock = VirtualClock(Random(rng.getrandbits(32)))
        self.faults = Faults(Random(rng.getrandbits(32)), self.counts, self.trace)
        self.checker = Checker()
        self.open_gates: set[str] = set()
        self.waiting: set[SimReply] = set()
        self.run = 0
        self._path = folder / f"{seed}.db" if folder else None
        self._memory = MemoryStore()
        self._agenda: list[tuple[float, int, Callable[[], None], str]] = []
        self._serial = 0
        self._inputs: list[Input] = []
        self._abandons: Counter[str] = Counter()
        self._streams = 0
        tiny = rng.random() < 0.5
        self._options = HubOptions(
            hot_bytes=1 if tiny else 2**20,
            max_attempts=_MAX_ATTEMPTS,
            max_batch=rng.choice((1, 3, 5_000)),
        )
        if tiny:
            self.counts["fault tiny budget"] += 1
        self.clients = Clients(self, Random(rng.getrandbits(32)))
        self.workers = [
            SimWorker(self, Random(rng.getrandbits(32)), f"worker-{n}")
            for n in range(rng.randint(1, 3))
        ]
        self._open()

    # -- what the others use -----------------------------------------------------------------

    def trace(self, line: str) -> None:
        """A line of the story."""
        self._lines.append(f"{self.clock.seconds - 1_000:10.4f}  {line}")

    def later(self, delay_s: float, what: Callable[[], None], name: str) -> None:
        """Let something happen after a while."""
        self._serial += 1
        heapq.heappush(self._agenda, (self.clock.seconds + delay_s, self._serial, what, name))

    def post(self, item: Input) -> None:
        """Send the hub a message."""
        self.trace(f"{str(item)[:150]}")
        self._inputs.append(item)

    def new_stream_id(self) -> int:
        self._streams += 1
        return self._streams

    def is_held(self, token: CompletionToken) -> bool:
        """True while the hub waits for the answer of this dispatch."""
        return self.hub.state.streams.held(token) is not None

    def may_abandon(self, item: Any) -> bool:
        """Not so often that the item is taken for poison."""
        if isinstance(item, (OrchestratorRequest, EntityRequest)):
            target = item.instance_id
        else:
            target = f"{item.instance}/{item.task_id}"
        self._abandons[target] += 1
        return self._abandons[target] <= _ABANDONS_PER_TARGET

    @staticmethod
    def encode(value: Any) -> str:
        return json.dumps(value)

    # -- the hub's life ----------------------------------------------------------------------

    def _open(self) -> None:
        self.run += 1
        inner: Any = self._memory if self._path is None else SqliteStore(self._path, "sim")
        self.store = FaultyStore(inner, self.faults, self.checker)
        self.hub = Hub(self.store, self.clock, self._options)
        Requests(self.hub).continue_with(self.post)
        EntityRequests(self.hub).continue_with(self.post)
        self.hub.state.open()
        if self._path is not None:
            # A crash here is one of the process, not of the machine.
            inner._writer.execute("PRAGMA synchronous = OFF")
        self._drain([])

    def _drain(self, batch: list[Input]) -> None:
        try:
            self.hub.handle(batch)
            self.checker.drained(self.hub)
        except CrashError:
            self._crash()

    def _crash(self) -> None:
        self.trace("the process is dead")
        inner: Any = self.store.inner
        if self._path is not None:
            inner.file.close()
        self._restart()

    def restart(self) -> None:
        """A clean end and a new start."""
        self.faults.count("clean restart")
        try:
            while self._inputs:
                batch, self._inputs = self._inputs, []
                self.hub.handle(batch)
            self.hub.finish()
            self.hub.state.store.close()
        except CrashError:
            self._crash()
            return
        unanswered = sorted(r._what for r in self.waiting if r._what != "watch")
        if unanswered:
            raise ViolationError(f"the hub ends and never answers: {unanswered}")
        self._restart()

    def _restart(self) -> None:
        self._inputs.clear()
        self.waiting.clear()
        for worker in self.workers:
            if worker.stream_id is not None:
                worker.broken()
        self._open()

    # -- time --------------------------------------------------------------------------------

    def play(self) -> None:
        """Let time run until nothing is left to do."""
        for _ in range(_MOST_DRAINS):
            if not self._step():
                return
        raise ViolationError(f"still busy: {self._busy()}")

    def _busy(self) -> str:
        names = Counter(entry[3] for entry in self._agenda)
        return f"agenda {dict(names)}, the hub wants to wait {self.hub.wait_s()}"

    def _step(self) -> bool:
        self._run_due()
        if self._inputs:
            count = min(_DRAIN_LIMIT, self._rng.randint(1, 2 * len(self._inputs)))
            batch, self._inputs = self._inputs[:count], self._inputs[count:]
            self._drain(batch)
            self.clock.seconds += 0.0001
            return True
        wait = self.hub.wait_s()
        moments = [self._agenda[0][0]] if self._agenda else []
        if wait is not None:
            moments.append(self.clock.seconds + max(wait, 0.00001))
        if not moments:
            return False
        self.clock.seconds = max(self.clock.seconds, min(moments))
        if wait is not None and moments[-1] <= self.clock.seconds:
            self._drain([])
        return True

    def _run_due(self) -> None:
        while self._agenda and self._agenda[0][0] <= self.clock.seconds:
            _, _, what, _ = heapq.heappop(self._agenda)
            try:
                what()
            except CrashError:
                self._crash()

    # -- the play ----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Put on the agenda what clients do and what goes wrong."""
        rng = self._rng
        for worker in self.workers:
            self.later(rng.uniform(0, 0.1), worker.connect, "connect")
        for _ in range(rng.randint(2, 5)):
            self.later(rng.uniform(0, 1), self.clients.start_new, "start")
        length = rng.choice((5, 20, 60))
        for _ in range(rng.randint(5, 40)):
            self.later(rng.uniform(0, length), self.clients.act, "client")
        Mishaps(self, rng).plan(length)
        self.later(length + 5, self.faults.stop, "faults stop")

    # -- the end -----------------------------------------------------------------------------

    def settle(self) -> None:
        """Give every instance what it still waits for, until all have ended."""
        self.faults.stop()
        for _ in range(60):
            self.play()
            waiting = [i for i, row in self.checker.rows.items() if not row.is_terminal]
            if not waiting:
                return
            pushed = [self._push_on(instance_id) for instance_id in waiting]
            if not any(pushed):
                raise ViolationError(f"stuck: {[self.checker.rows[i] for i in waiting]}")
        raise ViolationError("instances go on for ever")

    def _push_on(self, instance_id: str) -> bool:
        """False where it waits for others."""
        row = self.checker.rows[instance_id]
        if row.status is OrchestrationStatus.SUSPENDED:
            self.clients.resume(instance_id)
            return True
        execution = Execution()
        execution.feed(self.checker.history(instance_id))
        if execution.waits_for is None:
            children = [
                r
                for r in self.checker.rows.values()
                if r.parent is not None
                and r.parent.instance.instance_id == instance_id
                and not r.is_terminal
            ]
            if not children and not execution.asks:
                raise ViolationError(f"{instance_id}: {row.status.name} and stuck: {row}")
            return False
        self.clients.promises.check_undelivered(instance_id, execution.acc)
        self.clients.raise_to(instance_id, execution.waits_for)
        return True

    def check_end(self) -> None:
        """All has ended: was it right, and is nothing left?"""
        self.clients.promises.check_starts()
        self.clients.entities.check()
        for row in self.checker.rows.values():
            self._check_outcome(row)
        everything = ((EPOCH, 0), _FAR, 10)
        self.checker.at_rest(self.hub, self.store.inner, everything)
        if self.waiting:
            what = sorted({reply._what for reply in self.waiting})
            if what != ["watch"]:
                raise ViolationError(f"never answered: {what}")
        self.clients.purge_all()
        self.play()
        if self.checker.rows:
            raise ViolationError(f"not purged: {list(self.checker.rows)}")
        self.checker.at_rest(self.hub, self.store.inner, everything)
        self.clients.entities.drop_all()
        self.play()
        self.clients.entities.remove_all()
        self.play()
        if self.checker.entities.rows:
            raise ViolationError(f"not removed: {list(self.checker.entities.rows)}")

    def _check_outcome(self, row: Any) -> None:
        instance_id = row.instance_id
        interfered = self.clients.promises.interfered
        self.counts[f"end {row.status.name}"] += 1
        if row.status is OrchestrationStatus.TERMINATED:
            if not interfered:
                raise ViolationError(f"{instance_id}: terminated by nobody")
            return
        if row.status is OrchestrationStatus.FAILED:
            kind = row.failure.error_type
            if kind not in ("Died", "GateClosed"):
                raise ViolationError(f"{instance_id}: failed with {row.failure}")
            return
        acc = json.loads(row.output)
        spec = self.clients.specs.get(instance_id) or json.loads(row.input)
        wrong = mismatch(spec, acc, interfered=interfered)
        if wrong is not None:
            raise ViolationError(f"{instance_id}: {wrong}")
        for entry in acc:
            self.counts[f"step {entry[0]}"] += 1
        if spec["rounds"]:
            self.counts["step again"] += 1
        self._check_status(row, spec)
        # The inbox is ordered by the wall clock: where that went back, so may the order.
        if instance_id in self.clients.specs and not self.counts["fault clock backwards"]:
            self.clients.promises.check_consumed(instance_id, acc, spec)

    @staticmethod
    def _check_status(row: Any, spec: Any) -> None:
        texts = [step[1] for step in spec["steps"] if step[0] == "status"]
        wanted = texts[-1] if texts else None
        if row.custom_status != wanted:
            raise ViolationError(f"{row.instance_id}: custom status {row.custom_status}")


def simulate(seed: int, store: str = "memory", folder: Path | None = None) -> Report:
    """Run one world to its end; ``folder`` is where the file of an SQLite store lies."""
    lines: list[str] = []
    world = World(seed, store, folder if store == "sqlite" else None, lines)
    report = Report(seed, store, world.counts, lines)
    try:
        world.prepare()
        world.play()
        world.settle()
        world.check_end()
    except ViolationError as error:
        report.violation = str(error)
    except Exception:  # noqa: BLE001  whatever breaks inside is reported with its seed
        report.violation = traceback.format_exc()
    finally:
        world.store.close()
    return report
