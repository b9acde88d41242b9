"""An app with its hub, worker, triggers and HTTP server.

``run_host`` starts, in this order: settings, console, the port (reserved, not yet served), the
app, the task hub, the worker, the HTTP server; it stops them in the opposite order. Whatever
fails on the way raises one of the errors of ``durable_app.errors`` and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, TextIO

from durable_app.client.connection import Connection
from durable_app.client.functions_client import DurableFunctionsClient
from durable_app.client.management import ManagementUrls
from durable_app.client.orchestration_client import REPLACEABLE
from durable_app.clock import SystemClock
from durable_app.compose.generation import Generation, Tools
from durable_app.compose.plan import HostOptions, Plan, make_plan
from durable_app.compose.runtime import HostRuntime
from durable_app.functions.handles import set_runtime_factory
from durable_app.host.access import Access
from durable_app.host.console import Console, ConsoleHandler, Level, LogLevels
from durable_app.host.daemon_pool import DaemonPool
from durable_app.host.function_list import function_list, idle_functions
from durable_app.host.http import HttpServer, bind
from durable_app.host.hub_choice import HubChoice, allowed_hosts
from durable_app.host.invoke import Invoker
from durable_app.host.lifecycle import SHUTDOWN_S, Stop
from durable_app.host.loader import load_app
from durable_app.host.management import ManagementApi
from durable_app.host.roster import HostedApp, HostedFunction
from durable_app.host.settings import environment
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore
from durable_app.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Collection, Iterator, MutableMapping

    from durable_app.functions.index import AppIndex
    from durable_app.ports import Clock, Store

# Requests get this part of the time to shut down; they may wait for orchestrations, so the worker
# goes on until they have ended.
_HTTP_SHARE: Final = 0.4
# Requests that wait for an orchestration get this part, and then an answer that says "not yet".
_WAIT_SHARE: Final = 0.2
_WORKER_SHARE: Final = 0.8
#: What a generation that was replaced gets to finish what it runs.
_RETIRE_S: Final = 300.0
# A thread that computes holds the interpreter for this long before others get it. The default of
# 5 ms is paid by the hub at each call into SQLite: with one busy sync activity a chain then takes
# 110 ms per step, with 0.5 ms it takes 9 ms. Shorter intervals cost throughput.
_SWITCH_INTERVAL_S: Final = 0.0005


class RunningHost(NamedTuple):
    """A host that serves.

    Attributes:
        origin: its address, such as ``http://localhost:7071``.
        stop: what ends it.
    """

    origin: str
    hub: TaskHub
    client: DurableFunctionsClient
    app: AppIndex
    console: Console
    stop: Stop


@contextlib.asynccontextmanager
async def run_host(
    options: HostOptions,
    *,
    environ: MutableMapping[str, str] | None = None,
    stream: TextIO | None = None,
) -> AsyncIterator[RunningHost]:
    """Run an app until the block ends.

    Args:
        environ: None for the process's own.
        stream: where the console writes; None for standard output.

    Raises:
        DurableError: it cannot start; the message says why and what to do.
    """
    environ = environment() if environ is None else environ
    clock = SystemClock()
    plan = make_plan(options, environ)
    levels = LogLevels(plan.settings.logging.log_level, verbose=options.verbose)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_switch_interval(_SWITCH_INTERVAL_S))
        console = Console(clock, levels, stream=stream)
        stack.callback(console.close)
        stack.enter_context(_logging_to(console))
        listener = bind(plan.address, plan.port)
        stack.callback(listener.close)
        app = _load(plan, environ)
        for note in (*plan.notes, *plan.choice.warnings, plan.choice.start_line):
            console.line(note)
        parts = _Parts(plan, console, clock)
        await parts.start(app, listener, environ)
        stack.push_async_callback(parts.stop)
        _announce(console, parts.origin, plan, app.index)
        yield RunningHost(parts.origin, parts.hub, parts.client, app.index, console, parts.shutdown)


def _load(plan: Plan, environ: MutableMapping[str, str]) -> HostedApp:
    index = load_app(plan.folder, environ)
    return HostedApp("function_app.py", tuple(map(HostedFunction, index.functions)), index)


class _Parts:
    """Hub, app and server of one host, with the order of their beginning and end."""

    def __init__(self, plan: Plan, console: Console, clock: Clock) -> None:
        self._plan = plan
        self._console = console
        self._clock = clock
        self.shutdown = Stop()
        self._store = _store(plan.choice)
        self.hub = TaskHub(
            self._store,
            HubOptions(name=plan.choice.name),
            clock,
            on_fatal=self.shutdown.fail,
        )
        self._pool = DaemonPool(_sync_threads())
        self._generation: Generation | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._reloading = asyncio.Lock()

    async def start(
        self, app: HostedApp, listener: socket.socket, environ: MutableMapping[str, str]
    ) -> None:
        """Start hub, app and server; undo it all where one of them fails."""
        plan = self._plan
        port = listener.getsockname()[1]
        self.origin = f"http://{_shown_address(plan.address)}:{port}"
        urls = ManagementUrls(self.origin, plan.choice.name, plan.choice.connection)
        connection = self._connection(urls)
        self.client = DurableFunctionsClient(connection)
        self._tools = self._make_tools(connection)
        management = ManagementApi(self.client, self.hub, urls, self._clock)
        generation = Generation(app, self._tools)
        self._server = HttpServer(
            listener,
            Access(plan.address, allowed_hosts(plan.address, environ)),
            management,
            custom_headers=plan.settings.extensions.http.custom_headers,
        )
        self._server.serve(generation.routes)
        self.hub.open()
        try:
            set_runtime_factory(lambda: self._tools.runtime)
            self._generation = generation
            await generation.start()
            await self._server.start()
            if isinstance(self._store, SqliteStore):
                self._store.file.ownership.announce(self.origin)
        except BaseException:
            await self.stop()
            raise

    async def replace(self, app: HostedApp) -> Generation:
        """Let another load of the app take over; the present one finishes what it runs.

        Raises:
            DurableError: the app cannot run; the present one goes on.
        """
        async with self._reloading:
            generation, before = Generation(app, self._tools), self._generation
            await generation.start()
            self._server.serve(generation.routes)
            self._generation = generation
            if before is not None:
                retiring = asyncio.create_task(before.retire(_RETIRE_S))
                self._retiring.add(retiring)
                retiring.add_done_callback(self._retiring.discard)
            return generation

    async def stop(self) -> None:
        """End everything within SHUTDOWN_S, requests first and the hub last."""
        began = self._clock.monotonic()

        def left(share: float) -> float:
            return max(0.0, began + SHUTDOWN_S * share - self._clock.monotonic())

        loop = asyncio.get_running_loop()
        loop.call_later(SHUTDOWN_S * _WAIT_SHARE, self.hub.end_waits)
        await self._server.stop(left(_HTTP_SHARE))
        for retiring in list(self._retiring):
            retiring.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._generation is not None:
            await self._generation.retire(left(_WORKER_SHARE))
        await self.hub.stop(left(1.0))
        set_runtime_factory(None)
        self._pool.close()

    def _connection(self, urls: ManagementUrls) -> Connection:
        durable = self._plan.settings.extensions.durable_task
        return Connection(
            self.hub,
            urls,
            self._plan.choice.name,
            asyncio.get_running_loop(),
            orchestrators=self._orchestrators,
            default_version=durable.default_version,
            replaceable=REPLACEABLE[durable.overridable_existing_instance_states],
        )

    def _orchestrators(self) -> Collection[str]:
        return () if self._generation is None else self._generation.app.index.orchestrations.keys()

    def _make_tools(self, connection: Connection) -> Tools:
        binding = json.dumps(connection.urls.binding())
        timeout = self._plan.settings.function_timeout
        invoker = Invoker(
            self._plan.folder,
            binding,
            self._pool,
            self._console,
            self._clock,
            None if timeout is None else timeout / timedelta(seconds=1),
        )
        runtime = HostRuntime(connection, binding)
        return Tools(self.hub, self._plan.settings, invoker, runtime, self._console, self._clock)


def _store(choice: HubChoice) -> Store:
    if choice.store is None:
        return MemoryStore(choice.name)
    return SqliteStore(choice.store, choice.name)


def _sync_threads() -> int:
    """Threads for sync HTTP functions, as many as Azure's Python worker has."""
    wanted = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    return int(wanted) if wanted.isdigit() and int(wanted) else min(32, (os.cpu_count() or 1) + 4)


def _shown_address(address: str) -> str:
    here = {"127.0.0.1", "0.0.0.0", "::", "::1"}  # noqa: S104  compared with, not bound to
    return "localhost" if address in here else address


def _announce(console: Console, origin: str, plan: Plan, index: AppIndex) -> None:
    prefix = plan.settings.extensions.http.route_prefix
    for line in function_list(index.functions, origin, prefix):
        console.line(line)
    for line in idle_functions(index.functions):
        console.line(line)
    console.line("For detailed output, run func with --verbose flag.")
    console.always("Worker process started and initialized.", Level.INFORMATION)


@contextlib.contextmanager
def _switch_interval(seconds: float) -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextlib.contextmanager
def _logging_to(console: Console) -> Iterator[None]:
    root, handler = logging.getLogger(), ConsoleHandler(console)
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
