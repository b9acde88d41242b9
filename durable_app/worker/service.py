"""The worker: takes work items from a task hub and runs the app's functions."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, assert_never

import msgspec

from durable_app.functions.version_match import VersionMatch
from durable_app.ports import Capacity, WorkFilter, WorkSource, WorkStream
from durable_app.protocol import (
    ActivityRequest,
    EntityBatchRequest,
    EntityRequest,
    OrchestratorRequest,
    WorkItem,
)
from durable_app.replay.environment import ReplayEnv
from durable_app.worker.activities import ActivityPool, BindExtra
from durable_app.worker.built_in import with_built_in
from durable_app.worker.entities import EntityPool
from durable_app.worker.http_caller import HttpCaller
from durable_app.worker.invocations import Invocations
from durable_app.worker.orchestrators import OrchestratorThread
from durable_app.worker.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable_app.functions.index import AppIndex
    from durable_app.ports import Clock
    from durable_app.telemetry import InvocationObserver, Tracing

_log = logging.getLogger(__name__)


class WorkerOptions(msgspec.Struct, frozen=True):
    """Settings of a worker.

    Attributes:
        orchestrations: turns that it holds at the same time, >= 1.
        activities: activities that it runs at the same time, >= 1; threads for sync ones.
        max_actions: of one execution; beyond it the orchestration fails.
        warm_sessions: suspended executions that are kept in memory.
        warm_events: history events that they have seen, together; bounds their memory.
        default_version: of an orchestration that another one or an entity starts without one.
        timeout_s: an activity, or a batch of an entity's operations, that runs for longer fails;
            None for no limit.
        entities: batches that it runs at the same time, >= 1; threads for sync ones.
        entity_rollback: an operation that fails leaves nothing behind; False to keep what it did
            before it failed.
        http_poll_s: between two polls of an HTTP call, where the server names no time; > 0.
        versions: which instances it runs.
        only: what it takes; None for everything.
    """

    orchestrations: int = 100
    activities: int = 20
    max_actions: int = 100_000
    warm_sessions: int = 5_000
    warm_events: int = 500_000
    default_version: str | None = None
    timeout_s: float | None = None
    entities: int = 20
    entity_rollback: bool = True
    http_poll_s: float = 30.0
    versions: VersionMatch = VersionMatch()
    only: WorkFilter | None = None


class Worker:
    """Runs an app's functions. Implements ``ports.WorkSink``.

    Args:
        source: the task hub.
        observer: told of every invocation; None costs nothing.
        bind_extra: values for further bindings of activities.
        tracing: where spans go; None for nowhere.
    """

    def __init__(
        self,
        source: WorkSource,
        index: AppIndex,
        options: WorkerOptions,
        clock: Clock,
        observer: InvocationObserver | None = None,
        bind_extra: BindExtra | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """See the class."""
        self._source = source
        self._options = options
        self._clock = clock
        env = ReplayEnv(max_actions=options.max_actions, default_version=options.default_version)
        sessions = Sessions(options.warm_sessions, options.warm_events)
        invocations = Invocations(observer, clock)
        self._http = HttpCaller(clock, options.http_poll_s, tracing=tracing)
        index = with_built_in(index, self._http)
        self._orchestrators = OrchestratorThread(
            index, env, sessions, clock, invocations, options.versions, tracing
        )
        self._activities = ActivityPool(
            index, options.activities, invocations, clock, bind_extra, options.timeout_s, tracing
        )
        self._entities = EntityPool(
            index,
            options.entities,
            invocations,
            clock,
            options.timeout_s,
            rollback=options.entity_rollback,
            default_version=options.default_version,
            tracing=tracing,
        )
        self._stream: WorkStream | None = None
        self._started = threading.Event()

    def start(self) -> None:
        """Connect; needs a running event loop, on which async functions will run."""
        # Looked up first: once connected, the hub counts on this worker.
        loop = asyncio.get_running_loop()
        options = self._options
        capacity = Capacity(options.orchestrations, options.activities, options.entities)
        stream = self._source.connect(self, capacity, options.only)
        self._orchestrators.start(stream)
        self._activities.start(stream, loop)
        self._entities.start(stream, loop)
        self._stream = stream
        self._started.set()

    async def stop(self, grace_s: float = 10.0) -> None:
        """Drain: let what runs come to its end, then give back the rest. Idempotent.

        Where it is cancelled, the rest is given back at once.
        """
        if self._stream is None:
            return
        stream, self._stream = self._stream, None
        stream.pause()
        began = self._clock.monotonic()
        try:
            while self._busy and self._clock.monotonic() < began + grace_s:  # noqa: ASYNC110  the end of user code on threads; nobody to set an event
                await asyncio.sleep(0.01)
        finally:
            if self._busy:
                _log.warning(
                    "%d function(s) did not end within %.0f s; they will run again.",
                    self._busy,
                    self._clock.monotonic() - began,  # less than the grace where it is cancelled
                )
            # First nothing new begins, then the hub may give it all to others.
            self._orchestrators.stop()
            self._activities.stop()
            self._entities.stop()
            stream.close()
            await self._http.close()

    @property
    def _busy(self) -> int:
        return self._orchestrators.pending + self._activities.pending + self._entities.pending

    # -- WorkSink ----------------------------------------------------------------------------

    def push(self, items: Sequence[WorkItem]) -> None:
        """See ``WorkSink.push``."""
        # The first items may come before ``connect`` has returned; it does so in microseconds.
        self._started.wait()
        for item in items:
            if isinstance(item, OrchestratorRequest):
                self._orchestrators.submit(item)
            elif isinstance(item, ActivityRequest):
                self._activities.submit(item)
            elif isinstance(item, EntityRequest | EntityBatchRequest):
                self._entities.submit(item)
            else:
                assert_never(item)

    def forget(self, instance_id: str) -> None:
        """See ``WorkSink.forget``."""
        self._orchestrators.forget(instance_id)
