"""Who hears of histories that grow."""

from __future__ import annotations

import logging

import pytest

from durable_app.protocol import CompleteOrchestration, OrchestrationStatus
from tests.unit.scheduler.rig import Rig, answer, ending, result


class Growing:
    """An orchestration that calls one activity after the other."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.hands = rig.worker()
        rig.start("one", "watcher")

    def step(self) -> None:
        """One turn that calls an activity, and the activity."""
        turn = self.hands.take_turn()
        self.rig.send(answer(turn, *self.rig.scheduling("look")))
        self.rig.send(result(self.hands.take_activity()))

    @property
    def events(self) -> int:
        """That are stored."""
        stored = self.rig.store.load("one")
        return stored.instance.history_count if stored else 0


@pytest.fixture
def told(caplog):
    """What the log was told so far."""
    caplog.set_level(logging.WARNING, logger="durable_app.scheduler.long_histories")
    return lambda: [record.getMessage() for record in caplog.records]


def test_it_is_told_once_and_after_as_many_again(told):
    growing = Growing(Rig(long_history=10))
    lengths = []
    while growing.events < 25:
        before = len(told())
        growing.step()
        if len(told()) > before:
            lengths.append(growing.events)
    assert [length // 10 for length in lengths] == [1, 2]


def test_the_line_says_who_how_long_and_what_to_do(told):
    growing = Growing(Rig(long_history=10))
    while not told():
        growing.step()
    (line,) = told()
    assert f"orchestration 'watcher' (instance one) has {growing.events} events" in line
    assert "continue_as_new" in line
    assert "sub-orchestrations" in line


def test_another_execution_is_told_of_anew(told):
    growing = Growing(Rig(long_history=10))
    for executions in (1, 2):
        while len(told()) < executions:
            growing.step()
        turn = growing.hands.take_turn()
        continued = CompleteOrchestration(99, OrchestrationStatus.CONTINUED_AS_NEW)
        growing.rig.send(answer(turn, continued))
        assert growing.events < 10


def test_who_begins_anew_in_time_is_left_alone(told):
    growing = Growing(Rig(long_history=10))
    growing.step()
    growing.rig.send(ending(growing.hands.take_turn()))
    assert 0 < growing.events < 10
    assert told() == []


def test_a_hub_that_has_started_again_goes_by_what_is_stored(told):
    rig = Rig(long_history=10)
    growing = Growing(rig)
    while not told():
        growing.step()
    again = Rig(rig.store, long_history=10)
    hands = again.worker()
    # Its result had not been committed: it runs once more.
    again.send(result(hands.take_activity()))
    again.send(answer(hands.take_turn(), *again.scheduling("look")))
    assert len(told()) == 1
