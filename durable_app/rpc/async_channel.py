"""A channel for an event loop that can be replaced while calls are made over it.

The twin of ``sync_channel``, with the same words. It runs the interceptors itself, since gRPC adds
none to an asynchronous channel that exists already, which a borrowed one does.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from durable_app.connection.options import RETIRED_CHANNEL_GRACE_S
from durable_app.rpc.channel import ChannelOwnership
from durable_app.rpc.interceptors import (
    AsyncStreamInterceptor,
    AsyncUnaryInterceptor,
    CallDetails,
    CallRules,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from durable_app.rpc.token_cache import AsyncTokenCache


class AsyncGeneration:
    """A real channel, and how many calls use it."""

    __slots__ = ("_calls", "channel", "drained")

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.drained = asyncio.Event()
        self._calls = 0

    def enter(self) -> None:
        """A call begins."""
        self._calls += 1
        self.drained.clear()

    def leave(self, _: object = None) -> None:
        """A call has ended."""
        self._calls -= 1
        if not self._calls:
            self.drained.set()

    def is_idle(self) -> bool:
        """Whether no call uses it."""
        return not self._calls


class AsyncReplaceableChannel:
    """Makes calls for the running event loop; see the module.

    Args:
        make: gives a new channel; for a borrowed one, the caller's.
        ownership: of what ``make`` gives.
        rules_for: gives the rules of the calls, for a function that replaces the channel.
        grace_s: how long calls may go on over a retired channel.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        ownership: ChannelOwnership,
        rules_for: Callable[[Callable[[], bool]], CallRules[AsyncTokenCache]],
        grace_s: float = RETIRED_CHANNEL_GRACE_S,
    ) -> None:
        self.ownership = ownership
        self._make = make
        self._grace_s = grace_s
        self._present = AsyncGeneration(make())
        self._retiring: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._rules = rules_for(self.replace)
        #: They see every call.
        self.unary_interceptor = AsyncUnaryInterceptor(self._rules)
        self.stream_interceptor = AsyncStreamInterceptor(self._rules)

    async def renew_token(self) -> None:
        """Fetch another token than the one that was used last.

        Raises:
            TokenUnavailableError: none could be fetched.
        """
        if self._rules.tokens is not None:
            await self._rules.tokens.token(self._rules.last_token)

    def enter(self) -> AsyncGeneration:
        """The present generation, with one more call on it; ``leave`` it when the call has ended.

        Raises:
            ValueError: the channel is closed.
        """
        if self._closing.is_set():
            raise ValueError("Cannot invoke RPC on closed channel!")
        self._present.enter()
        return self._present

    def replace(self) -> bool:
        """Let calls that begin from now on use another channel; False for a borrowed one."""
        if self.ownership is ChannelOwnership.BORROWED or self._closing.is_set():
            return False
        retired, self._present = self._present, AsyncGeneration(self._make())
        task = asyncio.create_task(self._close_retired(retired), name="retired-channel")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return True

    async def _close_retired(self, generation: AsyncGeneration) -> None:
        if not generation.is_idle():
            waiting = [
                asyncio.ensure_future(event.wait()) for event in (generation.drained, self._closing)
            ]
            await asyncio.wait(waiting, timeout=self._grace_s, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
        await generation.channel.close()

    async def close(self) -> None:
        """End all calls and close what is owned. Idempotent."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._rules.tokens is not None:
            await self._rules.tokens.close()
        if self._retiring:
            await asyncio.wait(self._retiring)
        if self.ownership is ChannelOwnership.OWNED:
            await self._present.channel.close()

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None
    ) -> AsyncUnaryCall:
        """A call with one answer."""
        calls = _Calls(self, "unary_unary", method, request_serializer, response_deserializer)
        return AsyncUnaryCall(calls)

    def unary_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None
    ) -> AsyncStreamCall:
        """A call with a stream of answers."""
        calls = _Calls(self, "unary_stream", method, request_serializer, response_deserializer)
        return AsyncStreamCall(calls)


class _Calls:
    """A method of the service, callable over whatever generation is the present one."""

    def __init__(
        self,
        channel: AsyncReplaceableChannel,
        arity: str,
        method: str,
        serialize: Any,
        parse: Any,
    ) -> None:
        self.channel = channel
        self.method = method
        self._arity = arity
        self._arguments = (method, serialize, parse)
        self._made: tuple[AsyncGeneration, Any] | None = None

    async def begin(self, details: CallDetails, request: Any) -> Any:
        """Begin an attempt; the continuation of the interceptors."""
        generation = self.channel.enter()
        try:
            made = self._made
            if made is None or made[0] is not generation:
                made = generation, getattr(generation.channel, self._arity)(*self._arguments)
                self._made = made
            call = made[1](
                request,
                timeout=details.timeout,
                metadata=details.metadata,
                credentials=details.credentials,
                wait_for_ready=details.wait_for_ready,
            )
        except BaseException:
            generation.leave()
            raise
        call.add_done_callback(generation.leave)
        return call


class AsyncUnaryCall:
    """A method with one answer."""

    __slots__ = ("_calls",)

    def __init__(self, calls: _Calls) -> None:
        self._calls = calls

    async def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  gRPC sends it to the server
        metadata: Any = None,
        wait_for_ready: bool | None = None,
    ) -> Any:
        """The answer.

        Args:
            timeout: seconds, for all attempts together.

        Raises:
            grpc.aio.AioRpcError: the hub, or gRPC, ended the call with a status.
            TokenUnavailableError: there is no access token.
        """
        calls = self._calls
        details = CallDetails(calls.method, timeout, metadata, None, wait_for_ready)
        interceptor = calls.channel.unary_interceptor
        return await (await interceptor.intercept_unary_unary(calls.begin, details, request))


class AsyncStreamCall:
    """A method with a stream of answers."""

    __slots__ = ("_calls",)

    def __init__(self, calls: _Calls) -> None:
        self._calls = calls

    async def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  gRPC sends it to the server
        metadata: Any = None,
        wait_for_ready: bool | None = None,
    ) -> AsyncGenerator[Any, None]:
        """The answers; leaving the loop early, with ``aclosing`` around it, cancels the call.

        Raises:
            grpc.aio.AioRpcError: the hub, or gRPC, ended the call with a status.
            TokenUnavailableError: there is no access token.
        """
        calls = self._calls
        details = CallDetails(calls.method, timeout, metadata, None, wait_for_ready)
        interceptor = calls.channel.stream_interceptor
        answers = await interceptor.intercept_unary_stream(calls.begin, details, request)
        async with aclosing(answers):
            async for answer in answers:
                yield answer
