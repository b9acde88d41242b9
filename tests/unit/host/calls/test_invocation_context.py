"""The context that a function may ask for."""

from __future__ import annotations

import re
import threading
from contextvars import Context, copy_context
from pathlib import Path

import pytest

from durable_app.clock import SystemClock
from durable_app.host.calls.invocation_context import InvocationContext, InvocationContexts
from durable_app.protocol import TraceContext
from durable_app.telemetry import Invocation, current_invocation


def test_the_context_knows_the_invocation() -> None:
    storage = threading.local()
    headers = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "tracestate": "x=1"}
    context = InvocationContext("start", Path("app"), "1-2", headers, storage)

    assert context.function_name == "start"
    assert context.function_directory == "app"
    assert context.invocation_id == "1-2"
    assert context.thread_local_storage is storage
    assert context.retry_context is None
    assert context.trace_context.trace_parent == headers["traceparent"]


@pytest.mark.parametrize("state", ["x=1", None])
def test_a_context_is_of_the_invocation_that_goes_on(state: str | None) -> None:
    trace = TraceContext("00-" + "a" * 32 + "-" + "b" * 16 + "-01", state)
    going_on = Invocation("pay", "0" * 32, trace_context=trace)

    def made(function: str) -> InvocationContext:
        current_invocation.set(going_on)
        return InvocationContexts(Path("app")).of_this(function, SystemClock())

    own, other = (copy_context().run(made, name) for name in ("pay", "ship"))

    assert (own.function_name, own.function_directory) == ("pay", "app")
    assert own.invocation_id == "00000000-0000-0000-0000-000000000000"
    assert own.trace_context.trace_parent == trace.trace_parent
    assert own.trace_context.trace_state == state
    assert other.invocation_id != own.invocation_id
    assert other.trace_context.trace_parent is None


def test_where_nobody_observes_an_invocation_gets_an_id() -> None:
    made = Context().run(InvocationContexts(Path("app")).of_this, "pay", SystemClock())
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made.invocation_id)
