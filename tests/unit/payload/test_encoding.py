"""What is written for each kind of value, and what is refused where."""

from __future__ import annotations

import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

import pydantic
import pytest

from durable_app.errors import PayloadError
from durable_app.payload import encode_input, to_plain

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ID = UUID("12345678-1234-5678-1234-567812345678")


class Color(Enum):
    RED = "red"
    DAY = date(2026, 1, 2)


class Level(IntEnum):
    LOW = 1


class Size(StrEnum):
    BIG = "big"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Line:
    sku: str
    price: Any = 1.5


@dataclass
class Order:
    lines: list[Line] = field(default_factory=list)


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Real(float):
    pass


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents

    @staticmethod
    def to_json(money: Money) -> dict[str, Any]:
        return {"cents": money.cents, "on": date(2026, 1, 2)}


class PlainMethod:
    def to_json(self) -> str:
        return "plain method"


class ClassMethod:
    @classmethod
    def to_json(cls, _value: ClassMethod) -> list[str]:
        return [cls.__name__]


@dataclass
class OwnForm:
    name: str

    def to_json(self) -> str:
        return self.name.upper()


class Model(pydantic.BaseModel):
    at: datetime
    name: str = pydantic.Field(alias="fullName")
    ratio: float = 1.0


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (2**80, 2**80),
        (1.5, 1.5),
        ((1, (2, [])), [1, [2, []]]),
        (Text("a"), "a"),
        (Number(3), 3),
        (Real(2.5), 2.5),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": {}}), {"a": {}}),
        (Point(1, 2), [1, 2]),
        ({3, 1, 2, "b"}, ["b", 1, 2, 3]),
        (frozenset({(2, 1), (1, 2)}), [[1, 2], [2, 1]]),
        (Color.RED, "red"),
        (Color.DAY, "2026-01-02"),
        (Level.LOW, 1),
        (Size.BIG, "big"),
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2026-01-02T03:04:05.000006+00:00"),
        (datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T00:00:00+02:00"),
        (time(1, 2, 3), "01:02:03"),
        (ID, str(ID)),
        (Decimal("1.50"), "1.50"),
        (b"\xff\x00", "/wA="),
        (bytearray(b"\xff\x00"), "/wA="),
        (memoryview(b"\xff\x00"), "/wA="),
        (Order([Line("a")]), {"lines": [{"sku": "a", "price": 1.5}]}),
        (SimpleNamespace(a=SimpleNamespace(b=1)), {"a": {"b": 1}}),
        (Money(5), {"cents": 5, "on": "2026-01-02"}),
        (PlainMethod(), "plain method"),
        (ClassMethod(), ["ClassMethod"]),
        (OwnForm("ann"), "ANN"),
        (
            Model(at=datetime(2026, 1, 2, tzinfo=UTC), fullName="Ann"),
            {"at": "2026-01-02T00:00:00Z", "fullName": "Ann", "ratio": 1.0},
        ),
        (
            {2: "a", ID: "b", date(2026, 1, 2): "c", Level.LOW: "d", Size.BIG: "e", Text("t"): "f"},
            {"2": "a", str(ID): "b", "2026-01-02": "c", "1": "d", "big": "e", "t": "f"},
        ),
    ],
)
def test_a_value_has_one_plain_form(value: Any, plain: Any) -> None:
    assert to_plain(value) == plain


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "PT0S"),
        (timedelta(days=1, hours=2, minutes=3, seconds=4.5), "P1DT2H3M4.5S"),
        (timedelta(seconds=-1), "-PT1S"),
        (timedelta(microseconds=1), "PT0.000001S"),
        (timedelta(days=-3), "-P3D"),
        (timedelta(hours=1), "PT1H"),
        (timedelta.min, "-P999999999D"),
    ],
)
def test_a_timedelta_is_an_iso_duration(value: timedelta, text: str) -> None:
    assert to_plain(value) == text


def test_the_result_shares_no_container_with_the_value() -> None:
    value: dict[str, Any] = {"a": [1]}
    to_plain(value)["a"].append(2)
    assert value == {"a": [1]}


def test_the_same_object_twice_is_no_cycle() -> None:
    line = Line("a")
    assert to_plain([line, line]) == [{"sku": "a", "price": 1.5}] * 2


class Broken:
    def to_json(self) -> Any:
        raise KeyError("cents")


class Endless:
    def to_json(self) -> Any:
        return Endless()


class Unfolding:
    def to_json(self) -> Any:
        return [Unfolding()]


class Array:
    def tolist(self) -> list[int]:
        return [1]


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ({"o": Order([Line("a"), Line("b", object())])}, "o.lines[1].price", "give its class"),
        ({"unit price": {1: [object()]}}, '["unit price"]["1"][0]', "object cannot be sent"),
        ([float("nan")], "[0]", "NaN and infinities"),
        (float("inf"), "", "NaN and infinities"),
        (Decimal("NaN"), "", "Decimal NaN"),
        (datetime(2026, 1, 2), "", "value.replace(tzinfo=UTC)"),  # noqa: DTZ001 - that is the point
        ({"a": iter("x")}, "a", "list(...)"),
        ({"a": {1}.__iter__}, "a", "cannot be sent as JSON"),
        (Array(), "", ".tolist()"),
        (Broken(), "", "Broken cannot be sent as JSON: KeyError: 'cents'"),
        (Endless(), "", "never ends"),
        ({"a": Model(at=NOON, fullName="A", ratio=float("inf"))}, "a.ratio", "NaN"),
        ({"a": {True: 1}}, "a", "key of type bool"),
        ({None: 1}, "", "key of type None"),
        ({1.5: 1}, "", "key of type float"),
        ({(1, 2): 1}, "", "key of type tuple"),
        ([{1: "a", "1": "b"}], "[0]", "same text, '1'"),
        ({10**5000: 1}, "", "too large"),
        ([{(10**5000, 1), 2}], "[0]", "no JSON text"),
        ({"a": {datetime(2026, 1, 2): 1}}, "a", "without time zone"),  # noqa: DTZ001 - as above
    ],
)
def test_what_has_no_form_is_refused_by_its_path(value: Any, path: str, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        to_plain(value)
    assert reason in str(caught.value)
    assert caught.value.path == path


def test_a_coroutine_is_refused_with_the_remedy() -> None:
    forgotten = coroutine()
    with pytest.raises(PayloadError, match="await it first"):
        to_plain({"a": forgotten})
    forgotten.close()


def test_a_cycle_of_lists_is_named() -> None:
    inner: list[Any] = []
    inner.append({"back": inner})
    with pytest.raises(PayloadError, match="refers to itself") as caught:
        to_plain({"a": inner})
    assert caught.value.path == "a[0].back"


def test_a_cycle_of_objects_is_named() -> None:
    line = Line("a")
    line.price = [line]
    with pytest.raises(PayloadError, match=r"price\[0\]: The Line refers to itself"):
        to_plain(line)


def test_endless_nesting_ends_in_an_error_with_a_short_path() -> None:
    with pytest.raises(PayloadError, match="more than 900 levels") as caught:
        to_plain(Unfolding())
    assert len(caught.value.path) < 200


def test_nine_hundred_levels_are_written_in_any_call_depth() -> None:
    value: Any = 1
    for _ in range(900):
        value = [value]
    plain = to_plain(value)
    for _ in range(900):
        (plain,) = plain
    assert plain == 1


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="since Python 3.12 C code has a stack limit of its own"
)
def test_a_set_of_deep_tuples_is_an_error_not_a_recursion() -> None:
    item: Any = 1
    for _ in range(890):
        item = (item,)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(600)
    try:
        with pytest.raises(PayloadError, match="nested too deeply"):
            to_plain({item, 2})
    finally:
        sys.setrecursionlimit(limit)


def test_no_input_is_not_an_empty_input() -> None:
    falsy: list[Any] = [0, "", [], False]
    assert encode_input(None) is None
    assert [encode_input(value) for value in falsy] == ["0", '""', "[]", "false"]
