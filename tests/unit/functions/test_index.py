"""The index of an app."""

from __future__ import annotations

import azure.functions as func
import pytest

import durable_app as df
from durable_app.errors import DefinitionError
from durable_app.functions.index import index_app, unknown_function_text


def chain(context):
    yield context


def greet(city):
    return city


def counter(context):
    return context


async def start(req, client):
    return client


def declare(container):
    container.route("start/{name}", methods=["post", "GET"], auth_level="ANONYMOUS")(
        container.durable_client_input("client")(start)
    )
    container.orchestration_trigger("context", "Chain")(chain)
    container.activity_trigger("city")(greet)
    container.entity_trigger("context", "Counter")(counter)


def ours():
    app = df.DFApp()
    declare(app)
    return app


def plain():
    app, blueprint = func.FunctionApp(), df.Blueprint()
    declare(blueprint)
    app.register_functions(blueprint)
    return app


@pytest.mark.parametrize("make", [ours, plain])
def test_every_function_is_described(make):
    app = make()
    http, orchestration, activity, entity = index_app(app).functions

    assert (http.name, http.trigger_type, http.is_async) == ("start", "httpTrigger", True)
    assert (http.route, http.methods, http.auth_level) == (
        "start/{name}",
        ("POST", "GET"),
        "ANONYMOUS",
    )
    assert [binding["type"] for binding in http.bindings] == [
        "durableClient",
        "httpTrigger",
        "http",
    ]
    assert [
        function.durable and function.durable.kind for function in index_app(app).functions
    ] == [
        "client",
        "orchestration",
        "activity",
        "entity",
    ]
    assert http.durable is not None
    assert http.durable.name == "start"
    assert orchestration.name == "chain"
    assert (activity.route, activity.methods, activity.auth_level) == (None, (), None)
    assert getattr(activity.handle, "durable", None) is activity.durable
    assert not activity.is_async
    assert entity.trigger_type == "entityTrigger"
    assert {function.script_file for function in (http, entity)} == {"function_app.py"}


@pytest.mark.parametrize("make", [ours, plain])
def test_durable_functions_are_found_by_their_durable_names(make):
    index = index_app(make())
    assert index.find("orchestration", "Chain") is index.orchestrations["Chain"]
    assert index.find("orchestration", "chain") is index.orchestrations["Chain"]
    assert index.find("activity", "GREET") is index.activities["greet"]
    assert index.find("activity", "chain") is None
    assert index.find("activity", "greet") is index.activities["greet"]
    assert index.find("entity", "COUNTER") is index.find("entity", "counter")
    assert index.find("entity", "other") is None
    assert list(index.entities) == ["counter"]


@pytest.mark.parametrize("make", [ours, plain])
def test_an_app_is_read_once(make):
    app = make()
    assert index_app(app) is index_app(app)


def test_functions_without_durable_decorators_are_listed():
    app = func.FunctionApp()
    app.route("x", trigger_arg_name="city")(greet)
    (function,) = index_app(app).functions
    assert function.durable is None
    assert function.handle is greet
    assert (function.route, function.methods, function.auth_level) == ("x", (), "FUNCTION")


def test_durable_decorators_of_another_package_are_refused():
    app = func.FunctionApp()
    app.generic_trigger("context", "orchestrationTrigger")(chain)
    with pytest.raises(DefinitionError, match="Function chain has a durable decorator that is not"):
        index_app(app)


def test_an_unknown_name_gets_the_words_of_the_host_and_the_nearest_name():
    assert index_app(ours()).unknown("orchestration", "chian") == (
        "The function 'chian' doesn't exist, is disabled, or is not an orchestrator function."
        " Additional info: The following are the known orchestrator functions: 'Chain'."
        " Did you mean 'Chain'?"
    )


def test_an_unknown_name_where_nothing_is_near_or_known():
    assert unknown_function_text("activity", "x", ["b", "a"]) == (
        "The function 'x' doesn't exist, is disabled, or is not an activity function."
        " Additional info: The following are the known activity functions: 'a', 'b'."
    )
    assert (
        index_app(df.DFApp())
        .unknown("entity", "x")
        .endswith("No entity functions are currently registered!")
    )
