"""What a slow start shows."""

import threading

import pytest

from durable_app.clock import SystemClock
from durable_app.host.console import progress as progress_module
from durable_app.host.console.progress import Progress
from tests.unit.host.console_rig import Written, make_console


class Noticing(Written):
    """Says when it has been written to so many times."""

    def __init__(self, writes: int, *, is_terminal: bool) -> None:
        super().__init__(is_terminal=is_terminal)
        self._left = writes
        self.noticed = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        self._left -= 1
        if self._left == 0:
            self.noticed.set()
        return written


def test_a_quick_start_shows_nothing():
    stream = Written(is_terminal=True)
    console = make_console(stream)
    with Progress(console, SystemClock()) as progress:
        progress.step("importing function_app.py")
    console.close()
    assert stream.getvalue() == ""


def test_a_slow_start_is_one_line_on_a_pipe():
    stream = Noticing(1, is_terminal=False)
    console = make_console(stream)
    with Progress(console, SystemClock(), quiet_s=0.0) as progress:
        progress.step("importing function_app.py")
        assert stream.noticed.wait(10)
    console.close()
    assert stream.lines() in (["Starting... (importing function_app.py)"], ["Starting..."])


def test_a_slow_start_spins_on_a_terminal_and_leaves_nothing_behind(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress_module, "_FRAME_S", 0.0)
    stream = Noticing(3, is_terminal=True)
    console = make_console(stream)
    progress = Progress(console, SystemClock(), quiet_s=0.0)
    progress.step("opening the hub")
    with progress:
        assert stream.noticed.wait(10)
    console.close()
    drawn = stream.getvalue()
    first, *others = drawn.split("\r\x1b[K")
    assert first[1:] == " Starting... (opening the hub) 0 s"
    assert {frame[:1] for frame in (first, *others)} <= set("|/-\\") | {""}
    assert others[-1] == ""
    assert "\n" not in drawn


def test_an_error_in_the_block_goes_on_its_way():
    console = make_console(Written())
    with pytest.raises(ValueError, match="broken"), Progress(console, SystemClock()):
        raise ValueError("broken")
    console.close()
    assert not any(thread.name == "progress" for thread in threading.enumerate())
