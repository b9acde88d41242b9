"""A worker process from its own side, played in this process: a hub, a server and two pipes."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any
from unittest import mock

import pytest

from durable_app.clock import SystemClock
from durable_app.compose import pool_worker as module
from durable_app.compose.pool_gate import Gate
from durable_app.compose.pool_worker import Report
from durable_app.errors import DefinitionError
from durable_app.host.lifecycle import Deadline, Stop
from durable_app.host.processes.messages import GO, Word, WorkerOrder, drain_line
from durable_app.ports import Capacity, StartRequest
from durable_app.rpc.server.server import HubServer
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore

CODE = """
import durable_app as df

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def greet(context):
    print("greeting")
    return "hello"
"""
PATIENCE_S = 20.0


class Host:
    """The other side of a process: its hub, and what the process reports."""

    def __init__(self, hub: TaskHub, orders: IO[bytes], reports: list[dict[str, Any]]) -> None:
        self.hub = hub
        self.reports = reports
        self._orders = orders

    def tell(self, line: bytes) -> None:
        self._orders.write(line)
        self._orders.flush()

    async def hears(self, word: Word) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while {"said": word} not in self.reports:  # noqa: ASYNC110  read on a thread
                await asyncio.sleep(0.01)

    async def runs(self) -> str | None:
        instance_id = await self.hub.start(StartRequest("greet"))
        state = await self.hub.wait_for_completion(instance_id, timeout_s=PATIENCE_S)
        return None if state is None else state.output


@pytest.fixture(autouse=True)
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Exit codes of ends that would have ended this process; signals are as before."""
    codes: list[int] = []
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(os, "_exit", codes.append)
    # A signal starts a clock, which would end this process when the tests have gone on.
    monkeypatch.setattr(Deadline, "_exit_in", lambda *_: None)
    yield codes
    _end_threads()  # before they find the real one again
    for number, handler in before.items():
        signal.signal(number, handler)


def _end_threads() -> None:
    """Wait for those that listen to a host that is gone."""
    for thread in threading.enumerate():
        if thread.name == "host-commands":
            thread.join(PATIENCE_S)


def _read(lines: Iterable[str], reports: list[dict[str, Any]]) -> None:
    for line in lines:
        reports.append(json.loads(line))  # noqa: PERF401  at once: somebody waits for it


def play(folder: Path, scenario: Callable[[Host], Awaitable[None]], code: str = CODE) -> Any:
    """Run a process's side with a scenario of its host; what it has reported."""
    (folder / "function_app.py").write_text(code)
    (folder / "host.json").write_text('{"version": "2.0"}')

    async def run() -> list[dict[str, Any]]:
        clock = SystemClock()
        hub = TaskHub(MemoryStore("pool"), HubOptions(name="pool"), clock)
        hub.open()
        server = HubServer(Gate(hub, Capacity(9, 9, 9)), clock, token="a token of the host")
        port = await server.start("127.0.0.1:0")
        order = WorkerOrder(str(folder), "pool", "http://localhost:1", "Storage")
        order = order.at(f"127.0.0.1:{port}", "a token of the host")
        reports: list[dict[str, Any]] = []
        orders_read, orders_write = os.pipe()
        report_read, report_write = os.pipe()
        with os.fdopen(report_read) as lines:
            reader = threading.Thread(target=_read, args=(lines, reports))
            reader.start()
            report = Report(report_write)
            pipe = os.fdopen(orders_read, "rb")
            try:
                with os.fdopen(orders_write, "wb") as orders:
                    host = Host(hub, orders, reports)
                    serve = module._serve(order, pipe, report, Deadline())
                    await asyncio.gather(serve, scenario(host))
            finally:
                _end_threads()
                pipe.close()
                report.close()
                reader.join()
                await server.stop(0.1)
                await hub.stop()
        return reports

    # It would go on to watch over the parent of this process.
    with mock.patch.object(module.Commands, "_look_after"):
        return asyncio.run(run())


def words(reports: list[dict[str, Any]]) -> list[str]:
    return [report["said"] for report in reports if "said" in report]


def test_a_process_waits_for_its_host_works_and_drains(tmp_path):
    async def scenario(host: Host) -> None:
        await host.hears(Word.LOADED)
        host.tell(GO)
        await host.hears(Word.CONNECTED)
        assert await host.runs() == '"hello"'
        host.tell(drain_line(2.0))

    reports = play(tmp_path, scenario)

    assert words(reports) == ["loaded", "connected", "leaving"]
    [shown] = [report for report in reports if report.get("message") == "greeting"]
    assert shown["function"] == "greet"


def test_a_process_that_is_not_wanted_any_more_takes_no_work(tmp_path):
    async def scenario(host: Host) -> None:
        await host.hears(Word.LOADED)
        host.tell(drain_line(2.0))

    assert words(play(tmp_path, scenario)) == ["loaded"]


def test_a_signal_lets_it_drain(tmp_path):
    async def scenario(host: Host) -> None:
        host.tell(GO)
        await host.hears(Word.CONNECTED)
        signal.raise_signal(signal.SIGTERM)

    assert words(play(tmp_path, scenario))[-1] == "leaving"


def test_an_app_that_cannot_be_loaded_ends_the_process(tmp_path):
    async def scenario(_host: Host) -> None:
        await asyncio.sleep(0)

    with pytest.raises(DefinitionError):
        play(tmp_path, scenario, "app = None")


def test_an_error_that_nothing_can_go_on_after_ends_the_process(tmp_path, monkeypatch):
    found: list[Any] = []
    original = module.Commands.listen

    def listen(commands: Any) -> None:
        found.append(commands)
        original(commands)

    monkeypatch.setattr(module.Commands, "listen", listen)

    async def scenario(host: Host) -> None:
        host.tell(GO)
        await host.hears(Word.CONNECTED)
        found[0].stop.fail(RuntimeError("no way"))

    with pytest.raises(RuntimeError, match="no way"):
        play(tmp_path, scenario)


def test_a_lost_connection_is_told_unless_the_end_is_near():
    class Console:
        def __init__(self) -> None:
            self.lines: list[tuple[Any, ...]] = []

        def log(self, *line: Any) -> None:
            self.lines.append(line)

    async def scenario() -> None:
        console: Any = Console()
        report: Any = None
        stop = Stop()
        link = module._Link(report, console, stop)
        link.disconnected(None, "cut", 0.1)
        assert [line[-1] for line in console.lines] == ["cut"]
        stop.request()
        link.disconnected(None, "the end", 0.1)
        assert len(console.lines) == 1

    asyncio.run(scenario())


def test_a_host_that_is_gone_takes_its_processes_along(ends):
    async def scenario() -> None:
        module.Commands(io.BytesIO())._listen()

    asyncio.run(scenario())
    assert ends == [1]


def test_a_process_whose_parent_is_another_one_ends(ends, monkeypatch):
    parents = iter([7, 7, 1])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(module, "_LOOK_S", 0.0)

    async def scenario() -> None:
        module.Commands(io.BytesIO())._look_after(7)

    asyncio.run(scenario())
    assert ends == [1]


def test_reports_to_a_host_that_is_gone_are_dropped():
    read, write = os.pipe()
    os.close(read)
    report = Report(write)

    report.say(Word.GOODBYE)

    with pytest.raises(BrokenPipeError):
        report.write("a line\n")
    assert report.encoding == "utf-8"
    report.close()
    report.close()


ORDER = WorkerOrder("/app", "pool", "http://localhost:1", "Storage")


def outcome(
    monkeypatch: pytest.MonkeyPatch, orders: bytes, error: Exception | None = None
) -> tuple[int, str]:
    """Exit code of a process that serves for no time, and its reports."""

    async def serve(*_: Any) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(module, "_serve", serve)
    monkeypatch.setattr(Deadline, "finish", lambda *_: None)
    read, write = os.pipe()
    report = Report(write)
    code = module.work(io.BytesIO(orders), report)
    report.close()
    with os.fdopen(read) as lines:
        return code, lines.read()


def test_a_process_without_an_order_ends(monkeypatch):
    assert outcome(monkeypatch, b"") == (1, "")


def test_a_process_that_has_handed_in_everything_says_goodbye(monkeypatch):
    assert outcome(monkeypatch, ORDER.line()) == (0, Word.GOODBYE.line())


def test_why_a_process_cannot_work_is_told_on_standard_error(monkeypatch, capsys):
    found = outcome(monkeypatch, ORDER.line(), DefinitionError("no app"))
    assert found == (1, "")
    assert capsys.readouterr().err == "no app\n"


@contextlib.contextmanager
def process(order: WorkerOrder) -> Iterator[subprocess.Popen[bytes]]:
    """A real process with this order; its standard error is a pipe."""
    program = f"import sys; from {module.__name__} import main; sys.exit(main())"
    command = [sys.executable, "-c", program]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as popen:
        assert popen.stdin is not None
        popen.stdin.write(order.line())
        popen.stdin.flush()
        yield popen


def test_what_an_app_writes_past_python_does_not_get_into_the_reports(tmp_path):
    loud = 'import os, sys\nos.write(1, b"raw")\nos.write(2, sys.stdin.read(9).encode())\n'
    (tmp_path / "function_app.py").write_text(loud)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    order = WorkerOrder(str(tmp_path), "pool", "http://localhost:1", "Storage")
    with process(order.at("127.0.0.1:1", "token")) as popen:
        assert popen.wait(PATIENCE_S) == 1
        assert popen.stdout is not None
        assert popen.stderr is not None
        assert b"raw" not in popen.stdout.read()
        assert popen.stderr.read().startswith(b"raw")
