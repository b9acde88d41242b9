"""What moved apps stumble over, in lists that users can read: decorators and function shapes.

That Azure's own worker accepts all of them is shown in tests/unit/functions/test_real_worker.py.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from typing import Any, Optional

import azure.functions as func
import pytest

import durable_app as df
from durable_app.testing import AppRunner, run_orchestration


def indexed(app: df.DFApp) -> dict[str, Any]:
    """The app's functions by name, as Azure's worker gets them."""
    return {str(each.get_function_name()): each for each in app.get_functions()}


# -- shapes of orchestrators ----------------------------------------------------------------------


def test_an_orchestrator_may_be_async(app: df.DFApp):
    """`async def` with `await`; its coroutine is not what is taken for the result."""

    @app.orchestration_trigger(context_name="context")
    async def waits(context):
        return await context.call_activity("echo", 7)

    assert run_orchestration(app, waits) == 7


def test_async_with_yield_is_refused_when_it_is_decorated(app: df.DFApp):
    """The message says what to write instead."""
    with pytest.raises(df.DefinitionError, match="write `await` in place of each `yield`"):

        @app.orchestration_trigger(context_name="context")
        async def mixes(context):
            yield context.call_activity("echo")


def test_an_orchestrator_may_be_a_plain_function(app: df.DFApp):
    """Without any `yield` its result is what it returns."""

    @app.orchestration_trigger(context_name="context")
    def plain(context):
        return context.get_input() + 1

    assert run_orchestration(app, plain, 6) == 7


def one_default(context, retries=3):
    return [context.get_input(), retries]


def any_arguments(context, *args, **kwargs):
    return [context.get_input(), len(args) + len(kwargs)]


def three(flag, context):
    return [context.get_input(), flag]


def annotated(context: df.OrchestrationContext, order=None):
    return [order, type(order).__name__]


class Flow:
    def run(self, context, order):
        return [order, type(self).__name__]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (one_default, [7, 3]),
        (any_arguments, [7, 0]),
        (functools.partial(three, True), [7, True]),
        (annotated, [7, "int"]),
        (Flow().run, [7, "Flow"]),
    ],
    ids=["a default", "*args", "a partial", "annotated", "a method"],
)
def test_the_number_of_arguments_is_counted_right(app: df.DFApp, function, expected):
    """A default, *args, a partial or `self` does not make a second argument."""
    app.orchestration_trigger(context_name="context", orchestration="f")(function)

    assert run_orchestration(app, "f", 7) == expected


# -- shapes of activities -------------------------------------------------------------------------


def test_an_activity_may_be_async(app: df.DFApp):
    """Its coroutine is awaited, wherever it runs."""

    @app.activity_trigger(input_name="number")
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    @app.orchestration_trigger(context_name="context")
    def calls(context):
        return (yield context.call_activity(double, 2))

    assert run_orchestration(app, calls) == 4


def test_the_context_of_an_activity_tells_who_calls(app: df.DFApp, play):
    """`ctx.orchestration_id` of a two-argument activity is no placeholder."""

    @app.activity_trigger(input_name="number")
    def who(ctx: df.ActivityContext, number: int) -> Any:
        return [ctx.orchestration_id, number]

    @app.orchestration_trigger(context_name="context")
    def calls(context):
        return (yield context.call_activity(who, 7))

    async def story(run: AppRunner):
        return await run.result(await run.start(calls, instance_id="caller"))

    assert play(story) == ["caller", 7]


@pytest.mark.parametrize(
    "kind",
    [dict[str, Any], Optional[dict], list[int], int | None, "list[Later]"],  # noqa: UP045  the old spelling is a case
    ids=str,
)
def test_annotations_of_any_form_are_accepted(app: df.DFApp, kind):
    """What Azure's worker would refuse stays with us: it sees bare types."""

    def takes(order) -> Any:
        return order

    takes.__annotations__["order"] = kind
    app.activity_trigger(input_name="order")(takes)
    handle = indexed(app)["takes"].get_user_function()

    assert all(isinstance(each, type) for each in handle.__annotations__.values())


def test_a_decorated_function_is_still_called_in_tests(app: df.DFApp):
    """`double(2)` runs the code below the decorator."""

    @app.activity_trigger(input_name="number")
    def double(number: int) -> int:
        return 2 * number

    assert double(2) == 4


# -- clients --------------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True], ids=["innermost", "outermost"])
def test_the_order_of_decorators_does_not_matter(app: df.DFApp, turned):
    """`durable_client_input` may stand above or below the trigger."""

    async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
        return "started"

    decorators: list[Any] = [
        app.durable_client_input(client_name="client"),
        app.route(route="start"),
    ]
    made: Any = start
    for decorate in reversed(decorators) if turned else decorators:
        made = decorate(made)

    bindings = json.loads(indexed(app)["start"].get_function_json())["bindings"]
    assert {each["type"] for each in bindings} == {"httpTrigger", "http", "durableClient"}


def test_a_function_with_a_client_may_be_sync(app: df.DFApp):
    """It gets a client whose methods need no `await`, and stays a plain function for the host."""

    @app.route(route="start")
    @app.durable_client_input(client_name="client")
    def start(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> str:
        return type(client).__name__

    handle = indexed(app)["start"].get_user_function()
    assert not inspect.iscoroutinefunction(handle)
    assert not inspect.iscoroutinefunction(df.SyncDurableFunctionsClient.start_new)


def test_an_activity_may_have_a_client(app: df.DFApp):
    """It starts and asks as a function with an HTTP trigger does."""

    @app.activity_trigger(input_name="instance")
    @app.durable_client_input(client_name="client")
    async def look(instance: str, client: df.DurableFunctionsClient) -> str:
        status = await client.get_status(instance)
        return status.name or "nobody"

    @app.orchestration_trigger(context_name="context")
    def calls(context):
        return (yield context.call_activity(look, context.instance_id))

    assert run_orchestration(app, calls) == "calls"


# -- the app --------------------------------------------------------------------------------------


def test_nothing_is_added_to_the_list_of_functions(app: df.DFApp):
    """It holds the app's own functions; durable HTTP calls need none of theirs in it."""
    assert sorted(indexed(app)) == ["echo", "fail"]


def test_functions_can_be_listed_twice(app: df.DFApp):
    """`get_functions()` gives the same again."""
    assert sorted(indexed(app)) == sorted(indexed(app))


def test_a_binding_name_that_azure_refuses_is_refused_here(app: df.DFApp):
    """With file and line, and with a name that works; not after the deployment."""
    with pytest.raises(df.DefinitionError, match=r"test_pitfalls_definitions\.py:\d+.*orderId"):

        @app.activity_trigger(input_name="order_id")
        def look(order_id):
            return order_id


def test_several_versions_of_an_orchestrator_live_side_by_side(app: df.DFApp, play):
    """An instance runs the code of its version."""

    @app.orchestration_trigger(context_name="context", orchestration="pay", version="1.0")
    def old(context):
        return "old"

    @app.orchestration_trigger(context_name="context", orchestration="pay", version="2.0")
    def new(context):
        return "new"

    async def story(run: AppRunner):
        started = [await run.client.start_new("pay", version=each) for each in ("1.0", "2.0")]
        return [await run.result(each) for each in started]

    assert play(story) == ["old", "new"]


def test_the_hooks_of_unit_tests_are_where_they_were(app: df.DFApp):
    """`build().get_user_function()` has the function as `orchestrator_function` and the like."""

    @app.orchestration_trigger(context_name="context")
    def flow(context):
        return "flow"

    @app.entity_trigger(context_name="context")
    def count(context):
        return "count"

    @app.route(route="start")
    @app.durable_client_input(client_name="client")
    async def start(req: func.HttpRequest, client):
        return "start"

    assert flow.build().get_user_function().orchestrator_function(None) == "flow"
    assert count.build().get_user_function().entity_function(None) == "count"
    assert asyncio.run(start.build().get_user_function().client_function(None, None)) == "start"
