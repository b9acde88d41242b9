"""From gRPC to the handlers of calls and back: requests, task hubs, status codes."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
from google.protobuf.message import DecodeError, Message

from durable_app.rpc.methods import METHODS, Method
from durable_app.rpc.server.refusals import RefusedError, refusal
from durable_app.rpc.server.rules import MAX_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from durable_app.ports import Clock, ServedHub, TaskHubs

#: Metadata that names the task hub, and the hub of those who name none.
TASK_HUB_KEY: Final = "taskhub"
DEFAULT_TASK_HUB: Final = "default"
_BEARER: Final = "Bearer "

Context = Any
"""A ``grpc.aio.ServicerContext``; grpc has no types."""


class CallCount:
    """How calls of a method ended with one status, and how long they took.

    Attributes:
        calls: their number.
        seconds: all of them together took so long.
    """

    __slots__ = ("calls", "seconds")

    def __init__(self) -> None:
        self.calls = 0
        self.seconds = 0.0


class Caller(NamedTuple):
    """Who calls, and what for.

    Attributes:
        hubs: all task hubs of this process.
        name: of the task hub that is meant.
        context: of the call.
        user_agent: what the SDK says of itself; "" where it says nothing.
        longest_id: characters of an id that it may choose; None for any number.
    """

    hubs: TaskHubs
    name: str
    context: Context
    user_agent: str
    longest_id: int | None

    @property
    def key(self) -> str:
        """The name in the one form that it has for all who spell it."""
        return self.name.casefold()

    async def hub(self) -> ServedHub:
        """The task hub that is meant. Raises as ``TaskHubs.find``."""
        return await self.hubs.find(self.name)


Unary = Callable[[Caller, Any], Awaitable[Message]]
#: Writes encoded messages to the context: their size is known before they leave.
Stream = Callable[[Caller, Any], Awaitable[None]]


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """All calls of the service.

    Args:
        unary: handlers by the names of their methods. streams: likewise.
        token: what callers must present as a bearer token; None lets everybody in.
        longest_id: see ``Caller``.

    Attributes:
        counts: by method and name of the status.
    """

    def __init__(
        self,
        hubs: TaskHubs,
        unary: Mapping[str, Unary],
        streams: Mapping[str, Stream],
        clock: Clock,
        token: str | None = None,
        longest_id: int | None = MAX_ID_LENGTH,
    ) -> None:
        self.counts: dict[tuple[str, str], CallCount] = {}
        self._hubs = hubs
        self._clock = clock
        self._token = None if token is None else token.encode()
        self._longest_id = longest_id
        self._handlers: dict[str, Any] = {}
        for name, method in METHODS.items():
            # Bytes in both directions: what cannot be read gets a status that says so.
            if method.is_stream:
                handler = grpc.unary_stream_rpc_method_handler(
                    self._streaming(method, streams[name])
                )
            else:
                handler = grpc.unary_unary_rpc_method_handler(self._unary(method, unary[name]))
            self._handlers[method.path] = handler

    def service(self, handler_call_details: Any) -> Any:
        """See ``grpc.GenericRpcHandler``; None is answered with UNIMPLEMENTED."""
        return self._handlers.get(handler_call_details.method)

    def _unary(self, method: Method, handle: Unary) -> Callable[[bytes, Context], Awaitable[bytes]]:
        read = method.request.FromString

        async def call(data: bytes, context: Context) -> bytes:
            began = self._clock.monotonic()
            try:
                caller = self._caller(context)
                response = await handle(caller, read(data))
                data = response.SerializeToString()
            except Exception as error:  # noqa: BLE001  every error has its status
                await self._refuse(context, error, method, began)
            self._count(method, "OK", began)
            return data

        return call

    def _streaming(
        self, method: Method, handle: Stream
    ) -> Callable[[bytes, Context], Awaitable[None]]:
        read = method.request.FromString

        async def call(data: bytes, context: Context) -> None:
            began = self._clock.monotonic()
            try:
                await handle(self._caller(context), read(data))
            except Exception as error:  # noqa: BLE001  as above
                await self._refuse(context, error, method, began)
            self._count(method, "OK", began)

        return call

    def _caller(self, context: Context) -> Caller:
        name, agent, presented = DEFAULT_TASK_HUB, "", ""
        for key, value in _texts(context.invocation_metadata()):
            if key == TASK_HUB_KEY:
                name = value or DEFAULT_TASK_HUB
            elif key == "x-user-agent":
                agent = value
            elif key == "authorization":
                presented = value
        if self._token is not None and not _is_right(presented, self._token):
            raise RefusedError(
                grpc.StatusCode.UNAUTHENTICATED, "This task hub asks for a bearer token."
            )
        return Caller(self._hubs, name, context, agent, self._longest_id)

    async def _refuse(
        self, context: Context, error: Exception, method: Method, began: float
    ) -> None:
        if isinstance(error, DecodeError):
            text = f"The request of {method.name} is no {method.request.DESCRIPTOR.name} message."
            error = RefusedError(grpc.StatusCode.INVALID_ARGUMENT, text)
        refused = refusal(error, method.name)
        self._count(method, refused.code.name, began)
        await context.abort(refused.code, refused.details)

    def _count(self, method: Method, status: str, began: float) -> None:
        count = self.counts.setdefault((method.name, status), CallCount())
        count.calls += 1
        count.seconds += self._clock.monotonic() - began


def _texts(metadata: Iterable[tuple[str, str | bytes]] | None) -> Iterable[tuple[str, str]]:
    for key, value in metadata or ():
        if isinstance(value, str):
            yield key, value


def _is_right(presented: str, token: bytes) -> bool:
    # Compared in full whatever is presented: the time taken tells nothing of the token.
    given = presented[len(_BEARER) :] if presented[: len(_BEARER)].title() == _BEARER else ""
    return hmac.compare_digest(given.encode(errors="replace"), token)
