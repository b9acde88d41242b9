"""Hub and worker in forked children: as real as a host when they are killed, and far cheaper.

What a host takes for its start is the import of everything. A child is forked from a process that
has imported it all and runs no thread and no event loop yet: it opens the database some
milliseconds later. Nothing else may be forked from that process, so it is no test process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from durable_app.clock import SystemClock
from durable_app.functions.index import index_app
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.sqlite import SqliteStore
from durable_app.worker.service import Worker, WorkerOptions

HUB = "default"
READY = "ready"
BROKEN = 70

Tell = Callable[[str], None]
#: What a child does while its worker works: the hub, and how to tell the parent a line.
Drive = Callable[[TaskHub, Tell], Awaitable[None]]


class Child:
    """One process with a hub and a worker on a database."""

    def __init__(self, database: Path, app: Any, options: HubOptions, drive: Drive) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            _live(database, app, options, drive, writing)
        os.close(writing)
        self._pipe = os.fdopen(reading, encoding="utf-8")

    def wait_until_ready(self) -> None:
        """Until it works; returns as well where it ends before that."""
        self._pipe.readline()

    def kill(self) -> list[str]:
        """End it as a power cut would; what it has told since it was ready."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()[1]

    def wait(self) -> tuple[int, list[str]]:
        """Its exit code (negative: a signal) when it has ended, and what it has told."""
        with self._pipe:
            told = self._pipe.read().split("\n")
        _, status = os.waitpid(self.pid, 0)
        # The last one may be half a line, or empty.
        return os.waitstatus_to_exitcode(status), [line for line in told[:-1] if line != READY]


def _live(database: Path, app: Any, options: HubOptions, drive: Drive, pipe: int) -> None:
    """The whole life of a child; it must not come back into the code of its parent."""
    code = BROKEN
    logging.basicConfig(filename=database.with_suffix(".log"), level=logging.WARNING)
    try:
        asyncio.run(_serve(database, app, options, drive, pipe))
        code = 0
    except BaseException:  # noqa: BLE001  the top of a process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


async def _serve(database: Path, app: Any, options: HubOptions, drive: Drive, pipe: int) -> None:
    hub = TaskHub(SqliteStore(database, HUB), options, SystemClock())
    hub.open()
    worker = Worker(hub, index_app(app), WorkerOptions(), SystemClock())
    worker.start()

    def tell(line: str) -> None:
        os.write(pipe, f"{line}\n".encode())

    tell(READY)
    await drive(hub, tell)
    await worker.stop(2.0)
    await hub.stop()


@contextlib.contextmanager
def reading(database: Path, folder: Path) -> Iterator[SqliteStore]:
    """A store over a copy of the database: looking must not change what the next child finds."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in (database, database.with_name(f"{database.name}-wal")):
        if path.exists():
            shutil.copy(path, folder)
    store = SqliteStore(folder / database.name, HUB)
    store.open()
    try:
        yield store
    finally:
        store.close()
