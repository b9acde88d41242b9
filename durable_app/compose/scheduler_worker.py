"""A worker of a task hub for programs that are no Functions app. Names are durabletask's."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final, Self, Unpack

from durable_app.clock import SystemClock
from durable_app.compose.background import BackgroundLoop
from durable_app.compose.extras import needs_grpc
from durable_app.compose.link_lines import LinkLines, LogLines
from durable_app.compose.scheduler_target import (
    ChannelKeywords,
    keywords_of_text,
    target_of_address,
    tuning_of,
)
from durable_app.compose.tracing import tracing_of_program
from durable_app.functions.registry import Registry
from durable_app.functions.scheduled_tasks import serves_scheduled_tasks
from durable_app.worker.options import ConcurrencyOptions, VersioningOptions, filters_of
from durable_app.worker.service import Worker, WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.connection.options import GrpcWorkerResiliencyOptions
    from durable_app.rpc.stub.work import RemoteWork
    from durable_app.worker.options import WorkItemFilters

_log = logging.getLogger(__name__)

#: How long functions may take to come to their end when the worker stops.
GRACE_S: Final = 10.0


class _FromRegistry:
    """Stands for the filters that follow from what was added."""


_FROM_REGISTRY: Final = _FromRegistry()


class DurableTaskSchedulerWorker:
    """Runs orchestrators, activities and entities for a task hub, on threads of its own.

    Add functions, then :meth:`start`; end it with :meth:`stop`, or use it as a context manager,
    which stops it at the end of the block. A connection that is lost, or cannot be made, is tried
    again for ever.

    Args:
        host_address: as for the clients. taskhub, token_credential: likewise.
        resiliency_options: how the stream of work is kept alive.
        concurrency_options: how much it does at the same time.
        options: see :class:`ChannelKeywords`.

    Raises:
        ConfigError: an address, a name or a combination that cannot work; gRPC is not installed.
    """

    def __init__(
        self,
        *,
        host_address: str | None = None,
        taskhub: str = "",
        token_credential: Any = None,
        resiliency_options: GrpcWorkerResiliencyOptions | None = None,
        concurrency_options: ConcurrencyOptions | None = None,
        **options: Unpack[ChannelKeywords],
    ) -> None:
        self._target = target_of_address(
            host_address, taskhub, options, token_credential, os.environ
        )
        self._tuning = tuning_of(options, token_credential, worker=resiliency_options)
        with needs_grpc():
            from durable_app.compose.remote import check_channel
        check_channel(self._tuning, has_loop=False)
        self._emits = options.get("emit_trace_spans", True)
        self._concurrency = concurrency_options or ConcurrencyOptions()
        self._versioning = VersioningOptions()
        self._filters: WorkItemFilters | _FromRegistry | None = None
        self._registry = Registry()
        self._running: tuple[BackgroundLoop, RemoteWork, Worker] | None = None

    @classmethod
    def from_connection_string(
        cls,
        connection_string: str,
        *,
        taskhub: str = "",
        token_credential: Any = None,
        **options: Any,
    ) -> Self:
        """A worker for ``Endpoint=...;TaskHub=...;Authentication=...``.

        Args:
            connection_string: the text itself.
            taskhub: wins over that of the text.
            token_credential: wins over its Authentication.
            options: further keywords of the class.
        """
        found = keywords_of_text(connection_string, taskhub, token_credential, os.environ)
        return cls(**{**found, **options})

    # -- what it runs ------------------------------------------------------------------------

    def add_orchestrator(self, fn: Callable[..., Any]) -> str:
        """Add ``f(context)`` or ``f(context, input)``; return the name, which is the function's.

        Raises:
            RuntimeError: the worker runs.
            ValueError: there is one of that name, or it has none.
            DefinitionError: it cannot be an orchestrator.
        """
        return self._open_registry().add_orchestrator(fn)

    def add_activity(self, fn: Callable[..., Any]) -> str:
        """Add ``f(context, input)`` or ``f(input)``; return the name. Raises likewise."""
        return self._open_registry().add_activity(fn)

    def add_entity(self, fn: Callable[..., Any], name: str | None = None) -> str:
        """Add a function or a class derived from ``DurableEntity``; return the name.

        Args:
            name: None for the function's or class's own. Case does not matter.
        """
        return self._open_registry().add_entity(fn, name)

    def configure_scheduled_tasks(self) -> None:
        """Let the hub have schedules: add what they are made of. Again it does nothing."""
        self._open_registry().add_scheduled_tasks()

    def use_versioning(self, version: VersioningOptions) -> None:
        """Say which versions it takes.

        Raises:
            RuntimeError: the worker runs.
        """
        self._open_registry()
        self._versioning = version

    def use_work_item_filters(
        self, filters: WorkItemFilters | _FromRegistry | None = _FROM_REGISTRY
    ) -> None:
        """Take some work items only; the rest is left to other workers.

        Args:
            filters: what it takes; without argument what it has functions for; None for all.

        Raises:
            RuntimeError: the worker runs.
        """
        self._open_registry()
        self._filters = filters

    def _open_registry(self) -> Registry:
        if self._running is not None:
            raise RuntimeError("The worker is already running: stop it, or add everything before.")
        return self._registry

    # -- its life ----------------------------------------------------------------------------

    def start(self) -> None:
        """Connect and take work; returns at once.

        Raises:
            RuntimeError: it runs already.
            ConfigError: a credential that does not fit.
        """
        if self._running is not None:
            raise RuntimeError("The worker is already running.")
        background = BackgroundLoop("durable-app-worker")
        try:
            self._running = (background, *background.run(self._begin()))
        except BaseException:
            background.close()
            raise

    def stop(self) -> None:
        """Take nothing more, let what runs come to its end, disconnect. Idempotent."""
        running, self._running = self._running, None
        if running is None:
            return
        background, work, worker = running
        try:
            background.run(worker.stop(GRACE_S))
            background.run(work.close())
        finally:
            background.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_outcome: object) -> None:
        self.stop()

    async def _begin(self) -> tuple[RemoteWork, Worker]:
        from durable_app.compose.remote import open_work

        clock, index, target = SystemClock(), self._registry.index(), self._target
        work = open_work(
            target,
            clock,
            os.environ,
            _report,
            # How it signs in, the target of a program does not say.
            LinkLines(LogLines(), target, f"'{target.task_hub}' at {target.endpoint.authority}"),
            tuning=self._tuning,
            has_schedules=serves_scheduled_tasks(index),
        )
        tracing = tracing_of_program(clock, emits=self._emits)
        worker = Worker(work, index, self._options(), clock, tracing=tracing)
        worker.start()
        return work, worker

    def _options(self) -> WorkerOptions:
        slots, versioning = self._concurrency, self._versioning
        filters = self._filters
        if isinstance(filters, _FromRegistry):
            filters = filters_of(self._registry.index())
        return WorkerOptions(
            orchestrations=slots.maximum_concurrent_orchestration_work_items,
            activities=slots.maximum_concurrent_activity_work_items,
            entities=slots.maximum_concurrent_entity_work_items,
            default_version=versioning.default_version,
            versions=versioning.match(),
            only=None if filters is None else filters.work_filter(),
        )


def _report(error: BaseException) -> None:
    _log.critical("The worker takes no work any more: %s", error)
