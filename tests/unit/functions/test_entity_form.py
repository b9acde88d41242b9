"""Entities: which form one has, what it is called, and what cannot be one."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Any

import pytest

import durable_app as df
from durable_app.errors import DefinitionError
from durable_app.functions.entity_form import EntityForm, entity_form, is_async_entity
from durable_app.functions.handles import handle_of
from durable_app.functions.index import index_app
from tests.unit.functions.azure_worker import assert_accepts, only, raw_bindings

if TYPE_CHECKING:
    from durable_app import DurableEntityContext as Hidden
    from durable_app import EntityContext

CONTEXT = EntityForm("context")


@pytest.fixture
def app():
    return df.DFApp()


def by_annotation(context: df.DurableEntityContext):
    return context


def with_default(context: df.DurableEntityContext, log=None):
    return context, log


def hidden(context: Hidden, log=None):
    return context, log


def quoted(context: df.DurableEntityContext):
    return context


quoted.__annotations__["context"] = "'durable.DurableEntityContext'"


def plain(context):
    return context


def plain_with_default(context, log=None):
    return context, log


def two(context, value):
    return context, value


def two_swapped(value, context):
    return context, value


def two_by_keyword(context, *, value):
    return context, value


def native(context: EntityContext, value=None):
    return context, value


def native_required(context: df.EntityContext, value: int):
    return context, value


def native_alone(context: df.EntityContext):
    return context


def variadic(context, *args, **kwargs):
    return context, args, kwargs


class Callables:
    def method(self, context, value):
        return self, context, value

    def __call__(self, context: df.EntityContext, value):
        return self, context, value


class Counter(df.DurableEntity):
    """Counts."""

    def add(self, amount: int) -> None:
        self.set_state(amount)


class AsyncCounter(Counter):
    def __init__(self, log: object = None) -> None:
        self.log = log

    async def wait(self) -> None:
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("function", "form"),
    [
        (by_annotation, CONTEXT),
        (with_default, CONTEXT),
        (quoted, CONTEXT),
        (plain, CONTEXT),
        (plain_with_default, CONTEXT),
        (variadic, CONTEXT),
        (two, EntityForm("input", "value")),
        (two_swapped, EntityForm("input", "value")),
        (two_by_keyword, EntityForm("input", "value")),
        (native, EntityForm("input", "value", has_default=True)),
        (native_required, EntityForm("input", "value")),
        (native_alone, EntityForm("input")),
        (functools.partial(two, value=1), CONTEXT),
        (functools.partial(native_required, value=1), EntityForm("input")),
        (Callables().method, EntityForm("input", "value")),
        (Callables(), EntityForm("input", "value")),
        (Counter, EntityForm("class")),
        (AsyncCounter, EntityForm("class")),
    ],
)
def test_the_annotation_decides_else_the_number_of_parameters(function, form):
    assert entity_form(function, "context") == form


def test_an_annotation_that_cannot_be_resolved_counts_by_its_name():
    hidden.__annotations__["context"] = "elsewhere.EntityContext"
    assert entity_form(hidden, "context") == EntityForm("input", "log", has_default=True)


class Needy(df.DurableEntity):
    def __init__(self, client: object) -> None:
        self.client = client


def test_a_context_function_takes_no_input_besides(app):
    def entity(context: df.DurableEntityContext, value):
        return context, value

    with pytest.raises(DefinitionError, match="'value' of entity has no binding: an entity"):
        app.entity_trigger("context")(entity)


def test_a_class_is_made_without_arguments(app):
    line = Needy.__init__.__code__.co_firstlineno
    text = rf"test_entity_form\.py:{line}: Needy\(\) needs 'client'"
    with pytest.raises(DefinitionError, match=text):
        app.entity_trigger("context")(Needy)


def test_a_class_without_code_is_told_by_its_module(app):
    bare = type("Bare", (), {})
    with pytest.raises(DefinitionError, match=r"test_entity_form: class Bare is no entity"):
        app.entity_trigger("context")(bare)


def test_an_entity_takes_no_client(app):
    with pytest.raises(DefinitionError, match=r"an entity cannot take .* context\.signal_entity"):
        app.entity_trigger("context")(app.durable_client_input("value")(two))


@pytest.mark.parametrize(
    ("entity", "expected"),
    [(Counter, False), (AsyncCounter, True), (plain, False), (AsyncCounter().wait, True)],
)
def test_a_class_is_async_if_one_of_its_operations_is(entity, expected):
    assert is_async_entity(entity) is expected


@pytest.mark.parametrize("entity", [two, Counter, AsyncCounter, native])
def test_the_worker_sees_a_function_of_the_context_alone(app, entity):
    builder = app.entity_trigger("context")(entity)
    handle = only(app).get_user_function()

    assert_accepts(only(app))
    assert str(inspect.signature(handle)) == "(context)"
    assert handle.entity_function is entity
    assert (handle.__name__, handle.__doc__) == (entity.__name__, entity.__doc__)
    assert not inspect.iscoroutinefunction(handle)
    facts = index_app(app).entities[entity.__name__.lower()].durable
    assert facts is not None
    assert facts.is_async is (entity is AsyncCounter)
    assert builder.__durable_function__ is entity


def test_a_decorated_class_can_be_called_like_the_class(app):
    class Plain(df.DurableEntity):
        def __init__(self) -> None:
            self.ready = True

    assert app.entity_trigger("context")(Plain)().ready


def test_the_annotation_of_the_input_is_that_of_its_parameter(app):
    app.entity_trigger("context")(native_required)
    handle = handle_of(only(app).get_user_function())
    assert handle is not None
    assert handle.durable.input_annotation is int


def named(name: str | None, given: str | None = None) -> Any:
    app = df.DFApp()

    class Entity(df.DurableEntity):
        pass

    if name is not None:
        Entity.__durable_entity_name__ = name
    app.entity_trigger("context", given)(Entity)
    (binding,) = raw_bindings(only(app))
    return binding.get("entityName"), [*index_app(app).entities]


@pytest.mark.parametrize(
    ("own", "given", "binding", "key"),
    [
        (None, None, None, "entity"),
        ("Own", None, "Own", "own"),
        ("Own", "Given", "Given", "given"),
        (None, "Given", "Given", "given"),
    ],
)
def test_the_decorator_names_the_entity_else_the_class_does(own, given, binding, key):
    assert named(own, given) == (binding, [key])


def test_a_subclass_does_not_inherit_the_name():
    app = df.DFApp()

    class Parent(df.DurableEntity):
        __durable_entity_name__ = "parent"

    class Child(Parent):
        pass

    app.entity_trigger("context")(Parent)
    app.entity_trigger("context")(Child)
    assert [*index_app(app).entities] == ["parent", "child"]


def test_a_name_of_the_class_is_checked_like_any_other():
    with pytest.raises(DefinitionError, match="has no @"):
        named("a@b")
