"""The callables that Azure's worker calls: their shape, and what they do when they are called."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import inspect
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, Optional

import azure.functions as func
import pydantic
import pytest

import durable_app as df
from durable_app.errors import DefinitionError, PayloadError, UnsupportedOnHostError
from durable_app.functions.handles import (
    call_activity_function,
    call_async_activity_function,
    connection_of_binding,
    handle_of,
    set_runtime_factory,
)
from durable_app.functions.index import index_app
from tests.unit.functions.azure_worker import assert_accepts, only

if TYPE_CHECKING:
    from collections.abc import Generator
    from decimal import Decimal as NothingOfThatName

T = typing.TypeVar("T")


@pytest.fixture
def app():
    return df.DFApp()


class Runtime:
    """Records what handles ask for."""

    def __init__(self):
        self.asked = []

    def orchestrate(self, handle, context_json):
        self.asked.append((handle.durable.name, context_json))
        return "actions"

    def client(self, binding, *, sync):
        return ("client", binding, sync)

    def connection(self, binding):
        return ("connection", binding)


@pytest.fixture
def runtime():
    made = Runtime()
    set_runtime_factory(lambda: made)
    yield made
    set_runtime_factory(None)


class Order(pydantic.BaseModel):
    amount: int


@dataclasses.dataclass
class Line:
    price: int


class Batch(pydantic.BaseModel):
    lines: list[Line]


def handle_for(app, function, parameter="x"):
    app.activity_trigger(parameter)(function)
    return only(app).get_user_function()


# -- Shape ------------------------------------------------------------------------------------


def orchestrator(my: NothingOfThatName) -> Generator[NothingOfThatName]:
    """Say what it does."""
    yield my


async def starter(
    req: func.HttpRequest, client: NothingOfThatName, context: func.Context, more: int = 1
) -> func.HttpResponse:
    return func.HttpResponse(str((req, client, context, more)))


def test_an_orchestration_handle_looks_like_a_plain_function(app):
    app.orchestration_trigger("my")(orchestrator)
    handle = only(app).get_user_function()

    assert_accepts(only(app))
    assert str(inspect.signature(handle)) == "(my)"
    assert handle.__annotations__ == {}
    assert (handle.__name__, handle.__qualname__) == ("orchestrator", "orchestrator")
    assert handle.__module__ == orchestrator.__module__
    assert handle.__doc__ == "Say what it does."
    assert not inspect.isgeneratorfunction(handle)


def test_a_client_handle_takes_text_and_keeps_the_other_annotations(app):
    app.route("x")(app.durable_client_input("client")(starter))
    handle = only(app).get_user_function()

    assert_accepts(only(app))
    assert inspect.iscoroutinefunction(handle)
    assert list(inspect.signature(handle).parameters) == ["req", "client", "context"]
    assert handle.__annotations__ == {
        "req": func.HttpRequest,
        "client": str,
        "context": func.Context,
    }


@pytest.mark.parametrize(
    ("hint", "seen"),
    [
        (int, int),
        (str, str),
        (Order, Order),
        (dict[str, Any], dict),
        (list[Order], list),
        (typing.List[int], list),  # noqa: UP006  users write it
        (Annotated[int, "years"], int),
        (Optional[dict], None),  # noqa: UP045  users write it
        (int | None, None),
        (Any, None),
        (T, None),
        (typing.Literal["a"], None),
        ("NothingOfThatName", None),
        ("int", int),
        (None, type(None)),
    ],
)
def test_the_worker_sees_bare_types_of_an_activity(app, hint, seen):
    def act(x):
        return x

    act.__annotations__ = {"x": hint, "return": hint}
    handle = handle_for(app, act)

    assert_accepts(only(app))
    expected = {} if seen is None else {"x": seen, "return": seen}
    assert handle.__annotations__ == expected
    assert inspect.signature(handle).parameters["x"].annotation is expected.get(
        "x", inspect.Parameter.empty
    )


def test_a_union_on_another_binding_is_not_shown(app: df.DFApp):
    @app.queue_output(arg_name="msg", queue_name="q", connection="S")
    @app.durable_client_input("client")
    @app.schedule("timer", "0 * * * * *")
    def tick(timer: func.TimerRequest | None, client: str | None, msg: func.Out[str]) -> None:
        return None

    handle = only(app).get_user_function()
    assert handle.__annotations__ == {"client": str, "msg": func.Out[str]}


def test_a_function_without_named_parameters_gets_those_of_its_bindings(app):
    @app.durable_client_input("client")
    @app.activity_trigger("x")
    def act(*args, **kwargs):
        return sorted(kwargs)

    assert_accepts(only(app))
    assert only(app).get_user_function()(x=1, client=2) == ["client", "x"]


def test_a_plain_function_is_no_handle(app):
    assert handle_of(orchestrator) is None
    assert handle_of(functools.partial(int)) is None


# -- Orchestrations and entities ----------------------------------------------------------------


def test_an_orchestration_runs_through_the_runtime(app, runtime):
    app.orchestration_trigger("my", orchestration="o")(orchestrator)
    handle = only(app).get_user_function()

    context = types.SimpleNamespace(body='{"history": []}')
    assert handle(my=context) == handle(context) == "actions"
    assert handle(my="text") == "actions"
    assert runtime.asked == [("o", '{"history": []}')] * 2 + [("o", "text")]


def test_without_a_runtime_an_orchestration_says_where_it_can_run(app):
    app.orchestration_trigger("my")(orchestrator)
    with pytest.raises(UnsupportedOnHostError, match=r"'orchestrator'.*`func start`.*classic"):
        only(app).get_user_function()(my="{}")


def test_an_entity_says_where_it_cannot_run(app, runtime):
    app.entity_trigger("context", "Counter")(lambda context: context)
    app.function_name("counter")(app._function_builders[0])
    with pytest.raises(UnsupportedOnHostError, match="Entity 'Counter' was called by a host"):
        only(app).get_user_function()(context="{}")


# -- Clients ------------------------------------------------------------------------------------


def test_a_sync_function_gets_a_sync_client(app, runtime):
    app.durable_client_input("client")(app.activity_trigger("x")(lambda x, client: list(client)))
    app.function_name("act")(app._function_builders[0])
    handle = only(app).get_user_function()
    assert handle(x=1, client="{}") == ["client", "{}", True]
    assert handle(1, "{}") == ["client", "{}", True]


def test_an_async_function_gets_an_async_client(app, runtime):
    @app.durable_client_input("client")
    @app.schedule("timer", "0 * * * * *")
    async def tick(timer, client):
        return client

    assert asyncio.run(only(app).get_user_function()(timer=1, client="{}")) == (
        "client",
        "{}",
        False,
    )


def test_a_function_may_take_two_clients(app, runtime):
    @app.durable_client_input("a")
    @app.durable_client_input("b")
    @app.schedule("timer", "0 * * * * *")
    def tick(timer, a, b):
        return a, b

    found = only(app).get_user_function()(timer=1, a="A", b="B")
    assert found == (("client", "A", True), ("client", "B", True))


def test_a_test_may_pass_its_own_client(app):
    @app.route("x")
    @app.durable_client_input("client")
    def start(req, client):
        return client

    mine = object()
    assert only(app).get_user_function()(req=None, client=mine) is mine


def test_without_a_runtime_a_client_function_says_what_is_missing(app):
    app.route("x")(app.durable_client_input("client")(starter))
    call = only(app).get_user_function()(req=None, client="{}", context=None)
    with pytest.raises(UnsupportedOnHostError, match="'starter' takes a durable client"):
        asyncio.run(call)


def test_the_runtime_is_made_once_on_first_use(app):
    made = []

    def factory():
        made.append(Runtime())
        return made[-1]

    app.orchestration_trigger("my")(orchestrator)
    handle = only(app).get_user_function()
    set_runtime_factory(factory)
    assert made == []
    handle(my="1")
    handle(my="2")
    set_runtime_factory(None)

    assert [runtime.asked for runtime in made] == [[("orchestrator", "1"), ("orchestrator", "2")]]


# -- Activities -----------------------------------------------------------------------------------


def test_an_activity_decodes_its_input_and_encodes_its_result(app):
    def act(x: Order) -> Line:
        assert isinstance(x, Order)
        return Line(x.amount)

    assert handle_for(app, act)(x={"amount": 3}) == {"price": 3}


def test_an_async_activity_does_so_too(app):
    async def act(x: Order) -> Line:
        return Line(x.amount)

    handle = handle_for(app, act)
    assert inspect.iscoroutinefunction(handle)
    assert asyncio.run(handle(x={"amount": 3})) == {"price": 3}


def test_an_async_object_is_an_async_activity(app):
    class Act:
        async def __call__(self, x):
            return x

    assert asyncio.run(handle_for(app, Act())(x=1)) == 1


def test_an_annotation_may_name_a_class_that_is_defined_later(app):
    def act(x):
        return x.amount

    act.__annotations__ = {"x": "DefinedBelow"}
    handle = handle_for(app, act)
    assert handle.__annotations__ == {}
    globals()["DefinedBelow"] = Order
    try:
        assert handle(x={"amount": 5}) == 5
    finally:
        del globals()["DefinedBelow"]


def test_an_activity_without_annotation_takes_plain_values(app):
    def act(y, x):
        return [y, x]

    assert handle_for(app, functools.partial(act, 1))(x={"a": 1}) == [1, {"a": 1}]


@pytest.mark.parametrize(
    ("hint", "value", "path"),
    [
        (int, "five", "x"),
        (list[int], [1, "two"], r"x\[1\]"),
        (Order, {"amount": "many"}, r"x\.amount"),
        (Batch, {"lines": [{"price": 1}, {}]}, r"x\.lines\[1\]\.price"),
    ],
)
def test_an_input_that_does_not_fit_names_function_parameter_and_path(app, hint, value, path):
    def act(x):
        return x

    act.__annotations__ = {"x": hint}
    handle = handle_for(app, act)
    with pytest.raises(PayloadError, match=rf"^{path}: .*activity 'act', parameter 'x'\)"):
        handle(x=value)


def test_a_result_that_cannot_be_encoded_names_the_activity(app):
    def act(x):
        return {"a": [object()]}

    with pytest.raises(PayloadError, match=r"^a\[0\]: .*\(result of activity 'act'\)") as caught:
        handle_for(app, act)(x=1)
    assert caught.value.__cause__ is None


def test_errors_of_user_code_pass_through(app):
    def act(x):
        raise ZeroDivisionError(x)

    with pytest.raises(ZeroDivisionError):
        handle_for(app, act)(x=1)


def test_a_worker_calls_through_the_facts(app):
    def act(x: Order, client):
        return [x.amount, client]

    async def later(x: Order, client):
        return [x.amount, client]

    for function in (act, later):
        app.durable_client_input("client")(app.activity_trigger("x")(function))
    index = index_app(app)
    sync, coroutine = index.activities["act"].durable, index.activities["later"].durable
    assert sync is not None
    assert coroutine is not None

    assert call_activity_function(sync, {"amount": 1}, {"client": "c"}) == [1, "c"]
    running = call_async_activity_function(coroutine, {"amount": 2}, {"client": "c"})
    assert asyncio.run(running) == [2, "c"]


def test_what_is_no_activity_is_not_called_as_one(app):
    app.orchestration_trigger("my")(orchestrator)
    facts = only(app).get_user_function().durable
    with pytest.raises(DefinitionError, match="'orchestrator' is no activity"):
        call_activity_function(facts, 1, {})


def test_the_text_of_a_binding_stands_for_a_connection(runtime):
    assert connection_of_binding("{}") == ("connection", "{}")


def test_the_text_of_a_binding_is_nothing_without_a_host():
    with pytest.raises(UnsupportedOnHostError, match="Start the app with `func start`"):
        connection_of_binding("{}")
