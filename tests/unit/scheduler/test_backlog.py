"""The queue of activities: window, suspects, names that nobody takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durable_app.ports import Capacity, WorkFilter
from durable_app.scheduler import backlog as module
from durable_app.scheduler.backlog import Backlog
from durable_app.scheduler.hot import HotCache
from durable_app.scheduler.quarantine import Quarantine
from durable_app.scheduler.streams import Stream, Streams
from durable_app.storage.memory import MemoryStore
from durable_app.taskhub.instance import Decision, TaskKey
from tests.unit.scheduler.builders import NOW, Clock, Worker, task


def _backlog(*stored: Any, slots: int = 10, only: Any = None) -> tuple[Backlog, Streams]:
    store, streams = MemoryStore(), Streams()
    store.commit([Decision("a", tasks=stored)])
    filter_ = WorkFilter(activities=only)
    streams.connect(Stream(1, Worker(), Capacity(1, slots), filter_))
    return Backlog(store, streams, Quarantine(streams, HotCache(2**20), Clock(), 5, 1.0)), streams


def _keys(tasks: Any) -> list[int]:
    return [t.key for t in tasks]


def test_what_was_stored_before_is_read_and_sent_in_order() -> None:
    backlog, _ = _backlog(task(3), task(1), task(2))

    assert _keys(backlog.dispatch(NOW)) == [1, 2, 3]


def test_a_full_window_is_refilled_from_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REFILL", 2)
    backlog, _ = _backlog(*(task(n) for n in range(1, 8)))

    assert _keys(backlog.dispatch(NOW)) == [1, 2, 3, 4, 5, 6, 7]


def test_slots_bound_what_is_sent() -> None:
    backlog, _ = _backlog(task(1), task(2), task(3), slots=2)

    assert _keys(backlog.dispatch(NOW)) == [1, 2]
    assert len(backlog) == 1


def test_a_discarded_task_is_not_sent() -> None:
    backlog, _ = _backlog(task(1), task(2), slots=1)
    backlog.dispatch(NOW)
    backlog.discard(TaskKey(2))

    assert backlog.dispatch(NOW) == []


def test_a_task_that_nobody_takes_holds_up_no_other() -> None:
    backlog, streams = _backlog(task(1, name="rare"), task(2), only=frozenset({"work"}))
    assert _keys(backlog.dispatch(NOW)) == [2]

    streams.connect(Stream(2, Worker(), Capacity(1, 1), WorkFilter()))
    backlog.workers_changed()

    assert _keys(backlog.dispatch(NOW)) == [1]


def test_tasks_that_were_lost_twice_run_one_at_a_time() -> None:
    backlog, streams = _backlog(task(1, attempts=2), task(2, attempts=2), task(3))

    first = backlog.dispatch(NOW)
    assert sorted(_keys(first)) == [1, 3]
    streams.disconnect(1)
    streams.connect(Stream(2, Worker(), Capacity(1, 10), WorkFilter()))
    assert backlog.dispatch(NOW) == []
    backlog._quarantine.settle()

    assert _keys(backlog.dispatch(NOW)) == [2]


def test_after_a_crash_a_suspect_runs_when_its_time_has_come_and_all_else_waits() -> None:
    backlog, streams = _backlog(task(1, attempts=3), task(2))
    backlog._quarantine.recover(NOW)
    assert _keys(backlog.dispatch(NOW)) == [2]
    assert backlog.next_due() == NOW + timedelta(seconds=2)

    backlog.add(task(4))
    streams.disconnect(1)
    streams.connect(Stream(2, Worker(), Capacity(1, 10), WorkFilter()))

    assert _keys(backlog.dispatch(NOW + timedelta(seconds=2))) == [1]


def test_suspects_that_nobody_took_still_run_one_at_a_time() -> None:
    backlog, streams = _backlog(
        *(task(n, attempts=n % 3, name="rare") for n in (2, 3, 5)), only=frozenset({"work"})
    )
    assert backlog.dispatch(NOW) == []

    streams.connect(Stream(2, Worker(), Capacity(1, 10), WorkFilter()))
    backlog.workers_changed()

    assert len(backlog.dispatch(NOW)) == 2


def test_a_delayed_task_waits_for_its_time() -> None:
    backlog, _ = _backlog()
    backlog.dispatch(NOW)
    later = NOW + timedelta(seconds=2)
    backlog.give_back(type(task(1))(*_with(task(1), not_before=later, attempts=1)), NOW)

    assert backlog.next_due() == later
    assert backlog.dispatch(NOW) == []
    assert _keys(backlog.dispatch(later)) == [1]


def _with(value: Any, **changes: Any) -> list[Any]:
    return [changes.get(name, getattr(value, name)) for name in value.__struct_fields__]


def test_a_task_that_was_lost_too_often_is_set_aside() -> None:
    backlog, _ = _backlog(task(1, attempts=5), task(2, attempts=1))

    assert _keys(backlog.dispatch(NOW)) == [2]
    assert _keys(backlog.exhausted) == [1]
