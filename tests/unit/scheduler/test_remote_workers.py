"""Workers that come and go over a network: histories, versions, items put back, late results."""

from __future__ import annotations

from typing import Any

import pytest

from durable_app.ports import Capacity, StartRequest, WorkFilter
from durable_app.protocol import (
    ActivityRequest,
    ActivityResponse,
    EventRaised,
    OrchestrationStatus,
    TaskCompleted,
)
from durable_app.scheduler.inputs import Ask, Connect, Disconnect, PutBack, Results, Start
from tests.unit.scheduler.rig import Answer, Hands, Rig, answer, ending

Status = OrchestrationStatus


def connect(rig: Rig, stream_id: int, turns: int = 10, slots: int = 10, **facts: Any) -> Hands:
    """A worker; ``slots`` for activities, ``facts`` of its filter, and ``whole_history``."""
    hands = Hands(stream_id)
    whole = facts.pop("whole_history", False)
    capacity = Capacity(turns, slots)
    rig.send(Connect(stream_id, hands, capacity, WorkFilter(**facts), whole))
    return hands


def start(rig: Rig, instance_id: str, name: str = "order", version: str | None = None) -> None:
    rig.send(Start(StartRequest(name, instance_id, version=version), Answer()))


def go(rig: Rig, instance_id: str) -> None:
    rig.send(Ask(instance_id, EventRaised(name="go"), "receive events", Answer()))


def result(item, text: str = "1") -> Results:
    response = ActivityResponse(item.instance.instance_id, item.task_id, item.token, text)
    return Results([response])


# -- histories ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("whole", "past"), [(True, 2), (False, 0)])
def test_a_worker_that_keeps_nothing_gets_all_events_with_each_turn(whole, past):
    rig = Rig()
    worker = connect(rig, 1, whole_history=whole)
    start(rig, "a")
    first = worker.take_turn()
    assert (len(first.past_events), first.requires_history_streaming) == (0, False)
    rig.send(answer(first))
    go(rig, "a")

    second = worker.take_turn()

    assert (len(second.past_events), second.requires_history_streaming) == (past, not whole)
    assert second.past_count == 2


# -- versions -------------------------------------------------------------------------------------


def test_a_worker_gets_the_versions_that_it_names():
    rig = Rig()
    versions = {"order": frozenset({"1.0", ""})}
    worker = connect(
        rig, 1, orchestrations=frozenset({"order", "other"}), orchestration_versions=versions
    )
    for instance_id, name, version in (
        ("old", "order", "1.0"),
        ("none", "order", None),
        ("new", "order", "2.0"),
        ("any", "other", "7"),
    ):
        start(rig, instance_id, name, version)

    assert [turn.instance_id for turn in worker.turns] == ["old", "none", "any"]
    assert rig.status("new") is Status.PENDING

    newer = connect(rig, 2, orchestration_versions={"order": frozenset({"2.0"})})
    assert [turn.instance_id for turn in newer.turns] == ["new"]


@pytest.mark.parametrize(
    ("version", "taken"), [(None, True), ("", True), ("1", True), ("2", False)]
)
def test_an_activity_without_a_version_fits_every_filter(version, taken):
    only = WorkFilter(activity_versions={"work": frozenset({"1"})})
    assert only.takes_activity("work", version) is taken
    assert only.takes_activity("other", version)


def test_filters_go_by_exact_names():
    only = WorkFilter(frozenset({"o"}), frozenset({"a"}), frozenset({"e"}))
    assert only.takes_orchestration("o", None)
    assert not only.takes_orchestration("O", None)
    assert only.takes_activity("a", None)
    assert not only.takes_activity("o", None)
    assert only.takes_entity("e")
    assert not only.takes_entity("x")
    assert WorkFilter().takes_entity("x")


# -- nobody holds up somebody else ----------------------------------------------------------------


def test_an_orchestration_without_a_slot_holds_up_no_other_workers():
    rig = Rig()
    busy = connect(rig, 1, turns=1, orchestrations=frozenset({"order"}))
    idle = connect(rig, 2, turns=1, orchestrations=frozenset({"other"}))
    for instance_id in ("a", "b", "c"):
        start(rig, instance_id)
    start(rig, "d", "other")
    start(rig, "e", "other")

    assert [turn.instance_id for turn in busy.turns] == ["a"]
    assert [turn.instance_id for turn in idle.turns] == ["d"]
    rig.send(ending(idle.take_turn()))
    assert [turn.instance_id for turn in idle.turns] == ["e"]
    rig.send(ending(busy.take_turn()))
    assert [turn.instance_id for turn in busy.turns] == ["b"]


def activities_of(rig: Rig, stream_id: int, slots: int, *names: str) -> Hands:
    return connect(
        rig, stream_id, 0, slots, activities=frozenset(names), orchestrations=frozenset()
    )


def test_an_activity_without_a_slot_holds_up_no_other_workers():
    rig = Rig()
    turns = connect(rig, 1, slots=0)
    slow, quick = activities_of(rig, 2, 1, "slow"), activities_of(rig, 3, 1, "quick")
    start(rig, "a")
    rig.send(answer(turns.take_turn(), *rig.scheduling("slow", "slow", "slow", "quick", "quick")))

    first = slow.take_activity()
    assert [first.task_id, quick.take_activity().task_id] == [1, 4]
    rig.send(result(first))
    assert [item.task_id for item in slow.activities] == [2]


def test_what_is_put_aside_is_bounded(monkeypatch):
    monkeypatch.setattr("durable_app.scheduler.backlog._WINDOW", 1)
    rig = Rig()
    turns = connect(rig, 1, slots=0)
    activities_of(rig, 2, 1, "slow")
    quick = activities_of(rig, 3, 1, "quick")
    start(rig, "a")
    rig.send(answer(turns.take_turn(), *rig.scheduling("slow", "slow", "slow", "quick")))

    assert quick.activities == []
    assert len(rig.hub.state.backlog) >= 1


# -- items that come back -------------------------------------------------------------------------


def test_a_turn_that_is_put_back_comes_again_ever_more_rarely_and_is_never_given_up():
    rig = Rig(max_attempts=2)
    worker = connect(rig, 1)
    start(rig, "a")
    waits = []
    for _ in range(8):
        rig.send(PutBack(worker.take_turn().token))
        waited = 0
        while not worker.turns:
            rig.wait(1)
            waited += 1
        waits.append(waited)
    rig.send(ending(worker.take_turn()))

    assert waits == [1, 2, 4, 8, 16, 16, 16, 16]
    assert rig.status("a") is Status.COMPLETED


def test_a_turn_that_is_put_back_goes_to_the_other_workers_first():
    rig = Rig()
    workers = [connect(rig, number) for number in (1, 2, 3)]
    start(rig, "a")

    for worker in workers:
        rig.send(PutBack(worker.take_turn().token))

    assert [worker.turns for worker in workers] == [[], [], []]
    rig.wait(1)
    assert sum(len(worker.turns) for worker in workers) == 1


def test_a_turn_that_is_put_back_goes_to_a_new_worker_at_once():
    rig = Rig()
    first = connect(rig, 1)
    start(rig, "a")
    rig.send(PutBack(first.take_turn().token))

    second = connect(rig, 2)

    assert [turn.instance_id for turn in second.turns] == ["a"]
    assert first.turns == []


def test_a_turn_that_is_put_back_is_not_kept_for_workers_that_go():
    rig = Rig()
    connect(rig, 1, turns=1)
    worker = connect(rig, 2)
    start(rig, "keeps the first one busy")
    start(rig, "a")
    rig.send(PutBack(worker.take_turn().token))
    assert worker.turns == []

    rig.send(Disconnect(1))

    assert "a" in {turn.instance_id for turn in worker.turns}


def test_an_activity_that_is_put_back_goes_to_whoever_has_a_slot_after_a_while():
    rig = Rig(max_attempts=1)
    worker = connect(rig, 1)
    start(rig, "a")
    rig.send(answer(worker.take_turn(), *rig.scheduling("work")))

    rig.send(PutBack(worker.take_activity().token))
    assert worker.activities == []
    rig.wait(1)

    again = worker.take_activity()
    assert (again.task_id, again.attempt) == (1, 1)


def test_what_nobody_holds_cannot_be_put_back():
    rig = Rig()
    worker = connect(rig, 1)
    start(rig, "a")
    turn = worker.take_turn()
    rig.send(ending(turn), PutBack(turn.token))
    assert rig.status("a") is Status.COMPLETED


# -- results that come late -----------------------------------------------------------------------


def dispatched(rig: Rig) -> tuple[Hands, ActivityRequest]:
    """A worker that holds an activity of instance a."""
    worker = connect(rig, 1)
    start(rig, "a")
    rig.send(answer(worker.take_turn(), *rig.scheduling("work")))
    return worker, worker.take_activity()


def test_a_result_after_the_end_of_its_stream_counts():
    rig = Rig()
    gone, item = dispatched(rig)
    rig.leave(gone)

    rig.send(result(item))
    other = connect(rig, 2)

    assert other.activities == []
    assert "TaskCompleted" in [type(event).__name__ for event in other.take_turn().new_events]


def test_of_two_results_of_one_activity_the_first_counts():
    rig = Rig()
    gone, item = dispatched(rig)
    rig.leave(gone)
    other = connect(rig, 2)
    again = other.take_activity()

    rig.send(result(item, '"first"'))
    rig.send(ending(other.take_turn()))
    rig.send(result(again, '"second"'), result(item, '"third"'))

    events = rig.store.read_history("a", None)
    results = [event.result for event in events if isinstance(event, TaskCompleted)]
    assert results == ['"first"']
    assert rig.status("a") is Status.COMPLETED


def test_late_tokens_are_forgotten_in_the_end(monkeypatch):
    monkeypatch.setattr("durable_app.scheduler.streams._MOST_LATE", 0)
    rig = Rig()
    gone, item = dispatched(rig)
    rig.leave(gone)

    rig.send(result(item))

    assert len(connect(rig, 2).activities) == 1


def test_a_worker_that_fails_does_not_end_the_hub(caplog):
    class Broken(Hands):
        def push(self, items):
            raise OSError("gone")

    rig = Rig()
    rig.send(Connect(1, Broken(1), Capacity(1, 1), WorkFilter()))
    start(rig, "a")

    rig.leave(Hands(1))

    assert "could not take 1 work item(s)" in caplog.text
    assert connect(rig, 2).take_turn().instance_id == "a"
