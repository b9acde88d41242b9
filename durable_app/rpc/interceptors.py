"""One interceptor for all calls, for threads and for event loops.

It adds the headers and the access token, repeats what is safe to repeat, renews a token that the
hub refuses, and tells how calls ended to who replaces dead channels. What it does depends on the
path of the method alone (see ``call_kinds``), so that no place that makes a call has to know of it.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

import grpc
import grpc.aio

from durable_app.connection.backoff import draw_of
from durable_app.connection.options import GrpcRetryPolicyOptions
from durable_app.rpc.call_kinds import CallKind, kind_of
from durable_app.rpc.channel import ChannelOwnership
from durable_app.rpc.resilience import CallAttempts, FailureTracker
from durable_app.rpc.token_cache import AsyncTokenCache, TokenCache

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from durable_app.ports import Clock
    from durable_app.rpc.call_headers import CallHeaders

Tokens = TypeVar("Tokens", TokenCache, AsyncTokenCache)
_OK: Final = "OK"
# The reader went away: that says nothing about the connection.
_LEFT: Final = "CANCELLED"


class CallDetails(NamedTuple):
    """What gRPC calls the details of a call; continuations read them by name."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any = None

    def __repr__(self) -> str:
        """Without the metadata: an access token may be among it."""
        return f"CallDetails({self.method!r})"


class CallRules(Generic[Tokens]):
    """What is the same for all calls over a channel.

    Args:
        headers: of every call.
        clock: of the process.
        tokens: None without authentication.
        retry: None for the defaults.
        tracker: learns how calls end; None where nobody replaces the channel.
        ownership: of the channel. Over a borrowed one, of which nobody knows whether it is
            encrypted, gRPC itself attaches the token, and refuses where it is not.
    """

    def __init__(
        self,
        headers: CallHeaders,
        clock: Clock,
        *,
        tokens: Tokens | None = None,
        retry: GrpcRetryPolicyOptions | None = None,
        tracker: FailureTracker | None = None,
        ownership: ChannelOwnership = ChannelOwnership.OWNED,
    ) -> None:
        self._headers = headers
        self._clock = clock
        self.tokens: Tokens | None = tokens
        self._retry = retry or GrpcRetryPolicyOptions()
        self._tracker = tracker
        self._ownership = ownership
        #: Token of the call that began last; the one to renew where a stream was refused.
        self.last_token: str | None = None

    def attempts(self, path: str) -> CallAttempts:
        """The attempts of a call that begins now."""
        return CallAttempts(path, self._retry, has_token=self.tokens is not None)

    def deadline(self, details: Any) -> float | None:
        """When the call must have ended, all attempts together; monotonic seconds."""
        timeout = details.timeout
        return None if timeout is None else self._clock.monotonic() + timeout

    def leaves_time(self, delay_s: float, deadline: float | None) -> bool:
        """Whether another attempt can begin after that pause."""
        return deadline is None or self._clock.monotonic() + delay_s < deadline

    def time_left(self, deadline: float | None) -> float | None:
        """Seconds until then, at least 0; None without a deadline."""
        return None if deadline is None else max(0.0, deadline - self._clock.monotonic())

    def draw(self) -> float:
        """A random number, 0 <= n < 1."""
        return draw_of(self._clock.new_id())

    def details(self, details: Any, token: str | None, deadline: float | None) -> CallDetails:
        """Details of the next attempt."""
        self.last_token = token
        credentials = details.credentials
        if token is not None and self._ownership is ChannelOwnership.BORROWED:
            own = grpc.access_token_call_credentials(token)
            credentials = (
                own if credentials is None else grpc.composite_call_credentials(credentials, own)
            )
            token = None
        return CallDetails(
            details.method,
            self.time_left(deadline),
            self._headers.merged(details.metadata, token),
            credentials,
            details.wait_for_ready,
            getattr(details, "compression", None),
        )

    def begin(self) -> int:
        """Number of the channel that an attempt uses."""
        return 0 if self._tracker is None else self._tracker.generation

    def ended(self, path: str, code: str, generation: int) -> None:
        """An attempt has ended with a status."""
        if self._tracker is not None:
            self._tracker.ended(path, code, generation)


class CallInterceptor(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc]  # grpc has no types
    """For channels that threads use. ``future()`` waits for the outcome, as a plain call does.

    Args:
        rules: of the channel.
    """

    def __init__(self, rules: CallRules[TokenCache]) -> None:
        self._rules = rules
        self._closed = threading.Event()

    def close(self) -> None:
        """End pauses between attempts; calls that wait then return their last failure."""
        self._closed.set()

    def _token(self, rejected: str | None, deadline: float | None) -> str | None:
        """The access token of an attempt; a caller waits no longer for it than for the answer."""
        tokens = self._rules.tokens
        if tokens is None:
            return None
        try:
            return tokens.token(rejected, self._rules.time_left(deadline))
        except TimeoutError as error:
            raise _no_token_in_time() from error

    def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        """Called by gRPC."""
        rules, path = self._rules, client_call_details.method
        attempts, deadline = rules.attempts(path), rules.deadline(client_call_details)
        rejected = None
        while True:
            token = self._token(rejected, deadline)
            generation = rules.begin()
            call = continuation(rules.details(client_call_details, token, deadline), request)
            code = call.code().name
            rules.ended(path, code, generation)
            again = None if code == _OK else attempts.after(code, rules.draw())
            if again is None or not rules.leaves_time(again.delay_s, deadline):
                return call
            if self._closed.wait(again.delay_s):
                return call
            rejected = token if again.with_new_token else None

    def intercept_unary_stream(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        """Called by gRPC. A stream that has begun is never repeated.

        Only its reader knows how far it came.
        """
        rules, path = self._rules, client_call_details.method
        deadline = rules.deadline(client_call_details)

        def begin(token: str | None) -> Any:
            generation = rules.begin()
            call = continuation(rules.details(client_call_details, token, deadline), request)

            def ended() -> None:
                rules.ended(path, call.code().name, generation)

            if not call.add_callback(ended):
                ended()
            return call

        token = self._token(None, deadline)
        call = begin(token)
        # The session of a worker renews the token itself, with its next greeting.
        if token is None or kind_of(path) is not CallKind.READ:
            return call
        return _Answers(call, lambda: begin(self._token(token, deadline)))


class _Answers:
    """The answers of a call; from the beginning, once, where the access token is refused.

    In all other respects it is the call that is going on.
    """

    def __init__(self, call: Any, begin_anew: Callable[[], Any]) -> None:
        self._call = call
        self._begin_anew: Callable[[], Any] | None = begin_anew
        self._lock = threading.Lock()
        self._is_cancelled = False

    def __iter__(self) -> _Answers:
        return self

    def __next__(self) -> Any:
        begin_anew, self._begin_anew = self._begin_anew, None
        try:
            return next(self._call)
        except grpc.RpcError as error:
            if begin_anew is None or error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
        call = begin_anew()
        with self._lock:
            self._call = call
            is_cancelled = self._is_cancelled
        if is_cancelled:
            call.cancel()
        return next(call)

    def cancel(self) -> Any:
        """End the call, by any thread."""
        with self._lock:
            self._is_cancelled = True
            return self._call.cancel()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


class AsyncUnaryInterceptor(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # grpc has no types
    """For calls with one answer on an event loop.

    Args:
        rules: of the channel.
    """

    def __init__(self, rules: CallRules[AsyncTokenCache]) -> None:
        self._rules = rules

    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        """Gives a call that has ended."""
        rules, path = self._rules, _text(client_call_details.method)
        attempts, deadline = rules.attempts(path), rules.deadline(client_call_details)
        rejected = None
        while True:
            token = await _token(rules, rejected, deadline)
            generation = rules.begin()
            call = await continuation(rules.details(client_call_details, token, deadline), request)
            code = await _outcome(call)
            rules.ended(path, code, generation)
            again = None if code == _OK else attempts.after(code, rules.draw())
            if again is None or not rules.leaves_time(again.delay_s, deadline):
                return call
            await asyncio.sleep(again.delay_s)
            rejected = token if again.with_new_token else None


class AsyncStreamInterceptor(grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc]  # grpc has no types
    """For calls with a stream of answers on an event loop.

    Args:
        rules: of the channel.
    """

    def __init__(self, rules: CallRules[AsyncTokenCache]) -> None:
        self._rules = rules

    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        """Gives an asynchronous iterator; ending it early cancels the call."""
        rules, path = self._rules, _text(client_call_details.method)
        deadline = rules.deadline(client_call_details)

        async def begin(token: str | None) -> AsyncGenerator[Any, None]:
            generation = rules.begin()
            call = await continuation(rules.details(client_call_details, token, deadline), request)
            return self._read(call, path, generation)

        token = await _token(rules, None, deadline)
        answers = await begin(token)
        # The session of a worker renews the token itself, with its next greeting.
        if token is None or kind_of(path) is not CallKind.READ:
            return answers

        async def begin_anew() -> AsyncGenerator[Any, None]:
            return await begin(await _token(rules, token, deadline))

        return _read_on(answers, begin_anew)

    async def _read(self, call: Any, path: str, generation: int) -> AsyncGenerator[Any, None]:
        code = _LEFT
        try:
            async for message in call:
                yield message
            code = _OK
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            raise
        except asyncio.CancelledError:
            _raise_if_cut_off()
            raise
        finally:
            call.cancel()
            self._rules.ended(path, code, generation)


async def _read_on(
    answers: AsyncGenerator[Any, None],
    begin_anew: Callable[[], Awaitable[AsyncGenerator[Any, None]]],
) -> AsyncGenerator[Any, None]:
    """The answers; from the beginning, once, where the access token is refused."""
    has_begun = False
    try:
        async with aclosing(answers):
            async for answer in answers:
                has_begun = True
                yield answer
    except grpc.aio.AioRpcError as error:
        if has_begun or error.code() is not grpc.StatusCode.UNAUTHENTICATED:
            raise
    else:
        return
    async with aclosing(await begin_anew()) as others:
        async for answer in others:
            yield answer


async def _token(
    rules: CallRules[AsyncTokenCache], rejected: str | None, deadline: float | None
) -> str | None:
    """The access token of an attempt; a caller waits no longer for it than for the answer."""
    if rules.tokens is None:
        return None
    try:
        async with asyncio.timeout(rules.time_left(deadline)):
            return await rules.tokens.token(rejected)
    except TimeoutError as error:
        raise _no_token_in_time() from error


def _no_token_in_time() -> Exception:
    """What the call of threads ends with, too: gRPC's synchronous half has no such class."""
    error: Exception = grpc.aio.AioRpcError(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(),
        "There was no access token in time.",
    )
    return error


async def _outcome(call: Any) -> str:
    """Name of the status that a call ends with; a caller that is cancelled cancels the call."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    except asyncio.CancelledError:
        _raise_if_cut_off()
        raise
    return _OK


def _raise_if_cut_off() -> None:
    """Tell a call whose channel was closed from one whose caller was cancelled.

    gRPC raises CancelledError for both; taken for a cancellation, the first would silently end a
    task that nobody has cancelled.
    """
    task = asyncio.current_task()
    if task is not None and not task.cancelling():
        raise grpc.aio.AioRpcError(
            grpc.StatusCode.CANCELLED,
            grpc.aio.Metadata(),
            grpc.aio.Metadata(),
            "The channel was closed.",
        )


def _text(method: str | bytes) -> str:
    # gRPC hands its own interceptors bytes.
    return method.decode() if isinstance(method, bytes) else method
