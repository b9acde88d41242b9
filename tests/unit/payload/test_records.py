"""Classes with fields: dataclasses, NamedTuples, TypedDicts, pydantic models."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from datetime import date
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    NamedTuple,
    NotRequired,
    Required,
    TypedDict,
    TypeVar,
)

import pydantic
import pydantic.dataclasses
import pytest

from durable_app.errors import PayloadError
from durable_app.payload import from_plain, to_plain

if TYPE_CHECKING:
    from elsewhere import Unknown  # type: ignore[import-not-found] # never resolvable

T = TypeVar("T")
U = TypeVar("U")
DAY = date(2026, 1, 2)


@dataclass
class Line:
    sku: str
    price: float
    on: date | None = None


@dataclass
class Order:
    lines: list[Line]
    tags: set[str] = field(default_factory=set)


@dataclass
class Tree:
    name: str
    children: list[Tree] = field(default_factory=list)
    parent: Tree | None = None


@dataclass
class Parent:
    known: date


@dataclass
class HalfKnown(Parent):
    strange: Unknown
    price: float = 0.0


@dataclass
class Pair(Generic[T, U]):
    first: T
    rest: list[U]


@dataclass
class Positive:
    value: int
    twice: int = field(init=False)

    def __post_init__(self) -> None:
        if self.value < 0:
            raise ValueError("value < 0")
        self.twice = self.value * 2


@dataclass
class Seeded:
    seed: InitVar[int]


class Point(NamedTuple):
    x: int
    day: date = date(2026, 1, 2)


class Config(TypedDict):
    day: date
    note: NotRequired[str]


class Loose(TypedDict, total=False):
    must: Required[int]
    may: int


class Address(pydantic.BaseModel):
    city: str
    zip_code: int = pydantic.Field(alias="zipCode")


class Person(pydantic.BaseModel):
    name: str
    addresses: list[Address] = []


class Page(pydantic.BaseModel, Generic[T]):
    items: list[T]


class Checked(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        ser_json_bytes="base64", val_json_bytes="base64", strict=True
    )
    raw: bytes
    day: date

    @pydantic.field_validator("day")
    @classmethod
    def _check(cls, day: date) -> date:
        if day.year == 1999:
            raise RuntimeError("too old")
        return day


@pydantic.dataclasses.dataclass
class Strict:
    day: date
    n: int = 0


def envelope(inner: Any) -> dict[str, Any]:
    return {"__class__": "Line", "__module__": "old.place", "__data__": inner}


@pytest.mark.parametrize(
    ("plain", "expected", "value"),
    [
        ({"sku": "a", "price": 1}, Line, Line("a", 1.0)),
        ({"sku": "a", "price": 1, "on": "2026-01-02"}, Line, Line("a", 1.0, date(2026, 1, 2))),
        ({"sku": "a", "price": 1, "unknown": 2}, Line, Line("a", 1.0)),
        ({"lines": [], "tags": ["x"]}, Order, Order([], {"x"})),
        ({"name": "a", "children": [{"name": "b"}]}, Tree, Tree("a", [Tree("b")])),
        ({"first": "2026-01-02", "rest": [1]}, Pair[date, float], Pair(date(2026, 1, 2), [1.0])),
        ({"first": "2026-01-02", "rest": [1]}, Pair, Pair("2026-01-02", [1])),
        ({"value": 2, "twice": 9}, Positive, Positive(2)),
        ([1], Point, Point(1)),
        ([1, "2026-01-03"], Point, Point(1, date(2026, 1, 3))),
        ({"x": 1}, Point, Point(1)),
        ({"day": "2026-01-02", "more": 1}, Config, {"day": date(2026, 1, 2), "more": 1}),
        ({"must": 1}, Loose, {"must": 1}),
        ({"city": "Bonn", "zipCode": 1}, Address, Address(city="Bonn", zipCode=1)),
        ({"items": ["2026-01-02"]}, Page[date], Page[date](items=[date(2026, 1, 2)])),
        ({"raw": "/wA=", "day": "2026-01-02"}, Checked, Checked(raw=b"\xff\x00", day=DAY)),
        ({"day": "2026-01-02"}, Strict, Strict(date(2026, 1, 2))),
        (envelope({"sku": "a", "price": 1}), Line, Line("a", 1.0)),
        # The record that knows most of the keys.
        ({"sku": "a", "price": 1}, Tree | Line, Line("a", 1.0)),
        ({"name": "a", "price": 1, "sku": "a"}, dict[str, Any] | Tree | Line, Line("a", 1.0)),
        ({"must": 1}, Config | Loose, {"must": 1}),
        ({"x": 1}, Line | Point, Point(1)),
        ({"city": "Bonn", "zipCode": 1}, Person | Address, Address(city="Bonn", zipCode=1)),
    ],
)
def test_an_object_is_read_by_its_fields(plain: Any, expected: Any, value: Any) -> None:
    read = from_plain(plain, expected)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("plain", "expected", "path", "reason"),
    [
        ([], Line, "", "Line was expected, but the JSON holds list."),
        ({"lines": [{"sku": "a", "price": "x"}]}, Order, "lines[0].price", "float was expected"),
        ({"lines": [{"sku": "a"}]}, Order, "lines[0].price", "Is missing; Line needs float."),
        ({"first": 1, "rest": ["x"]}, Pair[int, int], "rest[0]", "int was expected"),
        ({"value": -1}, Positive, "", "Positive refuses the value: ValueError: value < 0"),
        ({}, Seeded, "", "Seeded refuses the value: TypeError"),
        ([1, "x"], Point, "[1]", "The text is no date"),
        ([], Point, "[0]", "Is missing; Point needs int."),
        ([1, "2026-01-02", 3], Point, "", "Point has 2 fields, the list 3."),
        ("x", Point, "", "Point was expected"),
        ([], Config, "", "Config was expected"),
        ({"note": "x"}, Config, "day", "Is missing; Config needs date."),
        ({"may": 1}, Loose, "must", "Is missing"),
        (
            [{"name": "A", "addresses": [{"city": "Bonn", "zipCode": "x"}]}],
            list[Person],
            "[0].addresses[0].zipCode",
            "Person: Input should be a valid integer",
        ),
        ({}, Address, "city", "Address: Field required (and 1 more)."),
        ({"raw": "", "day": "1999-01-02"}, Checked, "", "Checked refuses the value: RuntimeError"),
        ({"day": "2026-01-02", "n": "x"}, Strict, "n", "int was expected"),
        ({}, Line | Tree, "sku", "Is missing"),
    ],
)
def test_a_field_that_does_not_fit_is_named(
    plain: Any, expected: Any, path: str, reason: str
) -> None:
    with pytest.raises(PayloadError) as caught:
        from_plain(plain, expected)
    assert reason in caught.value.reason
    assert caught.value.path == path


def test_an_annotation_that_cannot_be_resolved_means_any() -> None:
    read = from_plain({"known": "2026-01-02", "strange": [1], "price": 1}, HalfKnown)
    assert read == HalfKnown(date(2026, 1, 2), [1], 1.0)
    with pytest.raises(PayloadError, match="price: float was expected"):
        from_plain({"known": "2026-01-02", "strange": [1], "price": "x"}, HalfKnown)


def test_a_class_defined_in_a_function_may_name_itself() -> None:
    @dataclass
    class Node:
        value: int
        next: Node | None = None

    node = Node(1, Node(2))
    assert from_plain(to_plain(node), Node) == node


def test_a_missing_slot_is_an_error_of_the_payload() -> None:
    line = Line("a", 1.0)
    del line.sku
    with pytest.raises(PayloadError, match=r"\[0\]: Line cannot be sent as JSON: AttributeError"):
        to_plain([line])
