"""Keeps one stream of work open, whatever happens to the connection.

The driver of ``session``: it carries out the machine's commands over a link and tells the machine
what came of it. It decides nothing. One task owns the state; a second one at most says Hello or
reads the stream, and tells the first through a queue.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, assert_never

from durable_app.connection.backoff import draw_of
from durable_app.connection.failures import LinkError, LinkFailure
from durable_app.errors import DurableError
from durable_app.worker.session import (
    CloseStream,
    Command,
    Drain,
    Drained,
    Event,
    Finish,
    GiveUp,
    HelloAnswered,
    HelloFailed,
    OpenStream,
    Phase,
    Received,
    SayHello,
    Session,
    SessionState,
    StopRequested,
    StreamEnded,
    Tick,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from durable_app.ports import Clock

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
ItemOut_co = TypeVar("ItemOut_co", covariant=True)


class WorkLink(Protocol[ItemOut_co]):
    """A connection to a hub as the consumer needs it. Failures are LinkErrors."""

    async def hello(self, timeout_s: float) -> None:
        """Ask whether a hub is there."""
        ...

    def stream(self) -> AsyncGenerator[ItemOut_co | None, None]:
        """Ask for work; None is a health ping. Closing the generator cancels the stream."""
        ...

    async def replace_channel(self) -> None:
        """Begin anew, with another connection."""
        ...

    async def renew_token(self) -> None:
        """Fetch another access token, where there is one."""
        ...


class LinkListener(Protocol):
    """Is told how the connection fares, on the event loop. Raises nothing."""

    def connected(self, attempt: int) -> None:
        """A stream of work is open; ``attempt`` counts from 1."""
        ...

    def disconnected(self, failure: LinkFailure | None, reason: str, retry_in_s: float) -> None:
        """There is none any more, or it could not be opened.

        Args:
            failure: the kind; None where the hub ended the stream well, or fell silent.
            reason: for people.
            retry_in_s: until the next attempt.
        """
        ...


class LogListener:
    """Writes it to the log of this module."""

    def connected(self, attempt: int) -> None:
        """See ``LinkListener``."""
        logger.info("hub_connected", extra={"attempt": attempt})

    def disconnected(self, failure: LinkFailure | None, reason: str, retry_in_s: float) -> None:  # noqa: ARG002  the reason says it, too
        """See ``LinkListener``."""
        logger.warning("hub_disconnected", extra={"reason": reason, "retry_in_s": retry_in_s})


class StreamConsumer(Generic[Item]):
    """Gives every item that the hub sends to ``take``.

    Args:
        link: to the hub.
        session: the machine that decides.
        take: gets each item, on the event loop; returns at once and raises nothing.
        clock: of the process.
        listener: is told of the connection's fate; None for the log.
    """

    def __init__(
        self,
        link: WorkLink[Item],
        session: Session,
        take: Callable[[Item], None],
        clock: Clock,
        listener: LinkListener | None = None,
    ) -> None:
        self._listener = listener or LogListener()
        self._link = link
        self._session = session
        self._take = take
        self._clock = clock
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._state = SessionState()
        self._until: float | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self._heard_at: float | None = None
        #: Set when no stream is open and none will be: nothing more comes in.
        self.closed = asyncio.Event()

    @property
    def phase(self) -> Phase:
        """Where the connection stands."""
        return self._state.phase

    def stop(self) -> None:
        """Take nothing more: ``closed`` is set soon, and results can still be sent. Idempotent."""
        self._events.put_nowait(StopRequested())

    def drained(self) -> None:
        """Nothing is in flight any more: after ``stop`` this ends ``run``."""
        self._events.put_nowait(Drained())

    async def run(self) -> None:
        """Work until :meth:`stop` and :meth:`drained` were called.

        Raises:
            LinkError: what answers is no task hub.
        """
        event: Event = Tick()
        try:
            while True:
                now = self._now(event)
                draw = draw_of(self._clock.new_id())
                before = self._state.phase
                self._state, command = self._session.step(self._state, event, now, draw)
                self._tell(before, event)
                if command is not None and await self._obey(command):
                    return
                event = await self._next_event()
        finally:
            await self._end_attempt()
            self.closed.set()

    async def _next_event(self) -> Event:
        if self._until is None:
            event = await self._events.get()
        else:
            try:
                async with asyncio.timeout(max(0.0, self._until - self._clock.monotonic())):
                    event = await self._events.get()
            except TimeoutError:
                # Under load the machine hears of what came once, when silence would be too long.
                event = Tick() if self._heard_at is None else Received(self._state.attempt)
        return event

    def _now(self, event: Event) -> float:
        """The time of an event; of what has come in it is that of the last item."""
        if isinstance(event, Received) and self._heard_at is not None:
            now, self._heard_at = self._heard_at, None
            return now
        return self._clock.monotonic()

    async def _obey(self, command: Command) -> bool:
        """Carry out a command; True at the end."""
        match command:
            case SayHello():
                self._until = None
                await self._begin(self._hello(command))
            case OpenStream(attempt=attempt, until=until):
                self._until = until
                await self._begin(self._read(attempt))
            case Wait(until=until):
                self._until = until
            case CloseStream(until=until):
                self._until = until
                await self._end_attempt()
            case Drain():
                self._until = None
                await self._end_attempt()
            case Finish():
                return True
            case GiveUp(failure=failure):
                raise self._error or LinkError(failure, "What answers is no task hub.")
            case _:
                assert_never(command)
        if self._state.phase is Phase.DRAINING:
            self.closed.set()
        return False

    async def _begin(self, attempt: Coroutine[Any, Any, None]) -> None:
        await self._end_attempt()
        self._heard_at = None
        self._attempt = asyncio.create_task(attempt, name="work-stream")

    async def _end_attempt(self) -> None:
        """Cancel a Hello or a stream and see it end: two streams would both get work."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
            await asyncio.wait([attempt])

    async def _hello(self, command: SayHello) -> None:
        try:
            async with asyncio.timeout(command.timeout_s):
                if command.fresh_channel:
                    await self._link.replace_channel()
                if command.fresh_token:
                    await self._link.renew_token()
                await self._link.hello(command.timeout_s)
        except Exception as error:  # noqa: BLE001  the link's own, and those of users' credentials
            self._events.put_nowait(HelloFailed(command.attempt, self._failure(error)))
        else:
            self._events.put_nowait(HelloAnswered(command.attempt))

    async def _read(self, attempt: int) -> None:
        failure = None
        try:
            async with aclosing(self._link.stream()) as items:
                async for item in items:
                    self._heard_at = self._clock.monotonic()
                    if item is not None:
                        self._take(item)
        except Exception as error:  # noqa: BLE001  whatever it is, another stream has to follow
            failure = self._failure(error)
        if self._heard_at is not None:
            self._events.put_nowait(Received(attempt))
        self._events.put_nowait(StreamEnded(attempt, failure))

    def _failure(self, error: Exception) -> LinkFailure:
        self._error = error
        if isinstance(error, LinkError):
            return error.failure
        if isinstance(error, TimeoutError):
            return LinkFailure.TRANSPORT
        return LinkFailure.REFUSED

    def _tell(self, before: Phase, event: Event) -> None:
        after = self._state.phase
        if after is before:
            return
        if after is Phase.STREAMING:
            self._listener.connected(self._state.attempt)
        elif after is Phase.DISCONNECTED:
            wake_at = self._state.wake_at or 0.0
            retry_in_s = round(wake_at - self._clock.monotonic(), 3)
            failure = event.failure if isinstance(event, HelloFailed | StreamEnded) else None
            self._listener.disconnected(failure, self._reason(event), retry_in_s)

    def _reason(self, event: Event) -> str:
        match event:
            case Tick():
                return "The stream brought nothing, no health ping either."
            case HelloFailed() | StreamEnded(failure=LinkFailure()):
                # Our own errors say all in their text; what they are called is no help to anybody.
                if isinstance(self._error, DurableError):
                    return str(self._error)
                return f"{type(self._error).__name__}: {self._error}"
            case _:
                return "The hub ended the stream."
