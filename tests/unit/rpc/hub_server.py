"""A server on this machine that plays a hub: it knows the service's paths and no messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias

import grpc

PREFIX = "/TaskHubSidecarService/"
#: Of a method: a status to fail with, the bytes to send, or a function of the context.
Answer: TypeAlias = Any


class HubServer:
    """Answers each call with the next scripted answer of its method, then with what it was sent.

    Attributes:
        port: of the server.
        seen: method -> headers of each call.
        requests: method -> the bytes of each call.
        ends: method -> what ends its stream after the answer, a function of the context.
    """

    def __init__(self, **script: list[Answer]) -> None:
        self.script = script
        self.port = 0
        self.seen: dict[str, list[dict[str, Any]]] = {}
        self.requests: dict[str, list[bytes]] = {}
        self.release = threading.Event()
        self.ends: dict[str, Any] = {}

    def calls(self, name: str) -> int:
        return len(self.seen.get(name, []))

    def service(self, details: Any) -> Any:
        name = details.method.rpartition("/")[2]
        if name in {"GetWorkItems", "GetWorkItemBatches", "StreamInstanceHistory"}:
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: self.stream(name, request, context)
            )
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self.answer(name, request, context)
        )

    def answer(self, name: str, request: bytes, context: Any) -> bytes:
        self.requests.setdefault(name, []).append(request)
        self.seen.setdefault(name, []).append(dict(context.invocation_metadata()))
        answers = self.script.get(name, [])
        answer = answers.pop(0) if answers else request
        if isinstance(answer, grpc.StatusCode):
            context.abort(answer, "as the script says")
        return answer(context) if callable(answer) else answer

    def stream(self, name: str, request: bytes, context: Any) -> Iterator[bytes]:
        yield self.answer(name, request, context)
        if request == b"stay":
            self.release.wait(10)
            yield b"end"
        if name in self.ends:
            self.ends[name](context)


@contextmanager
def hub_server(
    certificate: tuple[bytes, bytes] | None = None, **script: list[Answer]
) -> Iterator[HubServer]:
    """A hub; ``certificate`` is key and chain in PEM."""
    hub = HubServer(**script)
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((_Handlers(hub),))
    if certificate is None:
        hub.port = server.add_insecure_port("127.0.0.1:0")
    else:
        credentials = grpc.ssl_server_credentials([certificate])
        hub.port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield hub
    finally:
        hub.release.set()
        server.stop(None).wait(5)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    def __init__(self, hub: HubServer) -> None:
        self._hub = hub

    def service(self, handler_call_details: Any) -> Any:
        return self._hub.service(handler_call_details)


class Credential:
    """Gives tokens ``token-1``, ``token-2``, ... or raises."""

    def __init__(self, *, lifetime_s: float = 3600, fails: bool = False) -> None:
        self.lifetime_s = lifetime_s
        self.fails = fails
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> Any:
        self.scopes += scopes
        if self.fails:
            raise ValueError("not signed in")
        return Token(f"token-{len(self.scopes)}", self.lifetime_s)


class AsyncCredential(Credential):
    """Likewise, on an event loop."""

    async def get_token(self, *scopes: str, **_: Any) -> Any:
        return super().get_token(*scopes)


class Token:
    """As azure.core's AccessToken."""

    def __init__(self, token: str, lifetime_s: float) -> None:
        from durable_app.clock import SystemClock

        self.token = token
        self.expires_on = int(SystemClock().now().timestamp() + lifetime_s)
