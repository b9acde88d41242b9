"""W5: from the start of a process to the first import, the first HTTP answer, the first result.

Times are taken in turns and medians of five, since a process that starts feels all that else goes
on. What our code adds is the median of differences to the neighbour in the same turn.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import signal
import socket
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.load.processes import python

APP = Path(__file__).resolve().parent / "app"
TURNS = 5
GIVE_UP_S = 30.0
#: Python code, and what it is compared with.
IMPORTS = {
    "interpreter": ("pass", None),
    "durable_app": ("import durable_app", "interpreter"),
    "azure_functions": ("import azure.functions", "interpreter"),
    "DFApp": ("import azure.functions, durable_app; durable_app.DFApp", "azure_functions"),
    "azure_functions_pydantic": ("import azure.functions, pydantic", "interpreter"),
}


def start_up(folder: Path) -> dict[str, Any]:
    """First start on an empty folder, a start on what it left, ``func start``, and imports."""
    result: dict[str, Any] = {}
    for label in ("empty", "existing"):
        found = measured("first", folder)
        result[f"{label}_open_s"] = found["spawn_to_open_s"]
        result[f"{label}_first_result_s"] = found["spawn_to_done_s"]
    app = folder / "started"
    shutil.copytree(APP, app)
    times: dict[str, list[float]] = {}
    for _ in range(TURNS):
        for label, (code, _) in IMPORTS.items():
            times.setdefault(label, []).append(_run(code))
        times.setdefault("func_start", []).append(_func_start(app))
    for label, (_, base) in IMPORTS.items():
        result[f"import_{label}_s"] = statistics.median(times[label])
        if base is not None:
            result[f"import_{label}_beyond_{base}_s"] = _beyond(times[label], times[base])
    result["func_start_s"] = statistics.median(times["func_start"])
    imports = times["azure_functions_pydantic"]
    result["func_start_beyond_imports_s"] = _beyond(times["func_start"], imports)
    return result


def measured(workload: str, folder: Path, workers: int = 1) -> dict[str, Any]:
    """The figures of one workload in a fresh process, with so many worker processes."""
    began = repr(time.monotonic())
    arguments = ("-m", "benchmarks.load.measure", workload, str(folder))
    with python(*arguments, BENCH_BEGAN=began, BENCH_WORKERS=str(workers)) as process:
        found = figures_of(process)
        process.wait()
    return found


def figures_of(process: Any) -> dict[str, Any]:
    """The line that a measurement prints."""
    line = process.stdout.readline()
    if not line:
        raise SystemExit("A measurement has failed; its error is above.")
    found: dict[str, Any] = json.loads(line)
    return found


def _beyond(times: list[float], base: list[float]) -> float:
    return statistics.median(a - b for a, b in zip(times, base, strict=True))


def _run(code: str) -> float:
    began = time.perf_counter()
    with python("-c", code) as process:
        if process.wait() != 0:
            raise SystemExit(f"`{code}` has failed; its error is above.")
    return time.perf_counter() - began


def _func_start(app: Path) -> float:
    """Seconds until a new ``func start`` has answered a request."""
    port = _free_port()
    arguments = ("start", "--port", str(port), "--hub", "embedded", "--script-root", str(app))
    began = time.perf_counter()
    with python("-m", "durable_app", *arguments) as process:
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - began > GIVE_UP_S:
                raise SystemExit("`func start` gave no answer; its error is above.")
            time.sleep(0.001)
        taken = time.perf_counter() - began
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=GIVE_UP_S)
    return taken


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _answers(port: int) -> bool:
    """True once the server has answered; a connection to a reserved port waits for that."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GIVE_UP_S)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.client.OK
        except ConnectionError:
            return False
