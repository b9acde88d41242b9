"""Which versions a host takes, and how versions are ordered."""

from __future__ import annotations

from itertools import pairwise

import pytest

from durable_app.functions.version_match import VersionMatch, compare

ASCENDING = [
    "1.dev0",
    "1.0.dev456",
    "1.0a1",
    "1.0-alpha.2.dev456",
    "1.0a12.dev456",
    "1.0a12",
    "1.0b1.dev456",
    "1.0b2",
    "1.0b2.post345.dev456",
    "1.0b2.post345",
    "1.0rc1.dev456",
    "1.0rc1",
    "1.0",
    "1.0+abc.5",
    "1.0+abc.7",
    "1.0+5",
    "1.0.post456.dev34",
    "1.0.post456",
    "1.0.15",
    "1.1.dev1",
    "v1.2",
    "1.10",
    "1!0.1",
]


@pytest.mark.parametrize(("older", "newer"), list(pairwise(ASCENDING)))
def test_versions_are_ordered_as_pep_440_says(older, newer):
    assert (compare(older, newer), compare(newer, older)) == (-1, 1)


def test_the_order_is_that_of_packaging():
    packaging = pytest.importorskip("packaging.version")
    for left in ASCENDING:
        for right in ASCENDING:
            one, two = packaging.Version(left), packaging.Version(right)
            assert compare(left, right) == (one > two) - (one < two)


@pytest.mark.parametrize(
    ("left", "right"),
    [("1.0", "1"), ("1.0.0", "v1.0"), ("1.0-1", "1.0.post1"), ("1.0c1", "1.0RC1"), (None, "")],
)
def test_equal_versions(left, right):
    assert compare(left, right) == compare(right, left) == 0


def test_other_texts_are_compared_as_texts_and_nothing_is_older_than_anything():
    assert compare("blue", "green") == -1
    assert compare("2024-10 spring", "2024-9 spring") == -1
    assert compare("10", "9 lives") == -1
    assert (compare(None, "0"), compare("0.dev0", "")) == (-1, 1)


@pytest.mark.parametrize(
    ("strategy", "own", "taken", "refused"),
    [
        ("None", "2", ["1", "2", "3", None], []),
        ("Strict", "2", ["2", "2.0"], ["1", "3", None]),
        ("Strict", None, [None, ""], ["1"]),
        ("CurrentOrOlder", "2", ["2", "1.9", None], ["2.0.1", "3"]),
        ("CurrentOrOlder", None, [None], ["1"]),
        (None, "2", ["1", "2", None, "7"], ["3"]),
        (None, None, ["1", None], []),
    ],
)
def test_what_a_host_takes(strategy, own, taken, refused):
    match = VersionMatch(own, strategy)
    known = {"7", None}
    assert [v for v in taken if match.takes(v, known)] == taken
    assert [v for v in refused if match.takes(v, known)] == []


def test_a_chosen_strategy_counts_whatever_the_app_has():
    assert not VersionMatch("2", "CurrentOrOlder").takes("7", {"7"})


def test_the_unversioned_orchestrator_does_not_stand_for_every_version():
    assert not VersionMatch("2").takes("3", {None})


@pytest.mark.parametrize(
    ("match", "version", "text"),
    [
        (VersionMatch("2"), "3", "has version '3'; this host runs version '2' and older ones"),
        (VersionMatch("2", "Strict"), None, "has no version; this host runs version '2' ("),
        (VersionMatch(None, "Strict"), "1", "this host runs instances without a version ("),
    ],
)
def test_a_refusal_names_both_versions(match, version, text):
    assert text in match.refusal("order", version)
