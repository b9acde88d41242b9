"""Who runs an app's orchestrations, activities and entities: this process, or several others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_app.compose.extras import needs_grpc
from durable_app.compose.work import HereRunner, make_worker
from durable_app.errors import ConfigError
from durable_app.host.processes.messages import WorkerOrder
from durable_app.scheduler.service import TaskHub

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from durable_app.compose.plan import Plan
    from durable_app.compose.work import Bench, Runner
    from durable_app.functions.index import AppIndex
    from durable_app.ports import WorkSource


def runner_maker(
    plan: Plan,
    work: WorkSource,
    bench: Bench,
    environ: Mapping[str, str],
    origin: str,
    code: str | None,
) -> Callable[[AppIndex], Runner]:
    """What makes a runner for each load of the app.

    Args:
        work: of the task hub.
        origin: address of the host's HTTP server.
        code: key of its management API; None where none is asked for.

    Raises:
        ConfigError: several processes are wanted, and gRPC is not installed or the hub elsewhere.
    """
    if plan.workers == 1:
        return lambda index: HereRunner(make_worker(work, index, bench))
    if not isinstance(work, TaskHub):
        raise ConfigError(
            f"{plan.workers} worker processes need a task hub in this host, and that of this app is"
            " elsewhere. Start further workers of it with `func worker`, or leave --workers out."
        )
    with needs_grpc():
        from durable_app.compose.worker_pool import PoolSite, WorkerPool
    order = WorkerOrder(
        str(plan.folder),
        plan.choice.name,
        origin,
        plan.choice.connection,
        code,
        plan.functions,
        plan.options.verbose,
        plan.options.user_log_level,
    )
    site = PoolSite(
        work,
        plan.workers,
        order,
        plan.settings.extensions.durable_task,
        environ,
        bench.site.console,
        bench.site.clock,
    )
    return lambda _index: WorkerPool(site)
