"""The pool that activities and entities share: the watch over the time limit, and odd ends."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from typing import Any

from durable_app.protocol import ActivityResponse, CompletionToken, FailureDetails
from durable_app.worker.jobs import Job, JobPool, is_being_ended
from tests.unit.taskhub.builders import NOW
from tests.unit.worker.rig import TIMEOUT_S, Desk, unobserved


class Watch:
    """A clock that stands until it is moved. Implements ``ports.Clock``."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds

    def new_id(self) -> str:
        return "0" * 32


class Loop:
    """Keeps what is to be called later, and calls nothing."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Any, tuple[Any, ...]]] = []

    def call_later(self, delay_s: float, callback: Any, *arguments: Any) -> None:
        self.later.append((delay_s, callback, arguments))

    def turn(self) -> float:
        """Call what waits; returns how long it had asked to wait."""
        ((delay_s, callback, arguments),) = self.later
        self.later.clear()
        callback(*arguments)
        return delay_s


class Wait(Job[ActivityResponse]):
    """Waits on a thread until it may go on."""

    def __init__(self, nonce: int) -> None:
        super().__init__(CompletionToken("t", nonce), "wait", unobserved())
        self.arrived = threading.Event()
        self.may_end = threading.Event()

    def run(self) -> ActivityResponse:
        self.arrived.set()
        assert self.may_end.wait(TIMEOUT_S)
        return ActivityResponse("order-1", 1, self.token, '"done"')

    async def run_async(self) -> ActivityResponse:
        return ActivityResponse("order-1", 1, self.token, '"done"')

    def timed_out(self, timeout_s: float) -> ActivityResponse:
        return ActivityResponse("order-1", 1, self.token, None, FailureDetails("E", f"{timeout_s}"))

    def failure_in(self, result: ActivityResponse) -> FailureDetails | None:
        return result.failure


def begun(pool: JobPool, nonce: int) -> Wait:
    job = Wait(nonce)
    pool.take(job, is_async=False)
    assert job.arrived.wait(TIMEOUT_S)
    return job


def test_those_that_are_not_late_yet_go_on():
    loop: Any = Loop()
    desk, watch = Desk(), Watch()
    pool = JobPool(2, "job", watch, 10.0)
    pool.start(desk, loop)
    late = begun(pool, 1)
    watch.seconds = 5
    early = begun(pool, 2)
    watch.seconds = 12

    assert loop.turn() == 1.0
    assert desk.next_result().failure.error_message == "10.0"
    assert (desk.results.empty(), pool.pending) == (True, 1)
    early.may_end.set()
    assert desk.next_result().result == '"done"'
    late.may_end.set()
    pool.stop()
    loop.turn()
    assert loop.later == []
    assert desk.results.empty()


def test_one_that_ends_while_it_is_looked_at_is_handed_back_once():
    loop: Any = Loop()
    desk, watch = Desk(), Watch()
    pool = JobPool(2, "job", watch, 10.0)
    job = Wait(1)

    class Ends(dict[Any, Any]):
        def copy(self) -> Any:
            seen = super().copy()
            job.may_end.set()
            assert desk.next_result().result == '"done"'
            return seen

    pool.start(desk, loop)
    pool._begun = Ends()
    pool.take(job, is_async=False)
    assert job.arrived.wait(TIMEOUT_S)
    watch.seconds = 12
    loop.turn()
    assert (desk.results.empty(), pool.pending) == (True, 0)
    pool.stop()


def test_without_a_stream_nothing_is_handed_back_and_nothing_stays():
    pool = JobPool(2, "job", Watch())
    pool.answer(ActivityResponse("order-1", 1, CompletionToken("t", 1)))
    loop = asyncio.new_event_loop()
    loop.close()
    pool._loop = loop
    pool.take(Wait(2), is_async=True)
    assert pool.pending == 0


def test_without_a_loop_what_is_left_of_it_is_put_away():
    assert is_being_ended(GeneratorExit())
