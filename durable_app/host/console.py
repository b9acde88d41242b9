"""What the terminal shows: lines in the shape that users of Core Tools know.

Writing never holds up work. Callers append to a queue; one thread formats what has gathered and
writes it in one piece a few milliseconds later, so that a slow terminal or a burst of thousands
of invocations per second costs a caller about a microsecond per line. Nothing is dropped.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from durable_app.ports import Clock

#: Lines gather for so long before they are written.
BATCH_S: Final = 0.005
_GUID_DIGITS: Final = 32
_SYSTEM_PREFIXES: Final = ("Host.", "Worker.", "Microsoft.Azure.WebJobs.", "DurableTask.")
_SYSTEM_LOGGERS: Final = ("durable_app", "aiohttp", "asyncio")
_RED, _YELLOW, _GREEN, _RESET = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[0m"


class Level(IntEnum):
    """Levels of .NET's logging."""

    TRACE = 0
    DEBUG = 1
    INFORMATION = 2
    WARNING = 3
    ERROR = 4
    CRITICAL = 5
    NONE = 6


_BY_NAME: Final = {level.name.casefold(): level for level in Level}


class LogLevels:
    """Which lines are shown, by category; the longest matching prefix decides.

    Args:
        rules: ``logging.logLevel`` of host.json. ``default`` sets both the system's categories
            (otherwise Warning) and the functions' (otherwise Information).
        verbose: show the system's categories from Information on.
    """

    def __init__(self, rules: Mapping[str, str], *, verbose: bool = False) -> None:
        known = {
            category: _BY_NAME[name.casefold()]
            for category, name in rules.items()
            if name.casefold() in _BY_NAME
        }
        default = known.pop("default", None) if "default" in known else known.pop("Default", None)
        self._system = Level.WARNING if default is None else default
        if verbose:
            self._system = min(self._system, Level.INFORMATION)
        self._functions = Level.INFORMATION if default is None else default
        self._rules = sorted(known.items(), key=lambda rule: -len(rule[0]))
        self._cache: dict[str, Level] = {}

    def threshold(self, category: str) -> Level:
        """Lowest level of the category that is shown."""
        level = self._cache.get(category)
        if level is None:
            level = self._cache[category] = self._find(category)
        return level

    def _find(self, category: str) -> Level:
        for prefix, level in self._rules:
            if category == prefix or category.startswith(f"{prefix.rstrip('.')}."):
                return level
        return self._system if category.startswith(_SYSTEM_PREFIXES) else self._functions


class Console:
    """Writes lines to a stream; also the observer of invocations.

    Args:
        stream: where to; None for standard output.
        colour: None for "if it is a terminal and NO_COLOR is not set".
    """

    def __init__(
        self,
        clock: Clock,
        levels: LogLevels,
        *,
        stream: TextIO | None = None,
        colour: bool | None = None,
    ) -> None:
        self._clock = clock
        self._levels = levels
        self._stream = sys.stdout if stream is None else stream
        self._colour = _wants_colour(self._stream) if colour is None else colour
        self._lines: deque[tuple[datetime | None, Level, str, tuple[object, ...]]] = deque()
        self._wake = threading.Event()
        self._armed = False
        self._closing = threading.Event()
        self._second: tuple[datetime | None, str] = (None, "")
        self._thread = threading.Thread(target=self._write_loop, name="console", daemon=True)
        self._thread.start()

    def line(self, text: str = "", level: Level = Level.INFORMATION) -> None:
        """Show a line as it is, without a time, whatever the levels say."""
        self._put(None, level, text, ())

    def log(self, level: Level, category: str, text: str, *args: object) -> None:
        """Show a line with its time if its level is enabled for the category.

        Args:
            args: formatted into ``text`` with ``%``, later and only if the line is shown.
        """
        if level >= self._levels.threshold(category):
            self._put(self._clock.now(), level, text, args)

    def always(self, text: str, level: Level = Level.INFORMATION) -> None:
        """Show a line with its time, whatever the levels say."""
        self._put(self._clock.now(), level, text, ())

    def executing(self, function: str, invocation_id: str, reason: str) -> None:
        """An invocation begins."""
        if self._levels.threshold(f"Function.{function}") <= Level.INFORMATION:
            args = (function, reason or "(null)", dashed(invocation_id))
            self._put(self._clock.now(), Level.INFORMATION, _EXECUTING, args)

    def executed(
        self, function: str, invocation_id: str, duration_s: float, error: str | None
    ) -> None:
        """An invocation has ended."""
        level = Level.INFORMATION if error is None else Level.ERROR
        if self._levels.threshold(f"Function.{function}") > level:
            return
        now, ms = self._clock.now(), round(duration_s * 1000)
        outcome = "Succeeded" if error is None else "Failed"
        self._put(now, level, _EXECUTED, (function, outcome, dashed(invocation_id), ms))
        if error is not None:
            self._put(now, level, _FAILURE, (function, error))

    def flush(self) -> None:
        """Wait until all lines so far are written."""
        self._wake.set()
        done = threading.Event()
        self._put(None, Level.NONE, "", (done,))
        done.wait()

    def close(self) -> None:
        """Write what is left and end the thread. Idempotent."""
        self._closing.set()
        self._wake.set()
        self._thread.join()

    def _put(self, now: datetime | None, level: Level, text: str, args: tuple[object, ...]) -> None:
        self._lines.append((now, level, text, args))
        if not self._armed:
            # One wake-up per batch: waking a thread costs fifty times what appending does.
            self._armed = True
            self._wake.set()

    def _write_loop(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            closing = self._closing.wait(BATCH_S)
            # Disarm before draining: a line that comes in between is drained here or wakes us.
            self._armed = False
            self._drain()
            if closing and not self._lines:
                return

    def _drain(self) -> None:
        batch: list[str] = []
        waiting: list[threading.Event] = []
        while self._lines:
            now, level, text, args = self._lines.popleft()
            if args and isinstance(args[0], threading.Event):
                waiting.append(args[0])
            else:
                batch.append(self._format(now, level, text, args))
        try:
            self._stream.write("".join(batch))
            self._stream.flush()
        except (OSError, ValueError):
            # The terminal or the pipe is gone; the work goes on.
            batch.clear()
        for done in waiting:
            done.set()

    def _format(
        self, now: datetime | None, level: Level, text: str, args: tuple[object, ...]
    ) -> str:
        if args:
            text = text % args
        if self._colour and level >= Level.WARNING:
            text = f"{_YELLOW if level is Level.WARNING else _RED}{text}{_RESET}"
        return f"{text}\n" if now is None else f"[{self._stamp(now)}] {text}\n"

    def _stamp(self, now: datetime) -> str:
        second = now.replace(microsecond=0)
        if second != self._second[0]:
            self._second = (second, second.strftime("%Y-%m-%dT%H:%M:%S"))
        return f"{self._second[1]}.{now.microsecond // 1000:03d}Z"


_EXECUTING: Final = "Executing 'Functions.%s' (Reason='%s', Id=%s)"
_EXECUTED: Final = "Executed 'Functions.%s' (%s, Id=%s, Duration=%dms)"
_FAILURE: Final = "Exception while executing function: Functions.%s\n%s"


class ConsoleHandler(logging.Handler):
    """Shows what Python's ``logging`` says: our own loggers as the host's, others as the app's."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record with its traceback, if it has one."""
        is_system = record.name.split(".", 1)[0] in _SYSTEM_LOGGERS
        category = f"Host.{record.name}" if is_system else "Function.User"
        self._console.log(_level(record.levelno), category, self.format(record))


def dashed(invocation_id: str) -> str:
    """An id of 32 hex digits in the usual form of a GUID; any other one as it is."""
    if len(invocation_id) != _GUID_DIGITS:
        return invocation_id
    i = invocation_id
    return f"{i[:8]}-{i[8:12]}-{i[12:16]}-{i[16:20]}-{i[20:]}"


def _level(levelno: int) -> Level:
    if levelno >= logging.CRITICAL:
        return Level.CRITICAL
    return Level(min(max(levelno // 10, 0), 4))


def _wants_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR")
