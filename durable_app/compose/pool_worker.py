"""What a worker process of ``func start --workers N`` runs.

It is begun by its host, takes orders on standard input and reports on standard output; see
``host.processes.messages``. When the host is gone, so is the process: nobody would read what it
says, and the next host begins processes of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NoReturn, TextIO, cast

from durable_app.clock import SystemClock
from durable_app.compose.console import open_console
from durable_app.compose.plan import HostOptions
from durable_app.compose.remote import Tuning, open_remote
from durable_app.compose.tracing import open_tracing
from durable_app.compose.work import Site
from durable_app.compose.worker_process import HubSides, run_worker
from durable_app.connection.endpoint import parse_endpoint
from durable_app.connection.options import GrpcChannelOptions
from durable_app.connection.target import HubTarget
from durable_app.errors import DurableError
from durable_app.functions.scheduled_tasks import serves_scheduled_tasks
from durable_app.host.app.loader import load_app
from durable_app.host.config.settings import environment, read_host_settings
from durable_app.host.console.console import Level
from durable_app.host.lifecycle import SHUTDOWN_S, Deadline, Stop, on_signals
from durable_app.host.processes.messages import Word, WorkerOrder, read_command
from durable_app.host.triggers.schedule import zone_of

if TYPE_CHECKING:
    from durable_app.connection.failures import LinkFailure
    from durable_app.host.console.console import Console

#: What a process gets that somebody else than its host has told to end.
_OWN_GRACE_S: Final = SHUTDOWN_S * 0.8
# As in the host: a busy activity must not hold up what reads the stream of work.
_SWITCH_INTERVAL_S: Final = 0.0005
#: A host that has gone is noticed by the end of standard input, or by this if something that the
#: app has forked in the host still holds the other end.
_LOOK_S: Final = 1.0
#: Host and process are one machine: what fits into the one fits into the other.
_WITHIN: Final = GrpcChannelOptions(max_receive_message_length=-1, max_send_message_length=-1)


class Report(io.TextIOBase):
    """Where lines for the host go, whole ones at a time. Any thread."""

    def __init__(self, descriptor: int) -> None:
        """Owns the descriptor."""
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._lock = threading.Lock()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a property in C, too
        """Of the lines, which are ASCII."""
        return "utf-8"

    def write(self, text: str) -> int:
        """Write lines, waiting for the host where it is slow."""
        left = memoryview(text.encode())
        with self._lock:
            while left:
                left = left[self._file.write(left) :]
        return len(text)

    def say(self, word: Word) -> None:
        """Tell the host how things stand; a host that is gone hears nothing."""
        with contextlib.suppress(OSError):
            self.write(word.line())

    def close(self) -> None:
        """Nothing more follows. Idempotent."""
        with contextlib.suppress(OSError):
            self._file.close()
        super().close()


class Commands:
    """What the host says after its order.

    Attributes:
        go: work may be taken. stop: the end is wanted.
        grace_s: for what runs then.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        """For the running event loop."""
        self.go = asyncio.Event()
        self.stop = Stop()
        self.grace_s = _OWN_GRACE_S
        self._pipe = pipe
        self._loop = asyncio.get_running_loop()

    def listen(self) -> None:
        """Follow them from now on."""
        threading.Thread(target=self._listen, name="host-commands", daemon=True).start()
        if os.name == "posix":
            parent = os.getppid()
            threading.Thread(
                target=self._look_after, args=(parent,), name="host-watch", daemon=True
            ).start()

    def _listen(self) -> None:
        for line in self._pipe:
            grace_s = read_command(line)
            # The loop is closed where the process is about to end by itself.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._obey, grace_s)
        _orphaned()

    def _obey(self, grace_s: float | None) -> None:
        if grace_s is None:
            self.go.set()
        else:
            self.grace_s = grace_s
            self.end()

    def end(self) -> None:
        """The end is wanted, by the host or by a signal; it may come before "go"."""
        self.stop.request()
        self.go.set()

    def _look_after(self, parent: int) -> None:
        while os.getppid() == parent:
            threading.Event().wait(_LOOK_S)
        _orphaned()


def _orphaned() -> NoReturn:
    """The host is gone: end at once, for its successor gives the same work to others."""
    os._exit(1)


class _Link:
    """Tells the host how the connection to it fares. Implements ``LinkListener``."""

    def __init__(self, report: Report, console: Console, stop: Stop) -> None:
        self._report = report
        self._console = console
        self._stop = stop

    def connected(self, attempt: int) -> None:  # noqa: ARG002  a port
        """See ``LinkListener``."""
        self._report.say(Word.CONNECTED)

    def disconnected(self, failure: LinkFailure | None, reason: str, retry_in_s: float) -> None:  # noqa: ARG002  a port
        """See ``LinkListener``."""
        if not self._stop.is_requested:
            self._console.log(
                Level.WARNING, "Host.Workers", "The connection to the host is lost: %s", reason
            )


def main() -> int:
    """Work until the host says that it is enough; return the exit code."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    return work(*_take_over())


def work(commands: IO[bytes], report: Report) -> int:
    """The same, with these pipes."""
    line = commands.readline()
    if not line:
        return 1  # the host has gone before it said anything
    order = WorkerOrder.read(line)
    deadline = Deadline()
    try:
        asyncio.run(_serve(order, commands, report, deadline))
    except DurableError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    report.say(Word.GOODBYE)
    # The app's own threads get a moment, and no more.
    deadline.finish(0)
    return 0


def _take_over() -> tuple[IO[bytes], Report]:
    """Keep the pipes to the host to ourselves: the app's code has a standard input and output, too.

    What it writes past ``sys.stdout`` joins the host's standard error.
    """
    commands = os.fdopen(os.dup(0), "rb")
    report = Report(os.dup(1))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return commands, report


async def _serve(order: WorkerOrder, pipe: IO[bytes], report: Report, deadline: Deadline) -> None:
    commands = Commands(pipe)
    commands.listen()
    on_signals(commands.end, deadline)
    environ, clock, folder = environment(), SystemClock(), Path(order.folder)
    settings = read_host_settings(folder, environ)
    options = HostOptions(
        folder,
        verbose=order.is_verbose,
        user_log_level=order.user_log_level,
        enable_json_output=True,
    )
    endpoint = parse_endpoint(order.target, "task hub of the host", encrypted=False)
    target = HubTarget(endpoint, order.task_hub)
    async with contextlib.AsyncExitStack() as stack:
        console = stack.enter_context(
            open_console(options, settings, environ, clock, cast("TextIO", report))
        )
        app = load_app(folder, environ, order.functions)
        tracing = await stack.enter_async_context(
            open_tracing(settings, folder.name, environ, clock, console)
        )
        link = _Link(report, console, commands.stop)
        tuning = Tuning(local_token=order.token, channel_options=_WITHIN)
        schedules, failed = serves_scheduled_tasks(app.index), commands.stop.fail
        remote = await stack.enter_async_context(
            open_remote(target, clock, environ, failed, link, tuning, has_schedules=schedules)
        )
        report.say(Word.LOADED)
        await commands.go.wait()
        if commands.stop.is_requested:
            return
        sides = HubSides(
            order.task_hub,
            remote.hub,
            remote.hub,
            remote.work,
            order.connection,
            order.origin,
            order.code,
            knows_all=True,
        )
        site = Site(folder, settings, zone_of(environ), clock, console, tracing)
        await stack.enter_async_context(
            run_worker(app, sides, site, environ, lambda: commands.grace_s)
        )
        await commands.stop.wait()
        report.say(Word.LEAVING)
        if commands.stop.error is not None:
            raise commands.stop.error
