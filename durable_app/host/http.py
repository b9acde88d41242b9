"""The HTTP server: routes to functions, and the management API, over aiohttp."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from aiohttp import web
from azure.functions.http import HttpRequest, HttpResponseConverter
from multidict import CIMultiDict

from durable_app.client.management import WEBHOOK_PATH
from durable_app.errors import ConfigError
from durable_app.host.exchange import ApiRequest
from durable_app.host.hub_choice import is_loopback
from durable_app.host.invoke import HTTP_REASON, FunctionFailedError
from durable_app.host.routing import RouteTable, split_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from durable_app.host.invoke import Call
    from durable_app.host.management import ManagementApi

#: Limit of the Functions host for a request's body.
MAX_BODY_BYTES: Final = 100 * 1024 * 1024
_BACKLOG: Final = 512
# The server sets them itself.
_CONNECTION_HEADERS: Final = frozenset({"content-length", "transfer-encoding", "connection"})


#: Runs a function with an HTTP trigger and gives its answer, or raises FunctionFailedError.
HttpFunction = Callable[[HttpRequest], Coroutine[Any, Any, web.Response]]


def http_function(call: Call) -> HttpFunction:
    """What a route leads to: the function's call, with its result as a response."""

    async def answer(request: HttpRequest) -> web.Response:
        return await call(request, reason=HTTP_REASON, headers=request.headers, finish=encode)

    return answer


def bind(address: str, port: int) -> socket.socket:
    """Reserve the port. Connections wait from now on until the server serves.

    Raises:
        ConfigError: somebody else has the port, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_REUSEPORT"):  # POSIX: a port in TIME_WAIT can be used again
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"Port {port} is unavailable. Close the process using that port, or specify"
                " another port using --port [-p]."
            ) from error
        raise ConfigError(f"Cannot listen on {address}:{port}: {error.strerror}.") from error
    return listener


class HttpServer:
    """Serves an app's HTTP functions and its management API on one socket.

    Args:
        listener: of :func:`bind`; closed by :meth:`stop`.
        hosts: names, beside loopback ones, under which management routes may be asked for.
    """

    def __init__(
        self,
        listener: socket.socket,
        routes: RouteTable[HttpFunction],
        management: ManagementApi,
        hosts: Iterable[str] = (),
    ) -> None:
        self._listener = listener
        self._routes = routes
        self._management = management
        self._hosts = frozenset(hosts)
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        """Serve from now on."""
        server = web.Server(self._handle, request_factory=_request, access_log=None)
        runner = web.ServerRunner(server)
        await runner.setup()
        await web.SockSite(runner, self._listener).start()
        self._runner = runner

    async def stop(self, grace_s: float) -> None:
        """Refuse new connections, let requests end for so long, then cut them off. Idempotent."""
        if self._runner is None:
            self._listener.close()
            return
        runner, self._runner = self._runner, None
        runner._shutdown_timeout = grace_s  # noqa: SLF001  known only now; no public setter
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if path.casefold().startswith(WEBHOOK_PATH):
            return await self._manage(request, path[len(WEBHOOK_PATH) :])
        found = self._routes.match(request.method, path)
        if found is None:
            return web.Response(status=200 if path == "/" and request.method == "GET" else 404)
        body = await _read(request)
        if body is None:
            return web.Response(status=413)
        bound = HttpRequest(
            method=request.method,
            url=_url(request),
            headers=_headers(request),
            params={key: value for key, value in _query(request).items() if value},
            route_params=found.params,
            body_type="bytes",
            body=body,
        )
        try:
            return await found.target(bound)
        except FunctionFailedError:
            return web.Response(status=500)

    async def _manage(self, request: web.BaseRequest, path: str) -> web.Response:
        refusal = self._refuse(request)
        if refusal is not None:
            return web.Response(status=403, text=refusal)
        body = await _read(request)
        if body is None:
            return web.Response(status=413)
        answer = await self._management.answer(
            ApiRequest(
                method=request.method,
                parts=tuple(unquote(part) for part in split_path(path) if part),
                query={key.casefold(): value for key, value in _query(request).items()},
                headers=_headers(request),
                body=body,
                url=_url(request),
            )
        )
        kind = None if answer.body is None else "application/json"
        return web.Response(
            status=answer.status, text=answer.body, content_type=kind, headers=answer.headers
        )

    def _refuse(self, request: web.BaseRequest) -> str | None:
        """Why a management request is refused: browsers must not reach it from other sites.

        The name in Host is checked because a hostile page can let its own name point to this
        machine; the browser then takes our answers for its own (DNS rebinding).
        """
        host = urlsplit(f"//{request.headers.get('Host', '')}")
        name = (host.hostname or "").casefold()
        if not is_loopback(name) and name not in self._hosts:
            return f"Host '{name}' is not served here. Use localhost, or start with --address."
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.casefold() != host.netloc.casefold():
            return f"Requests from {origin} are refused here."
        return None


def _request(*args: Any) -> web.BaseRequest:
    # aiohttp's server passes all but the loop, and runs on the present one.
    message, payload, protocol, writer, task = args
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES
    )


async def _read(request: web.BaseRequest) -> bytes | None:
    """The whole body; None where it is longer than allowed."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return None
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return None


def _url(request: web.BaseRequest) -> str:
    return f"{request.scheme}://{request.host}{request.raw_path}"


def _headers(request: web.BaseRequest) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    return headers


def _query(request: web.BaseRequest) -> dict[str, str]:
    """Parameters by name; several values of one name are joined by commas, as .NET does."""
    text = request.rel_url.raw_query_string
    query: dict[str, str] = {}
    for key, value in parse_qsl(text, keep_blank_values=True) if text else ():
        query[key] = f"{query[key]},{value}" if key in query else value
    return query


def encode(result: Any) -> web.Response:
    """What a function returned, as the Functions host sends it.

    Raises:
        TypeError: it is nothing that Azure sends either.
    """
    if result is None:
        return web.Response(status=204)
    try:
        datum = HttpResponseConverter.encode(result, expected_type=None)
    except NotImplementedError:
        raise TypeError(
            f"An HTTP function returns a str or an azure.functions.HttpResponse, not"
            f" {type(result).__name__}; for JSON, HttpResponse(json.dumps(...),"
            " mimetype='application/json')."
        ) from None
    if datum.type == "string":
        return web.Response(text=datum.value)
    parts: Mapping[str, Any] = datum.value
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in parts["headers"].items():
        if name.lower() not in _CONNECTION_HEADERS:
            headers.add(name, value.value)
    for cookie in parts["cookies"] or ():
        for morsel in cookie.values():
            headers.add("Set-Cookie", morsel.OutputString())
    return web.Response(
        status=int(parts["status_code"].value), body=parts["body"].value, headers=headers
    )
