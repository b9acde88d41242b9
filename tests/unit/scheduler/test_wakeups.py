"""When the hub looks again without being asked."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from durable_app.scheduler import wakeups as module
from durable_app.scheduler.wakeups import Wakeups
from durable_app.storage.memory import MemoryStore
from durable_app.taskhub.instance import Decision
from tests.unit.scheduler.builders import NOW, message


def _at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def _wakeups(*moments: float) -> tuple[Wakeups, MemoryStore]:
    store = MemoryStore()
    posted = tuple(message(n, _at(s)) for n, s in enumerate(moments, start=1))
    store.commit([Decision("a", messages=posted)])
    return Wakeups(store), store


def test_each_message_is_found_once_and_the_next_moment_is_known() -> None:
    wakeups, _ = _wakeups(1, 5)

    assert wakeups.due_messages(_at(2)) == [(1, "a")]
    assert wakeups.due_messages(_at(2)) == []
    assert wakeups.next() == _at(5)


def test_a_new_earlier_message_moves_the_next_moment() -> None:
    wakeups, store = _wakeups(5)
    wakeups.due_messages(NOW)
    store.commit([Decision("a", messages=(message(9, _at(3)),))])

    wakeups.note(_at(3))

    assert wakeups.next() == _at(3)
    assert wakeups.due_messages(_at(3)) == [(9, "a")]


def test_a_message_behind_the_position_is_found_after_the_clock_went_back() -> None:
    wakeups, store = _wakeups()
    wakeups.due_messages(_at(100))
    store.commit([Decision("a", messages=(message(9, _at(50)),))])

    wakeups.note(_at(50))

    assert wakeups.due_messages(_at(60)) == [(9, "a")]


def test_many_due_messages_come_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLICE", 2)
    wakeups, _ = _wakeups(1, 1, 1)

    assert [i for i, _ in wakeups.due_messages(_at(2))] == [1, 2]
    assert wakeups.next() == _at(2)
    assert [i for i, _ in wakeups.due_messages(_at(2))] == [3]


def test_alarms_ring_in_order_and_once() -> None:
    wakeups, _ = _wakeups()
    wakeups.due_messages(NOW)
    wakeups.alarm("b", _at(2))
    wakeups.alarm("a", _at(1))

    assert wakeups.next() == _at(1)
    assert wakeups.due_alarms(_at(5)) == ["a", "b"]
    assert wakeups.due_alarms(_at(5)) == []
