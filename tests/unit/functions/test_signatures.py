"""What is read off callables."""

from __future__ import annotations

import collections.abc
import functools
import typing
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.functions import EventHubEvent, Out

from durable_app.functions import signatures

if TYPE_CHECKING:
    from decimal import Decimal as NothingOfThatName


def function(a: int, b: NothingOfThatName, *rest, c: str, **more) -> int:
    return a


def test_parameters_are_those_that_have_a_name():
    assert list(signatures.parameters(function)) == ["a", "b", "c"]
    assert signatures.takes_any_keyword(function)
    assert not signatures.takes_any_keyword(print)


def test_an_annotation_that_cannot_be_resolved_is_left_out():
    assert signatures.hints(function) == {"a": int, "c": str, "return": int}


@pytest.mark.parametrize(
    "wrapped",
    [functools.partial(function, 1), functools.lru_cache(function)],
    ids=["partial", "cache"],
)
def test_a_location_is_that_of_the_users_code(wrapped):
    expected = f"{__file__}:{function.__code__.co_firstlineno}"
    assert signatures.location(wrapped) == signatures.location(function) == expected


@pytest.mark.parametrize(
    ("thing", "place"),
    [(len, "builtins"), (int, "builtins"), (5, "<unknown>"), (dict.get, "<unknown>")],
)
def test_what_has_no_code_has_at_most_a_module(thing, place):
    assert signatures.location(thing) == place


def test_the_name_of_an_object_is_that_of_its_class():
    assert signatures.plain_name(itemgetter(1)) == "itemgetter"
    assert signatures.plain_name(functools.partial(function)) == "function"


def test_hints_of_what_has_none():
    assert signatures.hints(len) == {}


# The forms before Python 3.9, which users and Azure's worker still write.
OldList: Any = typing.List  # noqa: UP006  the old form is meant
OldDict: Any = typing.Dict  # noqa: UP006  the old form is meant


@pytest.mark.parametrize(
    ("hint", "seen"),
    [
        (str, str),
        (typing.Annotated[str, "x"], str),
        (list[EventHubEvent], OldList[EventHubEvent]),
        (OldList[str], OldList[str]),
        (list[Path], None),
        (typing.Iterable[str], typing.Iterable[str]),
        (typing.Iterable[Path], None),
        (Out[str], Out[str]),
        (Out[list[str]], Out[OldList[str]]),
        (Out[int | None], None),
        (dict[str, int], None),
        (OldDict[str, int], None),
        (collections.abc.Iterable[str], None),
        (int | None, None),
        (Any, None),
    ],
)
def test_annotations_of_other_bindings_are_those_that_the_worker_takes(hint, seen):
    assert signatures.binding_type(hint) == seen
