"""Azure's own Python worker indexes the app; runs where its package is installed."""

from __future__ import annotations

import types
from typing import Any

import azure.functions as func
import pytest

import durable_app as df

registry = pytest.importorskip("azure_functions_runtime.functions")
meta = pytest.importorskip("azure_functions_runtime.bindings.meta")

PROTOS = types.SimpleNamespace(BindingInfo=types.SimpleNamespace(inout=2, out=1, undefined=None))


def test_the_worker_accepts_every_handle():
    app = df.DFApp()

    @app.orchestration_trigger("ctx", input_type=dict)
    def orchestrator(ctx: df.DurableOrchestrationContext):
        yield ctx

    @app.activity_trigger("order")
    def charge(order: dict[str, Any], attempts: int = 1) -> int | None:
        return attempts

    @app.activity_trigger("order")
    async def ship(order: str | None, context: func.Context) -> list[str]:
        return [str(order), str(context)]

    @app.route("start")
    @app.durable_client_input("client")
    async def start(
        req: func.HttpRequest, client: df.DurableOrchestrationClient
    ) -> func.HttpResponse:
        return func.HttpResponse(str((req, client)))

    @app.queue_output(arg_name="msg", queue_name="q", connection="S")
    @app.durable_client_input("client")
    @app.schedule("timer", "0 * * * * *")
    def tick(timer: func.TimerRequest, client: Any, msg: func.Out[str]) -> None:
        msg.set(str((timer, client)))

    @app.entity_trigger("context")
    def counter(context: Any) -> Any:
        return context

    meta.load_binding_registry()
    worker = registry.Registry()
    infos = [worker.add_indexed_function(each, PROTOS) for each in app.get_functions()]

    assert [(info.name, info.is_async, info.requires_context) for info in infos] == [
        ("orchestrator", False, False),
        ("charge", False, False),
        ("ship", True, True),
        ("start", True, False),
        ("tick", False, False),
        ("counter", False, False),
    ]
