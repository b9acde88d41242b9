"""WH: what the host adds to an HTTP function that does nothing.

``func start`` runs on one core, the client in a process of its own on the others. Connections are
kept alive; each sends its next request when it has the answer to the last one. Latencies are
those of the loaded host; ``alone`` is one connection on an idle host.

    python -m benchmarks.load.http_overhead
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.load.processes import end_on_sigterm, python, scratch_folder
from benchmarks.load.start_up import GIVE_UP_S, _answers, _free_port, figures_of

CONNECTIONS = 32
WARM_UP_S = 1.0
SECONDS = 4.0
_APP = """
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="sync", methods=["GET"])
def sync(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("hello")


@app.route(route="async", methods=["GET"])
async def on_loop(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("hello")
"""


def http_overhead(folder: Path) -> dict[str, Any]:
    """Requests per second and latencies of a ``def`` and an ``async def`` function."""
    app = folder / "app"
    app.mkdir()
    (app / "function_app.py").write_text(_APP)
    (app / "host.json").write_text('{"version": "2.0"}')
    result: dict[str, Any] = {}
    with _host(app) as port:
        for kind in ("sync", "async"):
            for connections in (CONNECTIONS, 1):
                found = _measured(port, f"/api/{kind}", connections)
                label = kind if connections > 1 else f"{kind}_alone"
                result |= {f"{label}_{figure}": value for figure, value in found.items()}
    return result


@contextmanager
def _host(app: Path) -> Iterator[int]:
    """The port of a running ``func start`` that has one core to itself, if there are several."""
    port = _free_port()
    arguments = ("start", "--port", str(port), "--hub", "embedded", "--script-root", str(app))
    with python("-m", "durable_app", *arguments) as process, (app / "console").open("w") as console:
        _pin(process.pid, host=True)
        import threading

        # Somebody reads the console, as a terminal does.
        reader = threading.Thread(
            target=lambda: console.writelines(process.stdout or ()), daemon=True
        )
        reader.start()
        began = time.perf_counter()
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - began > GIVE_UP_S:
                raise SystemExit("`func start` gave no answer; its error is above.")
            time.sleep(0.01)
        yield port
        process.send_signal(signal.SIGTERM)
        process.wait(GIVE_UP_S)
        reader.join()


def _pin(pid: int, *, host: bool) -> None:
    """The first core is the host's, the others are the client's; nothing where that is not known.

    A thread that is started later inherits it.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            os.sched_setaffinity(pid, set(cores[:1] if host else cores[1:]))


def _measured(port: int, path: str, connections: int) -> dict[str, float]:
    arguments = (str(port), path, str(connections))
    with python("-m", "benchmarks.load.http_overhead", *arguments) as client:
        found: dict[str, float] = figures_of(client)
        client.wait()
    return found


class _Client(asyncio.Protocol):
    """One connection: the next request follows the answer. Counts on short, whole answers."""

    def __init__(self, request: bytes, end: float, taken: list[float]) -> None:
        self._request = request
        self._end = end
        self._taken = taken
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if not (data.startswith(b"HTTP/1.1 200 ") and data.endswith(b"\r\n\r\nhello")):
            self.done.set_exception(AssertionError(data[:200]))
            return
        self._taken.append(now - self._sent)
        if now < self._end:
            self._send()
        else:
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the host closed the connection"))


async def _load(port: int, path: str, connections: int, seconds: float) -> list[float]:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: */*\r\n\r\n".encode()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Client(request, end, taken), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for _, client in made))
    return taken


def _client(port: int, path: str, connections: int) -> dict[str, float]:
    _pin(0, host=False)
    asyncio.run(_load(port, path, connections, WARM_UP_S))
    taken = asyncio.run(_load(port, path, connections, SECONDS))
    cuts = statistics.quantiles(taken, n=100)
    return {
        "requests_per_s": len(taken) / SECONDS,
        "p50_ms": 1e3 * statistics.median(taken),
        "p99_ms": 1e3 * cuts[98],
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_client(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))), flush=True)
    else:
        end_on_sigterm()
        with scratch_folder() as where:
            for name, figure in http_overhead(where).items():
                print(f"{name:24} {figure:10.2f}")
