"""From host.json and the command line to running objects: the only module that names them.

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

from durable_app.client.management import ManagementUrls
from durable_app.client.orchestration_client import REPLACEABLE, DurableOrchestrationClient
from durable_app.client.sync_client import SyncDurableOrchestrationClient
from durable_app.clock import SystemClock
from durable_app.errors import ConfigError, UnsupportedOnHostError
from durable_app.functions.handles import Handle, set_runtime_factory
from durable_app.host.console import Console, ConsoleHandler, Level, LogLevels
from durable_app.host.daemon_pool import DaemonPool
from durable_app.host.function_list import function_list, idle_functions, route_of
from durable_app.host.http import HttpFunction, HttpServer, bind, http_function
from durable_app.host.hub_choice import HubChoice, allowed_hosts, choose_hub
from durable_app.host.invoke import HTTP_TRIGGER, Invoker
from durable_app.host.lifecycle import SHUTDOWN_S, Stop
from durable_app.host.loader import load_app
from durable_app.host.management import ManagementApi
from durable_app.host.routing import RouteTable
from durable_app.host.settings import (
    DurableTaskOptions,
    HostSettings,
    apply_values,
    environment,
    read_host_settings,
    read_local_settings,
)
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore
from durable_app.storage.sqlite import SqliteStore
from durable_app.worker.service import Worker, WorkerOptions

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator, MutableMapping
    from pathlib import Path

    from durable_app.functions.facts import DurableFunction
    from durable_app.functions.index import AppIndex
    from durable_app.ports import Clock, Store

DEFAULT_PORT: Final = 7071
DEFAULT_ADDRESS: Final = "127.0.0.1"
# Requests get this part of the time to shut down; they may wait for orchestrations, so the worker
# goes on until they have ended.
_HTTP_SHARE: Final = 0.4
_WORKER_SHARE: Final = 0.8
# Slots as the durable extension has them, ten per core, but not fewer than these. A turn takes
# microseconds here, and more turns at a time mean fewer commits.
_MIN_TURNS: Final = 100
_MIN_ACTIVITIES: Final = 20
# A thread that computes holds the interpreter for this long before others get it. The default of
# 5 ms is paid by the hub at each call into SQLite: with one busy sync activity a chain then takes
# 110 ms per step, with 0.5 ms it takes 9 ms. Shorter intervals cost throughput.
_SWITCH_INTERVAL_S: Final = 0.0005


class HostOptions(NamedTuple):
    """The command line; None or empty for what it does not say.

    Attributes:
        script_root: the folder of the app.
        port: 0 for any free one.
        hub: ``auto``, ``embedded`` or ``remote``.
        store: ``sqlite:PATH`` or ``memory``.
        cors: origins that browsers may call from; ``*`` for all.
        enable_auth: demand keys as Azure does; without it every request is let through.
        functions: names of the only functions that shall run; empty for all.
        user_log_level: lowest level of what user code logs.
        json_output_file: where the JSON lines of ``enable_json_output`` go, too.
        watch: load the app again when one of its files is saved.
        https: serve TLS; with a certificate of its own where ``cert`` is None.
        cert: path of a PFX or PEM file; ``password`` opens it.
    """

    script_root: Path
    port: int | None = None
    address: str | None = None
    verbose: bool = False
    hub: str | None = None
    store: str | None = None
    cors: tuple[str, ...] = ()
    cors_credentials: bool = False
    enable_auth: bool = False
    functions: tuple[str, ...] = ()
    user_log_level: str | None = None
    enable_json_output: bool = False
    json_output_file: Path | None = None
    watch: bool = False
    https: bool = False
    cert: Path | None = None
    password: str | None = None


class RunningHost(NamedTuple):
    """A host that serves.

    Attributes:
        origin: its address, such as ``http://localhost:7071``.
        stop: what ends it.
    """

    origin: str
    hub: TaskHub
    client: DurableOrchestrationClient
    app: AppIndex
    console: Console
    stop: Stop


class _Plan(NamedTuple):
    """What the files, the environment and the command line add up to."""

    folder: Path
    settings: HostSettings
    choice: HubChoice
    address: str
    port: int
    notes: list[str]


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
    plan = _plan(options, environ)
    levels = LogLevels(plan.settings.logging.log_level, verbose=options.verbose)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_switch_interval(_SWITCH_INTERVAL_S))
        console = Console(clock, levels, stream=stream)
        stack.callback(console.close)
        stack.enter_context(_logging_to(console))
        listener = bind(plan.address, plan.port)
        stack.callback(listener.close)
        index = load_app(plan.folder, environ)
        for note in (*plan.notes, *plan.choice.warnings, plan.choice.start_line):
            console.line(note)
        parts = _Parts(plan, index, console, clock)
        await parts.start(listener, environ)
        stack.push_async_callback(parts.stop)
        _announce(console, parts.origin, plan, index)
        yield RunningHost(parts.origin, parts.hub, parts.client, index, console, parts.shutdown)


def _plan(options: HostOptions, environ: MutableMapping[str, str]) -> _Plan:
    folder = options.script_root.resolve()
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder. Name the app's folder with --script-root.")
    local = read_local_settings(folder)
    notes = apply_values(local, environ)
    settings = read_host_settings(folder, environ)
    choice = choose_hub(
        settings.extensions.durable_task,
        environ,
        folder,
        mode=options.hub,
        store=options.store,
    )
    port = options.port if options.port is not None else local.host.local_http_port
    return _Plan(
        folder,
        settings,
        choice,
        options.address or local.host.local_http_address or DEFAULT_ADDRESS,
        DEFAULT_PORT if port is None else port,
        notes,
    )


class _Parts:
    """Hub, worker and server of one host, with the order of their beginning and end."""

    def __init__(self, plan: _Plan, index: AppIndex, console: Console, clock: Clock) -> None:
        durable = plan.settings.extensions.durable_task
        self._plan = plan
        self._index = index
        self._console = console
        self._clock = clock
        self.shutdown = Stop()
        self.hub = TaskHub(
            _store(plan.choice),
            HubOptions(name=plan.choice.name),
            clock,
            on_fatal=self.shutdown.fail,
        )
        self._worker = Worker(
            self.hub, index, _worker_options(durable), clock, console, self._activity_clients
        )
        self._pool = DaemonPool(_sync_threads())

    def _activity_clients(self, facts: DurableFunction) -> dict[str, object]:
        client = self._runtime.client(self._binding, sync=not facts.is_async)
        return dict.fromkeys(facts.clients, client)

    async def start(self, listener: socket.socket, environ: MutableMapping[str, str]) -> None:
        """Start hub, worker and server; undo it all where one of them fails."""
        plan = self._plan
        port = listener.getsockname()[1]
        self.origin = f"http://{_shown_address(plan.address)}:{port}"
        urls = ManagementUrls(self.origin, plan.choice.name, plan.choice.connection)
        self.client = self._client(urls)
        self._binding = binding = json.dumps(urls.binding())
        self._runtime = _HostRuntime(self.client, binding, asyncio.get_running_loop())
        management = ManagementApi(self.client, self.hub, urls, self._clock)
        self._server = HttpServer(
            listener,
            self._routes(binding),
            management,
            allowed_hosts(plan.address, environ),
        )
        self.hub.open()
        try:
            set_runtime_factory(lambda: self._runtime)
            self._worker.start()
            await self._server.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End everything within SHUTDOWN_S, requests first and the hub last."""
        began = self._clock.monotonic()

        def left(share: float) -> float:
            return max(0.0, began + SHUTDOWN_S * share - self._clock.monotonic())

        await self._server.stop(left(_HTTP_SHARE))
        await self._worker.stop(left(_WORKER_SHARE))
        await self.hub.stop(left(1.0))
        set_runtime_factory(None)
        self._pool.close()

    def _client(self, urls: ManagementUrls) -> DurableOrchestrationClient:
        durable = self._plan.settings.extensions.durable_task
        return DurableOrchestrationClient(
            self.hub,
            urls,
            self._plan.choice.name,
            orchestrators=self._index.orchestrations.keys(),
            default_version=durable.default_version,
            replaceable=REPLACEABLE[durable.overridable_existing_instance_states],
        )

    def _routes(self, binding: str) -> RouteTable[HttpFunction]:
        timeout = self._plan.settings.function_timeout
        invoker = Invoker(
            self._plan.folder,
            binding,
            self._pool,
            self._console,
            self._clock,
            None if timeout is None else timeout / timedelta(seconds=1),
        )
        routes: RouteTable[HttpFunction] = RouteTable()
        for function in self._index.functions:
            if function.trigger_type == HTTP_TRIGGER:
                template = route_of(function, self._plan.settings.extensions.http.route_prefix)
                routes.add(template, function.methods, http_function(invoker.bind(function)))
        return routes


class _HostRuntime:
    """What handles need of this host: clients. Turns reach orchestrators through the worker."""

    def __init__(
        self, client: DurableOrchestrationClient, binding: str, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._client = client
        self._sync_client = SyncDurableOrchestrationClient(client, loop)
        self._binding = binding

    def orchestrate(self, handle: Handle, context_json: str) -> str:
        """Refuse: no request of the classic protocol comes from this host."""
        raise UnsupportedOnHostError(
            f"Orchestration '{handle.durable.name}' was called with {len(context_json)} characters"
            " of the classic protocol; start it through a durable client instead."
        )

    def client(self, binding: str, *, sync: bool) -> object:
        """The one client of this host.

        Raises:
            UnsupportedOnHostError: the binding is of another host.
        """
        if binding != self._binding:
            raise UnsupportedOnHostError(
                "This durable client binding was not made by this host, which serves task hub"
                f" '{self._client.task_hub_name}' only."
            )
        return self._sync_client if sync else self._client


def _store(choice: HubChoice) -> Store:
    if choice.store is None:
        return MemoryStore(choice.name)
    return SqliteStore(choice.store, choice.name)


def _worker_options(options: DurableTaskOptions) -> WorkerOptions:
    per_machine = 10 * (os.cpu_count() or 1)
    return WorkerOptions(
        orchestrations=options.max_concurrent_orchestrator_functions
        or max(_MIN_TURNS, per_machine),
        activities=options.max_concurrent_activity_functions or max(_MIN_ACTIVITIES, per_machine),
        max_actions=options.max_orchestration_actions,
        default_version=options.default_version,
    )


def _sync_threads() -> int:
    """Threads for sync HTTP functions, as many as Azure's Python worker has."""
    wanted = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    return int(wanted) if wanted.isdigit() and int(wanted) else min(32, (os.cpu_count() or 1) + 4)


def _shown_address(address: str) -> str:
    here = {"127.0.0.1", "0.0.0.0", "::", "::1"}  # noqa: S104  compared with, not bound to
    return "localhost" if address in here else address


def _announce(console: Console, origin: str, plan: _Plan, index: AppIndex) -> None:
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
