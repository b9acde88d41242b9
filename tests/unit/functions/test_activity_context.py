"""Activities that ask for the call that they run for."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import Any

import pytest

import durable_app as df
from durable_app.errors import DefinitionError, UnsupportedOnHostError
from durable_app.functions.activity_context import ActivityContext, context_parameter
from durable_app.functions.handles import call_activity_function, call_async_activity_function
from tests.unit.functions.azure_worker import assert_accepts, only

CALL = ActivityContext("order-1", 7, "pay", attempt=2, execution_id="e1")


class Native:
    """Stands for the class of this name in another library."""


Native.__name__ = "ActivityContext"


class Clerk:
    def pay(self, ctx, order): ...
    def __call__(self, order, call: ActivityContext): ...


def one(order): ...
def two(ctx, order): ...
def called_context(context, order): ...
def turned(order, ctx): ...
def annotated(ctx: ActivityContext, order): ...
def annotated_last(order, *, call: df.ActivityContext): ...
def annotated_default(order, call: df.ActivityContext = CALL): ...
def foreign(ctx: Native, order): ...
def unresolved(order, ctx: task.ActivityContext): ...  # type: ignore[name-defined]  # noqa: F821  the name is the test
def anything(ctx: Any, order): ...
def something(blob: bytes, order): ...
def default(limit=1, order=None): ...
def three(ctx, order, more): ...
def in_front(first, second, order): ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (one, None),
        (two, "ctx"),
        (called_context, "context"),
        (turned, None),
        (annotated, "ctx"),
        (annotated_last, "call"),
        (annotated_default, "call"),
        (foreign, "ctx"),
        (unresolved, "ctx"),
        (anything, "ctx"),
        (something, None),
        (default, None),
        (three, "ctx"),
        (in_front, None),
        (functools.partial(in_front, 1), "second"),
        (Clerk().pay, "ctx"),
        (Clerk(), "call"),
    ],
)
def test_an_annotation_decides_else_the_place(function, expected):
    assert context_parameter(function, "order") == expected


def activity_for(function, *decorators):
    app = df.DFApp()
    builder: Any = app.function_name("pay")(app.activity_trigger("order")(function))
    for decorator in decorators:
        builder = decorator(app)(builder)
    assert_accepts(only(app))
    return only(app).get_user_function()


def run(facts, plain, context=CALL, **extra):
    return call_activity_function(facts, plain, extra, context)


@pytest.mark.parametrize(
    "function",
    [
        lambda ctx, order: [ctx.task_id, order],
        functools.partial(lambda rate, ctx, order: [ctx.task_id, order], 0.2),
        functools.wraps(two)(lambda ctx, order: [ctx.task_id, order]),
    ],
)
def test_it_is_passed_beside_the_input_and_is_no_binding(function):
    handle = activity_for(function)
    assert list(inspect.signature(handle).parameters) == ["order"]
    assert run(handle.durable, 3) == [7, 3]


def test_it_tells_of_the_call():
    assert (CALL.instance_id, CALL.orchestration_id) == ("order-1", "order-1")
    assert (CALL.task_id, CALL.attempt, CALL.function_name) == (7, 2, "pay")
    assert CALL.idempotency_key == "e1:7"
    assert ActivityContext("order-1", 7).idempotency_key == "order-1:7"
    assert repr(CALL) == "ActivityContext('order-1', 7, 'pay', attempt=2)"


def test_an_async_activity_gets_it_too():
    async def pay(order: int, call: df.ActivityContext):
        return [order, call.idempotency_key]

    facts = activity_for(pay).durable
    result = call_async_activity_function(facts, 3, {}, CALL)
    assert asyncio.run(result) == [3, "e1:7"]


def test_a_first_parameter_with_a_binding_is_a_binding():
    def pay(client, order):
        return [client, order]

    handle = activity_for(pay, lambda app: app.durable_client_input("client"))
    assert set(inspect.signature(handle).parameters) == {"client", "order"}
    assert handle.durable.context_parameter is None
    assert run(handle.durable, 3, client="c") == ["c", 3]


def test_an_annotated_one_stands_beside_bindings():
    def pay(client, order, call: df.ActivityContext):
        return [client, order, call.task_id]

    handle = activity_for(pay, lambda app: app.durable_client_input("client"))
    assert run(handle.durable, 3, client="c") == ["c", 3, 7]


def test_the_context_of_azure_functions_is_another_one():
    def pay(order, context):
        return [order, context]

    handle = activity_for(pay)
    assert set(inspect.signature(handle).parameters) == {"order", "context"}
    assert handle(order=1, context="azure's") == [1, "azure's"]


@pytest.mark.parametrize(
    "name", ["instance_id", "orchestration_id", "task_id", "attempt", "idempotency_key"]
)
def test_on_azure_it_knows_its_function_alone(name):
    def pay(ctx, order):
        assert ctx.function_name == "pay"
        return getattr(ctx, name)

    async def pay_later(ctx, order):
        return getattr(ctx, name)

    text = f"does not tell an activity its {name}.*context.instance_id"
    with pytest.raises(UnsupportedOnHostError, match=text):
        activity_for(pay)(order=1)
    with pytest.raises(UnsupportedOnHostError, match=text):
        asyncio.run(activity_for(pay_later)(order=1))


def test_the_decorated_function_is_called_as_it_was_written():
    app = df.DFApp()

    @app.activity_trigger("order")
    def pay(ctx: df.ActivityContext, order: int):
        return [ctx.task_id, order]

    assert pay(CALL, 3) == [7, 3]


def positional(ctx, /, order): ...


def context_as_input(order: ActivityContext, ctx): ...


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (positional, "parameter 'ctx' is passed by name: remove the / after it"),
        (context_as_input, "'order' is annotated as the activity's context; input_name names"),
    ],
)
def test_what_cannot_be_called_is_refused_with_its_place(function, text):
    line = function.__code__.co_firstlineno
    with pytest.raises(DefinitionError, match=rf"test_activity_context\.py:{line}: .*{text}"):
        activity_for(function)


def test_a_parameter_that_nobody_fills_is_refused_when_the_app_is_read():
    with pytest.raises(DefinitionError, match="parameter 'more' of three has no binding"):
        activity_for(three)
