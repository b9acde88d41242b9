"""One worker process, as its host holds it.

Two threads belong to it: one shows what it reports, one waits for its end. Its own standard error
is the host's, so that its last words are seen even if nobody listens any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import durable_app
from durable_app.host.processes.messages import GO, Word, drain_line, read_report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable_app.host.console.console import Console
    from durable_app.host.processes.messages import WorkerOrder
    from durable_app.ports import Clock

#: After the end of a process: what it has forked may hold its pipe open for ever.
_LAST_LINES_S: Final = 0.5
# Not ``-m``: that would put the current folder before the standard library, and an app may have a
# module named ``queue``. A host that runs from a checkout has processes of that checkout, whatever
# else is installed.
_PROGRAM: Final = """
import sys
from importlib.util import find_spec
if getattr(find_spec("durable_app"), "origin", None) != {file!r}:
    sys.path.insert(0, {root!r})
from {module} import main
sys.exit(main())
"""

# gRPC would write a line for each process that an activity forks. It has nothing to do there.
_QUIET: Final = {"GRPC_ENABLE_FORK_SUPPORT": "0"}


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        exit_code: negative for the number of the signal that ended it.
        lived_s: since its start.
        said_goodbye: it has handed in everything; else it died, whatever the exit code.
    """

    exit_code: int
    lived_s: float
    said_goodbye: bool

    def __str__(self) -> str:
        if self.exit_code >= 0:
            return f"has ended with exit code {self.exit_code}"
        try:
            name = signal.Signals(-self.exit_code).name
        except ValueError:
            name = f"signal {-self.exit_code}"
        return f"was ended by {name}"


class WorkerProcess:
    """A process that runs an app's orchestrations, activities and entities.

    Args:
        number: 1, 2, ...; stands before its lines on the console.
        module: whose ``main`` the process runs.
        on_word: told on the event loop what the process says of itself.

    Attributes:
        ended: the outcome, set when the process has ended.
    """

    def __init__(
        self,
        number: int,
        module: str,
        console: Console,
        clock: Clock,
        on_word: Callable[[Word], None],
    ) -> None:
        """For the running event loop; nothing is started yet."""
        self._number = number
        self._module = module
        self._console = console
        self._clock = clock
        self._on_word = on_word
        self._loop = asyncio.get_running_loop()
        self._said_goodbye = False
        self._popen: subprocess.Popen[bytes] | None = None
        self.ended: asyncio.Future[Ended] = self._loop.create_future()

    @property
    def pid(self) -> int:
        """Of the process; 0 before its start."""
        return 0 if self._popen is None else self._popen.pid

    def start(self, order: WorkerOrder, environ: Mapping[str, str]) -> None:
        """Begin.

        Raises:
            OSError: the system has no process to give, or no thread; nothing is left running.
        """
        file = durable_app.__file__
        root = str(Path(file).parents[1])
        program = _PROGRAM.format(file=file, root=root, module=self._module)
        self._popen = popen = subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-P", "-c", program],
            env={**_QUIET, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl+C reaches every process of a terminal's group: these have to outlive the
            # requests that wait for them, and are told when to go.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        began = self._clock.monotonic()
        name = f"worker-process-{self._number}"
        reader = threading.Thread(target=self._read, args=(popen,), name=name, daemon=True)
        waiter = threading.Thread(
            target=self._wait, args=(popen, reader, began), name=f"{name}-end", daemon=True
        )
        try:
            reader.start()
            waiter.start()
        except RuntimeError as error:  # the system has no thread to give
            with popen:
                popen.kill()
            raise OSError(str(error)) from error
        self._tell(order.line())

    def go(self) -> None:
        """Let it take work."""
        self._tell(GO)

    def drain(self, grace_s: float) -> None:
        """Tell it to take nothing more, and to end within so many seconds."""
        self._tell(drain_line(grace_s))

    def kill(self) -> None:
        """End it, whatever it does."""
        if self._popen is not None:
            self._popen.kill()

    def _tell(self, line: bytes) -> None:
        if self._popen is None or self._popen.stdin is None:
            return
        # One that has ended hears nothing; its end is noticed elsewhere.
        with contextlib.suppress(OSError, ValueError):
            self._popen.stdin.write(line)
            self._popen.stdin.flush()

    # -- threads -----------------------------------------------------------------------------

    def _read(self, popen: subprocess.Popen[bytes]) -> None:
        if popen.stdout is None:
            return
        with popen.stdout as pipe:
            for line in pipe:
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            report = read_report(line, self._number)
        except (ValueError, TypeError, KeyError):
            # The last line of a process that was killed may be half of one.
            return
        if isinstance(report, Word):
            self._said_goodbye = self._said_goodbye or report is Word.GOODBYE
            self._post(self._on_word, report)
        else:
            self._console.relay(*report)

    def _wait(self, popen: subprocess.Popen[bytes], reader: threading.Thread, began: float) -> None:
        code = popen.wait()
        lived_s = self._clock.monotonic() - began
        reader.join(_LAST_LINES_S)
        self._post(self._end, Ended(code, lived_s, self._said_goodbye))

    def _end(self, ended: Ended) -> None:
        if self._popen is not None and self._popen.stdin is not None:
            with contextlib.suppress(OSError):
                self._popen.stdin.close()
        if not self.ended.done():
            self.ended.set_result(ended)

    def _post(self, call: Callable[..., None], *arguments: object) -> None:
        # A loop that is closed has nobody left who cares.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)
