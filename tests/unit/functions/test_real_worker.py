"""Azure's own Python worker indexes the app; runs where its package is installed."""

from __future__ import annotations

import types
import typing
from typing import Any

import azure.functions as func
import pytest

import durable_app as df
from tests.unit.functions.test_worker_rules import (
    DECLARATIONS,
    OldList,
    OldOptional,
    OldTuple,
    Order,
    plain_function,
    refusal,
)

registry = pytest.importorskip("azure_functions_runtime.functions")
meta = pytest.importorskip("azure_functions_runtime.bindings.meta")

HINTS = (
    *(dict, dict[str, Any], OldOptional[dict], str, bytes, int, object, Any, None, Order),
    *(func.HttpRequest, OldOptional[func.HttpRequest], func.HttpResponse, func.QueueMessage),
    *(func.Out, func.Out[str], func.Out[OldOptional[str]], func.Out[list[str]], func.EventHubEvent),
    *(OldList[func.EventHubEvent], list[func.EventHubEvent], OldTuple[int], OldList),
    *(typing.Callable, typing.Literal["a"], typing.TypeVar("T"), "Nowhere"),
)
PROTOS = types.SimpleNamespace(BindingInfo=types.SimpleNamespace(inout=2, out=1, undefined=None))


def accepted(app):
    """Name, is async, takes the invocation's context: as the worker has read them."""
    meta.load_binding_registry()
    worker = registry.Registry()
    infos = [worker.add_indexed_function(each, PROTOS) for each in app.get_functions()]
    return [(info.name, info.is_async, info.requires_context) for info in infos]


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

    @app.entity_trigger("ctx")
    def stock(ctx: df.EntityContext, pieces: dict[str, int] | None) -> Any:
        return ctx, pieces

    @app.entity_trigger("context")
    class Basket(df.DurableEntity):
        async def add(self, line: str) -> None:
            self.set_state(line)

    assert accepted(app) == [
        ("orchestrator", False, False),
        ("charge", False, False),
        ("ship", True, True),
        ("start", True, False),
        ("tick", False, False),
        ("counter", False, False),
        ("stock", False, False),
        ("Basket", False, False),
    ]


def test_the_worker_sees_neither_inputs_of_orchestrators_nor_contexts_of_activities():
    app = df.DFApp()

    @app.orchestration_trigger("ctx")
    def two_arguments(ctx: df.OrchestrationContext, order: dict[str, Any], limit: int = 3):
        yield ctx, order, limit

    @app.orchestration_trigger("context")
    async def awaiting(context, order: Order | None):
        return context, order

    @app.activity_trigger("order")
    def pay(ctx, order: dict[str, Any]) -> Any:
        return ctx, order

    @app.activity_trigger("order")
    async def refund(order: str, context: df.ActivityContext) -> Any:
        return context, order

    assert accepted(app) == [
        ("two_arguments", False, False),
        ("awaiting", False, False),
        ("pay", False, False),
        ("refund", True, False),
    ]


@pytest.mark.parametrize("hint", HINTS, ids=str)
@pytest.mark.parametrize("parameter", ["x", "return"])
@pytest.mark.parametrize("declare", DECLARATIONS)
def test_the_worker_and_our_rules_agree_about_plain_functions(declare, parameter, hint):
    meta.load_binding_registry()
    (function,) = plain_function(declare, {parameter: hint}).get_functions()
    try:
        registry.Registry().add_indexed_function(function, PROTOS)
        refused = False
    except (RuntimeError, TypeError, NameError):
        refused = True
    assert (refusal(declare, {parameter: hint}) is not None) is refused
