"""A hub, its server and our side of the wire in one process, on a free port of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from durable_app.clock import SystemClock
from durable_app.connection.endpoint import parse_endpoint
from durable_app.connection.options import GrpcWorkerResiliencyOptions
from durable_app.rpc.call_headers import (
    CLIENT_ROLE,
    WORKER_ROLE,
    CallHeaders,
    new_worker_id,
    user_agent,
)
from durable_app.rpc.connect import HubAccess
from durable_app.rpc.server.server import HubServer
from durable_app.rpc.stub.hub import RemoteHub
from durable_app.rpc.stub.work import RemoteWork
from durable_app.worker.session import Session
from durable_app.worker.stream_consumer import StreamConsumer

if TYPE_CHECKING:
    from durable_app.ports import ServedHub, Store

CLOCK = SystemClock()
QUICK = GrpcWorkerResiliencyOptions(
    hello_timeout_seconds=5,
    reconnect_backoff_base_seconds=0.05,
    reconnect_backoff_cap_seconds=0.1,
    min_recreate_interval_seconds=0,
)


class OverTheWire(NamedTuple):
    """Asks for a hub on that store with the wire before it."""

    store: Store


class OneHub:
    """Implements ``ports.TaskHubs`` for a hub that exists already."""

    def __init__(self, hub: ServedHub) -> None:
        self.hub = hub

    async def find(self, name: str) -> ServedHub:
        """The one hub, whatever its name."""
        return self.hub

    async def create(self, name: str, *, recreate: bool = False) -> None:
        """Nothing: it is there."""

    async def delete(self, name: str) -> None:
        """Nothing: it stays."""


def access_to(port: int, role: str = CLIENT_ROLE, task_hub: str = "default") -> HubAccess:
    """Access to a hub on this machine."""
    endpoint = parse_endpoint(f"http://127.0.0.1:{port}", "test", encrypted=False)
    worker_id = new_worker_id(CLOCK) if role == WORKER_ROLE else None
    headers = CallHeaders(task_hub, user_agent("1", role), worker_id)
    return HubAccess(endpoint, headers, "scope")


def work_of(port: int, on_fatal=None, **options: object) -> RemoteWork:
    """The work of a hub on this machine."""

    def consume(link, take):
        return StreamConsumer(link, Session(QUICK), take, CLOCK)

    def fatal(error: BaseException) -> None:
        raise error

    return RemoteWork.open(
        access_to(port, WORKER_ROLE), CLOCK, consume, on_fatal or fatal, **options
    )


class Wire:
    """A server before a hub, and a client's and a worker's connection to it."""

    def __init__(self, hub: ServedHub) -> None:
        self._hubs = OneHub(hub)
        self.port = 0

    async def open(self) -> tuple[RemoteHub, RemoteWork]:
        """Serve the hub, and connect to it."""
        await self.start_server()
        self.client = RemoteHub.open(access_to(self.port), CLOCK)
        self.work = work_of(self.port)
        return self.client, self.work

    async def start_server(self) -> None:
        """Serve the hub; at the same port as before, if there was one."""
        self.server = HubServer(self._hubs, CLOCK)
        self.port = await self.server.start(f"127.0.0.1:{self.port}")

    async def restart_server(self) -> None:
        """Cut all connections, and take new ones."""
        await self.server.stop(0)
        await self.start_server()

    async def close(self) -> None:
        """End the connections, then the server."""
        await self.work.close()
        await self.client.close()
        await self.server.stop(0)
