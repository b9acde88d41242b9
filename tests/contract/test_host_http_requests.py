"""What arrives at a function, and what does not, byte by byte."""

import asyncio
import gzip

import pytest
from aiohttp import web

from durable_app.host.web import requests
from tests.contract.http_edge import Reply, edge

HEAD = b"Host: localhost:1\r\nConnection: close\r\n"


async def echo(req):
    return web.json_response(
        {
            "method": req.method,
            "url": req.url,
            "params": dict(req.params),
            "route": dict(req.route_params),
            "headers": dict(req.headers),
            "body": req.get_body().decode("latin-1"),
        }
    )


async def form(req):
    files = {}
    for name, file in req.files.items():
        with file.stream:
            files[name] = [file.filename, file.read().decode()]
    return web.json_response({"form": req.form.to_dict(flat=False), "files": files})


async def size(req):
    return web.Response(text=str(len(req.get_body())))


FUNCTIONS = {"api/echo/{name?}": echo, "api/form": form, "api/size": size, "api/fixed": echo}


def sent(*pieces: bytes) -> Reply:
    async def main():
        async with edge(FUNCTIONS) as server:
            return await server.send(*pieces)

    return Reply(asyncio.run(main()))


def asked(method, path, headers=None, body=b""):
    async def main():
        async with edge(FUNCTIONS) as server:
            return await server.ask(method, path, headers, body)

    return asyncio.run(main())


def test_header_names_are_lower_case_and_repeated_ones_are_joined():
    found = sent(b"GET /api/echo HTTP/1.1\r\n" + HEAD + b"X-A: 1\r\nx-a: 2\r\nX-Big: Ab\r\n\r\n")
    assert found.json["headers"] == {
        "host": "localhost:1",
        "connection": "close",
        "x-a": "1,2",
        "x-big": "Ab",
    }


def test_empty_values_of_the_query_are_dropped_and_repeated_ones_are_joined():
    found = asked("GET", "/api/echo?a=1&b=&c&a=2&d=%C3%A4+b&e=1%2B1")
    assert found.json["params"] == {"a": "1,2", "d": "ä b", "e": "1+1"}


def test_an_absent_optional_parameter_is_not_there():
    assert asked("GET", "/api/echo").json["route"] == {}
    assert asked("GET", "/api/echo/x%2Fy").json["route"] == {"name": "x%2Fy"}


@pytest.mark.parametrize(
    ("target", "url"),
    [
        (b"/api/echo/a%20b?x=%41&y", "http://localhost:1/api/echo/a%20b?x=%41&y"),
        (b"/API/Echo/", "http://localhost:1/API/Echo/"),
        (b"/api/echo?", "http://localhost:1/api/echo"),
        (b"http://proxied.example/api/echo?a=1", "http://localhost:1/api/echo?a=1"),
    ],
)
def test_the_url_is_the_one_that_was_sent(target, url):
    assert sent(b"GET " + target + b" HTTP/1.1\r\n" + HEAD + b"\r\n").json["url"] == url


def test_http_1_0_needs_no_host():
    found = sent(b"GET /api/echo HTTP/1.0\r\n\r\n")
    assert found.status == 200
    assert found.json["url"].startswith("http://127.0.0.1:")


def test_a_body_is_bytes_and_stays_compressed():
    packed = gzip.compress(b"hello")
    found = asked("POST", "/api/echo", {"Content-Encoding": "gzip"}, packed)
    assert found.json["body"].encode("latin-1") == packed


def test_a_body_may_come_in_chunks():
    found = sent(
        b"POST /api/echo HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
        b"3\r\nabc\r\n",
        b"2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n",
    )
    assert found.json["body"] == "abcde"


def test_a_sender_that_waits_for_leave_gets_it():
    async def main():
        async with edge(FUNCTIONS) as server:
            reader, writer = await server.connect()
            writer.write(
                b"POST /api/echo HTTP/1.1\r\n"
                + HEAD
                + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
            )
            leave = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"hi")
            return leave, Reply(await reader.read())

    leave, reply = asyncio.run(main())
    assert leave == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert reply.json["body"] == "hi"


def test_an_unknown_expectation_is_417():
    assert asked("POST", "/api/echo", {"Expect": "magic"}, b"hi").status == 417


def test_a_form_is_parsed_by_azure_functions():
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    found = asked("POST", "/api/form", kind, b"a=1&a=2&b=%C3%A4")
    assert found.json == {"form": {"a": ["1", "2"], "b": ["ä"]}, "files": {}}


def test_an_upload_is_parsed_by_azure_functions():
    body = (
        b"--XX\r\nContent-Disposition: form-data; name=title\r\n\r\nhello\r\n"
        b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\ncontent\r\n--XX--\r\n"
    )
    kind = {"Content-Type": "multipart/form-data; boundary=XX"}
    found = asked("POST", "/api/form", kind, body)
    assert found.json == {"form": {"title": ["hello"]}, "files": {"file": ["a.txt", "content"]}}


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00garbage\r\n\r\n",
        b"GET /api/echo\r\n\r\n",
        b"GET /api/echo HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /api/echo HTTP/1.1\r\n" + HEAD + b"no colon\r\n\r\n",
        b"GET /api/echo HTTP/1.1\r\n" + HEAD + b"X: \xff\r\n\r\n",
        b"GET /api/echo/a%00b HTTP/1.1\r\n" + HEAD + b"\r\n",
        b"GET /api/echo?" + b"x" * 20_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
        b"GET /api/echo HTTP/1.1\r\n" + HEAD + b"X: " + b"x" * 40_000 + b"\r\n\r\n",
        b"POST /api/echo HTTP/1.1\r\n" + HEAD + b"Content-Length: abc\r\n\r\n",
        b"POST /api/echo HTTP/1.1\r\n" + HEAD + b"Content-Length: -1\r\n\r\n",
        b"POST /api/echo HTTP/1.1\r\n" + HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /api/echo HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    ],
)
def test_a_malformed_request_is_400_and_the_next_one_is_served(request_, caplog):
    async def main():
        async with edge(FUNCTIONS) as server:
            refused = Reply(await server.send(request_))
            return refused.status, (await server.ask("GET", "/api/echo")).status

    assert asyncio.run(main()) == (400, 200)
    assert caplog.records == []


def test_a_body_of_exactly_the_limit_fits_and_one_byte_more_does_not(monkeypatch):
    monkeypatch.setattr(requests.read_body, "__defaults__", (1000,))
    assert asked("POST", "/api/size", body=b"x" * 1000).body == b"1000"
    assert asked("POST", "/api/size", body=b"x" * 1001).status == 413


def test_a_chunked_body_beyond_the_limit_is_413(monkeypatch):
    monkeypatch.setattr(requests.read_body, "__defaults__", (1000,))
    chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
    head = b"POST /api/size HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    found = sent(head, chunk, chunk, chunk, b"0\r\n\r\n")
    assert (found.status, found.headers["connection"]) == (413, "close")


def test_a_body_beyond_the_limit_is_not_read():
    async def main():
        async with edge(FUNCTIONS) as server:
            reader, writer = await server.connect()
            length = str(requests.MAX_BODY_BYTES + 1).encode()
            head = b"POST /api/size HTTP/1.1\r\nHost: x\r\nContent-Length: " + length
            writer.write(head + b"\r\nExpect: 100-continue\r\n\r\n")
            return await reader.readline()

    assert b"413" in asyncio.run(main())


def test_a_body_whose_rest_does_not_come_is_408(monkeypatch):
    monkeypatch.setattr(requests, "BODY_SILENCE_S", 0.05)

    async def main():
        async with edge(FUNCTIONS) as server:
            reader, writer = await server.connect()
            writer.write(b"POST /api/size HTTP/1.1\r\n" + HEAD + b"Content-Length: 10\r\n\r\nabc")
            return await reader.readline()

    assert b"408" in asyncio.run(main())


def test_a_sender_that_breaks_off_harms_nobody(caplog):
    async def main():
        async with edge(FUNCTIONS) as server:
            _, writer = await server.connect()
            writer.write(b"POST /api/size HTTP/1.1\r\n" + HEAD + b"Content-Length: 10\r\n\r\nabc")
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.transport.abort()
            await asyncio.sleep(0.05)
            return (await server.ask("GET", "/api/echo")).status

    assert asyncio.run(main()) == 200
    assert caplog.records == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/none"),
        ("GET", "/api"),
        ("OPTIONS", "*"),
        ("CONNECT", "localhost:1"),
        ("GET", "/runtime"),
        ("GET", "/runtime/webhooks/other/x"),
        ("GET", "/runtime/webhooks/durabletaskx"),
        ("POST", "/"),
    ],
)
def test_what_leads_nowhere_is_404_without_a_body(method, path):
    found = asked(method, path)
    assert (found.status, found.body) == (404, b"")


def test_the_root_says_that_the_app_is_up():
    found = asked("GET", "/")
    assert (found.status, found.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"up and running" in found.body
    assert asked("HEAD", "/").body == b""


def test_head_has_the_headers_of_get_and_no_body():
    found = asked("HEAD", "/api/size")
    assert (found.status, found.body, found.headers["content-length"]) == (200, b"", "1")


@pytest.mark.parametrize(
    ("path", "name", "parts"),
    [
        ("/runtime/webhooks/durabletask/instances/a%20b", "management", ["instances", "a b"]),
        ("/Runtime/WebHooks/DurableTask/instances/", "management", ["instances"]),
        (
            "/runtime/webhooks/durabletask/instances/a%2F..%2Fb",
            "management",
            ["instances", "a/../b"],
        ),
        ("/runtime/webhooks/durabletask/instances/%252F", "management", ["instances", "%2F"]),
        ("/admin/host/status", "admin", ["host", "status"]),
        ("/ADMIN", "admin", []),
        ("/%61dmin//functions", "admin", ["functions"]),
    ],
)
def test_the_hosts_own_paths_reach_its_apis(path, name, parts):
    assert asked("GET", path).json == [name, *parts]


def test_an_api_gets_the_whole_request():
    async def main():
        async with edge() as server:
            path = "/runtime/webhooks/durabletask/instances?ShowInput=true&x="
            await server.ask("POST", path, {"X-A": "1"}, b"body")
            return server.management.asked[0], server.port

    request, port = asyncio.run(main())
    assert (request.method, request.body, request.headers["x-a"]) == ("POST", b"body", "1")
    assert request.query == {"showinput": "true", "x": ""}
    assert request.url.startswith(f"http://localhost:{port}/runtime/")


def test_an_error_that_nobody_foresaw_is_500_and_logged(caplog):
    async def broken(req):
        raise LookupError("secret")

    async def main():
        async with edge({"api/broken": broken}) as server:
            return await server.ask("GET", "/api/broken?code=key-of-mine")

    found = asyncio.run(main())
    assert (found.status, found.body) == (500, b"")
    assert [record.message for record in caplog.records] == ["request_failed"]
    assert "key-of-mine" not in caplog.text
