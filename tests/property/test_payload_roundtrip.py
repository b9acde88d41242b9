"""Payloads: what is written is read again by its annotation, and nothing else ever happens."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from types import GenericAlias
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import pydantic
from hypothesis import given
from hypothesis import strategies as st

from durable_app.errors import PayloadError
from durable_app.payload import from_plain, from_text, to_plain, to_text


class Color(Enum):
    RED = "red"
    DAY = date(2026, 1, 2)
    PAIR = (1, "x")


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Row(NamedTuple):
    n: int
    day: date


class Settings(TypedDict):
    name: str
    ratio: float


@dataclass(frozen=True)
class Line:
    sku: str
    price: Decimal
    color: Color = Color.RED


@dataclass
class Order:
    id: UUID
    lines: list[Line]
    by_day: dict[date, tuple[Line, ...]]
    note: str | None = None
    parents: list[Order] = field(default_factory=list)


class Model(pydantic.BaseModel):
    name: str
    at: datetime
    levels: dict[Level, list[int]]


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.cents == self.cents

    def __hash__(self) -> int:
        return hash(self.cents)

    @staticmethod
    def to_json(money: Money) -> Any:
        return {"cents": money.cents}

    @staticmethod
    def from_json(plain: Any) -> Money:
        return Money(plain["cents"])


finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=8)
decimals = st.decimals(allow_nan=False, allow_infinity=False)
lines = st.builds(Line, price=decimals, color=st.sampled_from(Color))


def orders(parents: st.SearchStrategy[list[Order]]) -> st.SearchStrategy[Order]:
    return st.builds(
        Order,
        lines=st.lists(lines, max_size=2),
        by_day=st.dictionaries(st.dates(), st.lists(lines, max_size=2).map(tuple), max_size=2),
        parents=parents,
    )


SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(),
    float: finite,
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    date: st.dates(),
    time: st.times(),
    timedelta: st.timedeltas(),
    UUID: st.uuids(),
    Decimal: decimals,
    bytes: st.binary(max_size=8),
    Color: st.sampled_from(Color),
    Level: st.sampled_from(Level),
    Literal["a", 1, None]: st.sampled_from(["a", 1, None]),
    Money: st.builds(Money, st.integers()),
    Line: lines,
    Row: st.builds(Row, st.integers(), st.dates()),
    Settings: st.fixed_dictionaries({"name": texts, "ratio": finite}),
    Order: orders(st.lists(orders(st.just([])), max_size=1)),
    Model: st.builds(Model, at=st.datetimes(timezones=st.just(UTC))),
}
KEYS: tuple[Any, ...] = (str, int, date, datetime, UUID, Level)
HASHABLE: tuple[Any, ...] = (*KEYS, bool, bytes, timedelta, Color, Money, Line)

Typed = tuple[Any, st.SearchStrategy[Any]]


def wider(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Annotations around an annotation, each with a strategy for its values."""
    return st.one_of(
        inner.map(lambda t: (GenericAlias(list, (t[0],)), st.lists(t[1], max_size=3))),
        inner.map(
            lambda t: (GenericAlias(tuple, (t[0], ...)), st.lists(t[1], max_size=3).map(tuple))
        ),
        inner.map(lambda t: (GenericAlias(tuple, (int, t[0])), st.tuples(st.integers(), t[1]))),
        inner.map(lambda t: (t[0] | None, st.none() | t[1])),
        st.tuples(st.sampled_from(KEYS), inner).map(
            lambda kt: (
                GenericAlias(dict, (kt[0], kt[1][0])),
                st.dictionaries(SCALARS[kt[0]], kt[1][1], max_size=3),
            )
        ),
    )


scalars = st.sampled_from(list(SCALARS.items()))
hashed_sets = st.sampled_from(HASHABLE).flatmap(
    lambda kind: st.sampled_from(
        [
            (GenericAlias(set, (kind,)), st.sets(SCALARS[kind], max_size=4)),
            (GenericAlias(frozenset, (kind,)), st.frozensets(SCALARS[kind], max_size=4)),
        ]
    )
)
typed = st.recursive(scalars | hashed_sets, wider, max_leaves=3)
typed_values = typed.flatmap(lambda t: st.tuples(st.just(t[0]), t[1]))

plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
field_names = st.sampled_from(["id", "lines", "by_day", "sku", "price", "cents", "name", "n", "at"])
lookalikes = st.recursive(
    st.none() | st.integers() | st.sampled_from(["", "red", "2026-01-02", "P1D", "1", "x" * 32]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(field_names, inner, max_size=5),
)
envelopes = st.fixed_dictionaries(
    {
        "__class__": st.sampled_from(["Order", "Popen", "Money", "Turtle"]) | st.none(),
        "__module__": st.sampled_from(
            [__name__, "subprocess", "turtle", "antigravity", "this", ""]
        ),
        "__data__": plain_json | lookalikes,
    }
)


def compact(plain: Any) -> str:
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def attempt(read: Callable[[], Any]) -> tuple[Any, PayloadError | None]:
    """The result, or the only error that is allowed."""
    try:
        return read(), None
    except PayloadError as error:
        return None, error


@given(typed_values)
def test_a_value_is_read_again_by_its_annotation(case: tuple[Any, Any]) -> None:
    expected, value = case
    read = from_text(to_text(value), expected)
    assert read == value
    assert type(read) is type(value)
    assert from_plain(to_plain(value), expected) == value


@given(typed_values)
def test_text_is_the_compact_form_of_the_plain_structure(case: tuple[Any, Any]) -> None:
    _, value = case
    plain = to_plain(value)
    assert to_text(value) == compact(plain)
    assert to_plain(plain) == plain


@given(plain_json)
def test_plain_json_is_written_and_read_as_it_is(plain: Any) -> None:
    text = to_text(plain)
    assert text == compact(to_plain(plain))
    assert repr(from_text(text)) == repr(plain)


@given(typed_values)
def test_sets_are_written_in_one_order(case: tuple[Any, Any]) -> None:
    expected, value = case
    assert to_text(from_text(to_text(value), expected)) == to_text(value)


@given(plain_json | lookalikes | envelopes, typed)
def test_any_json_fits_or_is_refused(plain: Any, case: Typed) -> None:
    expected, _ = case
    read, error = attempt(lambda: from_plain(plain, expected))
    if error is None:
        assert from_plain(to_plain(read), expected) == read
    else:
        assert len(str(error)) < 1000


@given(st.text() | plain_json.map(compact).map(lambda text: text[: len(text) // 2]))
def test_any_text_is_read_or_refused(text: str) -> None:
    plain, error = attempt(lambda: from_text(text))
    if error is None:
        assert plain == json.loads(text)
    else:
        assert "not valid JSON" in error.reason


@given(envelopes, st.sampled_from([Any, Money, Order, Money | Order, dict[str, Any], int | str]))
def test_no_payload_ever_loads_a_module(plain: dict[str, Any], expected: Any) -> None:
    before = set(sys.modules)
    read, _ = attempt(lambda: from_text(compact(plain), expected))
    assert set(sys.modules) == before
    assert type(read) in {type(None), bool, int, float, str, list, dict, Money, Order}
