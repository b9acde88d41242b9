"""How a host is asked to end, and what ends one that does not."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from durable_app.host.lifecycle import Deadline, Stop, on_signals

TIMEOUT_S = 10


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def timers() -> list[threading.Timer]:
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


@pytest.fixture
def deadline() -> Iterator[Deadline]:
    before = timers()
    yield Deadline()
    for timer in timers():
        if timer not in before:
            timer.cancel()
            timer.join(TIMEOUT_S)


def test_a_request_ends_the_wait_without_an_error() -> None:
    async def main() -> BaseException | None:
        stop = Stop()
        stop.request()
        await asyncio.wait_for(stop.wait(), TIMEOUT_S)
        return stop.error

    assert asyncio.run(main()) is None


def test_the_first_error_of_any_thread_is_the_reason() -> None:
    first, second = OSError("disk"), OSError("later")

    async def main() -> BaseException | None:
        stop = Stop()

        def fail() -> None:
            stop.fail(first)
            stop.fail(second)

        thread = threading.Thread(target=fail)
        thread.start()
        await asyncio.wait_for(stop.wait(), TIMEOUT_S)
        thread.join(TIMEOUT_S)
        await asyncio.sleep(0)
        return stop.error

    assert asyncio.run(main()) is first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_for_a_clean_end_with_a_deadline(
    number: signal.Signals, deadline: Deadline
) -> None:
    async def main() -> list[threading.Timer]:
        stop = Stop()
        on_signals(stop.request, deadline)
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), TIMEOUT_S)
        return timers()

    before = timers()
    begun = [timer for timer in asyncio.run(main()) if timer not in before]
    assert len(begun) == 1
    assert begun[0].daemon


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_echo_of_a_signal_is_no_second_one(
    second: signal.Signals, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `timeout` tells the process, and then its group, which the process belongs to.
    monkeypatch.setattr("durable_app.host.lifecycle.ECHO_S", TIMEOUT_S)
    asked: list[str] = []

    async def main() -> None:
        on_signals(lambda: asked.append("to end"), deadline)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), second)
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert asked == ["to end"]


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_process_with_its_usual_code(
    second: signal.Signals, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_app.host.lifecycle.ECHO_S", 0)
    codes: list[int] = []
    monkeypatch.setattr(deadline, "exit_now", codes.append)

    async def main() -> None:
        on_signals(lambda: None, deadline)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), second)

    asyncio.run(main())
    assert codes == [128 + second]


def test_a_deadline_begins_once(deadline: Deadline) -> None:
    before = set(timers())
    deadline.begin()
    deadline.begin()
    assert len(set(timers()) - before) == 1


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        # The second signal arrives while the loop is stuck in user code.
        (
            "lifecycle.ECHO_S = 0\n"
            "    on_signals(lambda: None, Deadline())\n"
            "    os.kill(os.getpid(), signal.SIGTERM)\n"
            "    os.kill(os.getpid(), signal.SIGINT)",
            130,
        ),
        (
            "lifecycle.ECHO_S = 0\n"
            "    on_signals(lambda: None, Deadline())\n"
            "    os.kill(os.getpid(), signal.SIGTERM)\n"
            "    os.kill(os.getpid(), signal.SIGTERM)",
            143,
        ),
        (
            "lifecycle.SHUTDOWN_S = lifecycle._SLACK_S = 0.01\n"
            "    deadline = Deadline()\n"
            "    deadline.exit_code = 7\n"
            "    deadline.begin()",
            7,
        ),
        (
            "lifecycle._LAST_S = 0.01\n"
            "    deadline = Deadline()\n"
            "    deadline.begin()\n"
            "    deadline.finish(0)",
            0,
        ),
    ],
    ids=[
        "a second signal",
        "a second SIGTERM",
        "the deadline",
        "what is left of a host that has ended",
    ],
)
def test_a_host_that_does_not_end_is_ended(code: str, exit_code: int) -> None:
    program = f"""
import asyncio, os, signal, threading
from durable_app.host import lifecycle
from durable_app.host.lifecycle import Deadline, on_signals

async def main():
    {code}
    threading.Event().wait({TIMEOUT_S})

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=TIMEOUT_S * 2)
    assert done.returncode == exit_code


def test_what_the_console_holds_is_written_before_a_hard_exit() -> None:
    program = (
        "from durable_app.host.lifecycle import Deadline\n"
        "deadline = Deadline()\n"
        "def write(timeout_s):\n"
        "    print(0 < timeout_s < 5, flush=True)\n"
        "    raise OSError('gone')\n"
        "deadline.before_exit = write\n"
        "deadline.exit_now(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, timeout=TIMEOUT_S, capture_output=True
    )
    assert (done.returncode, done.stdout) == (3, b"True\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize(
    ("number", "exit_code"), [("SIGTERM", -signal.SIGTERM), ("SIGINT", 1)], ids=str
)
def test_a_signal_ends_a_process_that_a_function_has_forked(number: str, exit_code: int) -> None:
    # A KeyboardInterrupt ends a process of multiprocessing with 1.
    program = f"""
import asyncio, multiprocessing, os, signal, time
from durable_app.host.lifecycle import Deadline, on_signals

forks = multiprocessing.get_context("fork")
begun = forks.Event()

def fail():
    raise AssertionError("the host itself was asked")

def sleep():
    begun.set()
    time.sleep({TIMEOUT_S})

async def main():
    on_signals(fail, Deadline())
    child = forks.Process(target=sleep)
    child.start()
    begun.wait()
    os.kill(child.pid, signal.{number})
    child.join()
    print(child.exitcode)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, timeout=TIMEOUT_S * 2, capture_output=True
    )
    assert (done.returncode, done.stdout.split()) == (0, [str(exit_code).encode()])
