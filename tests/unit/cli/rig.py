"""Folders with apps and databases in them, as the commands find them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from durable_app.clock import SystemClock
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.sqlite import SqliteStore

APP = "import durable_app as df\n\napp = df.DFApp()\n"


def write_app(folder: Path, code: str = APP) -> Path:
    """An app of this code."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "host.json").write_text('{"version": "2.0"}')
    (folder / "requirements.txt").write_text("")
    (folder / "function_app.py").write_text(code)
    return folder


def make_hub(database: Path, name: str = "default") -> Path:
    """A database with an empty hub, as a host leaves it behind."""

    async def open_and_close() -> None:
        hub = TaskHub(SqliteStore(database, name), HubOptions(name=name), SystemClock())
        hub.open()
        await hub.stop()

    asyncio.run(open_and_close())
    return database


def listed(text: str) -> list[str]:
    """Ids in the JSON output of get-instances."""
    return [row["instanceId"] for row in json.loads(text)["instances"]]
