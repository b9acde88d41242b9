"""Requests of clients that meet in one drain, or meet something that is under way."""

from __future__ import annotations

from typing import Any

import pytest

from durable_app.errors import InstanceExistsError, InstanceNotFoundError, WrongStatusError
from durable_app.ports import Purged, PurgeFilter, StartRequest
from durable_app.protocol import EventRaised, ExecutionRewound, ExecutionTerminated
from durable_app.protocol import OrchestrationStatus as Status
from durable_app.scheduler.inputs import Ask, Get, Purge, PurgeBy, Restart, Start, WaitFor, Watch
from durable_app.scheduler.state import HubIds
from durable_app.taskhub import lifecycle
from durable_app.taskhub.instance import Decision, TaskKey
from durable_app.taskhub.orchestration import start_message
from tests.unit.scheduler.rig import MIDNIGHT, Answer, Rig, answer, ending, result


def finished(rig: Rig, instance_id: str, status: Status = Status.COMPLETED) -> None:
    worker = rig.worker()
    assert rig.start(instance_id).got in ([instance_id], [])
    rig.send(ending(worker.take_turn(), status))
    rig.leave(worker)
    assert rig.status(instance_id) is status


def replacing(instance_id: str, *statuses: Status) -> StartRequest:
    return StartRequest("order", instance_id, replaceable=frozenset(statuses or Status))


@pytest.mark.parametrize("recursive", [True, False])
def test_a_start_over_a_finished_instance_survives_a_purge_in_the_same_drain(recursive):
    rig = Rig()
    finished(rig, "a")
    started, purged = Answer(), Answer()
    rig.send(Start(replacing("a"), started), Purge("a", recursive, purged))
    assert (started.got, purged.got) == (["a"], [0])
    assert rig.status("a") is Status.PENDING


def test_the_same_with_a_purge_by_filter():
    rig = Rig()
    for instance_id in ("a", "b"):
        finished(rig, instance_id)
    started, purged = Answer(), Answer()
    rig.send(Start(replacing("a"), started), PurgeBy(PurgeFilter(), purged))
    assert (started.got, purged.got) == (["a"], [Purged(1)])
    assert (rig.status("a"), rig.status("b")) == (Status.PENDING, None)


def test_a_rewind_is_answered_although_a_purge_comes_with_it():
    rig = Rig()
    finished(rig, "a", Status.FAILED)
    rewound, purged = Answer(), Answer()
    rig.send(Ask("a", ExecutionRewound(), "be rewound", rewound), Purge("a", False, purged))
    assert (rewound.got, purged.got) == ([None], [0])


def test_a_start_that_waits_for_its_turn_survives_a_purge():
    rig = Rig()
    finished(rig, "a")
    ids = HubIds(rig.time, 2**50)
    child = lifecycle.new_instance("a", "order", MIDNIGHT, ids)
    start = start_message(child, MIDNIGHT, ids)
    assert rig.store.commit([Decision("a", messages=(start,))]) == [None]
    purged = Answer()
    rig.send(Purge("a", False, purged))
    assert purged.got == [0]


def test_a_purge_then_a_start_in_one_drain():
    rig = Rig()
    finished(rig, "a")
    started, purged = Answer(), Answer()
    rig.send(Purge("a", True, purged), Start(StartRequest("order", "a"), started))
    assert (purged.got, started.got) == ([1], ["a"])
    assert rig.status("a") is Status.PENDING


def test_two_starts_of_one_id_in_one_drain():
    rig = Rig()
    first, second = Answer(), Answer()
    rig.send(Start(StartRequest("order", "a"), first), Start(StartRequest("order", "a"), second))
    assert first.got == ["a"]
    assert isinstance(second.got[0], InstanceExistsError)


def test_a_start_may_replace_one_that_is_not_committed_yet():
    rig = Rig()
    first, second = Answer(), Answer()
    rig.send(Start(StartRequest("old", "a"), first), Start(replacing("a"), second))
    assert (first.got, second.got) == (["a"], ["a"])
    stored = rig.store.load("a")
    assert stored is not None
    assert (stored.instance.name, len(stored.messages)) == ("order", 1)


def test_results_of_an_execution_that_was_replaced_change_nothing():
    rig = Rig()
    worker = rig.worker(activities=2)
    rig.start("a")
    rig.send(answer(worker.take_turn(), *rig.scheduling("pack")))
    activity = worker.take_activity()
    rig.send(Start(replacing("a"), Answer()))
    turn = worker.take_turn()
    rig.send(result(activity))
    assert worker.forgotten == ["a"]
    rig.send(ending(turn))
    assert rig.status("a") is Status.COMPLETED
    assert rig.store.tasks(TaskKey(0), 10) == []
    assert rig.hub.state.streams.in_flight == 0


def test_the_turn_of_a_replaced_execution_frees_its_slot_and_is_dropped():
    rig = Rig()
    worker = rig.worker(turns=1)
    rig.start("a")
    old = worker.take_turn()
    rig.send(Start(replacing("a"), Answer()))
    new = worker.take_turn()
    assert new.execution_id != old.execution_id
    rig.send(ending(old, Status.FAILED))
    rig.send(ending(new))
    assert rig.status("a") is Status.COMPLETED
    assert rig.hub.state.streams.in_flight == 0


def test_a_termination_that_meets_the_completion_loses_either_way():
    rig = Rig()
    worker = rig.worker()
    rig.start("a")
    terminated = Answer()
    end = ExecutionTerminated(input='"x"', recurse=True)
    rig.send(ending(worker.take_turn()), Ask("a", end, "be terminated", terminated))
    assert isinstance(terminated.got[0], WrongStatusError)
    rig.start("b")
    accepted = Answer()
    rig.send(Ask("b", end, "be terminated", accepted), ending(worker.take_turn()))
    assert accepted.got == [None]
    assert rig.status("b") is Status.COMPLETED
    stored = rig.store.load("b")
    assert stored is not None
    assert stored.messages == ()


def test_an_event_waits_no_longer_for_a_slow_turn_than_it_must():
    rig = Rig()
    worker = rig.worker()
    rig.start("a")
    raised = Answer()
    rig.send(Ask("a", EventRaised(name="go", input="1"), "receive events", raised))
    assert raised.got == []
    wait_s = rig.hub.wait_s()
    assert wait_s is not None
    rig.wait(wait_s)
    assert raised.got == [None]
    assert len(worker.turns) == 1


def test_what_is_not_committed_is_not_seen():
    rig = Rig()
    worker = rig.worker()
    seen, watched = Answer(), Answer()
    rig.send(
        Start(StartRequest("order", "a"), Answer()),
        Get("a", True, seen),
        Watch("a", WaitFor.COMPLETION, watched),
    )
    assert (seen.got, watched.got) == ([None], [])
    rig.send(ending(worker.take_turn()))
    assert watched.got[0].status is Status.COMPLETED


def test_a_restart_under_the_same_id_needs_a_finished_instance():
    rig = Rig()
    rig.start("a")
    again, elsewhere, nobody = Answer(), Answer(), Answer()
    rig.send(
        Restart("a", None, again), Restart("a", "b", elsewhere), Restart("nobody", None, nobody)
    )
    assert isinstance(again.got[0], WrongStatusError)
    assert elsewhere.got == ["b"]
    assert isinstance(nobody.got[0], InstanceNotFoundError)
    taken = Answer()
    rig.send(Restart("a", "b", taken))
    assert isinstance(taken.got[0], InstanceExistsError)


def test_ids_that_no_url_could_carry_are_refused():
    rig = Rig()
    assert isinstance(rig.start("a/b").got[0], ValueError)


def test_a_purge_by_filter_goes_on_in_slices(monkeypatch):
    monkeypatch.setattr("durable_app.scheduler.requests._PURGE_SLICE", 2)
    rig = Rig()
    for number in range(5):
        finished(rig, f"i{number}")
    purged = Answer()
    rig.send(PurgeBy(PurgeFilter(), purged))
    while rig.later:
        rig.send(rig.later.pop())
    assert purged.got == [Purged(5)]


def test_a_purge_by_filter_ends_when_its_time_is_up(monkeypatch):
    monkeypatch.setattr("durable_app.scheduler.requests._PURGE_SLICE", 2)
    rig = Rig()
    for number in range(5):
        finished(rig, f"i{number}")
    purged = Answer()
    rig.send(PurgeBy(PurgeFilter(), purged, until=1.0))
    rig.time.seconds = 2
    while rig.later:
        rig.send(rig.later.pop())
    assert purged.got == [Purged(2, is_complete=False)]


def test_a_request_that_no_rule_foresaw_harms_nobody_else(caplog):
    rig = Rig()
    odd, start = Answer(), Answer()
    no_text: Any = ["an", "id"]
    rig.send(Get(no_text, True, odd), Start(StartRequest("order", "a"), start))
    (error,) = odd.got
    assert isinstance(error, AttributeError)
    assert start.got == ["a"]
    assert "could not be handled: Get" in caplog.text
