"""Spans around activities and operations of entities, while they run.

A job with a span is another job around the first one, so that an activity that is not
traced pays nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_app.protocol import EntityOperationSignaled, OperationRequest
from durable_app.replay.spans import (
    COMPLETED,
    FAILED,
    INPUT,
    OUTPUT,
    STATUS,
    SpanKind,
    entity_span,
    span_name,
    task_attributes,
)
from durable_app.worker.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from durable_app.protocol import ActivityRequest, ActivityResponse, FailureDetails, TraceContext
    from durable_app.replay.entity import Watch
    from durable_app.replay.entity_operation import Asked
    from durable_app.telemetry import LiveSpan, Tracing


class TracedActivity(Job["ActivityResponse"]):
    """An activity with a span around its code.

    Args:
        inner: what runs it.
    """

    def __init__(
        self, inner: Job[ActivityResponse], request: ActivityRequest, tracing: Tracing
    ) -> None:
        self.token = inner.token
        self.function = inner.function
        self.begin = inner.begin  # type: ignore[method-assign]  # the other one, whole
        self.end = inner.end  # type: ignore[method-assign]  # likewise
        self._inner = inner
        self._request = request
        self._tracing = tracing

    def run(self) -> ActivityResponse:
        """See ``Job.run``."""
        with self._span() as span:
            result = self._inner.run()
            self._tell(span, result)
        return result

    async def run_async(self) -> ActivityResponse:
        """See ``Job.run_async``."""
        with self._span() as span:
            result = await self._inner.run_async()
            self._tell(span, result)
        return result

    def timed_out(self, timeout_s: float) -> ActivityResponse:
        """See ``Job.timed_out``."""
        return self._inner.timed_out(timeout_s)

    def failure_in(self, result: ActivityResponse) -> FailureDetails | None:
        """See ``Job.failure_in``."""
        return self._inner.failure_in(result)

    def _span(self) -> AbstractContextManager[LiveSpan]:
        request = self._request
        attributes = task_attributes(
            "activity",
            request.name,
            request.version,
            request.instance.instance_id,
            request.task_id,
        )
        if self._tracing.shows_payloads and request.input is not None:
            attributes[INPUT] = request.input
        return self._tracing.live(
            span_name("activity", request.name, request.version),
            SpanKind.SERVER,
            attributes,
            request.parent_trace_context,
        )

    def _tell(self, span: LiveSpan, result: ActivityResponse) -> None:
        if result.failure is not None:
            span.tell({STATUS: FAILED})
            span.fail(result.failure)
            return
        span.tell({STATUS: COMPLETED})
        if self._tracing.shows_payloads and result.result is not None:
            span.tell({OUTPUT: result.result})


def watch_operations(entity_id: str, tracing: Tracing) -> Watch:
    """What puts a span around each operation of an entity."""

    def watch(asked: Asked) -> AbstractContextManager[LiveSpan]:
        name, attributes = entity_span(entity_id, asked.operation)
        if tracing.shows_payloads and asked.input is not None:
            attributes[INPUT] = asked.input
        return tracing.live(name, _kind(asked), attributes, _parent(asked))

    return watch


def parent_among(operations: Iterable[Asked]) -> TraceContext | None:
    """A context with which one of them came; None where none did."""
    return next((parent for asked in operations if (parent := _parent(asked)) is not None), None)


def _kind(asked: Asked) -> SpanKind:
    is_signal = isinstance(asked, EntityOperationSignaled)
    return SpanKind.CONSUMER if is_signal else SpanKind.SERVER


def _parent(asked: Asked) -> TraceContext | None:
    if isinstance(asked, OperationRequest):
        return asked.trace_context
    return asked.parent_trace_context
