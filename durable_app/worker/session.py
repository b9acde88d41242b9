"""The connection of a worker to its task hub, as a machine without I/O.

Theory of operation. ``step(state, event, now, draw)`` gives the next state and one command for the
driver, which carries it out and answers with an event. All that decides about reconnecting is in
this file; the driver decides nothing.

    DISCONNECTED  waits until ``wake_at``, or has not begun
    CONNECTING    a Hello is on its way
    STREAMING     the one stream of work is open
    DRAINING      stopped: no stream any more, results of running items still go out
    STOPPED       the end; also where what answers is no task hub

    event            from          to            command
    Tick (due)       DISCONNECTED  CONNECTING    SayHello
    HelloAnswered    CONNECTING    STREAMING     OpenStream
    HelloFailed      CONNECTING    DISCONNECTED  Wait; or STOPPED with GiveUp
    Received         STREAMING     STREAMING     Wait, until silence would be too long
    StreamEnded      STREAMING     DISCONNECTED  Wait
    Tick (silence)   STREAMING     DISCONNECTED  CloseStream, which waits like Wait
    StopRequested    any           DRAINING      CloseStream, if there was one; else Drain
    Drained          DRAINING      STOPPED       Finish

Waits grow with the failures in a row, up to the cap, with full jitter, and are never shorter than
``MIN_BACKOFF_S``: a server that accepts streams and closes them at once causes no hot loop. Only a
stream that has brought something and has lived for ``STABLE_STREAM_S`` ends the row. The channel
is replaced after so many failures of the transport in a row, and when a stream fell silent, since
a half-open connection would only be noticed by the next timeouts; never more often than the options
allow, the wish is kept until then. Anything that a stream brings, health pings included, proves
the transport. A rejected token is renewed with the next attempt, the first time without a growing
wait.

What must never happen: two streams at once; an event of an earlier attempt that changes the state
of a later one (events carry the attempt's number); a command after the end.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

import msgspec

from durable_app.connection.backoff import backoff_s
from durable_app.connection.failures import LinkFailure
from durable_app.connection.options import reconnect_cap_s

if TYPE_CHECKING:
    from durable_app.connection.options import GrpcWorkerResiliencyOptions

#: Shortest pause between the end of one attempt and the next Hello.
MIN_BACKOFF_S: Final = 0.1
#: A stream that has lived for so long was a success.
STABLE_STREAM_S: Final = 5.0
_GROWTH: Final = 2.0


class Phase(Enum):
    """Where the machine stands."""

    DISCONNECTED = 1
    CONNECTING = 2
    STREAMING = 3
    DRAINING = 4
    STOPPED = 5


class SessionState(msgspec.Struct, frozen=True):
    """All that the machine remembers.

    Attributes:
        attempt: number of the present or last Hello and its stream; 0 before the first.
        wake_at: monotonic seconds; when to act without another event. None if never.
        failures: attempts in a row that were no success; they make waits longer.
        transport_failures: those of the transport in a row; they replace the channel.
        opened_at: when the present stream was opened.
        has_received: the present stream has brought something.
        has_connected: a hub has answered a Hello at least once.
        wants_channel: the channel shall be replaced as soon as that is allowed.
        wants_token: the next attempt renews the access token.
        was_rejected: the last attempt's token was rejected.
        recreated_at: when the channel was last replaced.
    """

    phase: Phase = Phase.DISCONNECTED
    attempt: int = 0
    wake_at: float | None = None
    failures: int = 0
    transport_failures: int = 0
    opened_at: float = 0.0
    has_received: bool = False
    has_connected: bool = False
    wants_channel: bool = False
    wants_token: bool = False
    was_rejected: bool = False
    recreated_at: float | None = None


class Tick(msgspec.Struct, frozen=True):
    """Time has passed; also the very first event."""


class HelloAnswered(msgspec.Struct, frozen=True):
    """The hub has answered the Hello of that attempt."""

    attempt: int


class HelloFailed(msgspec.Struct, frozen=True):
    """The Hello of that attempt was not answered well; or no token was to be had for it."""

    attempt: int
    failure: LinkFailure


class Received(msgspec.Struct, frozen=True):
    """The stream of that attempt has brought something: work, or a health ping."""

    attempt: int


class StreamEnded(msgspec.Struct, frozen=True):
    """The stream of that attempt has ended; ``failure`` is None where the server ended it well."""

    attempt: int
    failure: LinkFailure | None


class StopRequested(msgspec.Struct, frozen=True):
    """The worker shall end."""


class Drained(msgspec.Struct, frozen=True):
    """What was in flight is done or given up."""


Event = Tick | HelloAnswered | HelloFailed | Received | StreamEnded | StopRequested | Drained


class SayHello(msgspec.Struct, frozen=True):
    """Begin an attempt.

    Attributes:
        attempt: number that its events shall carry.
        timeout_s: for the answer.
        fresh_channel: replace the channel before, unless it is the caller's.
        fresh_token: renew the access token before.
    """

    attempt: int
    timeout_s: float
    fresh_channel: bool = False
    fresh_token: bool = False


class OpenStream(msgspec.Struct, frozen=True):
    """Ask for work; ``until`` is when to send a Tick if nothing comes."""

    attempt: int
    until: float


class Wait(msgspec.Struct, frozen=True):
    """Send a Tick at ``until`` (monotonic seconds), unless another event comes before."""

    until: float


class CloseStream(msgspec.Struct, frozen=True):
    """Cancel the stream of that attempt, then wait: until a Tick is due, or for what is in flight.

    Attributes:
        until: when to send a Tick; None where the worker is ending: send Drained.
    """

    attempt: int
    until: float | None


class Drain(msgspec.Struct, frozen=True):
    """Cancel a Hello that is on its way; send Drained when nothing is in flight any more."""


class Finish(msgspec.Struct, frozen=True):
    """It is over."""


class GiveUp(msgspec.Struct, frozen=True):
    """It is over: no attempt can succeed."""

    failure: LinkFailure


Command = SayHello | OpenStream | Wait | CloseStream | Drain | Finish | GiveUp


class Session:
    """The machine with its options; it holds no state of its own.

    Args:
        options: times and thresholds.
        owns_channel: False where the channel is the caller's: then it is never replaced.
        is_local: the hub is on this machine, where waits are shorter unless the options say how
            long they are.
    """

    def __init__(
        self,
        options: GrpcWorkerResiliencyOptions,
        *,
        owns_channel: bool = True,
        is_local: bool = False,
    ) -> None:
        self._options = options
        self._cap_s = reconnect_cap_s(options, is_local=is_local)
        self._owns_channel = owns_channel

    def step(
        self, state: SessionState, event: Event, now: float, draw: float
    ) -> tuple[SessionState, Command | None]:
        """What an event changes.

        Args:
            now: monotonic seconds.
            draw: random, 0 <= draw < 1.

        Returns:
            The next state and what to do; None for "go on as before": the event came too late or
            too early to matter.
        """
        if state.phase is Phase.STOPPED:
            return state, None
        match event:
            case StopRequested():
                return _stop(state)
            case Drained():
                if state.phase is not Phase.DRAINING:
                    return state, None
                return msgspec.structs.replace(state, phase=Phase.STOPPED), Finish()
            case Tick():
                return self._tick(state, now, draw)
            case _:
                if event.attempt != state.attempt:
                    return state, None
                return self._of_attempt(state, event, now, draw)

    def _of_attempt(
        self,
        state: SessionState,
        event: HelloAnswered | HelloFailed | Received | StreamEnded,
        now: float,
        draw: float,
    ) -> tuple[SessionState, Command | None]:
        match event, state.phase:
            case HelloAnswered(), Phase.CONNECTING:
                return self._connected(state, now)
            case HelloFailed(failure=failure), Phase.CONNECTING:
                if failure is LinkFailure.NOT_A_HUB and not state.has_connected:
                    stopped = msgspec.structs.replace(state, phase=Phase.STOPPED, wake_at=None)
                    return stopped, GiveUp(failure)
                return self._failed(state, failure, now, draw)
            case Received(), Phase.STREAMING:
                return self._received(state, now)
            case StreamEnded(failure=failure), Phase.STREAMING:
                return self._ended(state, failure, now, draw)
            case _:
                return state, None

    def _tick(
        self, state: SessionState, now: float, draw: float
    ) -> tuple[SessionState, Command | None]:
        if state.phase is Phase.DISCONNECTED:
            if state.wake_at is not None and now < state.wake_at:
                return state, Wait(state.wake_at)
            return self._hello(state, now)
        if state.phase is Phase.STREAMING and state.wake_at is not None:
            if now < state.wake_at:
                return state, Wait(state.wake_at)
            # Nothing was heard: the connection may be half open, and its channel not know it.
            silent = msgspec.structs.replace(state, wants_channel=True)
            after, wait = self._failed(silent, LinkFailure.TRANSPORT, now, draw)
            return after, CloseStream(state.attempt, wait.until)
        return state, None

    def _hello(self, state: SessionState, now: float) -> tuple[SessionState, Command]:
        options = self._options
        threshold = options.channel_recreate_failure_threshold
        wanted = state.wants_channel or state.transport_failures >= threshold
        last = state.recreated_at
        allowed = last is None or now - last >= options.min_recreate_interval_seconds
        fresh = self._owns_channel and threshold > 0 and wanted and allowed
        begun = msgspec.structs.replace(
            state,
            phase=Phase.CONNECTING,
            attempt=state.attempt + 1,
            wake_at=None,
            wants_token=False,
            wants_channel=state.wants_channel and not fresh,
            transport_failures=0 if fresh else state.transport_failures,
            recreated_at=now if fresh else last,
        )
        hello = SayHello(
            begun.attempt,
            options.hello_timeout_seconds,
            fresh_channel=fresh,
            fresh_token=state.wants_token,
        )
        return begun, hello

    def _connected(self, state: SessionState, now: float) -> tuple[SessionState, Command]:
        until = now + self._options.silent_disconnect_timeout_seconds
        streaming = msgspec.structs.replace(
            state,
            phase=Phase.STREAMING,
            wake_at=until,
            opened_at=now,
            has_received=False,
            has_connected=True,
        )
        return streaming, OpenStream(state.attempt, until)

    def _received(self, state: SessionState, now: float) -> tuple[SessionState, Command]:
        until = now + self._options.silent_disconnect_timeout_seconds
        heard = msgspec.structs.replace(
            state,
            wake_at=until,
            has_received=True,
            transport_failures=0,
            wants_channel=False,
            was_rejected=False,
        )
        return heard, Wait(until)

    def _ended(
        self, state: SessionState, failure: LinkFailure | None, now: float, draw: float
    ) -> tuple[SessionState, Command]:
        if state.has_received and now - state.opened_at >= STABLE_STREAM_S:
            state = msgspec.structs.replace(state, failures=0)
            if failure is None:
                # A server that is replaced says good-bye to all its workers at the same moment.
                until = now + MIN_BACKOFF_S * (1 + draw)
                waiting = msgspec.structs.replace(state, phase=Phase.DISCONNECTED, wake_at=until)
                return waiting, Wait(until)
        return self._failed(state, failure, now, draw)

    def _failed(
        self, state: SessionState, failure: LinkFailure | None, now: float, draw: float
    ) -> tuple[SessionState, Wait]:
        """Wait after an attempt without success; ``failure`` is None for a stream that ended."""
        rejected = failure is LinkFailure.UNAUTHENTICATED
        failures = state.failures + 1
        delay = backoff_s(
            failures,
            first_s=self._options.reconnect_backoff_base_seconds,
            cap_s=self._cap_s,
            factor=_GROWTH,
            draw=draw,
        )
        if rejected and not state.was_rejected:
            delay = 0.0
        until = now + max(MIN_BACKOFF_S, delay)
        waiting = msgspec.structs.replace(
            state,
            phase=Phase.DISCONNECTED,
            wake_at=until,
            failures=failures,
            transport_failures=_transport_failures(state, failure),
            wants_token=rejected,
            was_rejected=rejected,
        )
        return waiting, Wait(until)


def _transport_failures(state: SessionState, failure: LinkFailure | None) -> int:
    if failure is LinkFailure.TRANSPORT:
        return state.transport_failures + 1
    # Another status comes from a server that was reached.
    return state.transport_failures if failure is None else 0


def _stop(state: SessionState) -> tuple[SessionState, Command | None]:
    if state.phase is Phase.DRAINING:
        return state, None
    draining = msgspec.structs.replace(state, phase=Phase.DRAINING, wake_at=None)
    if state.phase is Phase.STREAMING:
        return draining, CloseStream(state.attempt, None)
    return draining, Drain()
