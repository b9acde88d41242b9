"""Ids of instances."""

from __future__ import annotations

import pytest

from durable_app.instance_id import check_instance_id


@pytest.mark.parametrize(
    "good", ["a", "x" * 256, "a b", "bestellung-äöü-日本", "a@b", "100%", "é😀"]
)
def test_ids_that_are_taken(good):
    check_instance_id(good)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("", "1 to 256"),
        ("x" * 257, "length of 257"),
        ("@counter@a", "reserved for entities"),
        ("a/b", "'/'"),
        ("a\\b", "contains"),
        ("a#b", "'#'"),
        ("a?b", "'[?]'"),
        ("a\nb", "control"),
        ("a\x00", "control"),
        ("a\x7f", "control"),
        ("a\x85", "control"),
        ("a\ud800", "contains"),
    ],
)
def test_ids_that_are_refused(bad, why):
    with pytest.raises(ValueError, match=why):
        check_instance_id(bad)
