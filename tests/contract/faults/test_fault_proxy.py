"""The proxy itself: each fault is what it says it is."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import suppress

import pytest

from durable_app.clock import SystemClock
from tests.contract.faults.fault_proxy import FaultProxy

CLOCK = SystemClock()


class _Echo(socketserver.BaseRequestHandler):
    def handle(self):
        with suppress(ConnectionError):
            while data := self.request.recv(65_536):
                self.request.sendall(data)


@pytest.fixture(scope="module")
def echo_port():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def proxy(echo_port):
    proxy = FaultProxy(echo_port)
    yield proxy
    proxy.close()


@pytest.fixture
def client(proxy):
    client = socket.create_connection(("127.0.0.1", proxy.port), 5)
    assert said(client, b"first") == b"first"
    yield client
    client.close()


def said(client, data, timeout_s=5.0):
    """What comes back; None for nothing."""
    client.settimeout(timeout_s)
    client.sendall(data)
    try:
        return client.recv(65_536)
    except TimeoutError:
        return None


def test_a_cut_ends_the_connection_well(proxy, client):
    proxy.cut()
    client.settimeout(5)
    assert client.recv(10) == b""


def test_a_reset_ends_it_abruptly(proxy, client):
    proxy.reset()
    client.settimeout(5)
    with pytest.raises(ConnectionResetError):
        client.recv(10)


def test_a_black_hole_swallows_everything_and_accepts_more(proxy, client):
    proxy.black_hole()
    assert said(client, b"lost", 0.1) is None
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as other:
        assert said(other, b"lost", 0.1) is None
    proxy.heal()
    client.settimeout(5)
    with pytest.raises(ConnectionResetError):
        client.recv(10)
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as other:
        assert said(other, b"again") == b"again"


@pytest.mark.parametrize("loses_up", [True, False])
def test_half_of_a_connection(proxy, client, loses_up):
    proxy.half_open(loses_up=loses_up)
    assert said(client, b"lost", 0.1) is None
    assert proxy.open == 1


def test_a_delay(proxy, client):
    proxy.delay(0.1)
    began = CLOCK.monotonic()
    assert said(client, b"late") == b"late"
    assert 0.2 <= CLOCK.monotonic() - began < 2


def test_a_throttle(proxy, client):
    proxy.throttle(10_000)
    began = CLOCK.monotonic()
    assert said(client, b"x" * 1_000) == b"x" * 1_000
    assert 0.2 <= CLOCK.monotonic() - began < 2


def is_reset(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.recv(10)
    except ConnectionResetError:
        return True
    return False


def test_refusals(proxy, client):
    proxy.refuse()
    assert is_reset(proxy.port)
    assert said(client, b"still there") == b"still there"


def test_nobody_behind_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    proxy = FaultProxy(port)
    assert is_reset(proxy.port)
    proxy.close()
