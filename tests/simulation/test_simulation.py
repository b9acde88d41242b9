"""Whole worlds under random faults: what was promised holds, and everything ends."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.world import simulate

#: What must have happened, and succeeded, before a batch counts.
OPERATIONS = (
    "start",
    "scheduled start",
    "start over another",
    "raise_event",
    "terminate",
    "suspend",
    "resume",
    "rewind",
    "restart as new",
    "restart in place",
    "purge",
    "purge_by",
    "get",
    "watch",
    "signal",
    "signal that starts",
    "read entity",
    "clean",
    "entity removed",
)
STEPS = (
    "call",
    "fails",
    "retry",
    "fan",
    "gate",
    "poison",
    "timer",
    "event",
    "race",
    "child",
    "status",
    "leave",
    "send",
    "again",
    "rewind",
    "warm turn",
    "hedge",
    "signal",
    "ask",
    "fire",
    "wave",
    "bet",
    "move",
    "keep",
    "part of a batch",
    "batch of several",
)
FAULTS = (
    "abandon",
    "answer after the end",
    "answer of an earlier connection",
    "answer sent twice",
    "clean restart",
    "clock backwards",
    "clock forwards",
    "crash after a commit",
    "crash at a dispatch",
    "crash at an answer",
    "crash before a read",
    "crash before a write",
    "disconnect",
    "item lost",
    "late answer",
    "read refused",
    "refused step",
    "tiny budget",
    "write refused",
    "rival owner",
    "failed batch",
)
ENDS = ("COMPLETED", "FAILED", "TERMINATED")


@pytest.mark.chaos
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_every_world_keeps_its_promises_and_comes_to_rest(
    store: str, seeds: range, tmp_path: Path
) -> None:
    counts: Counter[str] = Counter()
    failures = []
    for seed in seeds:
        report = simulate(seed, store, tmp_path)
        counts += report.counts
        if report.violation is not None:
            failures.append(f"{report.violation}\n  {report.command}")

    assert not failures, "\n".join(failures)
    if len(seeds) >= 100:
        wanted = [
            *(f"op {kind}" for kind in OPERATIONS),
            *(f"step {kind}" for kind in STEPS),
            *(f"fault {kind}" for kind in FAULTS),
            *(f"end {kind}" for kind in ENDS),
        ]
        assert [kind for kind in wanted if not counts[kind]] == []


def test_a_seed_tells_the_same_story_every_time(tmp_path: Path) -> None:
    first, second = simulate(11, "memory", tmp_path), simulate(11, "memory", tmp_path)

    assert first.counts == second.counts
    assert len(first.trace) == len(second.trace) > 50
