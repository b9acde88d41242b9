"""A running host: what can be waited for, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

#: From the first signal to a hard exit.
SHUTDOWN_S: Final = 10.0
#: What a shell reports for a process that a signal has ended: 130 for SIGINT, 143 for SIGTERM.
_SIGNALLED: Final = 128
#: Signals that follow the first one so soon are its echo, and not somebody's second thought:
#: `timeout` sends its own to the process and to its group, runners pass a terminal's Ctrl+C on.
ECHO_S: Final = 0.2
# The parts keep SHUTDOWN_S themselves; this is for one that does not come back.
_SLACK_S: Final = 1.0
# Python waits for threads that an app has started and that are no daemons, for ever.
_LAST_S: Final = 2.0
_FLUSH_S: Final = 0.5


class Stop:
    """Why and when the host shall end: a signal, or an error that nothing can go on after.

    Create it on the event loop's thread; :meth:`fail` may be called from any thread.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self.error: BaseException | None = None

    @property
    def is_requested(self) -> bool:
        """Whether somebody has asked for the end."""
        return self._wanted.is_set()

    def request(self) -> None:
        """Ask for a clean end. The loop's thread only."""
        self._wanted.set()

    def fail(self, error: BaseException) -> None:
        """Ask for an end because of an error; the first one counts."""
        self._loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: BaseException) -> None:
        self.error = self.error or error
        self._wanted.set()

    async def wait(self) -> None:
        """Wait until somebody asks for the end."""
        await self._wanted.wait()


class Deadline:
    """Ends the process hard if its clean end takes too long.

    Attributes:
        exit_code: what the process reports then: 1 until the hub is closed safely.
        before_exit: called before a hard exit, with the seconds that it may take: writes what
            the console still holds.
    """

    def __init__(self) -> None:
        self.exit_code = 1
        self.before_exit: Callable[[float], object] = _nothing
        self._begun = False

    def begin(self) -> None:
        """Start the clock. A later call changes nothing."""
        if self._begun:
            return
        self._begun = True
        self._exit_in(SHUTDOWN_S + _SLACK_S)

    def finish(self, exit_code: int) -> None:
        """Everything of the host has ended: the app's own threads get a moment, and no more."""
        self.exit_code = exit_code
        self._exit_in(_LAST_S)

    def _exit_in(self, seconds: float) -> None:
        timer = threading.Timer(seconds, lambda: self.exit_now(self.exit_code))
        timer.daemon = True
        timer.start()

    def exit_now(self, exit_code: int) -> None:
        """End the process without any clean-up but ``before_exit``. Does not return."""
        try:
            self.before_exit(_FLUSH_S)
        finally:
            os._exit(exit_code)


def _nothing(_timeout_s: float) -> None:
    """There is no console yet."""


def on_signals(first: Callable[[], None], deadline: Deadline) -> None:
    """Call ``first`` on the loop's thread at the first SIGINT or SIGTERM; exit hard at the next.

    The exit code is then 128 and the signal's number, as for any process that a signal ends.
    Must be called on the main thread, with the loop running.
    """
    loop = asyncio.get_running_loop()
    defaults: dict[signal.Signals, Callable[[int, FrameType | None], Any] | signal.Handlers] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    host = os.getpid()
    begun_at: float | None = None

    def received(number: int, _frame: FrameType | None) -> None:
        nonlocal begun_at
        if os.getpid() != host:
            # A process that a function has forked (multiprocessing) ends as any other does.
            signal.signal(number, defaults[signal.Signals(number)])
            signal.raise_signal(number)
            return
        now = loop.time()
        if begun_at is not None:
            if now - begun_at >= ECHO_S:
                deadline.exit_now(_SIGNALLED + number)
            return
        begun_at = now
        deadline.begin()
        loop.call_soon_threadsafe(first)

    # Plain handlers, not loop.add_signal_handler: these work on Windows too, and the second one
    # is served even when the loop is stuck.
    for number in defaults:
        signal.signal(number, received)
