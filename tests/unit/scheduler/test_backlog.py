"""Activities that wait for a slot: nothing is forgotten, nothing is kept for ever."""

from __future__ import annotations

import pytest

from durable_app.ports import Capacity, WorkFilter
from durable_app.protocol import EPOCH, ActivityRequest, OrchestrationInstance
from durable_app.scheduler.backlog import Backlog
from durable_app.scheduler.streams import Stream, Streams
from durable_app.storage.memory import MemoryStore
from durable_app.taskhub.instance import ActivityTask, Decision, TaskKey
from tests.unit.scheduler.rig import Hands
from tests.unit.taskhub.builders import NOW, later


def a_task(key: int, attempts: int = 0, not_before=EPOCH, name: str = "pack") -> ActivityTask:
    reference = OrchestrationInstance("order-1", "e" * 32)
    return ActivityTask(
        TaskKey(key), reference, key, name, attempts=attempts, not_before=not_before
    )


class Shop:
    """A backlog over a memory store, and one worker with some slots."""

    def __init__(self, tasks=(), slots: int = 100) -> None:
        self.store = MemoryStore()
        self.store.commit([Decision("order-1", tasks=tuple(tasks))])
        self.streams = Streams()
        self.backlog = Backlog(self.store, self.streams, max_attempts=10)
        self.hands = Hands(1)
        if slots:
            self.connect(slots)

    def connect(self, slots: int = 100, only: WorkFilter | None = None) -> None:
        self.streams.connect(Stream(1, self.hands, Capacity(1, slots), only or WorkFilter()))
        self.backlog.workers_changed()

    def dispatch(self, now=NOW) -> list[int]:
        return [task.key for task in self.backlog.dispatch(now)]

    def finish(self, key: int) -> None:
        self.streams.flush()
        activities = [i for i in self.hands.items if isinstance(i, ActivityRequest)]
        item = next(i for i in activities if i.task_id == key)
        held = self.streams.release(item.token)
        assert held is not None
        assert held.task is not None
        self.backlog.finished(held.task)


def test_suspects_whose_back_off_ends_together_run_together():
    shop = Shop([a_task(n, attempts=1, not_before=later(5)) for n in (1, 2, 3)])
    assert shop.dispatch() == []
    assert shop.backlog.next_due() == later(5)
    assert shop.dispatch(later(5)) == [1, 2, 3]


def test_tasks_that_were_lost_twice_run_one_at_a_time():
    shop = Shop([a_task(1, attempts=2), a_task(2, attempts=2), a_task(3)])
    assert sorted(shop.dispatch()) == [1, 3]
    assert shop.dispatch() == []
    shop.finish(1)
    assert shop.dispatch() == [2]


def test_a_suspect_behind_one_that_need_not_run_is_not_held_up():
    shop = Shop([a_task(1, attempts=2), a_task(2, attempts=2)], slots=0)
    shop.connect(0)
    shop.dispatch()
    shop.backlog.discard(TaskKey(1))
    shop.connect(5)
    assert shop.dispatch() == [2]


def test_a_suspect_of_a_name_that_nobody_takes_does_not_hold_up_others():
    shop = Shop([a_task(1, attempts=2, name="fly"), a_task(2, attempts=2)], slots=0)
    shop.connect(5, WorkFilter(activities=frozenset({"pack"})))
    assert shop.dispatch() == [2]
    shop.finish(2)
    shop.connect(5)
    assert shop.dispatch() == [1]


def test_suspects_that_were_lost_too_often_are_given_up_all_at_once():
    shop = Shop([a_task(1, attempts=10), a_task(2, attempts=10), a_task(3, attempts=2)])
    assert shop.dispatch() == [3]
    assert [task.key for task in shop.backlog.exhausted] == [1, 2]


def test_without_a_worker_nothing_is_read():
    shop = Shop([a_task(n) for n in range(1, 3_001)], slots=0)
    assert shop.dispatch() == []
    assert len(shop.backlog) == 0
    shop.connect(2)
    assert shop.dispatch() == [1, 2]
    assert len(shop.backlog) == 1_998


def test_without_a_worker_nothing_is_waited_for():
    shop = Shop([a_task(1, attempts=1, not_before=later(5))])
    shop.dispatch()
    shop.streams.disconnect(1)
    assert shop.dispatch(later(6)) == []
    assert shop.backlog.next_due() is None
    shop.connect()
    assert shop.backlog.next_due() == later(5)
    assert shop.dispatch(later(6)) == [1]


def test_a_large_queue_is_read_in_portions_and_in_order():
    shop = Shop([a_task(n) for n in range(1, 4_501)], slots=10_000)
    assert shop.dispatch() == list(range(1, 4_501))


def test_beyond_the_window_tasks_stay_in_the_store(monkeypatch):
    monkeypatch.setattr("durable_app.scheduler.backlog._WINDOW", 3)
    shop = Shop(slots=1)
    assert shop.dispatch() == []
    tasks = [a_task(n) for n in range(1, 8)]
    shop.store.commit([Decision("order-1", tasks=tuple(tasks))])
    for task in tasks:
        shop.backlog.add(task)
    assert len(shop.backlog) == 3
    seen = []
    for number in range(1, 8):
        seen += shop.dispatch()
        shop.finish(number)
        shop.store.commit([Decision("order-1", finished=(TaskKey(number),))])
    assert seen == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("where", ["queue", "running", "delayed", "unserved", "store", "gone"])
def test_discarded_tasks_do_not_run_and_leave_nothing_behind(where):
    shop = Shop(slots=1)
    shop.dispatch()
    if where == "running":
        shop.backlog.add(a_task(1))
        assert shop.dispatch() == [1]
    elif where == "delayed":
        shop.backlog.add(a_task(1))
        assert shop.dispatch() == [1]
        shop.streams.disconnect(1)
        shop.backlog.give_back(a_task(1, 1, later(5)), NOW)
        shop.connect(1)
    elif where == "unserved":
        shop.connect(1, WorkFilter(activities=frozenset()))
        shop.backlog.add(a_task(1))
        assert shop.dispatch() == []
    elif where == "queue":
        shop.connect(0)
        shop.backlog.add(a_task(1))
    elif where == "gone":
        shop.backlog.add(a_task(1))
        shop.dispatch()
        shop.finish(1)
    shop.backlog.discard(TaskKey(1))
    if where == "running":
        shop.finish(1)
    shop.connect(5)
    assert shop.dispatch(later(5)) == []
    shop.backlog.sweep()
    assert shop.backlog.discarded_count == 0


def test_what_is_noted_about_discarded_tasks_stays_bounded():
    """Tasks that end before their instance is terminated must not be remembered for ever."""
    shop = Shop(slots=1)
    shop.dispatch()
    for number in range(1, 20_001):
        shop.backlog.add(a_task(number))
        assert shop.dispatch() == [number]
        shop.finish(number)
        shop.hands.items.clear()
        shop.backlog.discard(TaskKey(number))
    assert shop.backlog.discarded_count <= 10_000


def test_a_discarded_task_that_runs_is_not_tried_again_when_its_worker_leaves():
    shop = Shop([a_task(1)])
    assert shop.dispatch() == [1]
    shop.backlog.discard(TaskKey(1))
    shop.backlog.sweep()
    for held in shop.streams.disconnect(1):
        assert held.task is not None
        shop.backlog.give_back(held.task, NOW)
    shop.connect()
    assert shop.dispatch() == []
