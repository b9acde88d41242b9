"""Microseconds of the replay engine per step, per item and per event.

    python benchmarks/micro/bench_replay.py

Each case runs in two sizes: twice the size in twice the time is linear. The best of several runs is
printed, since the machine has other work.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

from durable_app.protocol import (
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
)
from durable_app.replay.engine import Execution, ReplayEnv, replay

ENV = ReplayEnv()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = 5_000
RUNS = 7


def chain(context):
    value = context.get_input()
    for _ in range(value):
        yield context.call_activity("step", "payload")
    return value


def fan_out(context):
    tasks = [context.call_activity("item", "payload") for _ in range(context.get_input())]
    results = yield context.task_all(tasks)
    return len(results)


def started(size: int) -> list[HistoryEvent]:
    instance = OrchestrationInstance("bench", "0" * 32)
    return [
        OrchestratorStarted(-1, NOW),
        ExecutionStarted(-1, NOW, "bench", None, str(size), instance),
    ]


def completed(number: int) -> list[HistoryEvent]:
    return [OrchestratorStarted(-1, NOW), TaskCompleted(-1, NOW, number, '"result"')]


def warm_chain(size: int) -> float:
    turns = [completed(number) for number in range(1, size + 1)]
    execution = Execution(chain, ENV)
    execution.advance((), started(size))
    begin = perf_counter()
    for turn in turns:
        result = execution.advance((), turn)
    taken = perf_counter() - begin
    assert result.is_complete
    return taken


def warm_fan_out(size: int) -> float:
    turns = [completed(number) for number in range(1, size + 1)]
    execution = Execution(fan_out, ENV)
    begin = perf_counter()
    execution.advance((), started(size))
    for turn in turns:
        result = execution.advance((), turn)
    taken = perf_counter() - begin
    assert result.is_complete
    return taken


def batched_fan_out(size: int) -> float:
    batch = [event for number in range(1, size + 1) for event in completed(number)[1:]]
    execution = Execution(fan_out, ENV)
    begin = perf_counter()
    execution.advance((), started(size))
    result = execution.advance((), batch)
    taken = perf_counter() - begin
    assert result.is_complete
    return taken


def cold_chain(size: int) -> float:
    history = started(size)
    for number in range(1, size + 1):
        history += [TaskScheduled(number, NOW, "step", None, '"payload"'), *completed(number)]
    begin = perf_counter()
    result = replay(chain, history, (), ENV)
    taken = perf_counter() - begin
    assert result.is_complete
    return taken


CASES: list[tuple[str, Callable[[int], float], int]] = [
    ("warm chain, per step", warm_chain, 1),
    ("fan-out, one result per turn, per item", warm_fan_out, 1),
    ("fan-out, all results in one turn, per item", batched_fan_out, 1),
    ("cold chain, per event", cold_chain, 3),
]


def best(case: Callable[[int], float], size: int) -> float:
    times = []
    for _ in range(RUNS):
        gc.collect()
        times.append(case(size))
    return min(times)


def main() -> None:
    print(f"{'microseconds':45}{SIZE:>10}{2 * SIZE:>10}")
    for name, case, units in CASES:
        once, twice = (best(case, size) / (size * units) * 1e6 for size in (SIZE, 2 * SIZE))
        print(f"{name:45}{once:10.2f}{twice:10.2f}")


if __name__ == "__main__":
    main()
