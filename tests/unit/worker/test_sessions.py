"""Warm executions: continued where the hub's history ends, or thrown away."""

from __future__ import annotations

import pytest

from durable_app.protocol import ExecutionSuspended, OrchestratorStarted, TaskCompleted
from durable_app.replay.engine import Execution
from durable_app.replay.environment import ReplayEnv
from durable_app.worker.sessions import Sessions
from tests.unit.taskhub.builders import NOW
from tests.unit.worker.rig import a_turn

closed: list[str] = []


def chain(context):
    try:
        for _ in range(3):
            yield context.call_activity("pack")
    finally:
        closed.append(context.instance_id)


def ends(context):
    return 1


@pytest.fixture(autouse=True)
def _none_closed():
    closed.clear()


def keep(sessions: Sessions, request, fn=chain) -> Execution:
    execution = Execution(fn, ReplayEnv())
    sessions.keep(request, execution, execution.advance((), request.new_events))
    return execution


def follow(request, past_count: int, **changes):
    """The next turn of the same execution."""
    new = (OrchestratorStarted(timestamp=NOW), TaskCompleted(-1, NOW, 1, None))
    return a_turn(request.name, past_count=past_count, new_events=new, **changes)


def test_it_goes_on_where_the_history_ends():
    sessions, first = Sessions(10, 1_000), a_turn("chain")
    execution = keep(sessions, first)
    # Two events that were given, and the schedule that was recorded.
    second = follow(first, past_count=3)
    assert sessions.take(second) is execution
    assert len(sessions) == 0
    assert sessions.take(second) is None
    result = execution.advance((), second.new_events)
    sessions.keep(second, execution, result)
    assert sessions.take(follow(first, past_count=6)) is execution
    assert closed == []


@pytest.mark.parametrize(
    "changes",
    [{"past_count": 0}, {"past_count": 2}, {"past_count": 4}, {"execution_id": "f" * 32}],
)
def test_it_is_thrown_away_where_it_stands_elsewhere(changes):
    sessions, first = Sessions(10, 1_000), a_turn("chain")
    keep(sessions, first)
    values = {"past_count": 3, **changes}
    assert sessions.take(follow(first, **values)) is None
    assert (len(sessions), closed) == (0, ["order-1"])


def test_one_that_has_ended_is_not_kept():
    sessions = Sessions(10, 1_000)
    keep(sessions, a_turn("ends"), ends)
    assert len(sessions) == 0


def test_the_least_recently_used_goes_first():
    sessions = Sessions(2, 1_000)
    turns = [a_turn("chain", instance_id=f"i{n}") for n in range(3)]
    for turn in turns[:2]:
        keep(sessions, turn)
    again = sessions.take(follow(turns[0], 3, instance_id="i0"))
    assert again is not None
    sessions.keep(turns[0], again, again.advance((), [ExecutionSuspended(-1, NOW)]))
    keep(sessions, turns[2])
    assert len(sessions) == 2
    assert sessions.take(follow(turns[1], 3, instance_id="i1")) is None
    assert len(closed) == 1


def test_their_events_are_bounded_but_one_may_be_large():
    sessions = Sessions(10, 5)
    keep(sessions, a_turn("chain", instance_id="large", past_count=50))
    assert len(sessions) == 1
    keep(sessions, a_turn("chain", instance_id="small"))
    assert len(sessions) == 1
    assert sessions.take(a_turn("chain", instance_id="small", past_count=3)) is not None


def test_what_is_dropped_is_closed_and_not_counted():
    sessions = Sessions(10, 6)
    keep(sessions, a_turn("chain", instance_id="a"))
    sessions.drop("a")
    sessions.drop("a")
    keep(sessions, a_turn("chain", instance_id="b"))
    keep(sessions, a_turn("chain", instance_id="c"))
    assert (len(sessions), len(closed)) == (2, 1)
    sessions.clear()
    assert (len(sessions), len(closed)) == (0, 3)
