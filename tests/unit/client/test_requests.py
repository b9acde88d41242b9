"""What a client begins belongs to the trace of whoever asks, with or without spans of its own."""

from __future__ import annotations

from queue import Queue
from typing import Any

import pytest
from opentelemetry import trace

from durable_app.client import requests
from durable_app.client.connection import Connection
from durable_app.clock import SystemClock
from durable_app.ports import Capacity, StartRequest
from durable_app.protocol import ExecutionStarted, TraceContext
from durable_app.telemetry import Invocation, current_invocation
from durable_app.tracing.adapter import OpenTelemetryTracing
from tests.contract.span_tree import Spans
from tests.unit.client.rig import with_connection

OF_REQUEST = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
OF_CODE = TraceContext("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01")
TIMEOUT_S = 10


class Counted(OpenTelemetryTracing):
    """Counts the spans that it is asked for, taken or not."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.spans = 0

    def live(self, *args: Any, **named: Any) -> Any:
        self.spans += 1
        return super().live(*args, **named)


class Taken:
    """Takes work items. Implements ``ports.WorkSink``."""

    def __init__(self) -> None:
        self.items: Queue[Any] = Queue()

    def push(self, items: Any) -> None:
        for item in items:
            self.items.put(item)

    def forget(self, instance_id: str) -> None:
        """Nothing is kept here."""


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The place of the process's provider, empty at first."""
    place: list[Any] = [trace.ProxyTracerProvider()]
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: place[0])
    return place


async def begin_all(connection: Connection) -> list[TraceContext | None]:
    """The contexts with which an orchestration and an operation arrive; an event has none."""
    taken = Taken()
    hub: Any = connection.orchestrations
    hub.connect(taken, Capacity(5, 5, 5))
    await requests.start(connection, StartRequest("order", "o"))
    turn = taken.items.get(timeout=TIMEOUT_S)
    (started,) = (e for e in turn.new_events if isinstance(e, ExecutionStarted))
    await requests.raise_event(connection, "o", "paid", None)
    await requests.signal(connection, "@counter@k", "add", "1", None)
    batch = taken.items.get(timeout=TIMEOUT_S)
    return [started.parent_trace_context, batch.operations[0].parent_trace_context]


def begun(tracing: OpenTelemetryTracing | None) -> list[TraceContext | None]:
    found: list[TraceContext | None] = with_connection(begin_all, tracing=tracing)
    return found


def test_without_provider_and_trace_nothing_is_traced(provider: list[Any]) -> None:
    tracing = Counted()
    assert begun(tracing) == [None, None]
    assert tracing.spans == 0


@pytest.mark.parametrize("tracing", [None, Counted()])
def test_the_trace_of_an_invocation_is_handed_on(provider: list[Any], tracing: Any) -> None:
    token = current_invocation.set(Invocation("f", "1" * 32, None, OF_REQUEST))
    try:
        assert begun(tracing) == [OF_REQUEST, OF_REQUEST]
    finally:
        current_invocation.reset(token)


def test_the_running_code_s_own_trace_comes_first(provider: list[Any]) -> None:
    tracing = Counted()
    token = current_invocation.set(Invocation("f", "1" * 32, None, OF_REQUEST))
    try:
        with tracing.within(OF_CODE):
            assert begun(tracing) == [OF_CODE, OF_CODE]
    finally:
        current_invocation.reset(token)


def test_a_provider_that_is_set_late_gets_spans(provider: list[Any]) -> None:
    tracing, spans = Counted(), Spans()
    begun(tracing)
    provider[0] = spans.provider
    contexts = begun(tracing)
    assert [span.name for span in spans.all] == [
        "create_orchestration:order",
        "orchestration_event:paid",
        "entity:counter:add",
    ]
    assert None not in contexts
