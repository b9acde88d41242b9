"""Our side of the wire before a hub that follows a script."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from durable_app.protocol import OrchestrationState, OrchestrationStatus
from durable_app.rpc.codec.requests import encode_state_response
from durable_app.rpc.connect import connect_async
from durable_app.rpc.stub.calls import HubCalls
from durable_app.rpc.stub.hub import RemoteHub
from tests.contract.wire import CLOCK, access_to
from tests.unit.rpc.hub_server import hub_server
from tests.unit.taskhub.builders import NOW

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def state(status: str, instance_id: str = "one") -> bytes:
    """What a hub sends for an instance of that status."""
    found = OrchestrationState(instance_id, "chain", OrchestrationStatus[status], NOW, NOW)
    return bytes(encode_state_response(found).SerializeToString())


#: What a hub sends where there is no instance.
NOBODY = encode_state_response(None).SerializeToString()


def with_hub(
    conversation: Callable[..., Awaitable[Any]], *, patience_s: float = 5.0, **script: Any
) -> Any:
    """Run ``conversation(client, server)``; the server has these answers, by method."""

    async def main(server: Any) -> Any:
        client = RemoteHub.open(access_to(server.port), CLOCK, patience_s=patience_s)
        try:
            return await conversation(client, server)
        finally:
            await client.close()

    with hub_server(**script) as server:
        return asyncio.run(main(server))


def with_calls(conversation: Callable[..., Awaitable[Any]], **script: Any) -> Any:
    """Run ``conversation(calls, server)``, likewise."""

    async def main(server: Any) -> Any:
        access = access_to(server.port)
        calls = HubCalls(connect_async(access, CLOCK), access.endpoint.authority)
        try:
            return await conversation(calls, server)
        finally:
            await calls.close()

    with hub_server(**script) as server:
        return asyncio.run(main(server))
