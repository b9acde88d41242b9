"""Worker processes of a hub in this process: real ones, which are killed, replaced and drained."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from durable_app.clock import SystemClock
from durable_app.compose import worker_pool as module
from durable_app.compose.worker_pool import PoolSite, WorkerPool
from durable_app.errors import ConfigError, DefinitionError
from durable_app.host.config.options import HostSettings
from durable_app.host.console.console import Console
from durable_app.host.console.log_levels import LogLevels
from durable_app.host.processes.messages import WorkerOrder
from durable_app.host.processes.restarts import Restarts
from durable_app.ports import StartRequest
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore
from tests.unit.host.console_rig import Written

CODE = """
import os
import time
import durable_app as df

app = df.DFApp()


@app.activity_trigger(input_name="seconds")
def nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@app.orchestration_trigger(context_name="context")
def naps(context):
    tasks = [context.call_activity("nap", context.get_input()) for _ in range(6)]
    return (yield context.task_all(tasks))


@app.orchestration_trigger(context_name="context")
def meeting(context):
    return (yield context.call_activity("meet", context.get_input()))


@app.activity_trigger(input_name="friend")
@app.durable_client_input(client_name="client")
async def meet(friend: str, client) -> str:
    await client.start_new("naps", friend, 0)
    await client.signal_entity(df.EntityId("counter", friend), "add")
    await client.wait_for_orchestration_start(friend)
    state = await client.wait_for_orchestration_completion(friend)
    return state.runtime_status.name


@app.entity_trigger(context_name="context")
def counter(context):
    context.set_state(1)
"""
PATIENCE_S = 20.0


class Host:
    """A hub and its pool, as a host has them."""

    def __init__(self, folder: Path, processes: int) -> None:
        self.stream = Written()
        clock = SystemClock()
        self.console = Console(clock, LogLevels({}), stream=self.stream, colour=False)
        self.hub = TaskHub(MemoryStore("pool"), HubOptions(name="pool"), clock)
        self.site = PoolSite(
            self.hub,
            processes,
            WorkerOrder(str(folder), "pool", "http://localhost:1", "Storage"),
            HostSettings.model_validate({}).extensions.durable_task,
            {**os.environ, "DURABLE_APP_TEST": "1"},
            self.console,
            clock,
        )

    async def until(self, pattern: str, count: int = 1) -> list[str]:
        """What the console shows, once the pattern is there so often."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self.console.flush(1.0)
                found = re.findall(pattern, self.stream.getvalue())
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.02)

    async def pids(self, seconds: float = 0.05) -> set[int]:
        """Processes that activities have run in."""
        state = await self.ended(StartRequest("naps", None, json.dumps(seconds)))
        return set(json.loads(state.output or "[]"))

    async def ended(self, start: StartRequest) -> Any:
        """An orchestration when it has ended."""
        instance_id = await self.hub.start(start)
        state = await self.hub.wait_for_completion(instance_id, timeout_s=PATIENCE_S)
        assert state is not None, self.stream.getvalue()
        return state


@contextlib.asynccontextmanager
async def hosting(folder: Path, processes: int = 2, code: str = CODE) -> AsyncIterator[Any]:
    """A host, and a pool that is not begun; both are ended."""
    app = folder / "app"
    app.mkdir(exist_ok=True)
    (app / "function_app.py").write_text(code)
    (app / "host.json").write_text('{"version": "2.0"}')
    host = Host(app, processes)
    host.hub.open()
    pool = WorkerPool(host.site)
    try:
        yield host, pool
    finally:
        await pool.stop(5.0)
        await host.hub.stop()
        host.console.close()


def play(scenario: Any) -> None:
    asyncio.run(scenario())


def test_processes_share_the_work_and_end_when_they_are_told(tmp_path):
    async def scenario() -> None:
        async with hosting(tmp_path) as (host, pool):
            await pool.prepare()
            await pool.start()
            await host.until("is at work", 2)
            pids: set[int] = set()
            while len(pids) < 2:
                pids |= await host.pids()
            assert os.getpid() not in pids
            calls = {method for keeper in pool._keepers for method, _ in keeper._server.counts}
            assert "CompleteWorkItems" in calls  # many outcomes in one call
            assert "CompleteActivityTask" not in calls
            await pool.stop(5.0)
            for pid in pids:
                with pytest.raises(ProcessLookupError):
                    os.kill(pid, 0)

    play(scenario)


def test_a_process_that_is_killed_is_replaced_and_its_work_is_done_by_others(tmp_path):
    async def scenario() -> None:
        async with hosting(tmp_path) as (host, pool):
            await pool.start()
            shown = await host.until(r"\(PID (\d+)\) is at work", 2)
            running = asyncio.ensure_future(host.pids(1.0))
            await asyncio.sleep(0.3)
            os.kill(int(shown[0]), signal.SIGKILL)
            assert await running <= {int(pid) for pid in shown} | await host.pids()
            [line] = await host.until(r"Worker process \d \(PID \d+\) was ended by SIGKILL.*")
            assert "given to others" in line
            await host.until("is at work", 3)

    play(scenario)


def test_clients_in_processes_may_choose_what_those_of_the_host_may(tmp_path):
    async def scenario() -> None:
        async with hosting(tmp_path, 1) as (host, pool):
            await pool.start()
            friend = "f" * 256
            state = await host.ended(StartRequest("meeting", None, json.dumps(friend)))
            assert state.output == '"COMPLETED"', state.failure
            assert await host.hub.get(friend) is not None

    play(scenario)


def test_an_app_that_cannot_be_loaded_is_told_at_once(tmp_path):
    async def scenario() -> None:
        async with hosting(tmp_path, 1, "raise RuntimeError('broken')") as (_, pool):
            with pytest.raises(DefinitionError, match="not loaded by worker process 1, which has"):
                await pool.prepare()

    play(scenario)


def test_without_unix_sockets_a_loopback_port_and_a_token_do(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "make_socket_folder", lambda: None)
    # A proxy that leads to the world has no business between a host and its processes.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy", "grpc_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def scenario() -> None:
        async with hosting(tmp_path, 1) as (host, pool):
            await pool.start()
            assert len(await host.pids()) == 1

    play(scenario)


def test_a_server_that_cannot_listen_ends_those_that_can(tmp_path, monkeypatch):
    folder = tmp_path / "sockets"
    (folder / "2.sock").mkdir(parents=True)
    monkeypatch.setattr(module, "make_socket_folder", lambda: folder)

    async def scenario() -> None:
        async with hosting(tmp_path, 2) as (host, pool):
            with pytest.raises(ConfigError, match="cannot listen on unix:"):
                await pool.prepare()
            assert not folder.exists()
            assert "is at work" not in host.stream.getvalue()

    play(scenario)


def test_a_process_that_does_not_end_is_killed(tmp_path):
    async def scenario() -> None:
        async with hosting(tmp_path, 1) as (host, pool):
            await pool.start()
            await host.until("is at work")
            endless = await host.hub.start(StartRequest("naps", None, "60"))
            await asyncio.sleep(0.3)
            began = asyncio.get_running_loop().time()
            await pool.stop(0.5)
            assert asyncio.get_running_loop().time() - began < 5
            state = await host.hub.get(endless)
            assert state is not None
            assert not state.status.is_terminal

    play(scenario)


def test_where_the_system_has_no_process_to_give_it_is_said(tmp_path, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no memory")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(Restarts, "wait_s", lambda *_: 0.05)

    async def scenario() -> None:
        async with hosting(tmp_path, 1) as (host, pool):
            with pytest.raises(DefinitionError):
                await pool.prepare()
            await host.until("Worker process 1 cannot be started: no memory")

    play(scenario)
