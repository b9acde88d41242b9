"""What user code logs and prints becomes lines of the console, with the invocation it belongs to.

Theory of operation. ``telemetry.current_invocation`` says for which invocation the running code
works. Python's ``logging`` arrives through a handler of the root logger; standard output and
standard error are replaced by streams that cut what is written into lines, per thread and
invocation, so that lines of several threads do not mix.

An orchestrator runs its code again whenever it is replayed. What it logs or prints then was shown
before and is dropped: records before any handler sees them (those of the app too), writes before
they are cut into lines.
"""

from __future__ import annotations

import builtins
import codecs
import contextlib
import io
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Final, TextIO, cast

from durable_app.host.console.console import Console, Level, Origin, dashed
from durable_app.host.console.log_levels import CONSOLE_CATEGORY, NO_FUNCTION_CATEGORY
from durable_app.host.console.tracebacks import user_traceback
from durable_app.telemetry import Invocation, current_invocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer

#: Text without a line end is shown as a line when it is longer than this.
MAX_PARTIAL: Final = 65_536
#: A question waits for so long until what was printed before is shown.
_ASK_S: Final = 0.2
_SYSTEM_LOGGERS: Final = ("durable_app", "aiohttp", "asyncio", "watchfiles")
# Words that the Functions host looks for in what a worker writes to standard error.
_ERROR_WORDS: Final = ("error", "fail", "severe", "unhandled exception")
_PYTHON_STEP: Final = 10  # between two levels of Python's logging

_Key = tuple["UserStream", int, "Invocation | None"]


def is_replayed(invocation: Invocation | None) -> bool:
    """Whether the running code has run before, so that what it says was shown."""
    return (
        invocation is not None and invocation.is_replaying is not None and invocation.is_replaying()
    )


class Capture:
    """Takes over ``sys.stdout``, ``sys.stderr`` and ``logging`` while its block runs.

    Args:
        show_replay: show what orchestrators say again in replays, too (``DURABLE_APP_LOG_REPLAY``).
    """

    def __init__(self, console: Console, *, show_replay: bool = False) -> None:
        self.console = console
        self.show_replay = show_replay
        self.is_on = False
        #: Text without a line end so far.
        self.unfinished: dict[_Key, str] = {}

    def __enter__(self) -> Capture:
        self.is_on = True
        with contextlib.ExitStack() as undo:
            undo.callback(self._leave)
            undo.enter_context(self._streams())
            undo.enter_context(self._questions())
            undo.enter_context(_levels(self.console))
            undo.enter_context(_handling(UserLogHandler(self.console)))
            if not self.show_replay:
                undo.enter_context(_without_replays())
            self._undo = undo.pop_all()
        self.console.attach(self.unfinished, self.finish)
        _CAPTURES.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def finish(self, invocation_id: str | None = None) -> None:
        """Show the text of an invocation that ended without a line end; None for all texts."""
        for key in list(self.unfinished):
            stream, _, invocation = key
            if invocation_id is None or _is(invocation, invocation_id):
                rest = self.unfinished.pop(key, "")
                stream.show(invocation, rest)

    def _leave(self) -> None:
        _CAPTURES.discard(self)
        self.finish()
        self.is_on = False

    @contextlib.contextmanager
    def _streams(self) -> Iterator[None]:
        before = sys.stdout, sys.stderr
        mine = (
            cast("TextIO", UserStream(self, sys.stdout, is_error=False)),
            cast("TextIO", UserStream(self, sys.stderr, is_error=True)),
        )
        sys.stdout, sys.stderr = mine
        try:
            yield
        finally:
            # What the app has put in place of ours stays.
            if sys.stdout is mine[0]:
                sys.stdout = before[0]
            if sys.stderr is mine[1]:
                sys.stderr = before[1]

    @contextlib.contextmanager
    def _questions(self) -> Iterator[None]:
        """Before ``input`` asks (for a debugger, say), show what was printed."""
        before = builtins.input

        def ask(prompt: object = "", /) -> str:
            self.finish()
            self.console.flush(_ASK_S)
            return before(prompt)

        builtins.input = ask
        try:
            yield
        finally:
            builtins.input = before


class UserStream(io.TextIOBase):
    """Stands for standard output or standard error of user code.

    No terminal, as for functions in Azure and under Core Tools, where it is a pipe: what draws
    bars and colours falls back to plain lines. ``fileno`` is the real one, so that child
    processes, ``input`` and ``faulthandler`` work; they write past this object.
    """

    def __init__(self, capture: Capture, original: TextIO, *, is_error: bool) -> None:
        self._capture = capture
        self._original = original
        self._is_error = is_error
        self._buffer = _ByteStream(self)

    def write(self, text: str) -> int:
        """Show all lines that are complete; the rest when it is, or when the function ends."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        capture = self._capture
        if not capture.is_on:
            return self._original.write(text)
        invocation = current_invocation.get()
        if not capture.show_replay and is_replayed(invocation):
            return len(text)
        key = (self, threading.get_ident(), invocation)
        unfinished = capture.unfinished
        *lines, rest = (unfinished.pop(key, "") + text).split("\n")
        for line in lines:
            self.show(invocation, line)
        if len(rest) > MAX_PARTIAL:
            self.show(invocation, rest)
        elif rest:
            # Of a progress bar, which begins anew at each carriage return, the last state stays.
            unfinished[key] = rest[rest.rfind("\r", 0, -1) + 1 :]
        return len(text)

    def show(self, invocation: Invocation | None, line: str) -> None:
        """Show one line."""
        line = line.rstrip("\r")
        line = line[line.rfind("\r") + 1 :]
        level = _level_of_error_line(line) if self._is_error else Level.INFORMATION
        console = self._capture.console
        if invocation is None:
            console.user(level, Origin(CONSOLE_CATEGORY), line)
        else:
            origin = Origin(CONSOLE_CATEGORY, invocation.function, invocation.invocation_id)
            console.user(level, origin, line)

    def flush(self) -> None:
        """Nothing waits here but text without a line end."""
        if not self._capture.is_on:
            self._original.flush()

    def close(self) -> None:
        """Nothing: the stream is everybody's."""

    def isatty(self) -> bool:
        """False: what is written appears as lines with a time in front."""
        return False

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The descriptor of the real stream."""
        return self._original.fileno()

    def reconfigure(self, **_options: object) -> None:
        """Nothing: the console decides how lines are encoded."""

    @property
    def buffer(self) -> io.BufferedIOBase:
        """Takes bytes."""
        return self._buffer

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a property in C, too
        """UTF-8 whatever the terminal takes: the console escapes what it cannot show."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]  # a property in C, too
        """How lone surrogates are treated."""
        return "backslashreplace"

    @property
    def name(self) -> str:
        """As of the real stream."""
        return "<stderr>" if self._is_error else "<stdout>"

    @property
    def mode(self) -> str:
        """As of the real stream."""
        return "w"

    @property
    def line_buffering(self) -> bool:
        """True: whole lines are shown at once."""
        return True


class _ByteStream(io.BufferedIOBase):
    """``sys.stdout.buffer``: UTF-8."""

    def __init__(self, stream: UserStream) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._lock = threading.Lock()

    def write(self, chunk: ReadableBuffer) -> int:
        """Show the lines in it."""
        plain = bytes(chunk)
        with self._lock:
            text = self._decode(plain)
        self._stream.write(text)
        return len(plain)

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The descriptor of the real stream."""
        return self._stream.fileno()

    def close(self) -> None:
        """Nothing: the stream is everybody's."""


class UserLogHandler(logging.Handler):
    """Shows what Python's ``logging`` says: our own loggers as the host's, others as the app's."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record with its traceback, if it has one."""
        origin = _origin(record)
        level = Level(min(max(record.levelno // _PYTHON_STEP, 0), Level.CRITICAL))
        if level < self._console.levels.threshold(origin.category):
            return
        try:
            message = record.getMessage()
            if record.stack_info:
                message = f"{message}\n{record.stack_info}"
            trace = _trace_of(record)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001  the arguments' __str__ is the app's; logging tells it
            self.handleError(record)
            return
        self._console.user(level, origin._replace(exception=trace), message)


def _origin(record: logging.LogRecord) -> Origin:
    if _is_system(record.name):
        return Origin(f"Host.{record.name}")
    invocation = current_invocation.get()
    if invocation is None:
        return Origin(NO_FUNCTION_CATEGORY)
    function = invocation.function
    return Origin(f"Function.{function}.User", function, invocation.invocation_id)


def _trace_of(record: logging.LogRecord) -> str | None:
    if not record.exc_info:
        return record.exc_text  # of a record that came through a queue or a socket
    error = record.exc_info[1]
    if error is None:
        return None
    if _is_system(record.name):  # the host's own trouble: its frames are what matters
        return logging.Formatter().formatException(record.exc_info)
    return user_traceback(error)


def _is_system(logger: str) -> bool:
    return logger.partition(".")[0] in _SYSTEM_LOGGERS


def _is(invocation: Invocation | None, invocation_id: str) -> bool:
    return invocation is not None and dashed(invocation.invocation_id) == dashed(invocation_id)


def _level_of_error_line(line: str) -> Level:
    lowered = line.casefold()
    if "warn" in lowered:
        return Level.WARNING
    return Level.ERROR if any(word in lowered for word in _ERROR_WORDS) else Level.INFORMATION


@contextlib.contextmanager
def _levels(console: Console) -> Iterator[None]:
    """Let loggers make the records that can be shown, and at least those that Azure makes."""
    wanted = {"": min(console.levels.lowest_of_users(), Level.INFORMATION)}
    for name in _SYSTEM_LOGGERS:
        wanted[name] = console.levels.lowest_below(f"Host.{name}")
    before = {name: logging.getLogger(name).level for name in wanted}
    for name, level in wanted.items():
        logging.getLogger(name).setLevel(level.of_python)
    try:
        yield
    finally:
        for name, number in before.items():
            logging.getLogger(name).setLevel(number)


@contextlib.contextmanager
def _handling(handler: logging.Handler) -> Iterator[None]:
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


@contextlib.contextmanager
def _without_replays() -> Iterator[None]:
    """Drop records of replayed code before any handler of any logger sees them."""
    before = logging.Logger.handle

    def handle(self: logging.Logger, record: logging.LogRecord) -> None:
        if not is_replayed(current_invocation.get()) or _is_system(record.name):
            before(self, record)

    # A filter would have to sit on each handler that the app and its libraries ever add.
    logging.Logger.handle = handle  # type: ignore[method-assign]  # taken back below
    try:
        yield
    finally:
        logging.Logger.handle = before  # type: ignore[method-assign]  # as it was


_CAPTURES: Final[set[Capture]] = set()


def _in_child() -> None:
    """After a fork nobody writes the console's lines: the child speaks for itself."""
    for capture in list(_CAPTURES):
        capture.unfinished.clear()
        capture.__exit__()
        logging.basicConfig(level=logging.INFO, format="%(message)s")


if hasattr(os, "register_at_fork"):  # pragma: no branch  Windows has no fork
    os.register_at_fork(after_in_child=_in_child)
