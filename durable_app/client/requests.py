"""What begins something in the task hub, with a span around it where spans are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durable_app.replay.spans import (
    INPUT,
    INSTANCE_ID,
    NAME,
    TYPE,
    VERSION,
    SpanKind,
    entity_span,
    event_span,
    span_name,
)
from durable_app.telemetry import current_invocation, tracing_for

if TYPE_CHECKING:
    from datetime import datetime

    from durable_app.client.connection import Connection
    from durable_app.ports import StartRequest
    from durable_app.protocol import TraceContext
    from durable_app.telemetry import Tracing


async def start(connection: Connection, request: StartRequest) -> str:
    """Start an instance; it belongs to the trace of whoever starts it."""
    tracing, parent = _trace(connection)
    if tracing is None:
        traced = msgspec.structs.replace(request, parent_trace_context=parent)
        return await connection.orchestrations.start(traced)
    attributes: dict[str, str | int] = {TYPE: "orchestration", NAME: request.name}
    if request.version:
        attributes[VERSION] = request.version
    if tracing.shows_payloads and request.input is not None:
        attributes[INPUT] = request.input
    name = span_name("create_orchestration", request.name, request.version)
    with tracing.live(name, SpanKind.PRODUCER, attributes, parent) as span:
        traced = msgspec.structs.replace(request, parent_trace_context=span.context)
        instance_id = await connection.orchestrations.start(traced)
        span.tell({INSTANCE_ID: instance_id})
        return instance_id


async def raise_event(
    connection: Connection, instance_id: str, name: str, data: str | None
) -> None:
    """Send an event to an instance."""
    tracing, parent = _trace(connection)
    if tracing is None:
        await connection.orchestrations.raise_event(instance_id, name, data)
        return
    title, attributes = event_span(name, instance_id)
    with tracing.live(title, SpanKind.PRODUCER, attributes, parent):
        await connection.orchestrations.raise_event(instance_id, name, data)


async def signal(
    connection: Connection,
    entity_id: str,
    operation: str,
    data: str | None,
    signal_time: datetime | None,
) -> None:
    """Let an entity run an operation; it belongs to the trace of whoever asks for it."""
    entities = connection.entities
    tracing, parent = _trace(connection)
    if tracing is None:
        await entities.signal(entity_id, operation, data, signal_time=signal_time, trace=parent)
        return
    title, attributes = entity_span(entity_id, operation)
    with tracing.live(title, SpanKind.PRODUCER, attributes, parent) as span:
        trace = span.context
        await entities.signal(entity_id, operation, data, signal_time=signal_time, trace=trace)


def _trace(connection: Connection) -> tuple[Tracing | None, TraceContext | None]:
    """What traces a request, if anything, and the context of the invocation that makes it.

    The latter is None, too, where the running code has a context of its own, which comes first.
    """
    invocation = current_invocation.get()
    parent = None if invocation is None else invocation.trace_context
    tracing = connection.tracing
    if tracing is None:
        return None, parent
    own = tracing.current()
    return tracing_for(tracing, own or parent), parent if own is None else None
