"""A channel for threads that can be replaced while calls are made over it.

Theory of operation. What callers hold is a channel of gRPC like any other, but the calls go over
the present *generation*: a real channel and the number of calls that use it. Replacing makes the
next generation; the calls of the retired one go on, and it is closed by a thread of its own as soon
as the last of them has ended, or after a grace period.

What must never happen: a borrowed channel is replaced or closed; a call begins on a channel that is
closed; a retired channel stays open for ever.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import grpc

from durable_app.connection.options import RETIRED_CHANNEL_GRACE_S
from durable_app.rpc.channel import ChannelOwnership

if TYPE_CHECKING:
    from collections.abc import Callable


class Generation:
    """A real channel, and how many calls use it."""

    __slots__ = ("_calls", "_lock", "channel", "drained")

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.drained = threading.Event()
        self.drained.set()
        self._calls = 0
        self._lock = threading.Lock()

    def enter(self) -> None:
        """A call begins."""
        with self._lock:
            self._calls += 1
            self.drained.clear()

    def leave(self) -> None:
        """A call has ended."""
        with self._lock:
            self._calls -= 1
            if not self._calls:
                self.drained.set()

    def is_idle(self) -> bool:
        """Whether no call uses it."""
        with self._lock:
            return not self._calls


class ReplaceableChannel(grpc.Channel):  # type: ignore[misc]  # grpc has no types
    """Looks like a channel of gRPC; see the module.

    Args:
        make: gives a new channel; for a borrowed one, the caller's.
        ownership: of what ``make`` gives.
        grace_s: how long calls may go on over a retired channel.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        ownership: ChannelOwnership,
        grace_s: float = RETIRED_CHANNEL_GRACE_S,
    ) -> None:
        self.ownership = ownership
        self._make = make
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._present = Generation(make())
        self._retiring: dict[threading.Thread, Generation] = {}
        self._is_closed = threading.Event()

    def enter(self) -> Generation:
        """The present generation, with one more call on it; ``leave`` it when the call has ended.

        Raises:
            ValueError: the channel is closed.
        """
        with self._lock:
            if self._is_closed.is_set():
                raise ValueError("Cannot invoke RPC on closed channel!")
            self._present.enter()
            return self._present

    def replace(self) -> bool:
        """Let calls that begin from now on use another channel; False for a borrowed one."""
        if self.ownership is ChannelOwnership.BORROWED:
            return False
        fresh = Generation(self._make())
        with self._lock:
            is_closed = self._is_closed.is_set()
            retired = fresh
            if not is_closed:
                retired, self._present = self._present, fresh
            # Never closed here: this may be the thread of gRPC that tells how a stream ended, and
            # closing its channel from within would wait for itself.
            thread = threading.Thread(
                target=self._close_retired, args=(retired,), name="retired-channel", daemon=True
            )
            self._retiring[thread] = retired
            thread.start()
        return not is_closed

    def _close_retired(self, generation: Generation) -> None:
        generation.drained.wait(self._grace_s)
        generation.channel.close()
        with self._lock:
            self._retiring.pop(threading.current_thread(), None)

    def close(self) -> None:
        """End all calls and close what is owned. Idempotent."""
        with self._lock:
            if self._is_closed.is_set():
                return
            self._is_closed.set()
            present, retiring = self._present, dict(self._retiring)
        if self.ownership is ChannelOwnership.OWNED:
            present.channel.close()
        for thread, generation in retiring.items():
            generation.drained.set()
            thread.join()

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        *_: Any,
        **__: Any,
    ) -> Any:
        """A call with one answer; further arguments are gRPC's own and differ between versions."""
        return _UnaryUnary(self, "unary_unary", method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        *_: Any,
        **__: Any,
    ) -> Any:
        """A call with a stream of answers, likewise."""
        return _UnaryStream(self, "unary_stream", method, request_serializer, response_deserializer)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """A call with a stream of requests, over the generation of now; the service has none."""
        return self._present.channel.stream_unary(*args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """A call with two streams, likewise."""
        return self._present.channel.stream_stream(*args, **kwargs)

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:
        """Watch the state of the generation of now."""
        self._present.channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        """End watching."""
        self._present.channel.unsubscribe(callback)

    def __enter__(self) -> ReplaceableChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Calls:
    """A method of the service, callable over whatever generation is the present one."""

    def __init__(
        self, channel: ReplaceableChannel, arity: str, method: str, serialize: Any, parse: Any
    ) -> None:
        self._channel = channel
        self._arity = arity
        self._arguments = (method, serialize, parse)
        self._made: tuple[Generation, Any] | None = None

    def _of(self, generation: Generation) -> Any:
        made = self._made
        if made is None or made[0] is not generation:
            made = generation, getattr(generation.channel, self._arity)(*self._arguments)
            self._made = made
        return made[1]

    def _watched(self, generation: Generation, begin: Callable[[], Any]) -> Any:
        """A call that goes on after this one returns."""
        try:
            call = begin()
        except BaseException:
            generation.leave()
            raise
        if not call.add_callback(generation.leave):
            generation.leave()
        return call


class _UnaryUnary(_Calls, grpc.UnaryUnaryMultiCallable):  # type: ignore[misc]  # grpc has no types
    def __call__(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        generation = self._channel.enter()
        try:
            return self._of(generation)(request, *args, **kwargs)
        finally:
            generation.leave()

    def with_call(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        generation = self._channel.enter()
        try:
            return self._of(generation).with_call(request, *args, **kwargs)
        finally:
            generation.leave()

    def future(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        generation = self._channel.enter()
        return self._watched(
            generation, lambda: self._of(generation).future(request, *args, **kwargs)
        )


class _UnaryStream(_Calls, grpc.UnaryStreamMultiCallable):  # type: ignore[misc]  # grpc has no types
    def __call__(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        generation = self._channel.enter()
        return self._watched(generation, lambda: self._of(generation)(request, *args, **kwargs))
