"""The HTTP server: routes to functions, and the host's own APIs, over aiohttp."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

from aiohttp import web

from durable_app.client.management import WEBHOOK_PATH
from durable_app.errors import ConfigError
from durable_app.host.calls.invoke import HTTP_REASON, FunctionFailedError
from durable_app.host.web.access import KEY_HEADER, KEY_PARAMETER, Access
from durable_app.host.web.keys import DURABLE_EXTENSION
from durable_app.host.web.protocol_log import PROTOCOL_LOG
from durable_app.host.web.requests import Received, RefusedError, read_body, receive
from durable_app.host.web.results import encode
from durable_app.host.web.route_template import fold
from durable_app.host.web.routing import RouteTable

if TYPE_CHECKING:
    import ssl

    from azure.functions.http import HttpRequest

    from durable_app.host.api.exchange import Answer, ApiRequest
    from durable_app.host.calls.invoke import Call
    from durable_app.host.web.throttle import Throttle

#: An idle connection is kept for so long; so long may the head of a request take, too.
KEEP_ALIVE_S: Final = 90.0
_BACKLOG: Final = 512
# What a sender still sends after an early answer is read for so long, that it sees the answer.
_LINGER_S: Final = 5.0
# Answers up to here leave the request at once; a reader of longer ones must not be slower than
# this, after a while for the beginning.
_SENT_AT_ONCE: Final = 64 * 1024
_SLOWEST_BYTES_PER_S: Final = 10_000
_SILENCE_S: Final = 60.0
_MAX_LINE: Final = 16 * 1024
_MAX_HEADER: Final = 32 * 1024
# From a connection in the backlog to its request in a function the loop turns about ten times.
_LAST_LOOKS: Final = 20
# After the grace, for the last bytes to leave.
_CUT_S: Final = 0.25
_WEBHOOK: Final = tuple(WEBHOOK_PATH.strip("/").split("/"))
_ADMIN: Final = "admin"
_JSON: Final = "application/json"
_WELCOME: Final = (
    '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Functions app</title>'
    "<h1>Your Functions app is up and running</h1>"
    "<p>The console lists its functions and their URLs.</p></html>\n"
)
_log: Final = logging.getLogger(__name__)


class HttpFunction(NamedTuple):
    """What a route leads to.

    Attributes:
        level: "ANONYMOUS", "FUNCTION" or "ADMIN".
        answer: runs the function and gives its answer, or raises FunctionFailedError.
    """

    name: str
    level: str | None
    answer: Callable[[HttpRequest], Coroutine[Any, Any, web.Response]]


class Api(Protocol):
    """One of the host's own APIs."""

    async def answer(self, request: ApiRequest) -> Answer:
        """Answer one request; it raises nothing that a caller could have caused."""
        ...


def http_function(call: Call) -> HttpFunction:
    """What a route leads to: the function's call, with its result as a response."""

    async def answer(request: HttpRequest) -> web.Response:
        return await call(request, reason=HTTP_REASON, headers=request.headers, finish=encode)

    return HttpFunction(call.facts.name, call.facts.auth_level, answer)


def bind(address: str, port: int) -> socket.socket:
    """Reserve the port. Connections wait from now on until the server serves.

    Raises:
        ConfigError: somebody else has the port, or the address is not ours.
    """
    address = address.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:  # a machine without IPv6
        raise ConfigError(f"Cannot listen on {address}:{port}: {error.strerror}.") from error
    try:
        if hasattr(socket, "SO_REUSEPORT"):  # POSIX: a port in TIME_WAIT can be used again
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except OverflowError as error:
        listener.close()
        raise ConfigError(f"--port {port}: a port is a number from 0 to 65535.") from error
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"Port {port} is unavailable. Close the process using that port, or specify"
                " another port using --port [-p]."
            ) from error
        hint = " Ports below 1024 need more rights." if error.errno == errno.EACCES else ""
        raise ConfigError(f"Cannot listen on {address}:{port}: {error.strerror}.{hint}") from error
    return listener


class HttpServer:
    """Serves an app's HTTP functions and the host's own APIs on one socket.

    Args:
        listener: of :func:`bind`; closed by :meth:`stop`.
        access: who may call what.
        management: answers below ``/runtime/webhooks/durabletask``.
        admin: answers below ``/admin``; None where there is no such API.
        tls: what HTTPS is served with; None for HTTP.
        custom_headers: ``extensions.http.customHeaders``, part of every answer.
        throttle: how many requests functions work on; None for no limit.
    """

    def __init__(
        self,
        listener: socket.socket,
        access: Access,
        management: Api,
        admin: Api | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        custom_headers: Mapping[str, str] = MappingProxyType({}),
        throttle: Throttle | None = None,
    ) -> None:
        self._listener = listener
        self._access = access
        self._management = management
        self._admin = admin
        self._tls = tls
        self._scheme = "http" if tls is None else "https"
        # Nobody needs to know which server and which Python this is.
        self._custom_headers = {**custom_headers, "Server": "durable_app"}
        self._throttle = throttle
        self._routes: RouteTable[HttpFunction] = RouteTable()
        self._runner: web.ServerRunner | None = None
        self._in_flight: dict[asyncio.Task[Any], web.RequestHandler] = {}
        self._is_stopping = False
        self._is_over = False

    def serve(self, routes: RouteTable[HttpFunction]) -> None:
        """Let these routes hold for every request from now on; those in flight go on.

        Raises:
            StoreUnavailableError: keys are demanded, and those of new functions cannot be kept.
        """
        if self._access.keys is not None:
            self._access.keys.make(function.name for function in routes.targets())
        self._routes = routes

    async def start(self) -> None:
        """Serve from now on."""
        address, port = self._listener.getsockname()[:2]
        self._authority = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        server = web.Server(
            self._handle,
            request_factory=_request,
            access_log=None,
            logger=PROTOCOL_LOG,
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=_LINGER_S,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_HEADER,
        )
        runner = web.ServerRunner(server, shutdown_timeout=_CUT_S)
        await runner.setup()
        site = web.SockSite(runner, self._listener, ssl_context=self._tls, backlog=_BACKLOG)
        await site.start()
        self._runner = runner

    async def stop(self, grace_s: float) -> None:
        """Refuse new connections, let requests end for so long, then cut them off. Idempotent.

        Idle connections are closed at once. What came before the end is answered, with
        ``Connection: close``; what still runs at the end of the grace is answered with 503.
        """
        runner, self._runner = self._runner, None
        if runner is None:
            self._listener.close()
            return
        self._is_stopping = True
        # Connections and requests that are here already, and that nobody has looked at yet.
        for _ in range(_LAST_LOOKS):
            await asyncio.sleep(0)
        for site in runner.sites:
            await site.stop()
        busy = set(self._in_flight.values())
        for connection in runner.server.connections if runner.server else ():
            if connection not in busy:
                connection.force_close()
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=grace_s)
        self._is_over = True
        for task in self._in_flight:
            task.cancel()
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=_CUT_S)
        await runner.cleanup()

    # -- one request --------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        # aiohttp runs each request in a task of its own.
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._in_flight[task] = request.protocol
        task.add_done_callback(self._ended)
        headers: Mapping[str, str] = {}
        try:
            received = receive(request, self._scheme, self._authority)
            headers = received.headers
            response = await self._answer(request, received)
        except RefusedError as refused:
            response = web.Response(status=refused.status, text=refused.text)
            response.force_close()
        except asyncio.CancelledError:  # our own at the end of the grace, or a function's
            response = web.Response(status=503 if self._is_over else 500)
        except Exception:  # noqa: BLE001  the top of a request: the next one must be served
            _log.exception("request_failed")
            response = web.Response(status=500)
        if self._is_stopping:
            response.force_close()
        for name, value in self._access.cors.answer(headers).items():
            response.headers.setdefault(name, value)
        for name, value in self._custom_headers.items():
            response.headers.setdefault(name, value)
        size = response.content_length or 0
        if size > _SENT_AT_ONCE:
            await _send(request, response, _SILENCE_S + size / _SLOWEST_BYTES_PER_S)
        return response

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._in_flight.pop(task, None)

    async def _answer(self, request: web.BaseRequest, received: Received) -> web.Response:
        cors, method = self._access.cors, received.method
        first = fold(received.parts[0]) if received.parts else ""
        if first in {_ADMIN, _WEBHOOK[0]}:
            return await self._answer_api(request, received)
        if cors.is_preflight(method, received.headers):
            return web.Response(status=204, headers=cors.preflight(received.headers))
        found = self._routes.match(method, received.parts)
        if found is None:
            if not received.parts and method in {"GET", "HEAD"}:
                return web.Response(text=_WELCOME, content_type="text/html")
            return web.Response(status=404)
        function = found.target
        if not self._access.opens(function.level, function.name, _presented(received)):
            return web.Response(status=401)
        if self._throttle is None:
            return await self._call(function, request, received, found.params)
        async with self._throttle.admit():
            return await self._call(function, request, received, found.params)

    async def _call(
        self,
        function: HttpFunction,
        request: web.BaseRequest,
        received: Received,
        params: dict[str, str],
    ) -> web.Response:
        body = await read_body(request)
        try:
            return await function.answer(received.for_function(params, body))
        except FunctionFailedError:
            return web.Response(status=500)

    async def _answer_api(self, request: web.BaseRequest, received: Received) -> web.Response:
        refusal = self._access.refusal(received.headers)
        if refusal is not None:
            return web.Response(status=403, text=refusal)
        cors = self._access.cors
        if cors.is_preflight(received.method, received.headers):
            return web.Response(status=204, headers=cors.preflight(received.headers))
        names = tuple(fold(part) for part in received.parts if part)
        if names[0] == _ADMIN:
            api, depth, level, key = self._admin, 1, "ADMIN", ""
        elif names[: len(_WEBHOOK)] == _WEBHOOK:
            api, depth, level, key = self._management, len(_WEBHOOK), "SYSTEM", DURABLE_EXTENSION
        else:
            return web.Response(status=404)
        if not self._access.opens(level, key, _presented(received)):
            return web.Response(status=401)
        if api is None:
            return web.Response(status=404)
        answer = await api.answer(received.for_api(depth, await read_body(request)))
        return web.Response(
            status=answer.status,
            text=answer.body,
            content_type=None if answer.body is None else _JSON,
            headers=answer.headers,
        )


async def _send(request: web.BaseRequest, response: web.Response, within_s: float) -> None:
    """Send an answer that the buffers of the connection cannot take at once."""
    try:
        async with asyncio.timeout(within_s):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        # Somebody who does not read must not hold the answer in memory for ever.
        cast("asyncio.Transport", request.transport).abort()
    except ConnectionError:
        return  # the caller has gone; aiohttp finds that out, too


def _presented(received: Received) -> str | None:
    return received.headers.get(KEY_HEADER) or next(
        (value for name, value in received.query.items() if name.casefold() == KEY_PARAMETER), None
    )


def _request(*args: Any) -> web.BaseRequest:
    # aiohttp's server passes all but the loop, and runs on the present one.
    message, payload, protocol, writer, task = args
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())
