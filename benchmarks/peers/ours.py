"""Adapter for a side-by-side runner of durable-execution systems.

The runner calls ``open, close, start, wait, attach, signal`` on an asyncio loop, in a fresh process
per measurement, and brings the module ``adapters.base``.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from adapters.base import Adapter, Done  # noqa: E402  brought by the runner

from benchmarks.load.system import System  # noqa: E402  after the path is set


class Ours(Adapter):  # type: ignore[misc]  # its base comes with the runner
    name = "durable_app"
    venv = "durable_app"
    packages = ("durable-app", "azure-functions", "aiohttp", "msgspec")
    import_statement = "import durable_app; durable_app.DFApp"
    durability = "SQLite WAL, synchronous=FULL, group commit; whole host in the process"

    async def open(self):
        self.system = System(self.ctx.workdir)
        await self.system.open()

    async def close(self):
        await self.system.close()

    async def start(self, kind, n, instance_id):
        return await self.system.start(kind, n, instance_id)

    async def attach(self, instance_id):
        return instance_id

    async def wait(self, handle):
        return Done(await self.system.wait(handle))

    async def signal(self, instance_id, payload):
        await self.system.signal(instance_id, payload)

    def activity_count(self):
        return self.system.activity_count()
