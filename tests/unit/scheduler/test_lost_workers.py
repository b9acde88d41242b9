"""Workers whose processes die: what they held goes to others, and the guilty item is given up."""

from __future__ import annotations

import pytest

from durable_app.errors import StoreUnavailableError
from durable_app.ports import Capacity, WorkFilter
from durable_app.protocol import (
    ActivityRequest,
    EntityRequest,
    HistoryEvent,
    OrchestrationStatus,
    TaskFailed,
)
from durable_app.scheduler.entity_requests import EntityRequests
from durable_app.scheduler.inputs import Connect, Disconnect, Signal
from durable_app.scheduler.quarantine import ALONE_S
from durable_app.storage.memory import MemoryStore
from durable_app.taskhub.instance import TaskKey
from tests.unit.scheduler.rig import Answer, Hands, Rig, answer, ending, result

ATTEMPTS = 4
#: Long enough for the back-off of any suspect here.
BACK_OFF_S = 8.0


def dies(rig: Rig, hands: Hands) -> None:
    """The worker's process dies, and whoever watches it tells the hub."""
    hands.items.clear()
    rig.send(Disconnect(hands.stream_id, is_lost=True))


def scheduled(rig: Rig, worker: Hands, *names: str) -> None:
    """An instance whose activities the worker holds."""
    rig.start("a")
    rig.send(answer(worker.take_turn(), *rig.scheduling(*names)))


def ran(hands: Hands) -> list[str]:
    return [item.name for item in hands.activities]


def operations(hands: Hands) -> int:
    """How many are in the first batch of an entity."""
    [batch] = [item for item in hands.items if isinstance(item, EntityRequest)]
    return len(batch.operations)


def attempts(rig: Rig, instance_id: str = "a") -> int:
    hot = rig.hub.state.cache.get(instance_id)
    assert hot is not None
    return hot.instance.attempts


def test_activities_go_to_another_worker_at_once_with_an_attempt_lost():
    rig = Rig()
    worker = rig.worker()
    scheduled(rig, worker, "first", "second")
    other = rig.worker()

    dies(rig, worker)

    assert ran(other) == ["first", "second"]
    assert [task.attempts for task in rig.store.tasks(TaskKey(0), 10)] == [1, 1]


def test_a_worker_that_says_goodbye_costs_no_attempt():
    rig = Rig()
    worker = rig.worker()
    scheduled(rig, worker, "first")
    other = rig.worker()

    rig.leave(worker)

    assert ran(other) == ["first"]
    assert [task.attempts for task in rig.store.tasks(TaskKey(0), 10)] == [0]


def test_a_turn_goes_to_another_worker_at_once_with_an_attempt_lost():
    rig = Rig()
    worker = rig.worker()
    rig.start("a")
    other = rig.worker()

    dies(rig, worker)

    assert attempts(rig) == 1
    rig.send(ending(other.take_turn()))
    assert rig.status("a") is OrchestrationStatus.COMPLETED


def test_an_outcome_makes_lost_turns_forgotten():
    rig = Rig()
    worker = rig.worker()
    rig.start("a")
    other = rig.worker()
    dies(rig, worker)

    rig.send(answer(other.take_turn(), *rig.scheduling("first")))

    assert attempts(rig) == 0


def test_a_batch_of_an_entity_is_tried_one_operation_at_a_time():
    rig = Rig()
    EntityRequests(rig.hub).continue_with(rig.later.append)
    for number in range(3):
        rig.send(Signal("@counter@a", "add", str(number), None, Answer()))
    sink = Hands(91)
    rig.send(Connect(91, sink, Capacity(1, 1, 1), WorkFilter()))
    assert operations(sink) == 3

    dies(rig, sink)

    other = Hands(92)
    rig.send(Connect(92, other, Capacity(1, 1, 1), WorkFilter()))
    assert operations(other) == 1
    assert attempts(rig, "@counter@a") == 1


def test_an_activity_that_kills_every_worker_fails_and_innocents_complete():
    rig = Rig(max_attempts=ATTEMPTS)
    worker = rig.worker()
    scheduled(rig, worker, "guilty", "innocent")
    done: set[str] = set()
    events: list[HistoryEvent] = []
    deaths = 0
    for _ in range(40):
        if "guilty" in ran(worker):
            deaths += 1
            dies(rig, worker)
            worker = rig.worker()
        elif worker.activities:
            item = worker.take_activity()
            done.add(item.name)
            rig.send(result(item))
        elif worker.turns:
            turn = worker.take_turn()
            events += turn.new_events
            rig.send(answer(turn))
        rig.wait(BACK_OFF_S / 4)

    assert done == {"innocent"}
    assert deaths == ATTEMPTS
    failed = [event for event in events if isinstance(event, TaskFailed)]
    failures = [event.failure for event in failed if event.failure is not None]
    assert [failure.error_type for failure in failures] == ["PoisonedActivity"]


def test_a_turn_that_kills_every_worker_fails():
    rig = Rig(max_attempts=ATTEMPTS)
    rig.start("a")
    for _ in range(ATTEMPTS):
        worker = rig.worker()
        rig.wait(BACK_OFF_S)
        assert len(worker.turns) == 1
        dies(rig, worker)
    rig.wait(BACK_OFF_S)

    assert rig.status("a") is OrchestrationStatus.FAILED


def test_a_suspect_runs_alone_and_only_after_a_while():
    rig = Rig(max_attempts=10)
    first = rig.worker()
    scheduled(rig, first, "guilty")
    second = rig.worker()
    dies(rig, first)
    dies(rig, second)
    third = rig.worker()
    assert ran(third) == []

    rig.wait(BACK_OFF_S)

    assert ran(third) == ["guilty"]
    rig.start("fresh")
    assert third.turns == []
    rig.wait(ALONE_S)
    assert [turn.instance_id for turn in third.turns] == ["fresh"]


def test_nothing_is_lost_where_the_store_cannot_be_written():
    class Full(MemoryStore):
        is_full = False

        def postpone(self, task) -> None:
            if self.is_full:
                raise StoreUnavailableError("full")
            super().postpone(task)

    store = Full()
    rig = Rig(store)
    worker, other = rig.worker(), rig.worker(activities=0)
    scheduled(rig, worker, "first")
    store.is_full = True
    dies(rig, worker)
    store.is_full = False
    third = rig.worker()

    rig.wait(10)

    assert ran(third) == ["first"]
    assert [task.attempts for task in rig.store.tasks(TaskKey(0), 10)] == [1]
    assert other.activities == []


def test_fresh_instances_go_to_the_least_busy_worker_and_stay_there():
    rig = Rig()
    first, second = rig.worker(), rig.worker()
    for name in ("a", "b"):
        rig.start(name)
    turns = {hands: hands.take_turn() for hands in (first, second)}
    for turn in turns.values():
        rig.send(answer(turn, *rig.scheduling("work")))
    tasks = [item for hands in turns for item in hands.items if isinstance(item, ActivityRequest)]

    for task in tasks:
        rig.send(result(task))

    for hands, turn in turns.items():
        assert [again.instance_id for again in hands.turns] == [turn.instance_id]


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_stream_that_is_not_there_leaves_nothing_behind(is_lost):
    rig = Rig()

    rig.send(Disconnect(7, is_lost=is_lost))

    assert rig.hub.state.streams.in_flight == 0
