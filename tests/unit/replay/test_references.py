from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import Any

import pytest

from durable_app.errors import DefinitionError
from durable_app.replay.references import name_and_type, return_type


class Handle:
    """What a decorator of the app returns."""

    def __init__(self, name: Any, function: Any = None) -> None:
        self.__durable_name__ = name
        self.__durable_function__ = function


def weigh() -> int:
    return 1


async def weigh_later() -> float:
    return 1.0


def silent() -> None: ...


def unannotated(): ...


def unresolvable() -> Nowhere: ...  # type: ignore[name-defined] # noqa: F821  on purpose


def orchestrate() -> Generator[Any, Any, str]:
    yield
    return ""


def endless() -> Generator[int]:
    yield 1


def stream() -> Iterator[int]:
    yield 1


async def async_stream() -> AsyncGenerator[int, None]:
    yield 1


def bare_stream() -> Iterator:  # type: ignore[type-arg] # bare on purpose
    yield 1


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("weigh", ("weigh", Any)),
        (weigh, ("weigh", int)),
        (Handle("scale", weigh), ("scale", int)),
        (Handle(lambda: "scale", weigh_later), ("scale", float)),
        (Handle("scale"), ("scale", Any)),
    ],
)
def test_what_stands_for_a_function(reference, expected) -> None:
    assert name_and_type(reference, None, "call_activity") == expected


def test_a_mark_on_the_function_itself_wins() -> None:
    def local() -> str:
        return ""

    vars(local)["__durable_name__"] = "registered"
    assert name_and_type(local, None, "call_activity") == ("registered", str)


def test_the_expected_type_wins_over_the_annotation() -> None:
    assert name_and_type(weigh, bool, "call_activity") == ("weigh", bool)


@pytest.mark.parametrize("reference", [lambda: 1, "", Handle(""), Handle(5)])
def test_what_has_no_name(reference) -> None:
    with pytest.raises(DefinitionError, match="call_activity"):
        name_and_type(reference, None, "call_activity")


@pytest.mark.parametrize("reference", [5, None, functools.partial(weigh), len, Handle])
def test_what_is_no_function_of_the_app(reference) -> None:
    with pytest.raises(TypeError, match="by its name, by the decorated function"):
        name_and_type(reference, None, "call_activity")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (weigh, int),
        (weigh_later, float),
        (orchestrate, str),
        (silent, Any),
        (unannotated, Any),
        (unresolvable, Any),
        (endless, Any),
        (stream, Any),
        (async_stream, Any),
        (bare_stream, Any),
        (len, Any),
    ],
)
def test_what_a_function_returns(function, expected) -> None:
    assert return_type(function) == expected
    assert return_type(function) == expected  # from memory
