"""Runs batches of entity operations, each as a job of its own."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from durable_app.protocol import (
    EntityBatchRequest,
    EntityBatchResult,
    EntityRequest,
    FailureDetails,
    OperationFailure,
)
from durable_app.replay.entity import EntityBatch, EntityDefinition, EntityShape, refused_batch
from durable_app.telemetry import tracing_for
from durable_app.worker.jobs import Job, JobPool, is_being_ended
from durable_app.worker.tracing import parent_among, watch_operations

if TYPE_CHECKING:
    from durable_app.functions.facts import DurableFunction
    from durable_app.functions.index import AppIndex
    from durable_app.ports import Clock
    from durable_app.telemetry import Tracing
    from durable_app.worker.invocations import Invocations

_log = logging.getLogger(__name__)

Batch = EntityRequest | EntityBatchRequest


class EntityPool(JobPool):
    """Runs entities: sync ones on threads, async ones on the event loop.

    A class with an async method runs on the event loop, its sync methods included.

    Args:
        most_threads: for sync entities, >= 1.
        timeout_s: of one batch. What it has done by then counts; the operation that runs fails, and
            the hub sends the others again.
        rollback: False to keep what a failed operation did before it failed.
        default_version: of orchestrations that entities start without one.
    """

    def __init__(
        self,
        index: AppIndex,
        most_threads: int,
        invocations: Invocations,
        clock: Clock,
        timeout_s: float | None = None,
        *,
        rollback: bool = True,
        default_version: str | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """Nothing runs yet."""
        super().__init__(most_threads, "entity", clock, timeout_s)
        self._index = index
        self._invocations = invocations
        self._rollback = rollback
        self._default_version = default_version
        self._tracing = tracing
        self._definitions: dict[str, EntityDefinition] = {}

    def submit(self, request: Batch) -> None:
        """Run one batch. Called on the hub's thread: returns at once."""
        name = request.instance_id[1:].partition("@")[0]
        found = self._index.find("entity", name)
        if found is None or found.durable is None:
            text = self._index.unknown("entity", name)
            failure = FailureDetails("EntityNotRegisteredError", text)
            self.answer(refused_batch(request, failure, self._clock.now))
            return
        tracing = tracing_for(self._tracing, parent_among(request.operations))
        batch = EntityBatch(
            self._definition(name, found.durable),
            request,
            self._clock.now,
            rollback=self._rollback,
            default_version=self._default_version,
            watch=None if tracing is None else watch_operations(request.instance_id, tracing),
        )
        job = _BatchJob(request, batch, found.name, self._invocations)
        self.take(job, is_async=found.durable.is_async)

    def _definition(self, name: str, facts: DurableFunction) -> EntityDefinition:
        known = self._definitions.get(name)
        if known is None:
            known = self._definitions[name] = definition_of(facts)
        return known


def definition_of(facts: DurableFunction) -> EntityDefinition:
    """What to call for an entity of an app."""
    assert facts.entity is not None  # noqa: S101  it has an entity trigger
    return EntityDefinition(
        facts.name,
        facts.function,
        EntityShape(facts.entity.shape),
        facts.parameter or "",
        facts.entity.input_parameter,
        facts.input_annotation,
        input_has_default=facts.entity.has_default,
    )


class _BatchJob(Job[EntityBatchResult]):
    def __init__(
        self, request: Batch, batch: EntityBatch, function: str, invocations: Invocations
    ) -> None:
        super().__init__(request.token, function, invocations)
        self._request = request
        self._batch = batch

    def run(self) -> EntityBatchResult:
        return self._batch.run()

    async def run_async(self) -> EntityBatchResult:
        return await self._batch.run_async(is_being_ended)

    def timed_out(self, timeout_s: float) -> EntityBatchResult:
        text = (
            f"Timeout value of {timedelta(seconds=timeout_s)} exceeded by entity"
            f" {self._request.instance_id} (functionTimeout of host.json)."
        )
        return self._batch.cut_short(FailureDetails("TimeoutError", text))

    def failure_in(self, result: EntityBatchResult) -> FailureDetails | None:
        """The first failure; all are logged, as nobody else hears of a signal's outcome."""
        first: FailureDetails | None = None
        for asked, outcome in zip(self._request.operations, result.results, strict=False):
            if not isinstance(outcome, OperationFailure):
                continue
            failure = outcome.failure
            first = first or failure
            _log.error(
                "Operation '%s' of entity %s failed: %s: %s",
                asked.operation,
                self._request.instance_id,
                failure.error_type,
                failure.error_message,
            )
        return first
