"""DFApp: blueprints, indexing once, and what is said about a broken app."""

from __future__ import annotations

import azure.functions as func
import pytest

import durable_app as df
from durable_app.errors import DefinitionError
from tests.unit.functions.azure_worker import index


def greet(x):
    return x


def wave(x):
    return x


@pytest.fixture
def app():
    return df.DFApp()


@pytest.fixture
def blueprint():
    blueprint = df.Blueprint()
    blueprint.activity_trigger("x")(greet)
    return blueprint


def test_azures_worker_recognises_the_app(app):
    assert isinstance(app, func.FunctionRegister)
    assert not isinstance(df.Blueprint(), func.FunctionRegister)


def test_indexing_twice_gives_the_same_list(app, blueprint):
    app.register_functions(blueprint)
    assert app.get_functions() is app.get_functions()
    assert list(index(app)) == ["greet"]


def test_an_app_without_http_functions_is_nothing_to_warn_of(app, blueprint, caplog):
    app.register_functions(blueprint)
    assert [function.get_function_name() for function in app.get_functions()] == ["greet"]
    assert caplog.records == []


def test_register_blueprint_is_the_same_thing(app, blueprint):
    app.register_blueprint(blueprint)
    assert list(index(app)) == ["greet"]


def test_a_blueprint_of_azure_functions_can_be_registered(app, blueprint):
    plain = func.Blueprint()
    plain.route("x")(wave)
    app.register_functions(plain)
    app.register_functions(blueprint)
    assert list(index(app)) == ["wave", "greet"]


def test_our_blueprint_works_on_a_plain_function_app(blueprint):
    app = func.FunctionApp()
    app.register_functions(blueprint)
    assert list(index(app)) == ["greet"]


def test_two_apps_may_read_one_blueprint(blueprint):
    apps = df.DFApp(), df.DFApp()
    for app in apps:
        app.register_functions(blueprint)
    assert index(apps[0]) == index(apps[1])


def test_a_blueprint_is_registered_once(app, blueprint):
    app.register_functions(blueprint)
    with pytest.raises(DefinitionError, match="registered twice"):
        app.register_functions(blueprint)


@pytest.mark.parametrize("other", [df.DFApp(), func.FunctionApp(), object()])
def test_only_blueprints_are_registered(app, other):
    with pytest.raises(DefinitionError, match="takes a Blueprint, not "):
        app.register_functions(other)


@pytest.mark.parametrize("name", ["activity_trigger", "route", "function_name"])
def test_a_decorator_on_a_blueprint_that_was_read_is_refused(app, blueprint, name):
    app.register_functions(blueprint)
    with pytest.raises(DefinitionError, match="wave is decorated after register_functions has"):
        getattr(blueprint, name)("x")(wave)


def test_an_app_that_was_indexed_takes_nothing_more(app, blueprint):
    builder = app.activity_trigger("x")(wave)
    app.get_functions()
    with pytest.raises(DefinitionError, match="wave is decorated after the app was indexed"):
        app.durable_client_input("x")(builder)
    with pytest.raises(DefinitionError, match="after the app was indexed"):
        app.register_functions(blueprint)


def test_duplicate_function_names_get_azures_words_each_time(app, blueprint):
    app.activity_trigger("x")(greet)
    app.register_functions(blueprint)
    for _ in range(2):
        with pytest.raises(ValueError, match="greet does not have a unique function name"):
            app.get_functions()


def test_a_function_without_a_trigger_gets_azures_words(app):
    app.function_name("alone")(greet)
    with pytest.raises(ValueError, match="Function alone does not have a trigger"):
        app.get_functions()


def test_the_name_of_a_def_is_checked_when_no_decorator_can_change_it_any_more(app):
    def _private(x):
        return x

    builder = app.activity_trigger("x")(_private)
    with pytest.raises(
        DefinitionError, match=r"test_app\.py:\d+: _private: a function name starts"
    ):
        app.get_functions()

    app.function_name("public")(builder)
    assert list(index(app)) == ["public"]


def test_names_of_all_bindings_are_checked(app):
    app.route("x", trigger_arg_name="my_req")(lambda my_req: my_req)
    app.function_name("f")(app._function_builders[0])
    with pytest.raises(DefinitionError, match="my_req: use myReq"):
        app.get_functions()


def test_two_bindings_of_one_name_are_refused(app):
    app.durable_client_input("x")(app.activity_trigger("x")(greet))
    with pytest.raises(DefinitionError, match="Multiple bindings with name 'x' discovered"):
        app.get_functions()


@pytest.mark.parametrize(
    ("decorator", "advice"),
    [("activity_trigger", "takes one input"), ("route", "a default or a binding decorator")],
)
def test_a_parameter_without_a_binding_is_refused(app, decorator, advice):
    def many(req, client, other):
        return req, client, other

    getattr(app, decorator)("req")(app.durable_client_input("client")(many))
    with pytest.raises(DefinitionError, match=f"'other' of many has no binding: .*{advice}"):
        app.get_functions()


def test_a_binding_without_a_parameter_is_refused(app):
    def act(x, messages=()):
        return x, messages

    app.queue_output(arg_name="message", queue_name="q", connection="S")(
        app.activity_trigger("x")(act)
    )
    with pytest.raises(DefinitionError, match=r"no parameter 'message'.*Did you mean 'messages'"):
        app.get_functions()
