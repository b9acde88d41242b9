"""What an app's functions are called with, and the worker that runs the durable ones."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from durable_app.compose.binding import Surroundings
from durable_app.compose.runtime import ActivityArguments, HostRuntime
from durable_app.functions.version_match import VersionMatch
from durable_app.host.calls.invoke import Invoker
from durable_app.host.triggers.queue_output import QUEUE_OUTPUT, QueueSink
from durable_app.worker.options import filters_of
from durable_app.worker.service import Worker, WorkerOptions

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

    from durable_app.client.connection import Connection
    from durable_app.functions.index import AppIndex
    from durable_app.host.calls.daemon_pool import DaemonPool
    from durable_app.host.config.options import DurableTaskOptions
    from durable_app.host.config.settings import HostSettings
    from durable_app.host.console.console import Console
    from durable_app.host.triggers.storage import StorageAccounts
    from durable_app.ports import Clock, WorkSource
    from durable_app.telemetry import Tracing

# Slots as the durable extension has them, ten per core, but not fewer than these. A turn takes
# microseconds here, and more turns at a time mean fewer commits.
_MIN_TURNS: Final = 100
_MIN_ACTIVITIES: Final = 20
_MIN_ENTITIES: Final = 20


class Site(NamedTuple):
    """Where an app runs, and with what.

    Attributes:
        zone: in which the schedules of timers are read.
        tracing: where spans go; None for nowhere.
    """

    folder: Path
    settings: HostSettings
    zone: tzinfo
    clock: Clock
    console: Console
    tracing: Tracing | None


class Bench(NamedTuple):
    """What functions are bound to, and what their clients talk to."""

    site: Site
    around: Surroundings
    runtime: HostRuntime


def make_bench(
    site: Site, connection: Connection, pool: DaemonPool, accounts: StorageAccounts
) -> Bench:
    """Everything that an app's functions are called with.

    Args:
        connection: to the task hub.
        pool: threads for sync functions that are no activities.
    """
    settings = site.settings
    binding = json.dumps(connection.urls.binding())
    timeout = settings.function_timeout
    sinks = {QUEUE_OUTPUT: QueueSink(accounts, settings.extensions.queues.message_encoding)}
    invoker = Invoker(
        site.folder,
        binding,
        pool,
        site.console,
        site.clock,
        None if timeout is None else timeout / timedelta(seconds=1),
        sinks,
        tracing=site.tracing,
    )
    around = Surroundings(
        connection.task_hub,
        settings.extensions.http.route_prefix,
        site.zone,
        invoker,
        sinks,
        None if settings.retry is None else settings.retry.repetition(),
    )
    return Bench(site, around, HostRuntime(connection, binding))


class Runner(Protocol):
    """Runs the orchestrations, activities and entities of one load of an app."""

    async def prepare(self) -> None:
        """Do what may fail; takes no work.

        Raises:
            DurableError: the app cannot run.
        """
        ...

    async def start(self) -> None:
        """Take work from now on."""
        ...

    async def stop(self, grace_s: float) -> None:
        """Take nothing more, and end within so many seconds. Idempotent."""
        ...


class HereRunner:
    """Runs them in this process. Implements ``Runner``."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def prepare(self) -> None:
        """See ``Runner``; there is nothing to do."""

    async def start(self) -> None:
        """See ``Runner``."""
        self._worker.start()

    async def stop(self, grace_s: float) -> None:
        """See ``Runner``."""
        await self._worker.stop(grace_s)


def make_worker(source: WorkSource, index: AppIndex, bench: Bench) -> Worker:
    """A worker for the functions of ``index``; it takes no work before it is started."""
    site = bench.site
    contexts = bench.around.invoker.contexts
    arguments = ActivityArguments(index, bench.runtime, contexts, site.clock)
    options = worker_options(site.settings, index)
    return Worker(source, index, options, site.clock, site.console, arguments, site.tracing)


def worker_options(settings: HostSettings, index: AppIndex) -> WorkerOptions:
    """What host.json says about the worker of these functions."""
    durable = settings.extensions.durable_task
    timeout = settings.function_timeout
    per_machine = 10 * (os.cpu_count() or 1)
    is_picky = durable.storage_provider.work_item_filtering_enabled
    return WorkerOptions(
        orchestrations=durable.max_concurrent_orchestrator_functions
        or max(_MIN_TURNS, per_machine),
        activities=durable.max_concurrent_activity_functions or max(_MIN_ACTIVITIES, per_machine),
        max_actions=durable.max_orchestration_actions,
        default_version=durable.default_version,
        timeout_s=None if timeout is None else timeout / timedelta(seconds=1),
        entities=durable.max_concurrent_entity_functions or max(_MIN_ENTITIES, per_machine),
        entity_rollback=durable.rollback_entity_operations_on_exceptions,
        http_poll_s=durable.http_settings.default_async_request_sleep_time_milliseconds / 1000,
        versions=_versions(durable),
        only=filters_of(index).work_filter() if is_picky else None,
    )


def _versions(options: DurableTaskOptions) -> VersionMatch:
    is_chosen = "version_match_strategy" in options.model_fields_set
    return VersionMatch(
        options.default_version,
        options.version_match_strategy if is_chosen else None,
        options.version_failure_strategy == "Fail",
    )
