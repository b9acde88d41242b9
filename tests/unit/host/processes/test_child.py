"""A process as its host holds it: a real one, whose program is written by the test."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

import durable_app
from durable_app.clock import SystemClock
from durable_app.host.processes.child import Ended, WorkerProcess
from durable_app.host.processes.messages import Word, WorkerOrder
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


TALKS = """
import sys

def main():
    order, then = sys.stdin.readline(), sys.stdin.readline()
    print('{"said": "loaded"}')
    print('{"level": "Error", "category": "Function.a.User", "message": "mind this"}')
    print('half of a li')
    print('{"said": "goodbye"}' if "secret" in order and then == BYE else "")
    return 4
"""


def play(folder: Path, code: str, kill: bool = False) -> tuple[Ended, list[Word], str]:
    """How a process with this code ended, what it said, and what the console shows."""
    (folder / "talker.py").write_text(code)
    shown = Written()
    words: list[Word] = []

    async def run() -> Ended:
        console = make_console(shown)
        process = WorkerProcess(3, "talker", console, SystemClock(), words.append)
        order = WorkerOrder("/app", "hub", "http://localhost:1", "Storage", "secret")
        process.start(order, {**os.environ, "PYTHONPATH": str(folder)})
        assert process.pid > 0
        if kill:
            process.kill()
        process.go()
        ended = await process.ended
        process.go()  # nobody hears it any more
        console.close()
        return ended

    return asyncio.run(run()), words, shown.getvalue()


def test_a_process_gets_its_order_and_is_listened_to(tmp_path):
    ended, words, shown = play(tmp_path, "BYE = '\"go\"\\n'\n" + TALKS)

    assert (ended.exit_code, ended.said_goodbye, ended.lived_s > 0) == (4, True, True)
    assert words == [Word.LOADED, Word.GOODBYE]
    assert shown.endswith("[worker 3] mind this\n")


def test_a_process_runs_the_same_package_as_its_host(tmp_path):
    other = tmp_path / "durable_app"
    other.mkdir()
    (other / "__init__.py").touch()
    code = "import durable_app\ndef main():\n    return 5 if durable_app.__file__ == FILE else 6\n"

    ended, _, _ = play(tmp_path, f"FILE = {durable_app.__file__!r}\n{code}")

    assert ended.exit_code == 5


def test_a_process_that_says_no_goodbye_has_died_whatever_its_exit_code(tmp_path):
    ended, words, _ = play(tmp_path, "def main():\n    return 0\n")

    assert (ended.exit_code, ended.said_goodbye, words) == (0, False, [])


def test_a_process_without_threads_of_its_host_is_not_left_running(tmp_path, monkeypatch):
    begun: list[subprocess.Popen[bytes]] = []
    start, popen = threading.Thread.start, subprocess.Popen

    def starved(thread: threading.Thread) -> None:
        if thread.name.startswith("worker-process-"):
            raise RuntimeError("can't start new thread")
        start(thread)

    def noted(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        begun.append(popen(*args, **options))
        return begun[-1]

    monkeypatch.setattr(threading.Thread, "start", starved)
    monkeypatch.setattr(subprocess, "Popen", noted)
    with pytest.raises(OSError, match="can't start new thread"):
        play(tmp_path, "import time\ndef main():\n    time.sleep(60)\n")
    [process] = begun
    assert process.returncode == -signal.SIGKILL


def test_a_process_can_be_killed(tmp_path):
    ended, _, _ = play(tmp_path, "import time\ndef main():\n    time.sleep(60)\n", kill=True)

    assert ended.exit_code == -signal.SIGKILL
