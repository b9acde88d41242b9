"""Plain JSON read by annotation: scalars, containers, unions, envelopes, other classes."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag
from types import SimpleNamespace
from typing import Annotated, Any, Final, ForwardRef, Literal, NewType, Optional, Protocol, TypeVar
from uuid import UUID

import pytest
from typing_extensions import TypeAliasType

from durable_app.errors import PayloadError
from durable_app.payload import decoding, from_plain, from_text, to_plain

ID = UUID("12345678-1234-5678-1234-567812345678")
UserId = NewType("UserId", int)
Name = NewType("Name", str)
AnyType: Any = TypeVar("AnyType")  # type: ignore[misc] # it serves as a value here
Rows = TypeAliasType("Rows", list[dict[str, int]])


class Color(Enum):
    RED = "red"
    DAY = date(2026, 1, 2)
    PAIR = (1, 2)
    ODD = object()

    @classmethod
    def _missing_(cls, value: object) -> Color | None:
        return cls.RED if value == "rouge" else None


class Level(IntEnum):
    LOW = 1


class Rights(IntFlag):
    READ = 1
    WRITE = 2


class Sku(str):
    __slots__ = ()

    def __new__(cls, text: str) -> Sku:
        if not text.startswith("S"):
            raise ValueError("S is missing")
        return super().__new__(cls, text)


class Hooked:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    __hash__ = None  # type: ignore[assignment] # equal by what it holds, which may change

    @staticmethod
    def to_json(value: Hooked) -> Any:
        return {"inner": value.inner}

    @classmethod
    def from_json(cls, plain: Any) -> Hooked:
        return cls(plain["inner"])


class Other(Hooked):
    pass


class Quacks(Protocol):
    def quack(self) -> None: ...


class Opaque:
    pass


def envelope(name: str, inner: Any, module: str = __name__) -> dict[str, Any]:
    return {"__class__": name, "__module__": module, "__data__": inner}


@pytest.mark.parametrize(
    ("plain", "expected", "value"),
    [
        ("a", str, "a"),
        (5, int, 5),
        (5, float, 5.0),
        (5.5, float, 5.5),
        (True, bool, True),
        ([1], Any, [1]),
        ([1], None, [1]),
        ([1], type(None), [1]),
        ([1], object, [1]),
        ([1], AnyType, [1]),
        ([1], "Unknown", [1]),
        ([1], ForwardRef("Unknown"), [1]),
        ([1], Quacks, [1]),
        ({"a": 1}, Mapping, {"a": 1}),
        ([1], list, [1]),
        ([1, 2.5], list[float], [1.0, 2.5]),
        (["x"], Sequence[str], ["x"]),
        (["x"], Iterable[str], ["x"]),
        ([1, 2], tuple[int, ...], (1, 2)),
        ([1, "a"], tuple[int, str], (1, "a")),
        ([], tuple[()], ()),
        ([1, "a"], tuple, (1, "a")),
        ([1, 2], set[int], {1, 2}),
        ([1, 2], frozenset[int], frozenset({1, 2})),
        ([1, 2], AbstractSet[int], frozenset({1, 2})),
        ({"a": [1]}, dict[str, list[int]], {"a": [1]}),
        ({"a": 1}, dict, {"a": 1}),
        ({"1": 1}, dict[int, float], {1: 1.0}),
        ({"1": 1}, Mapping[UserId, int], {1: 1}),
        ({"1": 1}, dict[Annotated[Name, "x"], int], {"1": 1}),
        ({"1": 1}, dict[Any, int], {"1": 1}),
        ({"1": 1}, dict[AnyType, int], {"1": 1}),
        ({str(ID): 1}, dict[UUID, int], {ID: 1}),
        ({"2026-01-02": 1}, dict[date, int], {date(2026, 1, 2): 1}),
        ({"red": 1, "2026-01-02": 2}, dict[Color, int], {Color.RED: 1, Color.DAY: 2}),
        ({"1": 1}, dict[Level, int], {Level.LOW: 1}),
        ({"S1": 1}, dict[Sku, int], {Sku("S1"): 1}),
        ({"a": 1, "2": 2}, dict[Literal["a", 2], int], {"a": 1, 2: 2}),
        ({"1": 1, "x": 2}, dict[int | str, int], {1: 1, "x": 2}),
        ({"x": 2}, dict[int | Any, int], {"x": 2}),
        ([{"b": 1}], Rows, [{"b": 1}]),
        (5, UserId, 5),
        (5, Annotated[int, "unit: s"], 5),
        (5, Final[int], 5),
        ("b", Literal["a", "b"], "b"),
        ("red", Literal[Color.RED], Color.RED),
        ("red", Color, Color.RED),
        ("rouge", Color, Color.RED),
        ("2026-01-02", Color, Color.DAY),
        ([1, 2], Color, Color.PAIR),
        (3, Rights, Rights.READ | Rights.WRITE),
        ("2026-01-02T00:00:00Z", datetime, datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02", date, date(2026, 1, 2)),
        ("01:02:03", time, time(1, 2, 3)),
        ("P2W1DT1M", timedelta, timedelta(days=15, minutes=1)),
        ("-PT1,5S", timedelta, timedelta(seconds=-1.5)),
        (str(ID), UUID, ID),
        ("1.50", Decimal, Decimal("1.50")),
        (19.99, Decimal, Decimal("19.99")),
        (7, Decimal, Decimal(7)),
        ("/wA=", bytes, b"\xff\x00"),
        ("/wA=", bytearray, bytearray(b"\xff\x00")),
        ("S1", Sku, Sku("S1")),
        ({"a": 1}, OrderedDict[str, int], OrderedDict(a=1)),
        ({"a": 1}, Counter, Counter(a=1)),
        ({"a": 1}, SimpleNamespace, SimpleNamespace(a=1)),
        ({"inner": 1}, Hooked, Hooked(1)),
    ],
)
def test_json_is_read_by_its_annotation(plain: Any, expected: Any, value: Any) -> None:
    read = from_plain(plain, expected)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("plain", "expected", "path", "reason"),
    [
        (True, int, "", "int was expected, but the JSON holds bool."),
        (1.0, int, "", "int was expected, but the JSON holds float."),
        (None, str, "", "str was expected, but the JSON holds None."),
        ("x", float, "", "float was expected"),
        (int("9" * 400), float, "", "does not fit a float"),
        ("abc", list[str], "", "list[str] was expected, but the JSON holds str."),
        ([[1], ["a", 2]], list[list[int]], "[1][0]", "int was expected"),
        ([1], tuple[int, str], "", "tuple[int, str] was expected, but the list has 1."),
        ([1, 2], tuple[int, str], "[1]", "str was expected"),
        ("x", tuple[int, str], "", "was expected"),
        ([[1]], set[list[int]], "", "unhashable"),
        ([1], dict[str, int], "", "dict[str, int] was expected"),
        ({"a": {"b c": "x"}}, dict[str, dict[str, int]], 'a["b c"]', "int was expected"),
        ({"x": 1}, dict[int, int], "x", "The key is no int"),
        ({"x": 1}, dict[bool, int], "x", "bool cannot be the type of keys"),
        ({"x": 1}, dict[float, int], "x", "float cannot be the type of keys"),
        ({1: 1}, dict[int, int], "", "int cannot be the type of keys"),
        ({"x": 1}, dict[Sku, int], "x", "S is missing"),
        ({"x": 1}, dict[Color, int], "x", "The key is no value of Color"),
        ({"x": 1}, dict[int | UUID, int], "x", "The key is no int | UUID"),
        ("c", Literal["a", "b"], "", "no value of Literal['a', 'b']"),
        (True, Level, "", "The bool is no value of Level"),
        ("blue", Color, "", "The str is no value of Color"),
        (object(), Color, "", "no JSON text"),
        ("2026-01-02T00:00:00", datetime, "", "end it with Z"),
        ("monday", date, "", "The text is no date"),
        (5, date, "", "date was expected, but the JSON holds int."),
        ("P1Y", timedelta, "", "P1DT2H3M4.5S"),
        ("P", timedelta, "", "P1DT2H3M4.5S"),
        ("P9999999999D", timedelta, "", "The text is no timedelta"),
        ("P" + "9" * 5000 + "D", timedelta, "", "The text is no timedelta"),
        ("x", Decimal, "", "The text is no Decimal"),
        ("Infinity", Decimal, "", "a finite number"),
        ("é", bytes, "", "The text is no bytes"),
        ("/wA", bytes, "", "The text is no bytes"),
        ("X1", Sku, "", "The JSON is no Sku: ValueError: S is missing"),
        (5, Sku, "", "str was expected"),
        ([{"inner": 1}, {}], list[Hooked], "[1]", "Hooked.from_json failed: KeyError: 'inner'"),
        ({"a": 1}, Opaque, "", "Opaque cannot be read from JSON; give the class from_json"),
        ([], int | str, "", "int | str was expected, but the JSON holds list."),
        (["x"], list[int] | dict[str, int], "[0]", "int was expected"),
        (None, int | str, "", "int | str was expected, but the JSON holds None."),
        ("x", list[None] | None, "", "list[None] was expected"),
        ([1], list[None] | None, "[0]", "None was expected"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_path(
    plain: Any, expected: Any, path: str, reason: str
) -> None:
    with pytest.raises(PayloadError) as caught:
        from_plain(plain, expected)
    assert reason in caught.value.reason
    if path:
        assert caught.value.path == path


@pytest.mark.parametrize(
    ("plain", "expected", "value"),
    [
        (None, int | None, None),
        (5, Optional[int], 5),  # noqa: UP045 - both spellings are annotations
        (5, float | int, 5),
        (5, float | str, 5.0),
        ("2026-01-02", date | str, "2026-01-02"),
        ("2026-01-02", date | int, date(2026, 1, 2)),
        (True, int | bool, True),
        ([1], set[int] | list[int], {1}),
        ([1], list[int] | set[int], [1]),
        ({"inner": 1}, dict[str, int] | Hooked, Hooked(1)),
        ({"else": 1}, dict[str, int] | Hooked, {"else": 1}),
        ("x", int | Any, "x"),
    ],
)
def test_the_member_of_a_union_is_chosen_by_the_json(plain: Any, expected: Any, value: Any) -> None:
    read = from_plain(plain, expected)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("plain", "expected", "value"),
    [
        (envelope("Hooked", {"inner": 1}), Hooked, Hooked(1)),
        (envelope("Hooked", {"inner": 1}, "moved.away"), Hooked, Hooked(1)),
        (envelope("Hooked", {"inner": 1}), Any, {"inner": 1}),
        ([{"a": envelope("X", [envelope("Y", 1)])}], Any, [{"a": [1]}]),
        (envelope("X", envelope("Y", 1)), int, 1),
        (envelope("Other", {"inner": 1}), Hooked | Other, Other(1)),
        (envelope("Hooked", {"inner": 1}), Other | Hooked, Hooked(1)),
        (envelope("Hooked", 5), int | str, 5),
        (envelope("Renamed", {"inner": 1}), Hooked, Hooked(1)),
        ({**envelope("X", 1), "more": 2}, Any, {**envelope("X", 1), "more": 2}),
    ],
)
def test_an_envelope_stands_for_its_data(plain: Any, expected: Any, value: Any) -> None:
    read = from_plain(plain, expected)
    assert read == value
    assert type(read) is type(value)


def test_text_with_an_envelope_is_unwrapped() -> None:
    assert from_text('{"__class__":"os","__module__":"os","__data__":[1]}') == [1]


def test_a_value_of_the_class_itself_is_left_alone() -> None:
    value = Opaque()
    assert from_plain(value, Opaque) is value


def test_the_order_of_a_union_counts_although_the_types_are_equal() -> None:
    first, second = list[int] | set[int], set[int] | list[int]
    assert first == second
    assert (from_plain([1], first), from_plain([1], second)) == ([1], {1})


def test_json_nested_deeper_than_the_stack_is_an_error() -> None:
    plain: Any = 1
    for _ in range(5000):
        plain = {"a": plain}
    with pytest.raises(PayloadError, match="nested too deeply"):
        from_plain(plain)


def test_readers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_MAX_READERS", 3)
    for _ in range(10):
        assert from_plain(to_plain({"a": (1,)}), dict[str, tuple[int, ...]]) == {"a": (1,)}
    assert len(decoding._readers) <= 3
