"""A host's queue triggers with one function, before a stand-in of the service or Azurite."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from durable_app.functions.index import FunctionFacts
from durable_app.host.console.console import Level
from durable_app.host.triggers.queue import QueueOptions, QueueTriggers, queue_function
from durable_app.host.triggers.queue_output import QueueSink
from durable_app.host.triggers.storage import StorageAccounts
from tests.contract.queue_service import QueueService, connection_string

AZURITE = os.environ.get("AZURITE_QUEUE") or shutil.which("azurite-queue")
SERVICES = ["stand-in", "azurite"] if AZURITE else ["stand-in"]
QUICK = QueueOptions(max_polling_s=0.2)


@contextlib.asynccontextmanager
async def queue_service(kind: str, folder: Path) -> AsyncIterator[int]:
    """Port of a queue service that is empty."""
    if kind == "stand-in":
        service = QueueService()
        port = await service.start()
        try:
            yield port
        finally:
            await service.stop()
        return
    port = free_port()
    assert AZURITE is not None
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", str(folder)]
    process = await asyncio.create_subprocess_exec(
        AZURITE, "--queuePort", str(port), *options, stdout=subprocess.DEVNULL
    )
    try:
        await eventually(lambda: listens(port), "Azurite")
        yield port
    finally:
        process.terminate()
        await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def eventually(look: Callable[[], object], what: str, timeout_s: float = 15) -> None:
    for _ in range(int(timeout_s / 0.01)):
        if look():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within {timeout_s:g} s: {what}")


def facts(name: str, **binding: Any) -> FunctionFacts:
    return FunctionFacts(
        name=name,
        trigger_type="queueTrigger",
        bindings=({"type": "queueTrigger", "name": "message", "direction": "IN", **binding},),
        route=None,
        methods=(),
        auth_level=None,
        is_async=False,
        handle=lambda message: None,
        durable=None,
        script_file="function_app.py",
    )


class Worker:
    """A queue function that notes its messages; ``act`` is its body."""

    def __init__(self, act: Callable[[Any], Awaitable[None]] | None = None, **binding: Any) -> None:
        self.messages: list[Any] = []
        self.facts = facts("work", **{"queueName": "Orders", "connection": "", **binding})
        self._act = act

    async def __call__(self, value: Any, *, reason: str = "", retry: object = None) -> None:
        self.messages.append(value)
        if self._act is not None:
            await self._act(value)

    @property
    def bodies(self) -> list[bytes]:
        return [message.get_body() for message in self.messages]


class Lines:
    def __init__(self) -> None:
        self.lines: list[tuple[Level, str, str]] = []

    def log(self, level: Level, category: str, text: str, *args: object) -> None:
        self.lines.append((level, category, text % args if args else text))

    @property
    def warnings(self) -> list[str]:
        return [text for level, _, text in self.lines if level is Level.WARNING]


class Desk:
    """A host with one queue function, and its storage account."""

    def __init__(self, port: int, worker: Worker, options: QueueOptions = QUICK) -> None:
        self.accounts = StorageAccounts({"AzureWebJobsStorage": connection_string(port)})
        self.journal = Lines()
        self.worker = worker
        self.sink = QueueSink(self.accounts, options.encoding)
        self.service = self.accounts.service(self.accounts.account(None))
        self.triggers = QueueTriggers(
            [queue_function(worker)], self.accounts, options, self.journal
        )

    async def send(self, *values: Any, queue: str = "orders") -> None:
        for value in values:
            await self.sink({"type": "queue", "queueName": queue}, value)

    async def texts(self, queue: str = "orders") -> list[str]:
        """What is in a queue, whoever may see it: none of it is taken out."""
        found = self.service.get_queue_client(queue).receive_messages(visibility_timeout=1)
        return [message.content async for message in found]

    async def __aenter__(self) -> Desk:
        await self.triggers.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.triggers.stop(5)
        await self.accounts.close()


def play(kind: str, folder: Path, scene: Callable[[int], Awaitable[None]]) -> None:
    """Run a scene against a queue service."""

    async def run() -> None:
        async with queue_service(kind, folder) as port:
            await scene(port)

    asyncio.run(run())
