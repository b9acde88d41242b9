"""Threads of functions that are not coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading

import pytest

from durable_app.host.calls.daemon_pool import DaemonPool

TIMEOUT_S = 10
WHO = contextvars.ContextVar("WHO", default="nobody")


def function_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("function-")]


def test_a_call_sees_the_context_of_its_caller() -> None:
    async def main() -> str:
        pool = DaemonPool(1)
        WHO.set("ann")
        try:
            return str(await pool.run(WHO.get))
        finally:
            pool.close()

    assert asyncio.run(main()) == "ann"


def test_no_more_threads_are_started_than_are_needed() -> None:
    async def main() -> tuple[set[str], set[str]]:
        pool, both_busy = DaemonPool(2), threading.Barrier(2, timeout=TIMEOUT_S)

        def name(barrier: threading.Barrier | None = None) -> str:
            if barrier is not None:
                barrier.wait()
            return threading.current_thread().name

        one_by_one = {await pool.run(name) for _ in range(5)}
        at_once = await asyncio.gather(*(pool.run(lambda: name(both_busy)) for _ in range(4)))
        pool.close()
        return one_by_one, set(at_once)

    assert asyncio.run(main()) == ({"function-1"}, {"function-1", "function-2"})


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (KeyError("k"), KeyError),
        (StopIteration(1), RuntimeError),
        (GeneratorExit(), RuntimeError),
    ],
)
def test_whatever_a_function_raises_reaches_the_caller(
    raised: BaseException, seen: type[Exception]
) -> None:
    def fail() -> None:
        raise raised

    async def main() -> None:
        pool = DaemonPool(1)
        try:
            await pool.run(fail)
        finally:
            pool.close()

    with pytest.raises(seen):
        asyncio.run(main())


def test_a_call_that_nobody_waits_for_any_more_does_not_stop_the_next() -> None:
    async def main() -> str:
        pool, release = DaemonPool(1), threading.Event()
        given_up = asyncio.ensure_future(pool.run(lambda: release.wait(TIMEOUT_S)))
        await asyncio.sleep(0)
        given_up.cancel()
        release.set()
        try:
            return str(await asyncio.wait_for(pool.run(lambda: "next"), TIMEOUT_S))
        finally:
            pool.close()

    assert asyncio.run(main()) == "next"


def test_a_thread_whose_loop_is_closed_ends() -> None:
    begun, release = threading.Event(), threading.Event()
    before = set(function_threads())

    async def main() -> None:
        pool = DaemonPool(1)

        def hang() -> None:
            begun.set()
            release.wait(TIMEOUT_S)

        call = asyncio.ensure_future(pool.run(hang))
        await asyncio.sleep(0)
        assert begun.wait(TIMEOUT_S)
        call.cancel()

    asyncio.run(main())
    (thread,) = set(function_threads()) - before
    release.set()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()


def test_a_call_that_was_given_up_before_it_began_never_begins() -> None:
    async def main() -> list[str]:
        pool, release, done = DaemonPool(1), threading.Event(), list[str]()
        first = asyncio.ensure_future(pool.run(lambda: release.wait(TIMEOUT_S)))
        second = asyncio.ensure_future(pool.run(lambda: done.append("second")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        release.set()
        await first
        await pool.run(lambda: done.append("third"))
        pool.close()
        return done

    assert asyncio.run(main()) == ["third"]


def test_calls_that_never_return_do_not_use_the_threads_up() -> None:
    release = threading.Event()
    before = set(function_threads())

    async def main() -> tuple[str, int]:
        pool = DaemonPool(1)
        for _ in range(3):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pool.run(lambda: release.wait(TIMEOUT_S)), 0.01)
        answer = str(await asyncio.wait_for(pool.run(lambda: "served"), TIMEOUT_S))
        release.set()
        while len(set(function_threads()) - before) > 1:  # noqa: ASYNC110  threads set no event
            await asyncio.sleep(0.01)
        left = len(set(function_threads()) - before)
        pool.close()
        return answer, left

    assert asyncio.run(main()) == ("served", 1)
