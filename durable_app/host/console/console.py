"""What the terminal shows: lines in the shape that users of Core Tools know.

Theory of operation. Writing never holds up work. Callers append to a queue; one thread formats
what has gathered and writes it in one piece a few milliseconds later, so that a slow terminal or
a burst of thousands of invocations per second costs a caller about a microsecond per line. That
thread alone touches the stream and the JSON file.

What must never happen: a terminal that is slow, stopped or gone blocks anybody, at the end
included; a pipe that nobody reads eats the memory (beyond ``MAX_LINES`` the oldest lines go, and
a line says how many); a character that the terminal cannot show takes its line along.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import threading
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TextIO, cast

from durable_app.host.console.colour import Paint, is_terminal, wants_colour
from durable_app.host.console.json_lines import json_line
from durable_app.host.console.log_levels import CONSOLE_CATEGORY, Level, LogLevels

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from durable_app.host.console.json_lines import JsonFile
    from durable_app.ports import Clock

__all__ = ["Console", "Level", "LogLevels", "Origin", "dashed"]

#: Lines gather for so long before they are written.
BATCH_S: Final = 0.005
#: So many lines wait for a slow terminal at the most, and so many characters of users' texts.
MAX_LINES: Final = 100_000
MAX_CHARACTERS: Final = 64_000_000
#: How long the end of the host waits for a terminal that takes nothing.
PATIENCE_S: Final = 2.0
_PORTION: Final = 1_000
_GUID_DIGITS: Final = 32
_WIPE: Final = "\r\x1b[K"

# Word for word what the Functions host writes: scripts look for it.
_FAILURE: Final = (
    "System.Private.CoreLib: Exception while executing function: Functions.%s. Result: Failure"
)
# Marks in place of a text, which no user's text can be: an invocation that begins or has ended, a
# text that stays at the bottom, an event to set once all before it is written.
_EXECUTING: Final = "\0executing"
_EXECUTED: Final = "\0executed"
_STATUS: Final = "\0status"
_FLUSH: Final = "\0flush"
_HOST_CATEGORY: Final = "Host.Console"
# Within a text of several lines: what callers of the app send ends up in messages, and must not
# look like a line of this console's own.
_STAMP_OF_OTHERS: Final = re.compile(r"(?<=[\r\n])(?=\[\d{4}-)")
_GONE: Final = frozenset({errno.EPIPE, errno.EIO})


class Origin(NamedTuple):
    """Where a line comes from.

    Attributes:
        function: its name, None outside of functions.
        invocation_id: 32 hex digits or a GUID.
        exception: a traceback, shown under the line.
        worker: number of the worker process; None for this process.
    """

    category: str
    function: str | None = None
    invocation_id: str | None = None
    exception: str | None = None
    worker: int | None = None

    @property
    def is_of_user(self) -> bool:
        """Whether user code wrote it."""
        return self.category == CONSOLE_CATEGORY or self.category.endswith(".User")


_Entry = tuple[datetime | None, Level, str, tuple[object, ...], Origin | None]


class Console:
    """Writes lines to a stream; also the observer of invocations.

    Args:
        stream: where to; None for standard output.
        colour: None for what stream and environment say.
        json_file: gets every line as JSON, too.
        json_only: the stream gets JSON instead of text.
        names_functions: put the function and the start of the invocation's id in front of what
            user code logs and prints.
    """

    def __init__(
        self,
        clock: Clock,
        levels: LogLevels,
        *,
        stream: TextIO | None = None,
        colour: bool | None = None,
        json_file: JsonFile | None = None,
        json_only: bool = False,
        names_functions: bool = False,
    ) -> None:
        self._clock = clock
        self.levels = levels
        self._stream = sys.stdout if stream is None else stream
        #: Whether lines can be wiped out again.
        self.is_terminal = is_terminal(self._stream, os.environ) and not json_only
        wants = wants_colour(self._stream, os.environ) if colour is None else colour
        self.paint = Paint(is_on=wants and not json_only)
        self._json_file = json_file
        self._json_only = json_only
        self._names_functions = names_functions
        self._lines: deque[_Entry] = deque()
        # Characters of users' texts that came and that went. Counted without a lock, so that a
        # few may be missed; both begin again whenever the queue is empty.
        self._came = 0
        self._went = 0
        self._overflowing = threading.Lock()
        self._dropped = 0
        self._unfinished: Collection[object] = ()
        self._finish: Callable[[str], None] = _nothing
        self._wake = threading.Event()
        self._armed = False
        self._closing = threading.Event()
        self._second = (datetime.min.replace(tzinfo=UTC), "")
        self._status = ""
        self._thread = threading.Thread(target=self._write_loop, name="console", daemon=True)
        self._thread.start()

    # -- lines -------------------------------------------------------------------------------

    def line(self, text: str = "", level: Level = Level.INFORMATION) -> None:
        """Show a line as it is, without a time, whatever the levels say."""
        self._put(None, level, text, ())

    def log(self, level: Level, category: str, text: str, *args: object) -> None:
        """Show a line with its time if its level is enabled for the category.

        Args:
            args: formatted into ``text`` with ``%``, later and only if the line is shown.
        """
        if level >= self.levels.threshold(category):
            self._put(self._clock.now(), level, text, args, Origin(category))

    def always(self, text: str, level: Level = Level.INFORMATION) -> None:
        """Show a line with its time, whatever the levels say."""
        self._put(self._clock.now(), level, text, ())

    def user(self, level: Level, origin: Origin, text: str) -> None:
        """Show what user code logged or printed, if its level is enabled for the category."""
        if level >= self.levels.threshold(origin.category):
            self._put(self._clock.now(), level, text, (), origin)

    def relay(self, time: datetime | None, level: Level, origin: Origin, text: str) -> None:
        """Show a line of a worker process, which knows the levels, as it was there."""
        self._put(time, level, text, (), origin)

    def status(self, text: str | None) -> None:
        """Keep a text below all lines, in place of the one before; None takes it away.

        For terminals only.
        """
        self._put(None, Level.NONE, _STATUS, (text or "",))

    # -- invocations -------------------------------------------------------------------------

    def executing(self, function: str, invocation_id: str, reason: str) -> None:
        """An invocation begins."""
        if self.levels.threshold(f"Function.{function}") <= Level.INFORMATION:
            args = (function, reason or "(null)", invocation_id)
            self._put(self._clock.now(), Level.INFORMATION, _EXECUTING, args)

    def executed(
        self, function: str, invocation_id: str, duration_s: float, error: str | None
    ) -> None:
        """An invocation has ended."""
        if self._unfinished:
            self._finish(invocation_id)
        level = Level.INFORMATION if error is None else Level.ERROR
        category = f"Function.{function}"
        if self.levels.threshold(category) > level:
            return
        now, ms = self._clock.now(), round(duration_s * 1000)
        outcome = "Succeeded" if error is None else "Failed"
        self._put(now, level, _EXECUTED, (function, outcome, invocation_id, ms))
        if error is not None:
            origin = Origin(category, function, invocation_id, error)
            self._put(now, level, _FAILURE % function, (), origin)

    def attach(self, unfinished: Collection[object], finish: Callable[[str], None]) -> None:
        """Before an invocation is reported as ended, call ``finish`` with its id.

        Args:
            unfinished: empty when nothing waits to be finished; looked at each time.
        """
        self._unfinished, self._finish = unfinished, finish

    # -- the end -----------------------------------------------------------------------------

    def flush(self, timeout_s: float = PATIENCE_S) -> bool:
        """Wait until all lines so far are written; False if the terminal did not take them."""
        done = threading.Event()
        self._put(None, Level.NONE, _FLUSH, (done,))
        self._wake.set()
        return done.wait(timeout_s if self._thread.is_alive() else 0.0)

    def close(self) -> None:
        """Write what is left and end the thread, if the terminal lets it. Idempotent."""
        self._closing.set()
        self._wake.set()
        self._thread.join(PATIENCE_S)
        if self._json_file is not None and not self._thread.is_alive():
            self._json_file.close()

    # -- the queue ---------------------------------------------------------------------------

    def _put(
        self,
        now: datetime | None,
        level: Level,
        text: str,
        args: tuple[object, ...],
        origin: Origin | None = None,
    ) -> None:
        entry = (now, level, text, args, origin)
        self._lines.append(entry)
        if origin is not None:
            self._came += _characters(entry)
        if not self._armed:
            # One wake-up per batch: waking a thread costs fifty times what appending does.
            self._armed = True
            self._wake.set()
        elif len(self._lines) > MAX_LINES or self._came - self._went > MAX_CHARACTERS:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        # Not waited for: whoever has it drops what is too much.
        if not self._overflowing.acquire(blocking=False):
            return
        try:
            # The thread may take the last line in between.
            with contextlib.suppress(IndexError):
                while len(self._lines) > MAX_LINES or self._came - self._went > MAX_CHARACTERS:
                    self._drop(self._lines.popleft())
        finally:
            self._overflowing.release()

    def _drop(self, entry: _Entry) -> None:
        self._went += _characters(entry)
        if entry[2] is _FLUSH:
            self._lines.append(entry)  # somebody waits for it
        elif entry[2] is not _STATUS:
            self._dropped += 1

    # -- the thread --------------------------------------------------------------------------

    def _write_loop(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            closing = self._closing.wait(BATCH_S)
            # Disarm before draining: a line that comes in between is drained here or wakes us.
            self._armed = False
            while self._lines:
                self._drain()
            self._came = self._went = 0
            if closing:
                return

    def _drain(self) -> None:
        text: list[str] = []
        events: list[str] = []
        waiting: list[threading.Event] = []
        before = self._status
        if self._dropped:
            with self._overflowing:
                dropped, self._dropped = self._dropped, 0
            note = f"{dropped} lines were dropped: the terminal takes them too slowly."
            self._lines.appendleft((self._clock.now(), Level.WARNING, note, (), None))
        for entry in self._portion():
            self._went += _characters(entry)
            if entry[2] is _FLUSH:
                waiting += cast("tuple[threading.Event]", entry[3])
            elif entry[2] is _STATUS:
                self._status = str(entry[3][0])
            else:
                self._format(entry, text, events)
        self._write_file(events)
        shown = "".join(events if self._json_only else text)
        if before or self._status:
            shown = f"{_WIPE if before else ''}{shown}{self._status}"
        self._write(shown)
        for done in waiting:
            done.set()

    def _portion(self) -> list[_Entry]:
        portion: list[_Entry] = []
        with contextlib.suppress(IndexError):
            while len(portion) < _PORTION:
                portion.append(self._lines.popleft())
        return portion

    def _write(self, text: str) -> None:
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                escaped = text.encode(encoding, "backslashreplace")
                self._stream.write(escaped.decode(encoding))
            self._stream.flush()
        except ValueError:
            return  # the stream was closed; the work goes on
        except OSError as error:
            is_standard = self._stream is sys.__stdout__
            if is_standard and error.errno in _GONE:
                _to_nowhere(self._stream)

    def _write_file(self, events: list[str]) -> None:
        if self._json_file is None or not events:
            return
        try:
            self._json_file.write("".join(events))
        except (OSError, ValueError) as error:
            file, self._json_file = self._json_file, None
            with contextlib.suppress(OSError, ValueError):
                file.close()
            self.always(f"Nothing more is written to {file.path}: {error}.", Level.WARNING)

    # -- shapes ------------------------------------------------------------------------------

    def _format(self, entry: _Entry, text: list[str], events: list[str]) -> None:
        now, level, template, args, origin = entry
        if template is _EXECUTING or template is _EXECUTED:
            message = _invocation_text(*args)
        else:
            message = _formatted(template, args)
        stamp = None if now is None else self._stamp(now)
        if not self._json_only:
            text.append(self._plain(stamp, level, message, origin))
        if self._json_file is None and not self._json_only:
            return
        if template is _EXECUTING or template is _EXECUTED:
            origin = Origin(f"Function.{args[0]}", str(args[0]), str(args[2]))
        if origin is None:
            origin = Origin(_HOST_CATEGORY)
        if message:
            events.append(_as_json(stamp, level, message, origin))

    def _plain(self, stamp: str | None, level: Level, message: str, origin: Origin | None) -> str:
        if origin is not None:
            if self._names_functions and origin.is_of_user and origin.invocation_id is not None:
                message = f"[{origin.function} {origin.invocation_id[:8]}] {message}"
            if origin.worker is not None:
                message = f"[worker {origin.worker}] {message}"
            if origin.exception is not None:
                message = f"{message}\n{origin.exception}"
        if "\n" in message or "\r" in message:
            message = _STAMP_OF_OTHERS.sub(" ", message)
        if self.paint.is_on and level >= Level.WARNING:
            paint = self.paint.yellow if level is Level.WARNING else self.paint.red
            message = paint(message)
        return f"{message}\n" if stamp is None else f"[{stamp}] {message}\n"

    def _stamp(self, now: datetime) -> str:
        # The text of a second serves all its lines: making it anew costs more than all the rest.
        since = now - self._second[0]
        if since.seconds or since.days:
            self._second = (now.replace(microsecond=0), now.strftime("%Y-%m-%dT%H:%M:%S"))
        return f"{self._second[1]}.{now.microsecond // 1000:03d}Z"


def dashed(invocation_id: str) -> str:
    """An id of 32 hex digits in the usual form of a GUID; any other one as it is."""
    if len(invocation_id) != _GUID_DIGITS:
        return invocation_id
    i = invocation_id
    return f"{i[:8]}-{i[8:12]}-{i[12:16]}-{i[16:20]}-{i[20:]}"


def _formatted(template: str, args: tuple[object, ...]) -> str:
    if not args:
        return template
    try:
        return template % args
    except (TypeError, ValueError):
        return f"{template} {args}"  # a mistake in a message must not cost all later lines


def _invocation_text(
    function: object, word: object, invocation_id: object, ms: object = None
) -> str:
    """The line of an invocation that begins, or that has ended after ``ms``."""
    identity = dashed(str(invocation_id))
    if ms is None:
        return f"Executing 'Functions.{function}' (Reason='{word}', Id={identity})"
    return f"Executed 'Functions.{function}' ({word}, Id={identity}, Duration={ms}ms)"


def _nothing(_invocation_id: str) -> None:
    """Nobody listens."""


def _characters(entry: _Entry) -> int:
    """What ``Console`` has counted for an entry."""
    origin = entry[4]
    if origin is None:
        return 0
    return len(entry[2]) + len(origin.exception or "")


def _as_json(stamp: str | None, level: Level, message: str, origin: Origin) -> str:
    identity = origin.invocation_id
    return json_line(
        stamp,
        level,
        origin.category,
        message,
        function=origin.function,
        invocation_id=None if identity is None else dashed(identity),
        exception=origin.exception,
        worker=origin.worker,
    )


def _to_nowhere(stream: TextIO) -> None:
    """Let the process end with its own exit code: Python would fail to flush a broken pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
