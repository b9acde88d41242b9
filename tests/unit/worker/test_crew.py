"""Threads that work off a queue."""

from __future__ import annotations

import threading

from durable_app.worker.crew import Crew

PATIENCE_S = 10


def test_items_that_block_run_side_by_side():
    meeting = threading.Barrier(8 + 1)

    def meet(_: int) -> None:
        meeting.wait(PATIENCE_S)

    crew: Crew[int] = Crew(meet, 8, "t")
    for number in range(8):
        crew.submit(number)
    meeting.wait(PATIENCE_S)
    assert crew.size == 8
    crew.stop()


def test_there_are_never_more_threads_than_allowed():
    release, done = threading.Event(), threading.Semaphore(0)

    def run(_: int) -> None:
        release.wait(PATIENCE_S)
        done.release()

    crew: Crew[int] = Crew(run, 3, "t")
    for number in range(20):
        crew.submit(number)
    release.set()
    for _ in range(20):
        assert done.acquire(timeout=PATIENCE_S)
    assert crew.size <= 3
    crew.stop()


def test_no_item_is_left_behind_a_sleeping_thread():
    done = threading.Semaphore(0)
    crew: Crew[int] = Crew(lambda _: done.release(), 4, "t")
    for burst in range(300):
        count = 1 + burst % 7
        for number in range(count):
            crew.submit(number)
        for _ in range(count):
            assert done.acquire(timeout=PATIENCE_S)
    crew.stop()


def test_many_may_submit_at_once():
    done = threading.Semaphore(0)
    crew: Crew[int] = Crew(lambda _: done.release(), 4, "t")

    def submit() -> None:
        for number in range(500):
            crew.submit(number)

    writers = [threading.Thread(target=submit) for _ in range(4)]
    for writer in writers:
        writer.start()
    for _ in range(2_000):
        assert done.acquire(timeout=PATIENCE_S)
    for writer in writers:
        writer.join(PATIENCE_S)
    crew.stop()


def test_after_the_stop_nothing_begins():
    seen: list[int] = []
    entered, release = threading.Event(), threading.Event()

    def run(number: int) -> None:
        seen.append(number)
        entered.set()
        release.wait(PATIENCE_S)

    crew: Crew[int] = Crew(run, 1, "t")
    crew.submit(1)
    assert entered.wait(PATIENCE_S)
    crew.submit(2)
    crew.stop()
    crew.submit(3)
    release.set()
    for thread in [t for t in threading.enumerate() if t.name == "t-1"]:
        thread.join(PATIENCE_S)
    assert seen == [1]


def test_sleeping_threads_end_with_the_stop():
    done = threading.Semaphore(0)
    crew: Crew[int] = Crew(lambda _: done.release(), 2, "sleeper")
    crew.submit(1)
    assert done.acquire(timeout=PATIENCE_S)
    threads = [t for t in threading.enumerate() if t.name.startswith("sleeper-")]
    crew.stop()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
