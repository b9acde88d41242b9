"""The port of the server: what it cannot listen on, sockets, certificates."""

from __future__ import annotations

import asyncio

import grpc.aio
import pytest

from durable_app.clock import SystemClock
from durable_app.compose.hubs import Hubs
from durable_app.errors import ConfigError
from durable_app.host.web.tls import ssl_context
from durable_app.protocol import ActivityRequest, CompletionToken, OrchestrationInstance
from durable_app.rpc.server.outlet import Outlet
from durable_app.rpc.server.server import HubServer, TlsFiles

HELLO = "/TaskHubSidecarService/Hello"
ITEM = ActivityRequest(
    "act", None, None, OrchestrationInstance("one", "e"), 0, CompletionToken("t", 1)
)


@pytest.fixture
def certificate(tmp_path):
    """A private key and its certificate."""
    ssl_context(None, None, tmp_path, SystemClock())
    pem = (tmp_path / ".durable" / "localhost.pem").read_bytes()
    begin = pem.index(b"-----BEGIN CERTIFICATE")
    return pem[:begin], pem[begin:]


async def hello(channel):
    async with channel:
        return await channel.unary_unary(HELLO)(b"", timeout=5)


def play(scenario, **options):
    async def run():
        hubs = Hubs(None, [], SystemClock(), lambda error: None)
        await hubs.open()
        server = HubServer(hubs, SystemClock(), **options)
        try:
            return await scenario(server)
        finally:
            await server.stop(0)
            await server.stop(0)
            await hubs.close()

    return asyncio.run(run())


def test_a_port_that_is_taken():
    async def scenario(server):
        port = await server.start("127.0.0.1:0")
        other = HubServer(Hubs(None, [], SystemClock(), lambda error: None), SystemClock())
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            await other.start(f"127.0.0.1:{port}")
        await other.stop(0)
        assert await hello(grpc.aio.insecure_channel(f"127.0.0.1:{port}")) == b""

    play(scenario)


def test_a_unix_socket(tmp_path):
    async def scenario(server):
        assert await server.start(f"unix:{tmp_path}/hub") == 0
        assert await hello(grpc.aio.insecure_channel(f"unix:{tmp_path}/hub")) == b""

    play(scenario)


def test_certificates(certificate):
    key, chain = certificate

    async def scenario(server):
        port = await server.start("localhost:0")
        credentials = grpc.ssl_channel_credentials(chain)
        assert await hello(grpc.aio.secure_channel(f"localhost:{port}", credentials)) == b""
        with pytest.raises(grpc.aio.AioRpcError):
            await hello(grpc.aio.insecure_channel(f"localhost:{port}"))

    play(scenario, tls=TlsFiles(chain, key))


def test_items_for_a_loop_that_is_closed_are_the_hubs_again():
    async def make():
        return Outlet()

    outlet = asyncio.run(make())
    outlet.push([ITEM])
    assert list(outlet._items) == []
