"""Run seeds by hand: ``python -m tests.simulation 17 --store sqlite --verbose``."""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path

from tests.simulation.world import simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("seed", type=int)
    parser.add_argument("--count", type=int, default=1, help="so many seeds from this one on")
    parser.add_argument("--store", choices=("memory", "sqlite"), default="memory")
    parser.add_argument("--verbose", action="store_true", help="print the whole story")
    arguments = parser.parse_args()
    # The hub reports each outage, and there are many.
    logging.disable(logging.CRITICAL)
    failed = 0
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        with tempfile.TemporaryDirectory() as folder:
            report = simulate(seed, arguments.store, Path(folder))
        if arguments.verbose:
            print("\n".join(report.trace))
        if report.violation is not None:
            failed += 1
            print(f"seed {seed}: {report.violation}\n  {report.command}")
        elif arguments.count == 1:
            print("\n".join(f"{n:6} {what}" for what, n in sorted(report.counts.items())))
    print(f"{arguments.count} seeds, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
