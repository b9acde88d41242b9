"""Operations of a class: the user's public methods, and nothing else."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from durable_app.errors import DefinitionError
from durable_app.replay.entity_context import DurableEntity
from durable_app.replay.entity_methods import operations_of
from tests.unit.replay.entity_rig import outcomes, run, signal


def logged(method: Any) -> Any:
    @functools.wraps(method)
    def around(*args):
        return method(*args)

    return around


class Auditing:
    def audit(self) -> str:
        return "audited"

    def get(self) -> str:
        return "of the mixin"


class Base(DurableEntity):
    constant = 7
    made = functools.partial(print)

    def get(self) -> Any:
        return self.get_state()

    @property
    def size(self) -> int:
        return 1

    @staticmethod
    def constructor() -> str:
        return "static"

    @classmethod
    def build(cls) -> str:
        return "class"

    def _hidden(self) -> str:
        return "hidden"


class Counter(Base, Auditing):
    def set_state(self, state: Any) -> None:
        super().set_state(state)

    @logged
    def put(self, value: int) -> None:
        self.set_state(value)

    def twice(self, value: int = 3) -> int:
        return 2 * value

    def many(self, *values: int) -> int:
        return len(values)

    def late(self, value: Later) -> int:
        return value.x

    def unresolved(self, value: Nowhere) -> Any:  # type: ignore[name-defined]  # noqa: F821  the test
        return value


class Later:
    def __init__(self, x: int) -> None:
        self.x = x

    @staticmethod
    def to_json(value: Later) -> Any:
        return {"x": value.x}

    @classmethod
    def from_json(cls, data: Any) -> Later:
        return cls(data["x"])


class Tidy(Counter):
    def delete(self, input: Any = None) -> str:
        self.set_state(None)
        return "tidied"

    put = None  # takes the operation away


class Eternal(DurableEntity):
    delete = None  # type: ignore[assignment]  # takes the operation away


def test_the_operations_are_the_users_public_methods():
    expected = {"audit", "delete", "get", "late", "many", "put", "twice", "unresolved"}
    assert set(operations_of(Counter, DurableEntity)) == expected


@pytest.mark.parametrize(
    "name",
    [
        *("set_state", "get_state", "signal_entity", "start_new_orchestration", "entity_context"),
        *("schedule_new_orchestration", "_hidden", "__init__", "__class__", "size", "constant"),
        *("constructor", "build", "made", "_DurableEntity__context", "__durable_kind__"),
    ],
)
def test_what_is_no_operation_cannot_be_asked_for(name):
    result = run(Counter, signal(name, "9"), state="1")
    assert str(outcomes(result)[0]).startswith("AttributeError: Entity 'counter' has no op")
    assert result.entity_state == "1"


def test_the_nearest_name_is_told():
    assert outcomes(run(Eternal, "add")) == [
        "AttributeError: Entity 'counter' has no operation 'add'. Its operations are: none."
    ]
    assert "Did you mean 'twice'?" in str(outcomes(run(Counter, "Twice"))[0])


def test_the_method_is_the_one_that_python_finds():
    assert outcomes(run(Counter, "get", "audit", state='"of the class"')) == [
        '"of the class"',
        '"audited"',
    ]


def test_delete_is_there_unless_it_is_taken_away_or_replaced():
    assert run(Counter, signal("delete", '"x"'), state="1").entity_state is None
    replaced = run(Tidy, signal("delete", '"x"'), state="1")
    assert (outcomes(replaced), replaced.entity_state) == (['"tidied"'], None)
    assert run(Eternal, "delete", state="1").entity_state == "1"


def test_a_method_of_the_parent_can_be_taken_away():
    assert "no operation 'put'" in str(outcomes(run(Tidy, signal("put", "1")))[0])


def test_a_default_counts_where_there_is_no_input():
    assert outcomes(run(Counter, "twice", signal("twice", "0"), "many", signal("many", "1"))) == [
        "6",
        "0",
        "0",
        "1",
    ]


def test_an_input_that_the_method_does_not_take_is_dropped():
    assert outcomes(run(Counter, signal("get", "5"))) == [None]


@pytest.mark.parametrize("text", [None, '"x"', "null"])
def test_an_input_has_the_type_of_the_parameter(text):
    (found,) = outcomes(run(Counter, signal("put", text)))
    assert str(found).startswith("PayloadError: value: ")


def test_annotations_are_read_late_and_may_be_unknown():
    assert outcomes(run(Counter, signal("late", '{"x":4}'), signal("unresolved", "5"))) == [
        "4",
        "5",
    ]


def two(self, a, b):
    return a, b


def keyword(self, *, a):
    return a


def generator(self):
    yield self


async def async_generator(self):
    yield self


@pytest.mark.parametrize(
    ("method", "text"),
    [
        (two, "must take `self` and at most one input"),
        (keyword, "must take `self` and at most one input"),
        (generator, "is a generator"),
        (async_generator, "is a generator"),
    ],
)
def test_a_method_that_cannot_be_an_operation_is_refused_with_its_place(method, text):
    line = method.__code__.co_firstlineno
    place = rf"test_entity_methods\.py:{line}: operation Wrong\.act {text}.*_act"
    with pytest.raises(DefinitionError, match=place):
        type("Wrong", (DurableEntity,), {"act": method})
    assert type("Right", (DurableEntity,), {"_act": method}) is not None
