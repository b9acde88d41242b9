"""A client on a real hub in memory. No worker runs: what is started stays pending."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from durable_app.client.connection import Connection
from durable_app.client.functions_client import DurableFunctionsClient
from durable_app.client.management import ManagementUrls
from durable_app.clock import SystemClock
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore

ORIGIN = "http://localhost:7071"


def with_connection(conversation: Callable[[Connection], Awaitable[Any]], **options: Any) -> Any:
    """Run ``conversation(connection)`` on a fresh hub."""

    async def main() -> Any:
        hub = TaskHub(MemoryStore("h"), HubOptions(name="h"), SystemClock())
        hub.open()
        try:
            loop = asyncio.get_running_loop()
            return await conversation(
                Connection(hub, hub, ManagementUrls(ORIGIN, "h"), "h", loop, **options)
            )
        finally:
            await hub.stop()

    return asyncio.run(main())


def with_client(
    conversation: Callable[[DurableFunctionsClient], Awaitable[Any]], **options: Any
) -> Any:
    """Run ``conversation(client)`` on a fresh hub."""
    return with_connection(lambda found: conversation(DurableFunctionsClient(found)), **options)
