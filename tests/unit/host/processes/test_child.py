"""How the end of a process is told."""

from __future__ import annotations

import asyncio
import signal

import pytest

from durable_app.clock import SystemClock
from durable_app.host.processes.child import Ended, WorkerProcess
from tests.unit.host.console_rig import Written, make_console


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "has ended with exit code 0"),
        (3, "has ended with exit code 3"),
        (-signal.SIGKILL, "was ended by SIGKILL"),
        (-250, "was ended by signal 250"),
    ],
)
def test_an_end_is_told_by_exit_code_or_signal(code, text):
    assert str(Ended(code, 1.0, said_goodbye=False)) == text


def test_a_process_that_was_never_started_can_be_told_anything():
    async def play() -> None:
        process = WorkerProcess(1, "m", make_console(Written()), SystemClock(), print)
        process.go()
        process.drain(1.0)
        process.kill()
        assert process.pid == 0

    asyncio.run(play())
