"""Run the load benchmarks: ``python -m benchmarks [W1 W2 ...] [--runs 3] [--out FILE]``.

Every measurement is a fresh process with a fresh database; printed are medians (min..max).
Ratios against other systems: see ``benchmarks/peers``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ALL = ("W1", "W2", "W3", "W4", "W5", "W7", "WB")


def spawn(workload: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load.measure", workload, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "BENCH_BEGAN": repr(time.monotonic())},
    )


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise SystemExit("a measurement failed; its error is above")
    found: dict[str, Any] = json.loads(line)
    return found


def run(workload: str, folder: Path) -> dict[str, Any]:
    if workload == "W5":
        return start_up(folder)
    if workload == "W7":
        return recovery(folder)
    process = spawn(workload, folder)
    result = result_of(process)
    process.wait()
    return result


def start_up(folder: Path) -> dict[str, Any]:
    """First start on an empty folder, a start on what it left, and what imports cost."""
    result: dict[str, Any] = {}
    for label in ("empty", "existing"):
        process = spawn("first", folder)
        found = result_of(process)
        process.wait()
        result |= {f"{label}_open_s": found["spawn_to_open_s"]}
        result |= {f"{label}_first_result_s": found["spawn_to_done_s"]}
    imports = {
        "interpreter": "pass",
        "durable_app": "import durable_app",
        "azure_functions": "import azure.functions",
        "DFApp": "import azure.functions, durable_app; durable_app.DFApp",
        "azure_functions_pydantic": "import azure.functions, pydantic",
    }
    for label, code in imports.items():
        result[f"import_{label}_s"] = statistics.median(wall(code) for _ in range(5))
    return result


def wall(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    return time.perf_counter() - began


def recovery(folder: Path) -> dict[str, Any]:
    """Park, kill -9, restart, signal."""
    parked = spawn("park", folder)
    result = {"park_s": result_of(parked)["park_s"]}
    parked.send_signal(signal.SIGKILL)
    parked.wait()
    again = spawn("recover", folder)
    found = result_of(again)
    again.wait()
    return result | {
        "restart_to_open_s": found["spawn_to_open_s"],
        "signal_to_done_s": found["signal_to_done_s"],
        "restart_to_done_s": found["spawn_to_done_s"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks")
    parser.add_argument("workloads", nargs="*", default=ALL, choices=[*ALL, []], metavar="W")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {}
    for number in range(arguments.runs):
        for workload in arguments.workloads:
            folder = Path(tempfile.mkdtemp(prefix="durable-bench-"))
            try:
                result = run(workload, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            rows.setdefault(workload, []).append(result)
            print(f"run {number + 1} {workload} {json.dumps(result)}", flush=True)
    report(rows)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")


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
    main()
