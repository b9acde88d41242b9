"""The owner's thread: wakes up when it must, and ends in order."""

from __future__ import annotations

import threading
from datetime import timedelta
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest

from durable_app.errors import SchedulerUnavailableError, StoreCorruptError
from durable_app.ports import Capacity, StartRequest, WorkFilter
from durable_app.scheduler import loop as loops
from durable_app.scheduler.hub import Hub
from durable_app.scheduler.inputs import (
    Abandon,
    Connect,
    Get,
    Input,
    Results,
    Start,
    WaitFor,
    Watch,
)
from durable_app.scheduler.loop import OwnerLoop
from durable_app.scheduler.requests import Requests
from durable_app.scheduler.state import HubOptions
from durable_app.scheduler.streams import Stream
from durable_app.storage.memory import MemoryStore
from tests.unit.scheduler.rig import Time, ending
from tests.unit.worker.rig import a_turn

TIMEOUT_S = 10


class Waiter:
    """A reply that another thread waits for."""

    def __init__(self) -> None:
        self._got: Queue[Any] = Queue()

    def resolve(self, value: Any) -> None:
        self._got.put(value)

    def reject(self, error: Exception) -> None:
        self._got.put(error)

    def got(self) -> Any:
        return self._got.get(timeout=TIMEOUT_S)


class Bench:
    """A worker that hands its items to the test's thread."""

    def __init__(self) -> None:
        self.items: Queue[Any] = Queue()

    def push(self, items) -> None:
        for item in items:
            self.items.put(item)

    def forget(self, instance_id: str) -> None:
        """Nothing is warm here."""

    def take(self) -> Any:
        return self.items.get(timeout=TIMEOUT_S)


class Owner:
    """A loop at work."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.time = Time()
        self.store = store or MemoryStore()
        self.closed = threading.Event()
        self.fatal: list[BaseException] = []
        hub = Hub(self.store, self.time, HubOptions())
        self.loop = OwnerLoop(hub, lambda: None, self.closed.set, self.fatal.append)
        Requests(hub).continue_with(self.loop.post)
        self.worker = Bench()

    def __enter__(self) -> Owner:
        self.loop.start()
        self.loop.post(Connect(1, self.worker, Capacity(50, 50), WorkFilter()))
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.stop(TIMEOUT_S)
        assert self.closed.wait(TIMEOUT_S)
        assert not self.loop._thread.is_alive()

    def start(self, instance_id: str, **changes: Any) -> Waiter:
        reply = Waiter()
        assert self.loop.post(Start(StartRequest("order", instance_id, **changes), reply))
        return reply


def test_a_timer_fires_when_the_clock_jumps_ahead(monkeypatch):
    monkeypatch.setattr(loops, "_CLOCK_LOOK_S", 0.005)
    with Owner() as owner:
        later = owner.time.now() + timedelta(hours=1)
        assert owner.start("a", start_at=later).got() == "a"
        owner.time.offset = 7_200
        assert owner.worker.take().instance_id == "a"


def test_nobody_who_posts_is_overlooked():
    """Threads post at any moment, while the loop falls asleep or wakes up."""
    with Owner() as owner:

        def ask_on(failures: list[Any]) -> None:
            for _ in range(300):
                reply = Waiter()
                owner.loop.post(Get("nobody", False, reply))
                answer = reply.got()
                if answer is not None:
                    failures.append(answer)

        failures: list[Any] = []
        threads = [threading.Thread(target=ask_on, args=(failures,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S)
        assert not any(thread.is_alive() for thread in threads)
        assert failures == []


def test_many_starts_are_let_in_although_much_is_under_way():
    with Owner() as owner:
        replies = [owner.start(f"i{n}") for n in range(200)]
        for _ in replies:
            owner.loop.post(ending(owner.worker.take()))
        assert [reply.got() for reply in replies] == [f"i{n}" for n in range(200)]


def test_what_was_posted_before_the_stop_is_handled():
    owner = Owner()
    with owner:
        replies = [owner.start(f"i{n}") for n in range(100)]
    assert [reply.got() for reply in replies] == [f"i{n}" for n in range(100)]
    assert owner.store.load("i99") is not None


def test_after_the_stop_posts_are_refused():
    owner = Owner()
    with owner:
        pass
    assert not owner.loop.post(Get("a", False, Waiter()))
    assert owner.fatal == []


def test_clients_are_refused_while_it_stops_and_workers_are_not():
    owner = Owner()
    owner.loop._is_stopping = True
    assert not owner.loop.post(Get("a", False, Waiter()))
    assert owner.loop.post(Connect(1, owner.worker, Capacity(1, 1), WorkFilter()))


def test_an_error_that_nobody_expects_ends_it_loudly(caplog):
    class Cursed(MemoryStore):
        def load(self, instance_id):
            raise StoreCorruptError("damaged")

    owner = Owner(Cursed())
    with owner:
        reply = Waiter()
        owner.loop.post(Get("a", False, reply))
        assert owner.closed.wait(TIMEOUT_S)
        owner.loop._thread.join(TIMEOUT_S)
    assert [type(error) for error in owner.fatal] == [StoreCorruptError]
    assert "The task hub has failed: damaged" in caplog.text


def test_what_it_did_not_come_to_is_refused_in_the_end():
    owner = Owner()
    waiting, late = Waiter(), Waiter()
    owner.loop._starts.append(Start(StartRequest("order", "a"), waiting))
    owner.loop._work += [Get("a", False, late)]
    owner.loop._end()
    assert isinstance(waiting.got(), SchedulerUnavailableError)
    assert isinstance(late.got(), SchedulerUnavailableError)


def test_a_store_that_cannot_be_opened_is_the_caller_s_to_know():
    class Closed(MemoryStore):
        def open(self):
            raise StoreCorruptError("damaged")

    owner = Owner(Closed())
    with pytest.raises(StoreCorruptError):
        owner.loop.start()
    assert not owner.loop.post(Get("a", False, Waiter()))


def test_a_token_of_an_earlier_run_is_dropped():
    with Owner() as owner:
        owner.start("a")
        turn = owner.worker.take()
        owner.loop.post(Abandon(type(turn.token)("i", 1), "late"))
        owner.loop.post(ending(turn))
        reply = Waiter()
        owner.loop.post(Watch("a", WaitFor.COMPLETION, reply))
        assert reply.got().status.is_terminal


# -- waiting for company -------------------------------------------------------------------------

OTHER_THREADS = 0
A_MOMENT = (OTHER_THREADS, loops._GATHER_S)


def a_result() -> Input:
    return Results(())


def a_request() -> Input:
    return Get("a", False, Waiter())


def gathering(monkeypatch, last: list[Input], out: int) -> tuple[OwnerLoop, list[float]]:
    """A loop after a drain of ``last``, with so many items out, and the pauses that it makes."""
    loop, pauses = Owner().loop, list[float]()
    monkeypatch.setattr(loops, "time", SimpleNamespace(sleep=pauses.append))
    stream = Stream(1, Bench(), Capacity(50, 50), WorkFilter())
    for _ in range(out):
        loop._hub.state.streams.hold_turn(stream, a_turn("order"))
    loop._work += last
    loop._next_batch()
    loop._work.append(a_result())
    return loop, pauses


@pytest.mark.parametrize(
    ("last", "out", "expected"),
    [
        ([a_result(), a_result()], 40, A_MOMENT),
        ([a_result()], 40, ()),  # one chain beside many long activities
        ([a_result(), a_request(), a_request()], 40, ()),
        ([a_request(), a_request()], 40, ()),
        ([a_result(), a_result()], loops._CROWD, (OTHER_THREADS,)),  # few are still out
        ([a_result(), a_result()], loops._CROWD - 1, ()),
        ([], 40, ()),
    ],
)
def test_it_waits_where_results_come_in_company(monkeypatch, last, out, expected):
    loop, pauses = gathering(monkeypatch, last, out)
    loop._gather()
    assert tuple(pauses) == expected


def test_what_this_process_has_to_say_takes_no_time(monkeypatch):
    loop, pauses = gathering(monkeypatch, [a_result(), a_result()], 40)

    def others_run(pause_s: float) -> None:
        pauses.append(pause_s)
        loop._work += [a_result() for _ in range(loops._ENOUGH)]

    monkeypatch.setattr(loops, "time", SimpleNamespace(sleep=others_run))
    loop._gather()
    assert pauses == [OTHER_THREADS]


def test_with_enough_at_hand_it_does_not_wait(monkeypatch):
    loop, pauses = gathering(monkeypatch, [a_result(), a_result()], 40)
    loop._work += [a_result() for _ in range(loops._ENOUGH)]
    loop._gather()
    assert pauses == []


def test_the_end_does_not_wait_for_company(monkeypatch):
    loop, pauses = gathering(monkeypatch, [a_result(), a_result()], 40)
    loop._is_stopping = True
    loop._gather()
    assert pauses == []
