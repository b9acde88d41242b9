"""Run the load benchmarks: ``python -m benchmarks [W1 W2 ...] [--runs 3] [--out FILE]``.

Every measurement is a fresh process with a fresh database; printed are medians (min..max).
Ratios against other systems: see ``benchmarks/peers``. Parts of the hub, in microseconds:
``python -m benchmarks.micro``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.load.http_overhead import http_overhead
from benchmarks.load.processes import end_on_sigterm, python, scratch_folder
from benchmarks.load.remote import remote
from benchmarks.load.start_up import figures_of, measured, start_up
from benchmarks.micro.bench_commit import append_and_flush

ALL = ("W1", "W2", "W3", "W4", "W5", "W7", "WE", "WB", "WH", "WR", "WP")
_INTERRUPTED = 130


def recovery(folder: Path) -> dict[str, Any]:
    """Park, kill -9, restart, signal."""
    arguments = ("-m", "benchmarks.load.measure", "park", str(folder))
    with python(*arguments, BENCH_BEGAN=repr(time.monotonic())) as parked:
        result = {"park_s": figures_of(parked)["park_s"]}
        # The end of the block kills it.
    found = measured("recover", folder)
    return result | {
        "restart_to_open_s": found["spawn_to_open_s"],
        "signal_to_done_s": found["signal_to_done_s"],
        "restart_to_done_s": found["spawn_to_done_s"],
    }


def two_processes(folder: Path) -> dict[str, Any]:
    """The same work in the host's process, and in two of their own."""
    one, two = (measured("WP", folder / str(count), count) for count in (1, 2))
    return {
        "per_s_1": one["per_s"],
        "per_s_2": two["per_s"],
        "least_share": two["least_share"],
        "times": two["per_s"] / one["per_s"],
    }


def run(workload: str) -> dict[str, Any]:
    # Beside each measurement, what the disk is worth at that moment: it varies more than we do.
    (flush_s,) = append_and_flush().values()
    with scratch_folder() as folder:
        if workload == "W5":
            result = start_up(folder)
        elif workload == "WH":
            result = http_overhead(folder)
        elif workload == "WR":
            result = remote(folder)
        elif workload == "WP":
            result = two_processes(folder)
        elif workload == "W7":
            result = recovery(folder)
        else:
            result = measured(workload, folder)
    return result | {"machine_flush_us": 1e6 * flush_s}


def main() -> int:
    arguments = _arguments()
    end_on_sigterm()
    rows: dict[str, list[dict[str, Any]]] = {}
    code = 0
    try:
        for number in range(arguments.runs):
            for workload in arguments.workloads or ALL:
                result = run(workload)
                rows.setdefault(workload, []).append(result)
                print(f"run {number + 1} {workload} {json.dumps(result)}", flush=True)
    except KeyboardInterrupt:
        print("\nInterrupted; the figures below are of what had ended.", file=sys.stderr)
        code = _INTERRUPTED
    report(rows)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "workloads",
        nargs="*",
        metavar="W",
        type=str.upper,
        help=f"{', '.join(ALL)}; W6, memory, is part of W3; WE is entities, WH HTTP, WR gRPC,"
        " WP worker processes",
    )
    parser.add_argument("--runs", type=int, default=3, help="of each workload, at least 1; 3")
    parser.add_argument("--out", type=Path, metavar="FILE", help="all figures as JSON")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.workloads if name not in ALL]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(ALL)}")
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    if arguments.out and not arguments.out.parent.is_dir():
        parser.error(f"--out: there is no folder {arguments.out.parent}")
    return arguments


def report(rows: dict[str, list[dict[str, Any]]]) -> None:
    print("\n| workload | figure | median | min | max |\n|---|---|---|---|---|")
    for workload, results in rows.items():
        for figure in results[0]:
            values = [result[figure] for result in results]
            middle = statistics.median(values)
            print(
                f"| {workload} | {figure} | {middle:.4g} | {min(values):.4g} | {max(values):.4g} |"
            )


if __name__ == "__main__":
    sys.exit(main())
