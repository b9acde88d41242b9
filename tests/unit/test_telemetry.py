"""Observers can be called as the worker and the host call them; who is traced, and who is not."""

import inspect

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider

from durable_app.clock import SystemClock
from durable_app.host.console.console import Console
from durable_app.protocol import TraceContext
from durable_app.telemetry import InvocationObserver, tracing_for
from durable_app.tracing.adapter import OpenTelemetryTracing

PARENT = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.mark.parametrize("method", ["executing", "executed"])
def test_the_console_is_an_observer(method: str) -> None:
    wanted = inspect.signature(getattr(InvocationObserver, method))
    assert inspect.signature(getattr(Console, method)) == wanted


@pytest.mark.parametrize(
    ("takes_spans", "parent", "is_traced"),
    [(False, None, False), (False, PARENT, True), (True, None, True), (True, PARENT, True)],
)
def test_work_is_traced_for_a_provider_or_for_the_trace_that_it_belongs_to(
    takes_spans: bool, parent: TraceContext | None, is_traced: bool
) -> None:
    provider = TracerProvider(shutdown_on_exit=False) if takes_spans else NoOpTracerProvider()
    tracing = OpenTelemetryTracing(SystemClock(), provider)
    assert tracing_for(tracing, parent) is (tracing if is_traced else None)
    assert tracing_for(None, parent) is None
