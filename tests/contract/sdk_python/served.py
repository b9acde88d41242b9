"""Our task hubs behind a gRPC port of this process, for the SDKs that connect to it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from durable_app.clock import SystemClock
from durable_app.compose.hubs import Hubs
from durable_app.rpc.server.server import HubServer

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

T = TypeVar("T")


class ServedHubs:
    """A server on an event loop in a thread of its own; task hubs are made when they are used.

    Attributes:
        address: ``host:port``, for SDKs.
        fatal: errors that ended a hub.
    """

    def __init__(self, path: Path | None) -> None:
        self.fatal: list[BaseException] = []
        self._leaving: list[threading.Thread] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="served-hubs")
        self._thread.start()
        self._hubs = Hubs(path, [], SystemClock(), self.fatal.append, is_dynamic=True)
        self._server: HubServer = self._call(_server(self._hubs))
        port = self._call(self._server.start("127.0.0.1:0"))
        self.address = f"127.0.0.1:{port}"

    def leave(self, threads: list[threading.Thread]) -> None:
        """Some workers are about to go; nobody needs to wait for them before the end."""
        self._leaving += threads

    def close(self) -> None:
        """Stop the server and the hubs, when all workers are gone."""
        for thread in self._leaving:
            thread.join(10)
        self._call(self._server.stop(0.5))
        self._call(self._hubs.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


async def _server(hubs: Hubs) -> HubServer:
    await hubs.open()
    return HubServer(hubs, SystemClock())
