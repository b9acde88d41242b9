"""What becomes of an item that comes again while it is being run."""

from __future__ import annotations

from typing import Any

from durable_app.protocol import CompletionToken
from durable_app.rpc.stub.in_flight import InFlight
from tests.unit.rpc.stub.items import activity, batch, token, turn


def arrive(held, item):
    taken = held.arrived(item)
    return None if taken is None else taken.token


def end(held: InFlight, known: Any) -> Any:
    ended = held.ended(known)
    assert ended is not None
    return ended


def test_an_item_is_known_until_it_ends():
    held = InFlight()
    first = arrive(held, activity("a"))
    assert len(held) == 1
    assert held.left() == [(activity("a"), token("a"))]
    assert end(held, first) == (activity("a"), token("a"), None)
    assert held.ended(first) is None
    assert held.left() == []


def test_hubs_that_give_one_token_to_several_items():
    held = InFlight()
    tokens = [arrive(held, activity("7", task_id)) for task_id in range(3)]
    assert len(set(tokens)) == 3
    assert [end(held, each).item.task_id for each in tokens] == [0, 1, 2]


def test_the_same_activity_is_run_once_and_answered_under_the_latest_token():
    held = InFlight()
    first = arrive(held, activity("a"))
    assert arrive(held, activity("b")) is None
    assert arrive(held, activity("c")) is None
    assert held.left() == [(activity("a"), token("c"))]
    assert end(held, first).token == token("c")


def test_another_activity_of_the_same_number_is_run_beside():
    held = InFlight()
    first = arrive(held, activity("a"))
    second = arrive(held, activity("b", name="other"))
    assert end(held, first).token == token("a")
    assert arrive(held, activity("c", name="other")) is None
    assert end(held, second).token == token("c")


def test_only_the_latest_turn_of_an_instance_is_answered():
    held = InFlight()
    first, second = arrive(held, turn("a")), arrive(held, turn("b"))
    assert end(held, first).token is None
    assert held.left() == [(turn("b"), token("b"))]
    assert end(held, second).token == token("b")


def test_the_same_batch_is_run_once():
    held = InFlight()
    first = arrive(held, batch("a", "1", "2"))
    assert arrive(held, batch("b", "1", "2")) is None
    assert end(held, first) == (batch("a", "1", "2"), token("b"), None)


def test_another_batch_waits_for_the_first_to_end():
    held = InFlight()
    first = arrive(held, batch("a", "1"))
    assert arrive(held, batch("b", "1", "2")) is None
    assert arrive(held, batch("c", "1", "2", "3")) is None
    assert held.left() == [(batch("c", "1", "2", "3"), token("c"))]
    ended = end(held, first)
    assert ended.token is None
    assert ended.following.operations == batch("c", "1", "2", "3").operations
    assert end(held, ended.following.token).token == token("c")


def test_a_batch_that_waits_is_forgotten_when_the_first_comes_again():
    held = InFlight()
    first = arrive(held, batch("a", "1"))
    arrive(held, batch("b", "1", "2"))
    arrive(held, batch("c", "1"))
    assert end(held, first) == (batch("a", "1"), token("c"), None)


def test_a_token_that_nobody_knows():
    assert InFlight().ended(CompletionToken("x", 1)) is None
