"""The decorators: emitted bindings, order, references, and what they refuse."""

from __future__ import annotations

import functools
from unittest.mock import Mock

import azure.functions as func
import pytest
from azure.functions.decorators.function_app import FunctionBuilder

import durable_app as df
from durable_app.errors import DefinitionError
from tests.unit.functions.azure_worker import assert_accepts, index, only, raw_bindings


@pytest.fixture
def app():
    return df.DFApp()


def test_an_orchestration_trigger_is_emitted_as_the_host_reads_it(app):
    @app.orchestration_trigger(context_name="context")
    def chain(context):
        yield context

    assert index(app) == {
        "chain": [{"direction": "IN", "type": "orchestrationTrigger", "name": "context"}]
    }


def test_given_names_are_emitted_and_a_version_is_not(app):
    app.orchestration_trigger("ctx", orchestration="Chain", version="1.0")(lambda ctx: ctx)
    app.activity_trigger("x", activity="Greet")(_greet)
    app.entity_trigger("context", entity_name="Counter")(_counter)
    first, second, third = app._function_builders
    assert raw_bindings(first._function)[0]["orchestration"] == "Chain"
    assert raw_bindings(second._function) == [
        {"direction": "IN", "type": "activityTrigger", "name": "x", "activity": "Greet"}
    ]
    assert raw_bindings(third._function) == [
        {"direction": "IN", "type": "entityTrigger", "name": "context", "entityName": "Counter"}
    ]


def _greet(x):
    return f"Hello {x}"


def _counter(context):
    return context


def test_a_client_input_is_emitted_with_its_hub_and_connection(app: df.DFApp):
    @app.route(route="start/{name}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
    @app.durable_client_input("client", task_hub="H", connection_name="C")
    async def start(req: func.HttpRequest, client) -> func.HttpResponse:
        return func.HttpResponse()

    assert index(app)["start"] == [
        {
            "direction": "IN",
            "type": "durableClient",
            "name": "client",
            "taskHub": "H",
            "connectionName": "C",
        },
        {
            "direction": "IN",
            "type": "httpTrigger",
            "name": "req",
            "methods": ["POST"],
            "authLevel": "ANONYMOUS",
            "route": "start/{name}",
        },
        {"direction": "OUT", "type": "http", "name": "$return"},
    ]


def test_a_client_input_may_stand_outside_of_the_trigger(app):
    @app.durable_client_input("client")
    @app.activity_trigger("x")
    def act(x, client):
        return x

    assert [binding["name"] for binding in index(app)["act"]] == ["x", "client"]
    assert_accepts(only(app))
    assert only(app).get_user_function().durable.clients == ("client",)


def test_a_client_input_may_stand_inside_of_the_trigger(app):
    @app.activity_trigger("x")
    @app.durable_client_input("client")
    async def act(x, client):
        return x

    facts = only(app).get_user_function().durable
    assert (facts.kind, facts.clients, facts.is_async) == ("activity", ("client",), True)
    assert_accepts(only(app))


def test_function_name_may_stand_above_and_below(app):
    @app.function_name("first")
    @app.activity_trigger("x")
    def a(x):
        return x

    @app.activity_trigger("x")
    @app.function_name("second")
    def b(x):
        return x

    assert list(index(app)) == ["first", "second"]
    assert (a.__durable_name__(), b.__durable_name__()) == ("first", "second")


def test_a_decorator_changes_its_own_builder_although_another_one_is_last(app):
    first = app.activity_trigger("x")(_greet)
    app.activity_trigger("y")(lambda y: y)

    assert app.function_name("renamed")(first) is first

    assert first.__durable_name__() == "renamed"
    assert len(app._function_builders) == 2


def test_the_builder_can_be_called_and_refers_to_the_function(app):
    def hello(city: str) -> str:
        return f"Hello {city}"

    builder = app.activity_trigger("city", activity="greet")(hello)

    assert builder("Tokyo") == builder(city="Tokyo") == "Hello Tokyo"
    assert builder.__durable_function__ is hello
    assert builder.__durable_name__() == vars(hello)["__durable_name__"]() == "greet"
    assert isinstance(builder, FunctionBuilder)


def test_a_function_without_durable_decorators_can_be_called_too(app):
    @app.route("plain")
    def plain(req):
        return req

    assert plain(7) == 7
    assert only(app).get_user_function()(8) == 8


def test_a_client_function_is_no_reference_to_a_durable_function(app):
    @app.durable_client_input("client")
    def start(client):
        return client

    fake = Mock()
    assert start(fake) is fake
    assert not hasattr(start, "__durable_name__")


def test_hooks_of_unit_tests_give_the_users_function(app):
    def orchestrator(context):
        yield context

    async def start(req, client):
        return req

    builder = app.orchestration_trigger("context")(orchestrator)
    entity = app.entity_trigger("context")(_counter)
    client = app.route("start")(app.durable_client_input("client")(start))

    assert builder.build().get_user_function().orchestrator_function is orchestrator
    app.function_name("counter")(entity)
    assert entity.build().get_user_function().entity_function is _counter
    assert client.build().get_user_function().client_function is start


class Greeter:
    __slots__ = ("word",)

    def __init__(self, word):
        self.word = word

    def greet(self, x):
        return f"{self.word} {x}"

    def __call__(self, x):
        return f"{self.word}! {x}"


@pytest.mark.parametrize(
    ("function", "name", "result"),
    [
        (Greeter("Hi").greet, "greet", "Hi Bo"),
        (Greeter("Hi"), "Greeter", "Hi! Bo"),
        (functools.partial(Greeter("Yo").greet), "greet", "Yo Bo"),
        (functools.partial(Greeter.greet, Greeter("Oh")), "greet", "Oh Bo"),
    ],
)
def test_any_callable_can_be_decorated(app, function, name, result):
    builder = app.activity_trigger("x")(function)

    assert builder.__durable_name__() == name
    assert builder("Bo") == result
    assert only(app).get_user_function()(x="Bo") == result
    assert_accepts(only(app))


@pytest.mark.parametrize(
    ("decorate", "text"),
    [
        (lambda app: app.activity_trigger("order_id"), "order_id: use orderId, Azure refuses"),
        (lambda app: app.orchestration_trigger("my_ctx"), "my_ctx: use myCtx, Azure refuses"),
        (lambda app: app.entity_trigger("_"), "_: Azure refuses underscores"),
        (lambda app: app.durable_client_input("my-client"), "my-client: use myClient, Azure"),
        (lambda app: app.activity_trigger("a" * 129), "more than 128 characters"),
        (lambda app: app.activity_trigger("ordr"), "no parameter 'ordr'.*Did you mean 'order'"),
        (lambda app: app.activity_trigger("order", activity=""), "name of an activity is a text"),
        (lambda app: app.entity_trigger("order", entity_name="a@b"), "has no @"),
        (lambda app: app.orchestration_trigger("order", orchestration=5), "orchestration is a"),
        (lambda app: app.orchestration_trigger("order", version=1), "version is a text"),
        (lambda app: app.orchestration_trigger("order", version=""), "version is a text"),
        (lambda app: app.function_name("1st"), "starts with a letter"),
        (lambda app: app.function_name("Host"), "reserves this function name"),
        (lambda app: app.function_name(None), "a function name is a text"),
    ],
)
def test_a_wrong_name_is_refused_with_file_and_line(app, decorate, text):
    def act(order):
        return order

    line = act.__code__.co_firstlineno
    with pytest.raises(DefinitionError, match=rf"test_blueprint\.py:{line}: .*{text}"):
        decorate(app)(act)
    assert app._function_builders == []


async def an_async_generator(context):
    yield context


def a_generator(context):
    yield context


def three_arguments(context, more, other):
    return context, more, other


def positional_only(context, /):
    return context


def positional_input(more, /, context):
    return context, more


def optional(context, more=1):
    return context, more


def no_parameter():
    return None


@pytest.mark.parametrize(
    ("decorator", "function", "text"),
    [
        ("orchestration_trigger", an_async_generator, "has both `async` and `yield`"),
        ("orchestration_trigger", three_arguments, "'other' of three_arguments has no binding: an"),
        ("entity_trigger", three_arguments, "'other' of three_arguments has no binding: an entity"),
        ("entity_trigger", a_generator, "entity a_generator is a generator"),
        ("entity_trigger", an_async_generator, "entity an_async_generator is a generator"),
        ("entity_trigger", positional_input, "remove the / after it"),
        ("entity_trigger", type("Counter", (), {}), "derive it from durable_app.DurableEntity"),
        ("activity_trigger", a_generator, "an activity returns its result once"),
        ("activity_trigger", an_async_generator, "an activity returns its result once"),
        ("activity_trigger", no_parameter, r"has no parameter 'context' \(it has: none\)"),
        ("activity_trigger", positional_only, "remove the / after it"),
    ],
)
def test_a_wrong_signature_is_refused(app, decorator, function, text):
    with pytest.raises(DefinitionError, match=text):
        getattr(app, decorator)("context")(function)


def test_an_optional_parameter_needs_no_binding(app):
    app.orchestration_trigger("context")(optional)
    assert_accepts(only(app))


@pytest.mark.parametrize(
    "decorator",
    ["orchestration_trigger", "activity_trigger", "entity_trigger", "durable_client_input"],
)
def test_a_decorator_without_parentheses_is_refused(app, decorator):
    with pytest.raises(DefinitionError, match=f"@{decorator} takes the name of a parameter in par"):
        getattr(app, decorator)(a_generator)


@pytest.mark.parametrize("trigger", ["orchestration_trigger", "entity_trigger"])
def test_replayed_code_gets_no_client(app, trigger):
    builder = getattr(app, trigger)("context")(optional)
    with pytest.raises(DefinitionError, match="cannot take a durable client"):
        app.durable_client_input("more")(builder)

    inside = app.durable_client_input("more")(lambda context, more: more)
    with pytest.raises(DefinitionError, match="cannot take a durable client"):
        getattr(app, trigger)("context")(inside)


def test_a_second_trigger_is_refused_by_azure_functions(app):
    builder = app.activity_trigger("x")(lambda x: x)
    with pytest.raises(ValueError, match="A trigger was already registered"):
        app.orchestration_trigger("x")(builder)
    assert builder._function.get_user_function().durable.kind == "activity"


def test_what_is_no_function_is_refused(app):
    with pytest.raises(DefinitionError, match="it goes above the def of a function"):
        app.activity_trigger("x")(5)
    with pytest.raises(DefinitionError, match="it goes above"):
        app.function_name("good")(5)
    with pytest.raises(DefinitionError, match="starts with a letter"):
        app.function_name("5")(5)


def test_a_builder_of_another_blueprint_is_refused(app):
    builder = df.Blueprint().route("x")(lambda req: req)
    with pytest.raises(DefinitionError, match="decorated by another app or blueprint"):
        app.durable_client_input("req")(builder)


def test_all_decorators_of_azure_functions_work_beside_ours(app: df.DFApp):
    @app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="1")
    @app.queue_output(arg_name="msg", queue_name="q", connection="S")
    @app.durable_client_input("client")
    @app.schedule(arg_name="timer", schedule="0 */5 * * * *")
    def tick(timer: func.TimerRequest, client, msg: func.Out[str], context: func.Context):
        return None

    types = [binding["type"] for binding in index(app)["tick"]]
    assert types == ["timerTrigger", "durableClient", "queue"]
    assert only(app).get_settings_dict("retry_policy")["max_retry_count"] == "3"
    assert_accepts(only(app))


@pytest.mark.parametrize("level", ["anonymous", "ANONYMOUS", func.AuthLevel.ANONYMOUS])
def test_the_auth_level_is_a_name_or_a_member(level):
    app = df.DFApp(http_auth_level=level)
    app.route("x")(lambda req: req)
    app.function_name("f")(app._function_builders[0])

    assert app.auth_level is func.AuthLevel.ANONYMOUS
    assert index(app)["f"][0]["authLevel"] == "ANONYMOUS"
    assert df.Blueprint(level)._function_builders == []


@pytest.mark.parametrize("level", ["everyone", 3])
def test_an_unknown_auth_level_is_refused(level):
    with pytest.raises(DefinitionError, match="http_auth_level is one of FUNCTION, ANONYMOUS"):
        df.DFApp(level)
