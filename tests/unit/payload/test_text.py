"""JSON text: compact, strict, and never quoted at length."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import pytest

from durable_app.errors import PayloadError
from durable_app.payload import from_text, to_text


@dataclass
class Box:
    item: Any


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, None, True], "b": "Zürich"}, '{"a":[1,null,true],"b":"Zürich"}'),
        ([1e16, 0.1], "[1e+16,0.1]"),
        (2**80, str(2**80)),
        ({1: (2,)}, '{"1":[2]}'),
        (Box("é"), '{"item":"é"}'),
        ("\ud800é", '"\\ud800\\u00e9"'),
        (["\ud800", 1.5], '["\\ud800",1.5]'),
    ],
)
def test_text_is_compact_and_can_be_stored(value: Any, text: str) -> None:
    assert to_text(value) == text
    text.encode()


@pytest.mark.parametrize("text", ['"\\ud800"', "[1, 2.5]", str(10**30), " null "])
def test_text_is_read(text: str) -> None:
    assert from_text(to_text(from_text(text))) == from_text(text)


def test_half_a_surrogate_pair_survives() -> None:
    assert from_text(to_text("\udc80.txt")) == "\udc80.txt"


def test_no_payload_is_none_whatever_the_type() -> None:
    assert from_text(None, Box) is None


@pytest.mark.parametrize("value", [[1.0, float("nan")], [1, float("inf")]])
def test_numbers_that_json_lacks_are_refused_by_path(value: Any) -> None:
    with pytest.raises(PayloadError, match="NaN") as caught:
        to_text(value)
    assert caught.value.path == "[1]"


@pytest.mark.parametrize("value", [10**5000, [1.5, 10**5000]], ids=["alone", "among floats"])
def test_an_endless_int_is_refused(value: Any) -> None:
    with pytest.raises(PayloadError, match="cannot be sent as JSON"):
        to_text(value)


@pytest.mark.parametrize("value", [nested(901), {"a": nested(900)}, {"a": [nested(898), []]}])
def test_deep_values_are_refused(value: Any) -> None:
    with pytest.raises(PayloadError, match=r"nested|deep"):
        to_text([value])


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="since Python 3.12 C code has a stack limit of its own"
)
def test_deep_values_on_a_full_stack_are_refused() -> None:
    def at_depth(frames: int) -> Any:
        return at_depth(frames - 1) if frames else to_text(nested(880))

    with pytest.raises(PayloadError, match="nested too deeply"):
        at_depth(200)


def test_a_cycle_is_refused() -> None:
    value: list[Any] = [1]
    value.append(value)
    with pytest.raises(PayloadError, match=r"^\[1\]: The list refers to itself"):
        to_text(value)


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", "NaN", "[Infinity]", "1e999", '{"a":1}x', "9" * 5000, "'a'"]
)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(PayloadError, match="not valid JSON"):
        from_text(text)


def test_text_nested_too_deeply_is_refused() -> None:
    with pytest.raises(PayloadError, match="nested too deeply"):
        from_text("[" * 100_000)


def test_a_bad_text_is_quoted_around_the_fault_only() -> None:
    text = '["' + "secret" * 1000 + '",\n oops]' + "tail" * 1000
    with pytest.raises(PayloadError) as caught:
        from_text(text)
    quoted = str(caught.value).split(": ", 1)[1]
    assert "oops" in quoted
    assert "\n" not in quoted
    assert len(quoted) <= 80
