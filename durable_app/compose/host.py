"""An app with its hub, worker, triggers and HTTP server.

``run_host`` starts, in this order: settings, console, the port (reserved, not yet served), the
app, the task hub, the worker, the HTTP server; it stops them in the opposite order. Whatever
fails on the way raises one of the errors of ``durable_app.errors`` and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, TextIO

from durable_app import __version__
from durable_app.client.connection import Connection
from durable_app.client.functions_client import DurableFunctionsClient
from durable_app.client.management import ManagementUrls
from durable_app.client.orchestration_client import REPLACEABLE
from durable_app.clock import SystemClock
from durable_app.compose.console import open_console
from durable_app.compose.generation import Generation, Tools
from durable_app.compose.hub_side import make_hub_side
from durable_app.compose.plan import HostOptions, Plan, make_plan
from durable_app.compose.reload import Reloader
from durable_app.compose.runners import runner_maker
from durable_app.compose.tracing import open_tracing
from durable_app.compose.work import Site, make_bench
from durable_app.errors import StoreUnavailableError
from durable_app.functions.handles import set_runtime_factory
from durable_app.host.api.admin import AdminApi, HostFacts
from durable_app.host.api.management import ManagementApi
from durable_app.host.app.loader import load_app
from durable_app.host.app.watch import Watched
from durable_app.host.calls.daemon_pool import DaemonPool, sync_threads
from durable_app.host.config.json_file import read_json_object
from durable_app.host.config.settings import environment
from durable_app.host.console.console import Console, Level
from durable_app.host.console.function_list import route_of, show_functions
from durable_app.host.console.progress import Progress
from durable_app.host.lifecycle import SHUTDOWN_S, Stop
from durable_app.host.state import HostState
from durable_app.host.triggers.storage import StorageAccounts
from durable_app.host.web.access import Access
from durable_app.host.web.http import HttpServer, bind
from durable_app.host.web.keys import DURABLE_EXTENSION, Keys
from durable_app.host.web.throttle import Throttle
from durable_app.host.web.tls import Tls, ssl_context

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Callable,
        Collection,
        Iterator,
        Mapping,
        MutableMapping,
    )

    from durable_app.host.app.roster import HostedApp, HostedFunction
    from durable_app.host.config.options import HttpOptions
    from durable_app.ports import Clock, Orchestrations
    from durable_app.telemetry import Tracing

# Requests get this part of the time to shut down; they may wait for orchestrations, so the worker
# goes on until they have ended.
_HTTP_SHARE: Final = 0.4
# Requests that wait for an orchestration get this part, and then an answer that says "not yet".
_WAIT_SHARE: Final = 0.2
_WORKER_SHARE: Final = 0.8
# For a load of the app that goes on at the end; one of the usual size takes less.
_WATCH_END_S: Final = 0.5
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
        hub: its task hub, wherever that is.
        stop: what ends it.
    """

    origin: str
    hub: Orchestrations
    client: DurableFunctionsClient
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
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_switch_interval(_SWITCH_INTERVAL_S))
        console = stack.enter_context(open_console(options, plan.settings, environ, clock, stream))
        listener = bind(plan.address, plan.port)
        stack.callback(listener.close)
        tls = _tls(plan, clock)
        # What Azure's host tells an app of itself.
        environ.setdefault("AzureWebJobsScriptRoot", str(plan.folder))
        environ.setdefault("WEBSITE_HOSTNAME", f"localhost:{listener.getsockname()[1]}")
        load = functools.partial(load_app, plan.folder, environ, plan.functions)
        with Progress(console, clock) as progress:
            progress.step(f"importing the app in {plan.folder}")
            app = load()
        for note in (*plan.notes, plan.choice.start_line, *(() if tls is None else (tls.note,))):
            console.line(note)
        state = _open_state(plan, console)
        stack.callback(state.close)
        tracing = await stack.enter_async_context(
            open_tracing(plan.settings, plan.folder.name, environ, clock, console)
        )
        host = _Host(plan, state, console, clock, environ, load, tracing)
        await host.start(app, listener, tls)
        stack.push_async_callback(host.stop)
        if not options.verbose:
            console.line("For detailed output, run func with --verbose flag.")
        console.always("Worker process started and initialized.")
        console.always(f"Host lock lease acquired by instance ID '{clock.new_id()}'.")
        if options.enable_auth:
            console.line("Requests need a key: `func keys list` shows them.")
        if options.watch:
            await stack.enter_async_context(host.watching())
        yield RunningHost(host.origin, host.hub.orchestrations, host.client, console, host.shutdown)


class _Host:
    """Hub, app and server, with the order of their beginning and end."""

    def __init__(
        self,
        plan: Plan,
        state: HostState,
        console: Console,
        clock: Clock,
        environ: Mapping[str, str],
        load: Callable[[], HostedApp],
        tracing: Tracing | None,
    ) -> None:
        self._plan = plan
        self._tracing = tracing
        self._state = state
        self._console = console
        self._clock = clock
        self._environ = environ
        self.shutdown = Stop()
        self.hub = make_hub_side(plan, environ, clock, console, self.shutdown)
        self._pool = DaemonPool(sync_threads())
        self._accounts = StorageAccounts(environ)
        self._retiring: set[asyncio.Task[None]] = set()
        settings = plan.settings
        watched = Watched(
            plan.folder, tuple(settings.watch_directories), frozenset(settings.watch_files)
        )
        self._reloader = Reloader(watched, load, self._replace, console)

    async def start(self, app: HostedApp, listener: socket.socket, tls: Tls | None) -> None:
        """Start hub, app and server; undo it all where one of them fails."""
        plan = self._plan
        http = plan.settings.extensions.http
        keys = Keys(self._state)
        scheme = "http" if tls is None else "https"
        self.origin = f"{scheme}://{_shown_address(plan.address)}:{listener.getsockname()[1]}"
        self._code = keys.system(DURABLE_EXTENSION) if plan.options.enable_auth else None
        connection = self._connection()
        self.client = DurableFunctionsClient(connection)
        self._tools = self._make_tools(connection)
        self._generation = Generation(app, self._tools)
        self._admin = self._admin_api(keys)
        self._server = HttpServer(
            listener,
            Access(plan.address, plan.hosts, plan.cors, keys if plan.options.enable_auth else None),
            ManagementApi(connection, self._clock),
            self._admin,
            tls=None if tls is None else tls.context,
            custom_headers=http.custom_headers,
            throttle=_throttle(http),
        )
        self._server.serve(self._generation.routes)
        self.hub.open()
        try:
            set_runtime_factory(lambda: self._tools.bench.runtime)
            await self._generation.start()
            self._list_functions()
            await self._server.start()
            self.hub.announce(self.origin)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End everything within SHUTDOWN_S, requests first and the hub last."""
        began = self._clock.monotonic()

        def left(share: float) -> float:
            return max(0.0, began + SHUTDOWN_S * share - self._clock.monotonic())

        hurry = asyncio.get_running_loop().call_later(left(_WAIT_SHARE), self.hub.end_waits)
        try:
            await self._server.stop(left(_HTTP_SHARE))
            await self._admin.close(left(_HTTP_SHARE))
            await self._retire_all(left(_WORKER_SHARE))
            await self._accounts.close()
        finally:  # whatever fails: what was accepted is on the disk, and the store is closed
            hurry.cancel()
            await self.hub.stop(left(1.0))
            set_runtime_factory(None)
            self._pool.close()
            self._reloader.close()

    async def _retire_all(self, grace_s: float) -> None:
        """End the present load of the app, and those before that still run something."""
        present = asyncio.create_task(self._generation.retire(grace_s))
        await asyncio.wait([present, *self._retiring], timeout=grace_s)
        for late in self._retiring:
            late.cancel()
        await asyncio.gather(present, *self._retiring, return_exceptions=True)
        await present

    # -- the app ------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Load the app again after each change of its files, while the block runs."""
        stop = asyncio.Event()
        watch = asyncio.create_task(self._reloader.watch(stop))
        watch.add_done_callback(self._watch_ended)
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait([watch], timeout=_WATCH_END_S)
            watch.cancel()  # an import may never end
            await asyncio.wait([watch])

    def _watch_ended(self, watch: asyncio.Task[None]) -> None:
        if not watch.cancelled() and (error := watch.exception()) is not None:
            self.shutdown.fail(error)

    async def _replace(self, app: HostedApp) -> None:
        """Let another load of the app take over; the present one finishes what it runs.

        Raises:
            DurableError: the app cannot run; the present one goes on.
        """
        generation, before = Generation(app, self._tools), self._generation
        await generation.prepare()
        self._server.serve(generation.routes)  # the last step that may fail and change nothing
        self._generation = generation
        retiring = asyncio.create_task(before.retire(_RETIRE_S))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)
        await asyncio.sleep(0)  # from here on its triggers call nothing any more
        try:
            await generation.start()
        except Exception as error:
            self.shutdown.fail(error)  # neither of them would run
            raise
        self._list_functions()

    async def _run_by_hand(self, function: HostedFunction, text: str) -> None:
        await self._generation.run_by_hand(function, text)

    def _list_functions(self) -> None:
        prefix = self._plan.settings.extensions.http.route_prefix
        generation = self._generation
        idle = generation.idle_lines()
        show_functions(self._console, generation.app, self.origin, prefix, idle)
        for warning in generation.app.warnings:
            self._console.line(warning, Level.WARNING)
        for facts in generation.http_functions:
            methods = ",".join(facts.methods) or "all"
            self._console.log(
                Level.INFORMATION,
                "Host.Triggers.Http",
                "Mapped function route '%s' [%s] to '%s'",
                route_of(facts, prefix),
                methods,
                facts.name,
            )

    # -- its parts ----------------------------------------------------------------------------

    def _connection(self) -> Connection:
        choice = self._plan.choice
        durable = self._plan.settings.extensions.durable_task
        return Connection(
            self.hub.orchestrations,
            self.hub.entities,
            ManagementUrls(self.origin, choice.name, choice.connection, self._code),
            choice.name,
            asyncio.get_running_loop(),
            orchestrators=self._orchestrators,
            known_entities=self._known_entities,
            default_version=durable.default_version,
            replaceable=REPLACEABLE[durable.overridable_existing_instance_states],
            trust_forwarded=durable.http_settings.use_forwarded_host,
            shows_task_inputs=durable.store_inputs_in_orchestration_history is not False,
            tracing=self._tracing,
        )

    def _orchestrators(self) -> Collection[str]:
        return self._generation.app.index.orchestrations.keys()

    def _known_entities(self) -> Collection[str]:
        return self._generation.app.index.entities.keys()

    def _make_tools(self, connection: Connection) -> Tools:
        plan = self._plan
        site = Site(
            plan.folder, plan.settings, plan.zone, self._clock, self._console, self._tracing
        )
        bench = make_bench(site, connection, self._pool, self._accounts)
        make = runner_maker(plan, self.hub.work, bench, self._environ, self.origin, self._code)
        return Tools(make, bench, self._accounts, self._state)

    def _admin_api(self, keys: Keys) -> AdminApi:
        extensions = self._plan.settings.extensions
        config = read_json_object(self._plan.folder / "host.json")
        facts = HostFacts(
            socket.gethostname(),
            __version__,
            self._plan.folder,
            extensions.http.route_prefix,
            config,
            config.get("extensionBundle"),
            extensions.durable_task.http_settings.use_forwarded_host,
        )
        return AdminApi(
            lambda: self._generation.app,
            facts,
            keys,
            self._clock,
            self._run_by_hand,
            self._reloader.reload,
        )


def _throttle(http: HttpOptions) -> Throttle | None:
    limits = [
        limit if limit > 0 else None
        for limit in (http.max_concurrent_requests, http.max_outstanding_requests)
    ]
    return None if limits == [None, None] else Throttle(*limits)


def _tls(plan: Plan, clock: Clock) -> Tls | None:
    options = plan.options
    if not options.https:
        return None
    return ssl_context(options.cert, options.password, plan.folder, clock)


def _open_state(plan: Plan, console: Console) -> HostState:
    try:
        return HostState(plan.state)
    except StoreUnavailableError as error:
        # A container's file system may be read-only, with the store on a volume elsewhere.
        console.line(f"{error} Until then keys and timers are remembered in memory.", Level.WARNING)
        return HostState(None)


def _shown_address(address: str) -> str:
    bare = address.removeprefix("[").removesuffix("]")
    if bare in {"127.0.0.1", "0.0.0.0", "::"}:  # noqa: S104  compared with, not bound to
        return "localhost"
    return f"[{bare}]" if ":" in bare else bare


@contextlib.contextmanager
def _switch_interval(seconds: float) -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
