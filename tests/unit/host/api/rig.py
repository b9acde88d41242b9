"""The management API on a real hub in memory. No worker runs: what is started stays pending."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl, unquote, urlsplit

from durable_app.client.connection import Connection
from durable_app.client.functions_client import DurableFunctionsClient
from durable_app.client.management import WEBHOOK_PATH, ManagementUrls
from durable_app.client.orchestration_client import REPLACEABLE
from durable_app.clock import SystemClock
from durable_app.host.api.exchange import ApiRequest
from durable_app.host.api.management import ManagementApi
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore

ORIGIN = "http://localhost:7071"


class Rig:
    """A hub with its management API; call it with a method and a URL."""

    def __init__(self, hub, *, code=None, any_state=False, clock=None, forwarded=False):
        connection = Connection(
            hub,
            hub,
            ManagementUrls(ORIGIN, "h", code=code),
            "h",
            asyncio.get_running_loop(),
            orchestrators=lambda: ("chain",),
            known_entities=lambda: ("counter",),
            replaceable=REPLACEABLE["AnyState" if any_state else "NonRunningStates"],
            trust_forwarded=forwarded,
        )
        self.hub = hub
        self.client = DurableFunctionsClient(connection)
        self.api = ManagementApi(connection, clock or SystemClock())

    async def __call__(self, method, path, body=b"", **headers):
        url = f"{ORIGIN}{WEBHOOK_PATH}/{path}"
        parts = urlsplit(url)
        return await self.api.answer(
            ApiRequest(
                method,
                tuple(unquote(p) for p in parts.path[len(WEBHOOK_PATH) :].split("/") if p),
                {k.lower(): v for k, v in parse_qsl(parts.query, keep_blank_values=True)},
                {name.replace("_", "-"): value for name, value in headers.items()},
                body,
                url,
            )
        )


def talk(conversation, store=None, **options):
    async def main():
        hub = TaskHub(store or MemoryStore("h"), HubOptions(name="h"), SystemClock())
        hub.open()
        try:
            return await conversation(Rig(hub, **options))
        finally:
            await hub.stop()

    return asyncio.run(main())
