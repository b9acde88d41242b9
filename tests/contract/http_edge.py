"""The HTTP server alone, behind a real socket, with functions that need no app."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from aiohttp import web
from azure.functions.http import HttpRequest

from durable_app.host.api.exchange import Answer, ApiRequest
from durable_app.host.web.access import Access
from durable_app.host.web.http import HttpFunction, HttpServer, bind
from durable_app.host.web.routing import RouteTable

Function = Callable[[HttpRequest], Coroutine[Any, Any, web.Response]]


class Recorder:
    """An API of the host that tells what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[ApiRequest] = []

    async def answer(self, request: ApiRequest) -> Answer:
        self.asked.append(request)
        return Answer(200, json.dumps([self.name, *request.parts]))


class Edge:
    """A running server and a client of bytes."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.server: HttpServer
        self.port = port
        self.management = Recorder("management")
        self.admin = Recorder("admin")
        self._tls = tls
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        pair = await asyncio.open_connection("127.0.0.1", self.port, ssl=self._tls)
        self._writers.append(pair[1])
        return pair

    def close(self) -> None:
        """End the connections of :meth:`connect`."""
        for writer in self._writers:
            writer.close()

    async def send(self, *pieces: bytes) -> bytes:
        """Send these bytes on a connection of their own; all that comes back until its end."""
        reader, writer = await self.connect()
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Reply:
        """One request, as clients write it."""
        given = {"Host": f"localhost:{self.port}", "Connection": "close", **(headers or {})}
        if body:
            given["Content-Length"] = str(len(body))
        head = f"{method} {path} HTTP/1.1\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in given.items())
        return Reply(await self.send(head.encode() + b"\r\n" + body))


class Reply:
    """Status, headers by lower-case name (the last of several) and body of an answer."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        pairs = [line.split(": ", 1) for line in lines]
        self.headers = {name.lower(): value for name, value in pairs}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextlib.asynccontextmanager
async def edge(
    functions: Mapping[str, Function] | None = None,
    *,
    access: Access | None = None,
    levels: Mapping[str, str] | None = None,
    grace_s: float = 5.0,
    client_tls: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncIterator[Edge]:
    """Serve ``functions`` by route, each with its level, FUNCTION unless it is named."""
    listener = bind("127.0.0.1", 0)
    made = Edge(listener.getsockname()[1], client_tls)
    made.server = server = HttpServer(
        listener, access or Access(), made.management, made.admin, **options
    )
    server.serve(table(functions or {}, levels or {}))
    await server.start()
    try:
        yield made
    finally:
        made.close()
        await server.stop(grace_s)


def table(
    functions: Mapping[str, Function], levels: Mapping[str, str] | None = None
) -> RouteTable[HttpFunction]:
    """Routes; the name of a function is its route."""
    routes: RouteTable[HttpFunction] = RouteTable()
    for route, function in functions.items():
        level = (levels or {}).get(route, "FUNCTION")
        routes.add(route, (), HttpFunction(route, level, function))
    return routes
