"""Beginning and end of the server, its routes while it runs, and clients that dawdle."""

import asyncio
import contextlib
import json
import socket
import ssl

import aiohttp
import pytest
from aiohttp import web

from durable_app.clock import SystemClock
from durable_app.errors import ConfigError
from durable_app.host.web import http
from durable_app.host.web.access import Access
from durable_app.host.web.http import bind
from durable_app.host.web.tls import ssl_context
from tests.contract.host_app import APP, serving, talk, until, write_app
from tests.contract.http_edge import Recorder, Reply, edge, table

GET = b"GET /api/%s HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def quick(req):
    return web.Response(text="quick")


class Slow:
    """A function that waits until it is let go."""

    def __init__(self):
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, req):
        self.begun.set()
        await self.go.wait()
        return web.Response(text="slow")


async def reply(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    found = Reply(head)
    found.body = await reader.readexactly(int(found.headers.get("content-length", "0")))
    return found


# -- ports and addresses ----------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "[::1]", "0.0.0.0"])
def test_an_address_can_be_listened_on(address):
    try:
        bind(address, 0).close()
    except ConfigError as error:
        if ":" in address and "Cannot listen on" in str(error):
            pytest.skip("this machine has no IPv6")
        raise


@pytest.mark.parametrize(
    ("address", "port", "text"),
    [
        ("192.0.2.1", 0, r"Cannot listen on 192\.0\.2\.1:0: "),
        ("no-such-name.invalid", 0, r"Cannot listen on no-such-name\.invalid:0: "),
        ("127.0.0.1", 70000, "--port 70000: a port is a number from 0 to 65535"),
    ],
)
def test_an_address_that_is_not_ours_is_named(address, port, text):
    with pytest.raises(ConfigError, match=text):
        bind(address, port)


def test_a_port_that_needs_more_rights_says_so(monkeypatch):
    def refuse(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ConfigError, match=r"Permission denied\. Ports below 1024 need more rights"):
        bind("127.0.0.1", 80)


def test_a_system_without_reuseport_can_listen(monkeypatch):
    monkeypatch.delattr("socket.SO_REUSEPORT")
    bind("127.0.0.1", 0).close()


def test_a_machine_without_ipv6_says_so(monkeypatch):
    def refuse(*arguments):
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr("socket.socket", refuse)
    with pytest.raises(ConfigError, match="Cannot listen on ::1:7071: Address family"):
        bind("::1", 7071)


# -- while it runs ----------------------------------------------------------------------------


def test_routes_can_be_swapped_while_requests_run():
    async def main():
        slow = Slow()
        async with edge({"api/a": slow}) as server:
            first = asyncio.create_task(server.ask("GET", "/api/a"))
            await slow.begun.wait()
            server.server.serve(table({"api/b": quick}))
            statuses = [(await server.ask("GET", f"/api/{name}")).status for name in "ab"]
            slow.go.set()
            return statuses, (await first).body

    assert asyncio.run(main()) == ([404, 200], b"slow")


def test_an_empty_prefix_and_an_empty_route_answer_the_root():
    async def main():
        async with edge({"": quick}) as server:
            return (await server.ask("GET", "/")).body

    assert asyncio.run(main()) == b"quick"


def test_requests_may_follow_each_other_without_waiting():
    async def main():
        async with edge({"api/a": quick}) as server:
            reader, writer = await server.connect()
            writer.write(GET % b"a" * 3)
            return [(await reply(reader)).body for _ in range(3)]

    assert asyncio.run(main()) == [b"quick"] * 3


@pytest.mark.skipif(
    tuple(map(int, aiohttp.__version__.split(".")[:2])) < (3, 14),
    reason="older ones wait for the first request of a connection for ever",
)
def test_a_connection_that_is_idle_for_too_long_is_closed(monkeypatch):
    monkeypatch.setattr(http, "KEEP_ALIVE_S", 0.05)

    async def main():
        async with edge({"api/a": quick}) as server:
            idle, _ = await server.connect()
            dawdling, w2 = await server.connect()
            w2.write(b"GET /api/a HTTP/1.1\r\nHost: local")
            async with asyncio.timeout(5):
                return [await idle.read(), await dawdling.read()]

    assert asyncio.run(main()) == [b"", b""]


def test_who_does_not_read_a_long_answer_loses_it(monkeypatch):
    monkeypatch.setattr(http, "_SILENCE_S", 0.05)
    monkeypatch.setattr(http, "_SLOWEST_BYTES_PER_S", 1e12)
    body = b"x" * 30_000_000

    async def long(req):
        return web.Response(body=body)

    async def main():
        async with edge({"api/long": long}) as server:
            reader, writer = await server.connect()
            writer.write(GET % b"long")
            await asyncio.sleep(0.3)
            got = 0
            with contextlib.suppress(ConnectionError):
                while chunk := await reader.read(1_000_000):
                    got += len(chunk)
            monkeypatch.setattr(http, "_SILENCE_S", 30)
            return got, len((await server.ask("GET", "/api/long")).body)

    cut, whole = asyncio.run(main())
    assert cut < whole == len(body)


def test_who_goes_away_in_the_middle_of_a_long_answer_harms_nobody(caplog):
    async def long(req):
        return web.Response(body=b"x" * 30_000_000)

    async def main():
        async with edge({"api/long": long, "api/a": quick}) as server:
            reader, writer = await server.connect()
            writer.write(GET % b"long")
            await reader.readline()
            writer.transport.abort()
            await asyncio.sleep(0.05)
            return (await server.ask("GET", "/api/a")).body

    assert asyncio.run(main()) == b"quick"
    assert caplog.records == []


def test_a_function_that_cancels_itself_has_failed():
    async def cancelled(req):
        raise asyncio.CancelledError

    async def main():
        async with edge({"api/c": cancelled}) as server:
            return (await server.ask("GET", "/api/c")).status

    assert asyncio.run(main()) == 500


# -- the end ----------------------------------------------------------------------------------


def test_the_end_closes_idle_connections_at_once_and_answers_what_runs():
    async def main():
        slow = Slow()
        async with edge({"api/slow": slow}) as server:
            idle, idle_writer = await server.connect()
            idle_writer.write(GET % b"none")
            await reply(idle)
            busy, busy_writer = await server.connect()
            busy_writer.write(GET % b"slow")
            await slow.begun.wait()
            end = asyncio.create_task(server.server.stop(5))
            async with asyncio.timeout(2):
                idle_rest = await idle.read()
            with pytest.raises(OSError):  # noqa: PT011  which one depends on the system
                await server.connect()
            still_running = not end.done()
            slow.go.set()
            found = await reply(busy)
            busy_rest = await busy.read()
            await end
            await server.server.stop(5)
            return idle_rest, still_running, found, busy_rest

    idle_rest, still_running, found, busy_rest = asyncio.run(main())
    assert (idle_rest, still_running, busy_rest) == (b"", True, b"")
    assert (found.body, found.headers["connection"]) == (b"slow", "close")


def test_what_has_been_sent_before_the_end_is_answered():
    async def main():
        async with edge({"api/a": quick}) as server:
            pairs = [await server.connect() for _ in range(20)]
            for _, writer in pairs:
                writer.write(GET % b"a")
                await writer.drain()
            fresh = await server.connect()
            fresh[1].write(GET % b"a")
            await server.server.stop(5)
            return [(await reply(reader)).body for reader, _ in (*pairs, fresh)]

    assert asyncio.run(main()) == [b"quick"] * 21


def test_what_runs_after_the_grace_is_503():
    async def main():
        slow = Slow()
        async with edge({"api/slow": slow}) as server:
            reader, writer = await server.connect()
            writer.write(GET % b"slow" + GET % b"slow")
            await slow.begun.wait()
            await server.server.stop(0.05)
            return await reply(reader)

    found = asyncio.run(main())
    assert (found.status, found.headers["connection"]) == (503, "close")


def test_a_server_that_never_started_can_be_stopped():
    async def main():
        listener = bind("127.0.0.1", 0)
        await http.HttpServer(listener, Access(), Recorder("management")).stop(1)
        return listener.fileno()

    assert asyncio.run(main()) == -1


# -- HTTPS ------------------------------------------------------------------------------------


def test_https_is_served_and_its_urls_say_so(tmp_path):
    tls = ssl_context(None, None, tmp_path, SystemClock())
    client = ssl.create_default_context(cafile=tmp_path / ".durable" / "localhost.pem")

    async def where(req):
        return web.Response(text=req.url)

    async def main():
        async with edge({"api/x": where}, tls=tls.context, client_tls=client) as server:
            plain, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(GET % b"x")
            refused = await plain.read()
            writer.close()
            return refused, (await server.ask("GET", "/api/x")).body

    refused, body = asyncio.run(main())
    assert b"200" not in refused
    assert body.startswith(b"https://localhost:")


# -- clients that dawdle ----------------------------------------------------------------------


def test_200_clients_that_dawdle_do_not_hold_up_an_orchestration(tmp_path):
    folder = write_app(
        tmp_path,
        APP
        + "\n\n@app.route(route='long')\ndef long(req: func.HttpRequest) -> str:\n"
        + "    return 'x' * 2_000_000\n",
    )
    pieces = (
        b"",
        b"GET /api/lo",
        b"POST /api/start/greet HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n[",
        b"GET /api/long HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )

    async def main():
        async with serving(folder) as (host, call):
            port = int(host.origin.rpartition(":")[2])
            sockets = []
            for number in range(200):
                dawdler = socket.create_connection(("127.0.0.1", port))
                dawdler.sendall(pieces[number % len(pieces)])
                sockets.append(dawdler)
            await until(lambda: len(sockets) == 200)
            async with asyncio.timeout(5):
                started = await call("POST", "/api/start/greet", data=json.dumps("you"))
                done = await call.until_done(started.json["statusQueryGetUri"])
            for dawdler in sockets:
                dawdler.close()
            return done.json["output"]

    assert asyncio.run(main()) == "Hello you!"


def test_host_json_limits_the_requests_that_run_and_wait(tmp_path):
    limits = {"maxConcurrentRequests": 1, "maxOutstandingRequests": 2}
    host_json = json.dumps({"version": "2.0", "extensions": {"http": limits}})
    write_app(
        tmp_path,
        "import asyncio, azure.functions as func\n"
        "app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n"
        "running = 0\n"
        "@app.route('slow')\n"
        "async def slow(req: func.HttpRequest) -> str:\n"
        "    global running\n"
        "    running += 1\n"
        "    await asyncio.sleep(0.2)\n"
        "    most, running = running, running - 1\n"
        "    return str(most)\n",
        host_json,
    )

    async def conversation(host, call):
        return await asyncio.gather(*(call("GET", "/api/slow") for _ in range(4)))

    answers = talk(tmp_path, conversation)
    assert sorted(answer.status for answer in answers) == [200, 200, 429, 429]
    assert {answer.body for answer in answers if answer.status == 200} == {b"1"}
