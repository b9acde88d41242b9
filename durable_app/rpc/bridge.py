"""A channel for threads in the place of one for an event loop.

A program may bring a channel, or interceptors, of gRPC's synchronous kind. Each call over them
waits on a daemon thread of its own, and its answers are handed over to the loop.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio

from durable_app.errors import ConfigError
from durable_app.rpc.connect import HubAccess, SyncConnection, connect, connect_async

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from durable_app.ports import Clock
    from durable_app.rpc.async_channel import AsyncReplaceableChannel

_SYNC_INTERCEPTORS: Final = (
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
)


def is_of_event_loop(channel: Any) -> bool:
    """Whether a channel of a caller works on the caller's own event loop only."""
    return isinstance(channel, grpc.aio.Channel)


def open_channel(access: HubAccess, clock: Clock) -> AsyncReplaceableChannel | BridgedChannel:
    """A channel for the running event loop, over whatever the caller has brought along.

    Raises:
        ConfigError: interceptors of both kinds; a credential that does not fit; a token that would
            travel in the clear.
    """
    sync = [isinstance(each, _SYNC_INTERCEPTORS) for each in access.interceptors]
    if any(sync) and not all(sync):
        raise ConfigError(
            "interceptors: some are of grpc and some of grpc.aio; pass those of one kind."
        )
    if isinstance(access.channel, grpc.Channel) or any(sync):
        return BridgedChannel(connect(access, clock))
    return connect_async(access, clock)


class BridgedChannel:
    """Makes calls over a synchronous connection; stands for an ``AsyncReplaceableChannel``."""

    def __init__(self, connection: SyncConnection) -> None:
        self._connection = connection

    def replace(self) -> bool:
        """Use another connection from now on, unless the channel is borrowed."""
        return self._connection.replace()

    async def renew_token(self) -> None:
        """Fetch another access token with the next call."""
        await asyncio.to_thread(self._connection.renew_token)

    async def close(self) -> None:
        """End all calls. Idempotent."""
        await asyncio.to_thread(self._connection.close)

    def unary_unary(self, path: str, *codecs: Any) -> Callable[..., Any]:
        """A call with one answer."""
        call = self._connection.channel.unary_unary(path, *codecs)

        async def begin(request: Any, timeout: float | None = None) -> Any:  # noqa: ASYNC109  gRPC's own name
            return await _on_thread(lambda: call(request, timeout=timeout))

        return begin

    def unary_stream(self, path: str, *codecs: Any) -> Callable[..., Any]:
        """A call with any number of answers."""
        call = self._connection.channel.unary_stream(path, *codecs)

        def begin(request: Any, timeout: float | None = None) -> AsyncGenerator[Any, None]:
            return _stream(lambda: call(request, timeout=timeout))

        return begin


async def _on_thread(call: Callable[[], Any]) -> Any:
    """The result of a call that blocks; whoever is cancelled does not wait for it any longer."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(_translated(error))

    def run() -> None:
        result, error = None, None
        try:
            result = call()
        except Exception as raised:  # noqa: BLE001  handed over to who waits
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True, name="durable-app-call").start()
    return await future


async def _stream(begin: Callable[[], Any]) -> AsyncGenerator[Any, None]:
    call = await _on_thread(begin)
    end = object()
    try:
        while (message := await _on_thread(lambda: next(call, end))) is not end:
            yield message
    finally:
        call.cancel()


def _translated(error: BaseException) -> BaseException | Any:
    """A status in the form in which calls of event loops end."""
    if not isinstance(error, grpc.RpcError):
        return error
    return grpc.aio.AioRpcError(
        error.code(), grpc.aio.Metadata(), grpc.aio.Metadata(), error.details()
    )
