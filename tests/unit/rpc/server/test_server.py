"""The port of the server: what it cannot listen on, sockets, certificates."""

from __future__ import annotations

import asyncio
import socket

import grpc.aio
import pytest

from durable_app.clock import SystemClock
from durable_app.compose.hubs import Hubs
from durable_app.errors import ConfigError
from durable_app.host.web.tls import ssl_context
from durable_app.protocol import ActivityRequest, CompletionToken, OrchestrationInstance
from durable_app.rpc.server import server as server_module
from durable_app.rpc.server.addresses import has_ipv6_address
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


@pytest.mark.parametrize("has_both", [True, False])
def test_localhost_is_every_loopback_address(monkeypatch, has_both):
    async def scenario(server):
        if not has_both:
            monkeypatch.setattr(server_module, "LOOPBACK_IPV6", "2001:db8::7")
        port = await server.start("localhost:0")
        is_there = has_both and has_ipv6_address("::1")
        for host in ("127.0.0.1", *(["[::1]"] if is_there else [])):
            assert await hello(grpc.aio.insecure_channel(f"{host}:{port}")) == b""

    play(scenario)


@pytest.mark.skipif(not has_ipv6_address("::1"), reason="this machine has no ::1")
def test_a_port_that_is_taken_on_one_of_them():
    async def scenario(server):
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as taken:
            taken.bind(("::1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(ConfigError, match=rf"cannot listen on \[::1\]:{port}"):
                await server.start(f"localhost:{port}")

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
