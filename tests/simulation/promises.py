"""What the hub has promised its clients, and whether it was kept."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tests.simulation.invariants import Checker, ViolationError
from tests.simulation.programs import EVENTS, Spec, events_of


class SentEvent:
    """One external event. ``state`` is unknown until it is acked or rejected."""

    def __init__(self, payload: str, epoch: int) -> None:
        self.payload = payload
        self.epoch = epoch
        self.state = "unknown"


class Promises:
    """Remembers every request that has to show in the end."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self.acked_starts: set[str] = set()
        self.purged: set[str] = set()
        self.interfered = False
        self._sent: dict[tuple[str, str], list[SentEvent]] = defaultdict(list)
        #: Counts replacements of an instance; events of an older epoch may be gone.
        self._epochs: dict[str, int] = defaultdict(int)

    def replaced(self, instance_id: str) -> None:
        """Its past counts no longer."""
        self._epochs[instance_id] += 1
        self.interfered = True

    def event(self, instance_id: str, name: str, payload: str) -> SentEvent:
        """An event is on its way."""
        sent = SentEvent(payload, self._epochs[instance_id])
        self._sent[instance_id, name].append(sent)
        return sent

    def check_starts(self) -> None:
        """Every acknowledged start exists, unless it was purged."""
        for instance_id in sorted(self.acked_starts - self.purged):
            if instance_id not in self._checker.rows:
                raise ViolationError(f"{instance_id}: acknowledged, and not there")

    def check_undelivered(self, instance_id: str, acc: list[Any]) -> None:
        """An instance that is at rest has seen every event that was acknowledged."""
        if instance_id in self._checker.reborn:
            return
        delivered = self._checker.delivered[instance_id] | {
            entry[1] for entry in acc if isinstance(entry[1], str)
        }
        for name in EVENTS:
            for sent in self._sent[instance_id, name]:
                current = sent.epoch == self._epochs[instance_id]
                if sent.state == "acked" and current and sent.payload not in delivered:
                    raise ViolationError(f"{sent.payload}: acknowledged, and never delivered")

    def check_consumed(self, instance_id: str, acc: list[Any], spec: Spec) -> None:
        """Events were consumed once, in order, none left out."""
        for name in EVENTS:
            consumed = events_of(acc, name, spec)
            if consumed != sorted(set(consumed)):
                raise ViolationError(f"{instance_id}: events out of order or twice: {consumed}")
            if not consumed or self._epochs[instance_id]:
                continue
            for sent in self._sent[instance_id, name]:
                missing = sent.payload not in consumed
                if sent.state == "acked" and missing and sent.payload < consumed[-1]:
                    raise ViolationError(f"{sent.payload}: left out in {consumed}")
                if sent.state == "rejected" and not missing:
                    raise ViolationError(f"{sent.payload}: rejected, and yet delivered")
