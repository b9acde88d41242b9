"""The reconnect machine: given a state and an event, what comes next."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_app.connection.failures import LinkFailure
from durable_app.connection.options import GrpcWorkerResiliencyOptions
from durable_app.worker.session import (
    MIN_BACKOFF_S,
    STABLE_STREAM_S,
    CloseStream,
    Drain,
    Drained,
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

TRANSPORT, REFUSED = LinkFailure.TRANSPORT, LinkFailure.REFUSED
OPTIONS = GrpcWorkerResiliencyOptions()


class Run:
    """A machine with its state; ``at`` moves the clock."""

    def __init__(self, *, owns_channel=True, is_local=False, **options):
        self.session = Session(
            GrpcWorkerResiliencyOptions(**options), owns_channel=owns_channel, is_local=is_local
        )
        self.state = SessionState()
        self.now = 1000.0

    def __call__(self, event, *, after=0.0, draw=1.0):
        self.now += after
        self.state, command = self.session.step(self.state, event, self.now, draw)
        return command

    def due(self):
        """Time passes until the machine wants to act."""
        self.now = max(self.now, self.state.wake_at or self.now)
        return self(Tick())

    def fail(self, failure=TRANSPORT):
        """An attempt whose Hello fails; gives the command that began it."""
        hello = self.due()
        assert isinstance(hello, SayHello)
        self(HelloFailed(hello.attempt, failure))
        return hello

    @property
    def wait(self):
        """Seconds until the machine wants to act."""
        assert self.state.wake_at is not None
        return self.state.wake_at - self.now

    def stream(self):
        hello = self.due()
        assert isinstance(self(HelloAnswered(hello.attempt)), OpenStream)
        return hello.attempt


def test_it_begins_with_a_hello_and_then_opens_the_stream() -> None:
    run = Run()
    assert run(Tick()) == SayHello(1, 30)
    assert run(HelloAnswered(1)) == OpenStream(1, run.now + 120)
    assert run.state.phase is Phase.STREAMING


def test_waits_grow_with_jitter_up_to_the_cap() -> None:
    run, waits = Run(), []
    for _ in range(8):
        run.fail()
        waits.append(run.wait)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    hello = run.due()
    assert run(HelloFailed(hello.attempt, TRANSPORT), draw=0.5) == Wait(run.now + 15)


def test_too_early_a_tick_changes_nothing() -> None:
    run = Run()
    run.fail()
    before = run.state
    assert run(Tick(), after=0.5) == Wait(run.now + 0.5)
    assert run.state == before


def test_a_server_that_ends_streams_at_once_is_asked_less_and_less() -> None:
    run, waits = Run(), []
    for _ in range(4):
        attempt = run.stream()
        run(Received(attempt))
        run(StreamEnded(attempt, None))
        waits.append(run.wait)
    assert waits == [1, 2, 4, 8]
    attempt = run.stream()
    assert run(StreamEnded(attempt, None), draw=0.0) == Wait(run.now + MIN_BACKOFF_S)


def test_after_a_long_stream_that_ended_well_it_comes_back_quickly() -> None:
    run = Run()
    run.fail()
    attempt = run.stream()
    run(Received(attempt), after=STABLE_STREAM_S)
    assert run(StreamEnded(attempt, None)) == Wait(run.now + 2 * MIN_BACKOFF_S)
    assert run.state.failures == 0


def test_after_a_long_stream_that_broke_the_waits_begin_anew() -> None:
    run = Run()
    for _ in range(4):
        run.fail()
    attempt = run.stream()
    run(Received(attempt), after=STABLE_STREAM_S)
    assert run(StreamEnded(attempt, TRANSPORT)) == Wait(run.now + 1)


def test_the_channel_is_replaced_after_failures_of_the_transport() -> None:
    run = Run()
    assert [run.fail().fresh_channel for _ in range(6)] == [False] * 5 + [True]
    # The count has begun anew, and so has the interval.
    assert [run.fail().fresh_channel for _ in range(6)] == [False] * 4 + [True, False]


def test_another_status_proves_the_transport() -> None:
    run = Run()
    hellos = [run.fail(failure) for failure in [TRANSPORT] * 4 + [REFUSED] + [TRANSPORT] * 4]
    assert not any(hello.fresh_channel for hello in hellos)


def test_what_a_stream_brings_proves_the_transport() -> None:
    run = Run()
    for _ in range(5):
        run.fail()
    hello = run.due()
    assert hello.fresh_channel
    run(HelloAnswered(hello.attempt))
    run(Received(hello.attempt))
    assert run.state.transport_failures == 0


def test_an_end_without_status_counts_for_nothing() -> None:
    run = Run()
    run.fail()
    run(StreamEnded(run.stream(), None))
    assert run.state.transport_failures == 1


def test_a_replacement_waits_for_the_interval() -> None:
    run = Run(channel_recreate_failure_threshold=1, min_recreate_interval_seconds=10)
    times = [run.now for _ in range(8) if run.fail().fresh_channel]
    assert len(times) >= 2
    assert all(later - earlier >= 10 for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    "run", [Run(owns_channel=False), Run(channel_recreate_failure_threshold=0)]
)
def test_a_borrowed_channel_is_never_replaced(run) -> None:
    assert not any(run.fail().fresh_channel for _ in range(20))


def test_a_silent_stream_is_closed_and_its_channel_replaced() -> None:
    run = Run()
    attempt = run.stream()
    assert run(Tick(), after=119) == Wait(run.now + 1)
    assert run(Tick(), after=1) == CloseStream(attempt, run.now + 1)
    assert run.due().fresh_channel


def test_a_health_ping_keeps_a_stream() -> None:
    run = Run()
    attempt = run.stream()
    assert run(Received(attempt), after=119) == Wait(run.now + 120)
    assert run(Tick(), after=119) == Wait(run.now + 1)


def test_a_refused_token_is_renewed_at_once_then_with_growing_waits() -> None:
    run = Run()
    run.fail()
    run.fail()
    assert not run.fail(LinkFailure.UNAUTHENTICATED).fresh_token
    assert run.state.wake_at == run.now + MIN_BACKOFF_S
    assert run.fail(LinkFailure.UNAUTHENTICATED).fresh_token
    assert run.state.wake_at == run.now + 8
    assert run.fail().fresh_token
    assert not run.fail().fresh_token


def test_what_is_no_hub_ends_it_before_the_first_connection_only() -> None:
    run = Run()
    hello = run.due()
    assert run(HelloFailed(hello.attempt, LinkFailure.NOT_A_HUB)) == GiveUp(LinkFailure.NOT_A_HUB)
    assert run.state.phase is Phase.STOPPED
    assert run(Tick()) is None

    run = Run()
    run(StreamEnded(run.stream(), TRANSPORT))
    run.fail(LinkFailure.NOT_A_HUB)
    assert run.state.phase is Phase.DISCONNECTED


def test_stop_closes_the_stream_and_waits_for_what_is_in_flight() -> None:
    run = Run()
    attempt = run.stream()
    assert run(StopRequested()) == CloseStream(attempt, None)
    assert run(StopRequested()) is None
    assert run(StreamEnded(attempt, TRANSPORT)) is None
    assert run(Tick(), after=1000) is None
    assert run(Drained()) == Finish()
    assert run(Drained()) is None
    assert run(StopRequested()) is None


def test_stop_while_there_is_no_stream() -> None:
    run = Run()
    assert run(Drained()) is None
    run(Tick())
    assert run(StopRequested()) == Drain()
    assert run(HelloAnswered(1)) is None
    assert run(Drained()) == Finish()


def test_events_of_another_attempt_change_nothing() -> None:
    run = Run()
    first = run.stream()
    run(StreamEnded(first, TRANSPORT))
    second = run.stream()
    before = run.state
    for event in (Received(first), StreamEnded(first, TRANSPORT), HelloFailed(first, REFUSED)):
        assert run(event) is None
    assert run(HelloAnswered(second)) is None
    assert run.state == before


FAILURES = st.sampled_from(LinkFailure)
EVENTS = st.sampled_from(
    [
        "tick",
        "due",
        "answered",
        "failed",
        "received",
        "ended",
        "ended well",
        "late",
        "stop",
        "drain",
    ]
)


def event_of(kind, attempt, failure):
    return {
        "answered": HelloAnswered(attempt),
        "failed": HelloFailed(attempt, failure),
        "received": Received(attempt),
        "ended": StreamEnded(attempt, failure),
        "ended well": StreamEnded(attempt, None),
        "late": StreamEnded(attempt - 1, failure),
        "stop": StopRequested(),
        "drain": Drained(),
    }.get(kind, Tick())


STEPS = st.lists(
    st.tuples(EVENTS, FAILURES, st.floats(0, 200), st.floats(0, 1, exclude_max=True)), max_size=60
)


# Of a sum of seconds and of its difference with one of the summands.
ROUNDING_S = 1e-9


@given(STEPS, st.booleans())
def test_whatever_happens(steps, owns_channel) -> None:
    """Never two streams or Hellos; bounded waits; no command after the end; it can always go on."""
    run = Run(owns_channel=owns_channel)
    opened: set[int] = set()
    ended_at = -1000.0
    replaced_at = None
    for kind, failure, pause, draw in steps:
        before = run.state
        if kind == "due" and before.wake_at is not None:
            run.now = max(run.now, before.wake_at)
        command = run(event_of(kind, before.attempt, failure), after=pause, draw=draw)
        after = run.state
        if before.phase is Phase.STOPPED:
            assert command is None
            assert after == before
        match command:
            case SayHello():
                assert before.phase is Phase.DISCONNECTED
                assert command.attempt == before.attempt + 1
                assert run.now - ended_at >= MIN_BACKOFF_S * 0.999
                if command.fresh_channel:
                    assert owns_channel
                    assert replaced_at is None or run.now - replaced_at >= 30
                    replaced_at = run.now
            case OpenStream():
                assert before.phase is Phase.CONNECTING
                assert command.attempt not in opened
                opened.add(command.attempt)
            case Wait(until=until) | CloseStream(until=float(until)):
                bound = 120 if after.phase is Phase.STREAMING else 30
                assert until - run.now <= bound + ROUNDING_S
            case _:
                pass
        if after.phase is Phase.DISCONNECTED and before.phase is not Phase.DISCONNECTED:
            ended_at = run.now
            assert MIN_BACKOFF_S * 0.999 <= run.wait <= 30 + ROUNDING_S

    if run.state.phase in {Phase.DISCONNECTED, Phase.CONNECTING, Phase.STREAMING}:
        assert reconnects(run)
    assert stops(run)


def reconnects(run):
    """Whether a hub that is there again is found again."""
    if run.state.phase is Phase.STREAMING:
        run(StreamEnded(run.state.attempt, TRANSPORT))
    if run.state.phase is Phase.CONNECTING:
        run(HelloFailed(run.state.attempt, TRANSPORT))
    run.stream()
    return run.state.phase is Phase.STREAMING


def stops(run):
    run(StopRequested())
    run(Drained())
    return run.state.phase is Phase.STOPPED and run(Tick()) is None


def test_the_state_is_a_value() -> None:
    assert msgspec.structs.replace(SessionState(), attempt=0) == SessionState()


@pytest.mark.parametrize(
    ("options", "longest"),
    [
        ({}, 30),
        ({"is_local": True}, 3),
        ({"is_local": True, "reconnect_backoff_cap_seconds": 12}, 12),
    ],
)
def test_a_hub_on_this_machine_is_asked_more_often(options, longest) -> None:
    run = Run(**options)
    for _ in range(9):
        run.fail()
    assert run.wait == longest
