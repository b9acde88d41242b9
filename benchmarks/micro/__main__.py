"""Microseconds per operation: ``python -m benchmarks.micro [NAME ...] [--runs 5]``.

The cases of a benchmark take turns within a run, so that other work on the machine hits all alike.
Ratios within one table mean something, figures of two machines do not.
"""

from __future__ import annotations

import argparse
import gc
import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from benchmarks.load.processes import end_on_sigterm
from benchmarks.micro import (
    bench_codec,
    bench_commit,
    bench_console,
    bench_decide,
    bench_replay,
    bench_wire,
)

#: Gives seconds per operation by name.
Case = Callable[[], dict[str, float]]


def _replay_case(name: str, run: Callable[[int], float], units: int) -> dict[str, float]:
    size = bench_replay.SIZE
    return {name: run(size) / (size * units)}


BENCHMARKS: dict[str, Sequence[Case]] = {
    "codec": bench_codec.CASES,
    "commit": bench_commit.CASES,
    "console": bench_console.CASES,
    "decide": bench_decide.CASES,
    "replay": [partial(_replay_case, *case) for case in bench_replay.CASES],
    "wire": bench_wire.CASES,
}


def measure(cases: Sequence[Case], runs: int) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {}
    for _ in range(runs):
        for case in cases:
            gc.collect()
            for name, seconds in case().items():
                figures.setdefault(name, []).append(seconds)
    return figures


def table(figures: dict[str, list[float]]) -> Iterator[str]:
    yield f"| {'microseconds per operation':45} | {'median':>10} | {'best':>10} | {'per s':>10} |"
    yield f"|{'-' * 47}|{'-' * 11}:|{'-' * 11}:|{'-' * 11}:|"
    for name, seconds in figures.items():
        middle, best = statistics.median(seconds), min(seconds)
        yield f"| {name:45} | {middle * 1e6:10.2f} | {best * 1e6:10.2f} | {1 / middle:10,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.micro")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument("--runs", type=int, default=5, help="at least 1; 5")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark {sorted(unknown)}; there are {', '.join(BENCHMARKS)}")
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    end_on_sigterm()
    for name in arguments.names or BENCHMARKS:
        print(f"\n{name}")
        for line in table(measure(BENCHMARKS[name], arguments.runs)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
