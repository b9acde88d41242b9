"""Calls of the method table over a channel, from any event loop."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc.aio

from durable_app.errors import SchedulerUnavailableError
from durable_app.rpc.methods import METHODS
from durable_app.rpc.stub.explain import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from google.protobuf.message import Message

    from durable_app.rpc.async_channel import AsyncReplaceableChannel
    from durable_app.rpc.bridge import BridgedChannel

#: Of calls that answer at once; nobody waits for a lost answer for ever.
CALL_TIMEOUT_S: Final = 30.0
#: Of calls whose work grows with the hub: histories, purges, clean-ups.
LONG_CALL_TIMEOUT_S: Final = 300.0

_T = TypeVar("_T")
_Response = Any
"""Of the class that the table names."""


class HubCalls:
    """Makes the calls; belongs to the running event loop, and is usable from others, too.

    Args:
        channel: to the hub, owned from now on.
        whom: address of the hub, for messages.
    """

    def __init__(self, channel: AsyncReplaceableChannel | BridgedChannel, whom: str) -> None:
        """Nothing is sent yet."""
        self.channel = channel
        self.whom = whom
        self.is_closed = False
        self._loop = asyncio.get_running_loop()
        self._unary: dict[str, Callable[..., Any]] = {}
        self._streams: dict[str, Callable[..., Any]] = {}
        for name, method in METHODS.items():
            made, calls = (
                (channel.unary_stream, self._streams)
                if method.is_stream
                else (channel.unary_unary, self._unary)
            )
            calls[name] = made(
                method.path, method.request.SerializeToString, method.response.FromString
            )

    async def close(self) -> None:
        """End all calls. Idempotent."""
        self.is_closed = True
        await self.channel.close()

    async def attempt(self, name: str, request: Message, timeout_s: float) -> _Response:
        """The answer to a call.

        Raises:
            grpc.aio.AioRpcError: it ended with a status.
            SchedulerUnavailableError: there is no access token, or the channel is closed.
        """
        return await self._at_home(self._attempt(name, request, timeout_s))

    async def call(
        self, name: str, request: Message, timeout_s: float = CALL_TIMEOUT_S
    ) -> _Response:
        """The answer to a call.

        Raises:
            DurableError: see ``explain``.
        """
        try:
            return await self.attempt(name, request, timeout_s)
        except grpc.aio.AioRpcError as error:
            raise self.explained(error, name) from error

    async def collect(self, name: str, request: Message) -> list[_Response]:
        """All answers of a stream that ends by itself. Raises as :meth:`call`."""
        try:
            return await self._at_home(self._collect(name, request))
        except grpc.aio.AioRpcError as error:
            raise self.explained(error, name) from error

    def explained(self, error: Any, name: str) -> Exception:
        """What a status means."""
        if self.is_closed:
            return _closed(self.whom)
        return explain(error.code().name, error.details() or "", name, self.whom)

    async def _at_home(self, call: Coroutine[Any, Any, _T]) -> _T:
        """Run on the loop of the channel: sync functions wait on loops of their own."""
        if self.is_closed:
            call.close()
            raise _closed(self.whom)
        if asyncio.get_running_loop() is self._loop:
            return await call
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._loop))

    async def _attempt(self, name: str, request: Message, timeout_s: float) -> _Response:
        try:
            return await self._unary[name](request, timeout=timeout_s)
        except ValueError as error:
            # The channel was closed in the middle, by whoever had lent it perhaps.
            raise _closed(self.whom) from error

    async def _collect(self, name: str, request: Message) -> list[_Response]:
        answers = self._streams[name](request, timeout=LONG_CALL_TIMEOUT_S)
        try:
            async with aclosing(answers):
                return [answer async for answer in answers]
        except ValueError as error:
            raise _closed(self.whom) from error


def _closed(whom: str) -> SchedulerUnavailableError:
    return SchedulerUnavailableError(f"The connection to the task hub at {whom} is closed.")
