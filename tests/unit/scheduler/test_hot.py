"""Instances in memory: inbox, parts, budget."""

from __future__ import annotations

from datetime import timedelta

from durable_app.scheduler.hot import Hot, HotCache, Part
from durable_app.taskhub.instance import Decision, MessageId, OpenWork
from tests.unit.scheduler.builders import NOW, message, row

LATER = NOW + timedelta(seconds=5)


def _hot(instance_id: str = "a") -> Hot:
    return Hot(instance_id, row(instance_id), OpenWork())


def test_a_message_is_visible_when_its_time_has_come() -> None:
    hot = _hot()
    hot.add(message(1, LATER), NOW)
    assert not hot.visible

    assert hot.mature(1)

    assert list(hot.visible) == [1]
    assert not hot.mature(1)


def test_a_message_stays_single_where_the_clock_goes_back_and_forth() -> None:
    hot = _hot()
    hot.add(message(1, LATER), LATER)
    hot.add(message(1, LATER), NOW)
    assert (list(hot.visible), list(hot.later)) == ([1], [])

    hot.add(message(2, LATER), NOW)
    hot.add(message(2, LATER), LATER)
    assert (list(hot.visible), list(hot.later)) == ([1, 2], [])


def test_parts_that_wait_in_the_inbox_ride_on() -> None:
    hot = _hot()
    for number in (1, 2):
        decision = Decision("a", messages=(message(number),))
        hot.apply(decision, NOW)
        hot.parts.append(Part(decision, 0.0))
    hot.apply(Decision("a", consumed=(MessageId(1),)), NOW)

    taken = hot.take_settled_parts()

    assert [p.decision.messages[0].id for p in taken] == [1]
    assert [p.decision.messages[0].id for p in hot.parts] == [2]


def test_it_is_ahead_while_its_history_is_not_stored() -> None:
    hot = _hot()
    hot.saved = hot.instance
    assert not hot.is_ahead

    hot.instance = type(hot.instance)("a", "e", "flow", hot.saved.status, NOW, NOW, history_count=2)

    assert hot.is_ahead


def test_the_budget_pushes_out_the_least_recently_used() -> None:
    cache = HotCache(_hot().size * 2)
    for name in ("a", "b", "c"):
        cache.put(_hot(name))
    cache.get("a")

    cache.trim()

    assert [hot.instance_id for hot in cache.all()] == ["c", "a"]
    assert cache.estimated_bytes <= _hot().size * 2


def test_an_instance_with_open_parts_stays_whatever_the_budget() -> None:
    cache, hot = HotCache(1), _hot()
    hot.parts.append(Part(Decision("a"), 0.0))
    cache.put(hot)

    cache.trim()

    assert len(cache) == 1
