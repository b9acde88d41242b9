"""A process that runs an app's orchestrations, activities and entities, and nothing else.

The hub is elsewhere, over gRPC. There is no HTTP server, no timer and no queue trigger: these
functions are bound, so that their faults show, and left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

from durable_app.client.connection import Connection
from durable_app.client.management import ManagementUrls
from durable_app.client.orchestration_client import REPLACEABLE
from durable_app.clock import SystemClock
from durable_app.compose.binding import WORKER_SERVED, bind_app
from durable_app.compose.console import open_console
from durable_app.compose.extras import needs_grpc
from durable_app.compose.link_lines import LinkLines
from durable_app.compose.tracing import open_tracing
from durable_app.compose.work import Site, make_bench, make_worker
from durable_app.compose.worker_plan import WorkerOptions, WorkerPlan, make_worker_plan
from durable_app.functions.handles import set_runtime_factory
from durable_app.functions.scheduled_tasks import serves_scheduled_tasks
from durable_app.host.app.loader import load_app
from durable_app.host.calls.daemon_pool import DaemonPool, sync_threads
from durable_app.host.config.settings import environment
from durable_app.host.console.console import Level
from durable_app.host.console.function_list import show_durable_functions
from durable_app.host.health import HealthServer, Metric, Sample
from durable_app.host.lifecycle import SHUTDOWN_S, Stop
from durable_app.host.triggers.storage import StorageAccounts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
    from typing import TextIO

    from durable_app.host.app.roster import HostedApp
    from durable_app.host.console.console import Console
    from durable_app.ports import Entities, Orchestrations, WorkSource

#: Part of the time to shut down in which functions may come to their end.
_DRAIN_SHARE = 0.8
# Of management URLs that a worker makes: the host that serves them is another process.
_DEFAULT_ORIGIN = "http://localhost:7071"


class HubSides(NamedTuple):
    """A hub of another process, as its clients and its workers see it.

    Attributes:
        name: of the task hub.
        connection: name of the setting with its connection string.
        origin: address of the HTTP host that serves its management API.
        code: key of that API; None where none is asked for.
        knows_all: the app has all functions of the hub: other names are refused.
    """

    name: str
    orchestrations: Orchestrations
    entities: Entities
    work: WorkSource
    connection: str = "Storage"
    origin: str = _DEFAULT_ORIGIN
    code: str | None = None
    knows_all: bool = False


class RunningWorker(NamedTuple):
    """A worker at work.

    Attributes:
        health_port: 0 where none was asked for.
    """

    console: Console
    stop: Stop
    health_port: int = 0


def _usual_grace_s() -> float:
    return SHUTDOWN_S * _DRAIN_SHARE


@contextlib.asynccontextmanager
async def run_worker(
    app: HostedApp,
    sides: HubSides,
    site: Site,
    environ: Mapping[str, str],
    grace_s: Callable[[], float] = _usual_grace_s,
) -> AsyncIterator[HostedApp]:
    """Let a loaded app take work until the block ends; then it drains.

    Durable clients of its functions talk to the same hub.

    Args:
        grace_s: gives the seconds that it may take to drain, asked for when it begins.

    Returns:
        The app, with the errors that were found when its functions were bound.
    """
    names = app.index if sides.knows_all else None
    durable = site.settings.extensions.durable_task
    connection = Connection(
        sides.orchestrations,
        sides.entities,
        ManagementUrls(sides.origin, sides.name, sides.connection, sides.code),
        sides.name,
        asyncio.get_running_loop(),
        # Other workers of the hub may know names that this app does not.
        orchestrators=None if names is None else names.orchestrations.keys,
        known_entities=None if names is None else names.entities.keys,
        default_version=durable.default_version,
        replaceable=REPLACEABLE[durable.overridable_existing_instance_states],
        trust_forwarded=durable.http_settings.use_forwarded_host,
        shows_task_inputs=durable.store_inputs_in_orchestration_history is not False,
        tracing=site.tracing,
    )
    pool, accounts = DaemonPool(sync_threads()), StorageAccounts(environ)
    try:
        bench = make_bench(site, connection, pool, accounts)
        bound = bind_app(app, bench.around)
        worker = make_worker(sides.work, bound.app.index, bench)
        set_runtime_factory(lambda: bench.runtime)
        try:
            worker.start()
            yield bound.app
        finally:
            await worker.stop(grace_s())
            set_runtime_factory(None)
    finally:
        await accounts.close()
        pool.close()


@contextlib.asynccontextmanager
async def run_worker_process(
    options: WorkerOptions,
    *,
    environ: MutableMapping[str, str] | None = None,
    stream: TextIO | None = None,
) -> AsyncIterator[RunningWorker]:
    """Run ``func worker`` until the block ends.

    Args:
        environ: None for the process's own.
        stream: where the console writes; None for standard output.

    Raises:
        DurableError: it cannot start; the message says why and what to do. A hub that does not
            answer is no reason: it is tried again and again.
    """
    environ = environment() if environ is None else environ
    clock, stop = SystemClock(), Stop()
    plan = make_worker_plan(options, environ)
    with needs_grpc():
        from durable_app.compose.remote import open_remote
    async with contextlib.AsyncExitStack() as stack:
        console = stack.enter_context(
            open_console(options.host_options(), plan.settings, environ, clock, stream)
        )
        environ.setdefault("AzureWebJobsScriptRoot", str(plan.folder))
        app = load_app(plan.folder, environ, plan.functions)
        for note in (*plan.notes, *app.warnings):
            console.line(note, Level.WARNING)
        console.line(f"Worker of task hub {plan.target}.")
        tracing = await stack.enter_async_context(
            open_tracing(plan.settings, plan.folder.name, environ, clock, console)
        )
        lines = LinkLines(console, plan.target)
        schedules = serves_scheduled_tasks(app.index)
        remote = await stack.enter_async_context(
            open_remote(plan.target, clock, environ, stop.fail, lines, has_schedules=schedules)
        )
        health_port = await _serve_health(plan, stop, lines, stack)
        sides = HubSides(plan.target.task_hub, remote.hub, remote.hub, remote.work, plan.connection)
        site = Site(plan.folder, plan.settings, plan.zone, clock, console, tracing)
        bound = await stack.enter_async_context(run_worker(app, sides, site, environ))
        show_durable_functions(console, bound, WORKER_SERVED)
        yield RunningWorker(console, stop, health_port)


async def _serve_health(
    plan: WorkerPlan, stop: Stop, lines: LinkLines, stack: contextlib.AsyncExitStack
) -> int:
    if plan.health_port is None:
        return 0

    def problem() -> str | None:
        return lines.problem if stop.error is None else str(stop.error)

    health = HealthServer(problem, lambda: _metrics(lines))
    port = await health.start(plan.address, plan.health_port)
    stack.push_async_callback(health.stop)
    return port


def _metrics(lines: LinkLines) -> list[Metric]:
    is_connected = int(lines.problem is None)
    return [
        Metric(
            "durable_app_worker_connected",
            "gauge",
            "1 while the stream of work is open.",
            [Sample(is_connected)],
        ),
        Metric(
            "durable_app_worker_connections_total",
            "counter",
            "How often the stream of work was opened.",
            [Sample(lines.connections)],
        ),
    ]
