"""A virtual clock, a store that fails on demand, and how often what goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec

from durable_app.errors import LeaseLostError, StoreUnavailableError
from durable_app.ports import EntityPage, EntityQuery, Mark, Recovery, Store
from durable_app.taskhub.instance import ActivityTask, Decision, Instance, RowChange
from tests.simulation.invariants import Checker


class CrashError(BaseException):
    """The process dies here. Nothing may catch it but the world."""


class VirtualClock:
    """Time that only the world moves. Implements ``durable_app.clock.Clock``."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.seconds = 1_000.0
        self.offset = 0.0

    def now(self) -> datetime:
        start = datetime(2030, 1, 1, tzinfo=UTC)
        return start + timedelta(seconds=self.seconds + self.offset)

    def monotonic(self) -> float:
        return self.seconds

    def new_id(self) -> str:
        return f"{self._rng.getrandbits(128):032x}"


class Faults:
    """What goes wrong, and the tally of what did."""

    def __init__(self, rng: Random, counts: Counter[str], trace: Callable[[str], None]) -> None:
        self._rng = rng
        self._counts = counts
        self._trace = trace
        self.is_on = True
        self.crash_in: int | None = None
        self.refusals_left = 3
        self.writes_fail = False
        self.reads_fail = False

    def happens(self, kind: str, probability: float) -> bool:
        """Roll the dice for a fault of that kind."""
        if not self.is_on or self._rng.random() >= probability:
            return False
        self.count(kind)
        return True

    def count(self, kind: str) -> None:
        self._counts[f"fault {kind}"] += 1
        self._trace(f"FAULT {kind}")

    def point(self, where: str) -> None:
        """The process may die here."""
        if self.crash_in is None or not self.is_on:
            return
        self.crash_in -= 1
        if self.crash_in <= 0:
            self.crash_in = None
            self.count(f"crash {where}")
            raise CrashError(where)

    def refuses(self, decisions: Sequence[Decision]) -> int | None:
        """Which of these decisions the store refuses."""
        candidates = [i for i, d in enumerate(decisions) if d.instance is not None]
        if not candidates or not self.refusals_left or not self.happens("refused step", 0.01):
            return None
        self.refusals_left -= 1
        return self._rng.choice(candidates)

    def rival(self, decisions: Sequence[Decision]) -> Decision | None:
        """Whose row somebody else changes just before."""
        candidates = [
            d for d in decisions if d.instance is not None and d.change is not RowChange.INSERT
        ]
        if not candidates or not self.refusals_left or not self.happens("rival owner", 0.01):
            return None
        self.refusals_left -= 1
        return self._rng.choice(candidates)

    def stop(self) -> None:
        """From now on all is well."""
        self.is_on = self.writes_fail = self.reads_fail = False
        self.crash_in = None


class FaultyStore:
    """A real store behind faults, and before a checker. Implements ``ports.Store``."""

    def __init__(self, inner: Store, faults: Faults, checker: Checker) -> None:
        self.inner = inner
        self._faults = faults
        self._checker = checker

    def _write(self) -> None:
        self._faults.point("before a write")
        if self._faults.writes_fail:
            self._faults.count("write refused")
            raise StoreUnavailableError("The disk is full.")

    def _read(self) -> None:
        self._faults.point("before a read")
        if self._faults.reads_fail:
            self._faults.count("read refused")
            raise StoreUnavailableError("The disk is gone.")

    def open(self) -> Recovery:
        return self.inner.open()

    def close(self) -> None:
        self.inner.close()

    def commit(self, decisions: Sequence[Decision]) -> list[Exception | None]:
        self._write()
        self._touch_by_rival(self._faults.rival(decisions))
        refused = self._faults.refuses(decisions)
        passed = [d for i, d in enumerate(decisions) if i != refused]
        outcomes = self.inner.commit(passed)
        applied = [d for d, error in zip(passed, outcomes, strict=True) if error is None]
        self._checker.committed(applied, self.inner)
        self._faults.point("after a commit")
        if refused is not None:
            outcomes.insert(refused, LeaseLostError("refused by the test"))
        return outcomes

    def _touch_by_rival(self, victim: Decision | None) -> None:
        row = self._checker.row(victim.instance_id) if victim is not None else None
        if row is None:
            return
        touched = msgspec.structs.replace(row, revision=row.revision + 1)
        decision = Decision(row.instance_id, touched, expected_revision=row.revision)
        self.inner.commit([decision])
        self._checker.committed([decision], self.inner)

    def mark(self, what: Mark, keys: Sequence[int] | Sequence[str]) -> None:
        self._write()
        self.inner.mark(what, keys)

    def postpone(self, task: ActivityTask) -> None:
        self._write()
        self.inner.postpone(task)

    def orphans(self, message_ids: Sequence[int]) -> None:
        self._write()
        self.inner.orphans(message_ids)
        self._checker.orphaned(message_ids)

    def purge(self, instance_ids: Sequence[str]) -> int:
        self._write()
        removed = self.inner.purge(instance_ids)
        self._checker.purged(instance_ids)
        return removed

    def load(self, instance_id: str) -> Any:
        self._read()
        return self.inner.load(instance_id)

    def read_history(self, instance_id: str, execution_id: str | None) -> Any:
        self._read()
        return self.inner.read_history(instance_id, execution_id)

    def due(self, *arguments: Any) -> Any:
        self._read()
        return self.inner.due(*arguments)

    def next_due(self, after: datetime) -> datetime | None:
        self._read()
        return self.inner.next_due(after)

    def tasks(self, *arguments: Any) -> Any:
        self._read()
        return self.inner.tasks(*arguments)

    def children(self, instance_id: str) -> list[str]:
        self._read()
        return self.inner.children(instance_id)

    def query(self, query: Any) -> Any:
        return self.inner.query(query)

    def entities(self, after: str, limit: int) -> list[Instance]:
        self._read()
        return self.inner.entities(after, limit)

    def query_entities(self, query: EntityQuery) -> EntityPage:
        return self.inner.query_entities(query)

    def list_ids(self, query: Any) -> Any:
        self._read()
        return self.inner.list_ids(query)

    def drop(self) -> None:
        self._write()
        self.inner.drop()

    def select_purgeable(self, which: Any, limit: int) -> list[str]:
        self._read()
        return self.inner.select_purgeable(which, limit)
