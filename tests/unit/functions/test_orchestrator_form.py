"""Orchestrators of the context alone, and of context and input."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import Any

import pytest

import durable_app as df
from durable_app.errors import DefinitionError, PayloadError
from durable_app.functions.index import index_app
from durable_app.functions.orchestrator_form import OrchestratorForm, orchestrator_form
from durable_app.payload import from_plain
from durable_app.replay.whereabouts import start_of
from tests.unit.functions.azure_worker import assert_accepts, only


@dataclasses.dataclass
class Order:
    amount: int


class Context:
    """Has an input, as far as these functions look."""

    def __init__(self, plain: Any = None, kind: Any = None) -> None:
        self.plain = plain
        self.kind = kind

    def get_input(self) -> Any:
        return None if self.plain is None else from_plain(self.plain, self.kind)


class Flow:
    def run(self, context, order):
        return order

    def __call__(self, context, order):
        return order


class NativeContext:
    """Stands for the class of this name in another library."""


NativeContext.__name__ = "OrchestrationContext"


def one(context): ...
def one_more(context, order=7): ...
def rest(context, *args, **kwargs): ...
def two(context, order): ...
def two_and_default(context, order, retries=3): ...
def keyword(context, *, order): ...
def turned(order, context): ...
def classic(context: df.DurableOrchestrationContext, order=7): ...
def classic_with_input(context: df.DurableOrchestrationContext, order: Order): ...
def native(context: df.OrchestrationContext, order=7): ...
def native_alone(context: df.OrchestrationContext): ...
def native_keyword(context: df.OrchestrationContext, *, order=7): ...
def foreign(context: NativeContext, order=7): ...
def unresolved(context: task.OrchestrationContext, order=7): ...  # type: ignore[name-defined]  # noqa: F821  the name is the test
async def awaiting(context, order): ...


INPUT = OrchestratorForm("context", "order")
OPTIONAL = OrchestratorForm("context", "order", has_default=True)
ALONE = OrchestratorForm("context")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (one, ALONE),
        (one_more, ALONE),
        (rest, ALONE),
        (two, INPUT),
        (two_and_default, INPUT),
        (keyword, INPUT),
        (turned, INPUT),
        (classic, ALONE),
        (classic_with_input, INPUT),
        (native, OPTIONAL),
        (native_alone, ALONE),
        (native_keyword, ALONE),
        (foreign, OPTIONAL),
        (unresolved, OPTIONAL),
        (awaiting, INPUT),
        (functools.partial(two_and_default, retries=1), INPUT),
        (functools.partial(two, order=1), ALONE),
        (functools.partial(lambda setting, context: None, 1), ALONE),
        (Flow().run, INPUT),
        (Flow(), INPUT),
        (functools.wraps(two)(lambda *args, **kwargs: args), INPUT),
    ],
)
def test_annotations_decide_else_the_number_of_parameters(function, expected):
    assert orchestrator_form(function, "context") == expected


def streaming_input(order, /, context): ...


def too_many(context, order, other): ...


async def both(context):
    yield context


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (too_many, "parameter 'other' of too_many has no binding: an orchestrator takes"),
        (streaming_input, "remove the / after it"),
        (both, "has both `async` and `yield`"),
    ],
)
def test_what_cannot_be_called_is_refused_with_its_place(function, text):
    line = function.__code__.co_firstlineno
    with pytest.raises(DefinitionError, match=rf"test_orchestrator_form\.py:{line}: .*{text}"):
        orchestrator_form(function, "context")


def orchestrator_for(function, input_type=None, name="context"):
    app = df.DFApp()
    app.orchestration_trigger(name, "order", input_type)(function)
    assert_accepts(only(app))
    assert list(inspect.signature(only(app).get_user_function()).parameters) == [name]
    durable = index_app(app).orchestrations["order"].durable
    assert durable is not None
    return durable.for_version(None)


def test_the_input_is_decoded_by_its_annotation():
    def ship(ctx, order: Order):
        return ctx, order

    function, kind = orchestrator_for(ship, name="ctx")
    assert kind is Order
    context = Context({"amount": 3}, kind)
    assert function(context) == (context, Order(3))


def test_the_decorator_may_say_the_type():
    def ship(ctx, order):
        return order

    function, kind = orchestrator_for(ship, Order, name="ctx")
    assert kind is Order
    assert function(Context({"amount": 3}, kind)) == Order(3)


def test_a_type_may_be_defined_below_its_orchestrator():
    def ship(context, order: Later):
        return order

    assert orchestrator_for(ship)[1] is Later


@dataclasses.dataclass
class Later:
    name: str


def test_without_annotation_the_input_is_plain():
    def ship(context, order):
        return order

    function, kind = orchestrator_for(ship)
    assert kind is None
    assert function(Context({"amount": 3})) == {"amount": 3}
    assert function(Context()) is None


def test_a_default_stands_for_no_input():
    def ship(context: df.OrchestrationContext, order: int = 7):
        return order

    function, kind = orchestrator_for(ship)
    assert function(Context()) == 7
    assert function(Context(0, kind)) == 0


def test_an_input_that_does_not_fit_names_parameter_and_field():
    def ship(context, order: Order):
        return order

    function, kind = orchestrator_for(ship)
    with pytest.raises(PayloadError, match="input of the orchestrator, parameter 'order'") as error:
        function(Context({"amount": "three"}, kind))
    assert error.value.path == "order.amount"


def test_the_context_may_come_last_and_alone():
    def late(limit=3, *, context):
        return limit, context

    function, _ = orchestrator_for(late)
    assert function("c") == (3, "c")
    assert f"{__file__}:{late.__code__.co_firstlineno} " in start_of(function)


def test_partials_methods_and_objects_get_their_input():
    def add(step, context, order: int):
        return step + order

    for function, expected in (
        (functools.partial(add, 5), 12),
        (Flow().run, 7),
        (Flow(), 7),
    ):
        called, kind = orchestrator_for(function)
        assert called(Context(7, kind)) == expected


def test_where_the_code_is_can_be_told():
    function, _ = orchestrator_for(two)
    line = two.__code__.co_firstlineno
    assert start_of(function) == f"{__file__}:{line} (the end of two)"


def test_versions_may_differ_in_form():
    app = df.DFApp()
    app.orchestration_trigger("context", "order", version="1")(one)
    app.orchestration_trigger("context", "order", version="2")(lambda context, order: order)
    durable = index_app(app).orchestrations["order"].durable
    assert durable is not None
    assert durable.for_version("1").function is one
    assert durable.for_version("2").function(Context(2)) == 2


def test_a_decorated_orchestrator_is_called_as_it_was_written():
    app = df.DFApp()

    @app.orchestration_trigger("context")
    def ship(context, order):
        return context, order

    assert ship("c", 1) == ("c", 1)
