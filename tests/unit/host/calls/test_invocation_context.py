"""The context that a function may ask for."""

from __future__ import annotations

import threading
from pathlib import Path

from durable_app.host.calls.invocation_context import InvocationContext


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
