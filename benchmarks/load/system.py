"""The whole host in this process, as the benchmarks drive it: SQLite with synchronous=FULL."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from durable_app.compose.host import RunningHost, run_host
from durable_app.compose.plan import HostOptions
from durable_app.entity_id import EntityId
from durable_app.protocol import OrchestrationStatus

APP = Path(__file__).resolve().parent / "app"


class System:
    """What `func start` runs, without the HTTP round trips of a client."""

    def __init__(self, workdir: Path, port: int = 0, workers: int = 1) -> None:
        """The database will be below ``workdir``; ``workers`` processes run the functions."""
        self._folder = workdir / "app"
        self._port = port
        self.workers = workers
        self._stack = contextlib.AsyncExitStack()
        self._host: RunningHost

    async def open(self) -> None:
        """Start the host."""
        if not self._folder.exists():
            shutil.copytree(APP, self._folder)
        options = HostOptions(self._folder, port=self._port, hub="embedded", workers=self.workers)
        environ = {} if self.workers == 1 else dict(os.environ)
        host = run_host(options, environ=environ, stream=io.StringIO())
        stdout = sys.stdout
        self._host = await self._stack.enter_async_context(host)
        sys.stdout = stdout  # the host shows what an app prints; figures go where they went before

    async def close(self) -> None:
        """Stop it."""
        await self._stack.aclose()

    async def start(self, kind: str, n: float, instance_id: str | None = None) -> str:
        """Start an orchestration; durable when this returns."""
        return await self._host.client.start_new(kind, instance_id, n)

    async def wait(self, instance_id: str) -> Any:
        """Its output, once it is done."""
        state = await self._host.hub.wait_for_completion(instance_id)
        if state is None or state.status is not OrchestrationStatus.COMPLETED:
            raise AssertionError(f"{instance_id}: {state}")
        return json.loads(state.output or "null")

    async def signal(self, instance_id: str, payload: Any) -> None:
        """Raise the event that ``approval`` waits for."""
        await self._host.client.raise_event(instance_id, "go", payload)

    async def signal_entity(self, number: int) -> None:
        """Let one of the tallies add 1; durable when this returns."""
        await self._host.client.signal_entity(EntityId("Tally", f"t{number % 50}"), "add", 1)

    def operation_count(self) -> int:
        """Operations of entities that have run in this process."""
        count: int = sys.modules["function_app"].Applied.operations
        return count

    def activity_count(self) -> int:
        """No-op activities that have run in this process."""
        count: int = sys.modules["function_app"].Counter.activities
        return count
