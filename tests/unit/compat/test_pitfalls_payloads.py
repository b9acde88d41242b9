"""What moved apps stumble over, in lists that users can read: inputs, results and their types.

That objects with ``to_json`` come back where their type is known is shown in test_differences.py.
"""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, TypeVar
from uuid import UUID

import pydantic
import pytest

import durable_app as df
from durable_app.testing import run_orchestration

T = TypeVar("T")


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass
class Line:
    price: Decimal
    colour: Colour = Colour.RED


@dataclasses.dataclass
class Order:
    lines: list[Line]
    note: str | None = None


class Model(pydantic.BaseModel):
    when: datetime


class Box(pydantic.BaseModel, Generic[T]):
    content: T


class Money:
    """Converts itself, as custom classes of 1.x do."""

    def __init__(self, cents):
        self.cents = cents

    @staticmethod
    def to_json(value):
        return {"cents": value.cents}

    @staticmethod
    def from_json(data):
        return Money(data["cents"])


def through(app: df.DFApp, value: Any, kind: Any) -> Any:
    """What an activity sees of a value, and what the orchestrator gets back."""
    seen = []

    def note(value):
        seen.append(value)
        return value

    note.__annotations__ = {"value": kind, "return": kind}
    look = app.activity_trigger(input_name="value")(note)

    @app.orchestration_trigger(context_name="context")
    def passes(context):
        seen.append((yield context.call_activity(look, value)))

    run_orchestration(app, passes)
    assert seen[0] == seen[1]
    return seen[0]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), datetime),
        (date(2030, 1, 2), date),
        (timedelta(hours=36), timedelta),
        (UUID("12345678123456781234567812345678"), UUID),
        (Decimal("1.10"), Decimal),
        (b"\x00\xff", bytes),
        ({3, 1, 2}, set[int]),
        ((1, "a"), tuple[int, str]),
        ({1: "a", 2: "b"}, dict[int, str]),
        (Colour.RED, Colour),
        (Order([Line(Decimal("1.10"))], None), Order),
        ([Order([Line(Decimal(2))], "x")], list[Order]),
        (None, Order | None),
        (Model(when=datetime(2030, 1, 2, tzinfo=UTC)), Model),
        (Box[int](content=7), Box[int]),
    ],
    ids=lambda each: getattr(each, "__name__", None) or repr(each)[:40],
)
def test_common_types_travel_by_annotation(app: df.DFApp, value, kind):
    """datetime, UUID, Decimal, bytes, sets, tuples, pydantic models ... need no converter."""
    found = through(app, value, kind)

    assert found == value
    assert type(found) is type(value)


def test_an_annotation_without_a_decorated_function_decodes_too(app: df.DFApp):
    """The parameter of the activity counts, also when it is called by its name."""

    @app.activity_trigger(input_name="order")
    def total(order: Order) -> Decimal:
        return sum((line.price for line in order.lines), Decimal(0))

    @app.orchestration_trigger(context_name="context")
    def calls(context):
        lines = [{"price": "1.10"}, {"price": "2.20"}]
        return (yield context.call_activity("total", {"lines": lines}))

    assert run_orchestration(app, calls) == "3.30"


@pytest.mark.parametrize("text", ["5", "null", "true", '"quoted"', '{"a": 1}', "[1]", ""])
def test_a_text_that_looks_like_json_stays_a_text(app: df.DFApp, text):
    """Inputs and results are decoded once."""
    assert through(app, text, Any) == text
    assert through(df.DFApp(), text, str) == text


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_number_for_is_refused_with_its_place(app: df.DFApp, number):
    """NaN is no JSON: it is refused where it is sent, not found by who reads it."""

    @app.orchestration_trigger(context_name="context")
    def sends(context):
        yield context.call_activity("echo", {"readings": [1.0, number]})

    with pytest.raises(df.OrchestrationFailedError, match=r"readings\[1\]"):
        run_orchestration(app, sends)


def test_a_value_that_does_not_fit_fails_with_its_place(app: df.DFApp):
    """It is not passed on as it is: the activity fails, and the field is named."""

    @app.activity_trigger(input_name="order")
    def total(order: Order) -> int:
        return len(order.lines)

    @app.orchestration_trigger(context_name="context")
    def calls(context):
        yield context.call_activity(total, {"lines": [{"price": "1"}, {"price": "one"}]})

    with pytest.raises(df.OrchestrationFailedError, match=r"order\.lines\[1\]\.price"):
        run_orchestration(app, calls)


def test_a_result_that_does_not_fit_its_expected_type_fails(app: df.DFApp):
    """Not a warning: the `yield` raises, with the place."""

    @app.orchestration_trigger(context_name="context")
    def calls(context):
        try:
            yield context.call_activity("echo", {"lines": "none"}, expected_type=Order)
        except df.PayloadError as error:
            return error.path

    assert run_orchestration(app, calls) == "lines"


def test_a_naive_datetime_is_refused(app: df.DFApp):
    """Its time zone would be a guess of who reads it."""

    @app.orchestration_trigger(context_name="context")
    def sends(context):
        yield context.call_activity("echo", datetime(2030, 1, 2))  # noqa: DTZ001  the test

    with pytest.raises(df.OrchestrationFailedError, match=r"(?i)naive|offset|time zone"):
        run_orchestration(app, sends)


ENVELOPE = {"__class__": "Money", "__module__": __name__, "__data__": {"cents": 110}}


def test_what_1x_has_written_is_read(app: df.DFApp):
    """An envelope of 1.x and plain JSON give the same object, where the type is asked for."""

    @app.orchestration_trigger(context_name="context")
    def reads(context):
        written = [ENVELOPE, {"cents": 110}]
        calls = [context.call_activity("echo", each, expected_type=Money) for each in written]
        found = yield context.task_all(calls)
        return [each.cents for each in found]

    assert run_orchestration(app, reads) == [110, 110]


def test_a_payload_does_not_choose_a_class(app: df.DFApp):
    """Whatever class an envelope names, none is made unless the caller's type says so."""
    made = []

    class Trap(Money):
        @staticmethod
        def from_json(data):
            made.append(data)

    globals()["Trap"] = Trap
    try:
        found = through(app, {**ENVELOPE, "__class__": "Trap", "__data__": {"cents": 1}}, Any)
    finally:
        del globals()["Trap"]

    assert found == {"cents": 1}
    assert made == []


def test_objects_within_objects_travel(app: df.DFApp):
    """A list of custom objects in a dict needs no conversion by hand."""
    found = through(app, {"prices": [Money(1), Money(2)]}, dict[str, list[Any]])

    assert found == {"prices": [{"cents": 1}, {"cents": 2}]}


def test_an_input_of_an_orchestrator_is_decoded_by_its_annotation(app: df.DFApp):
    """The second argument has the type that it is annotated with."""

    @app.orchestration_trigger(context_name="ctx")
    def orders(ctx: df.OrchestrationContext, order: Order):
        return [type(order).__name__, str(order.lines[0].price)]

    assert run_orchestration(app, orders, Order([Line(Decimal("1.10"))])) == ["Order", "1.10"]


def test_an_input_type_is_said_in_the_decorator_or_where_it_is_read(app: df.DFApp):
    """`input_type=` and `get_input(expected_type=)`."""

    @app.orchestration_trigger(context_name="context", input_type=Order)
    def first(context):
        return len(context.get_input().lines)

    @app.orchestration_trigger(context_name="context")
    def second(context):
        return len(context.get_input(expected_type=Order).lines)

    order = Order([Line(Decimal(1))])
    assert run_orchestration(app, first, order) == run_orchestration(app, second, order) == 1
