"""when_all and when_any, which need no context; task_all and task_any are tested with tasks."""

from __future__ import annotations

from typing import Any

import pytest

import durable_app as df
from durable_app.errors import OrchestratorError, TaskFailedError
from durable_app.protocol import FailureDetails
from durable_app.replay.engine import Emit, ReplayEnv, ScheduleAt
from tests.unit.replay.world import World, at, done, failed, replay, started


def all_of(*names):
    def orchestrator(context):
        try:
            results = yield df.when_all(context.call_activity(name) for name in names)
        except TaskFailedError as error:
            return error.details.error_message
        return results

    return orchestrator


def test_all_results_come_in_the_order_of_the_tasks() -> None:
    world = World(all_of("a", "b"))
    world.turn(done(2, "B"))
    assert world.actions == ()
    world.turn(done(1, "A"))
    assert world.output == ["A", "B"]


def test_a_failure_waits_for_the_others_and_the_first_one_counts() -> None:
    world = World(all_of("a", "b", "c"))
    world.turn(failed(3, FailureDetails("ValueError", "first")))
    world.turn(failed(1, FailureDetails("ValueError", "second")))
    assert world.actions == ()
    world.turn(done(2))
    assert world.output == "first"


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_tasks_that_are_completed_already_count(warm: bool) -> None:
    def orchestrator(context):
        first, second = context.call_activity("a"), context.call_activity("b")
        yield first
        both: Any = df.when_all([first, second])
        assert both.get_completed_tasks() == 1
        results = yield both
        again = yield df.when_all([first, second])
        return [results, again]

    world = World(orchestrator, warm=warm)
    world.turn(done(1, 1))
    world.turn(done(2, 2))
    assert world.output == [[1, 2], [1, 2]]


def test_of_no_tasks_all_are_completed() -> None:
    def orchestrator(context):
        return (yield df.when_all([]))

    assert World(orchestrator).output == []


def test_the_first_task_is_the_result_although_it_failed() -> None:
    def orchestrator(context):
        tasks = [context.call_activity("a"), context.call_activity("b")]
        winner = yield df.when_any(tasks)
        return [tasks.index(winner), winner.is_failed]

    world = World(orchestrator)
    world.turn(failed(2))
    assert world.output == [1, True]


def test_of_no_tasks_none_is_first() -> None:
    with pytest.raises(ValueError, match="when_any needs at least one task"):
        df.when_any([])


def test_what_is_no_list_of_tasks_is_refused() -> None:
    with pytest.raises(TypeError, match=r"when_all takes a list of tasks, not int: write when_all"):
        df.when_all(7)  # type: ignore[call-overload]  # the wrong type is the test
    with pytest.raises(TypeError, match="when_any: item 0 is no task but str"):
        df.when_any(["a"])  # type: ignore[arg-type]  # the wrong type is the test


def test_tasks_of_two_orchestrations_are_refused() -> None:
    tasks = []

    def orchestrator(context):
        tasks.append(context.call_activity("a"))
        yield tasks[-1]

    World(orchestrator)
    World(orchestrator)
    with pytest.raises(OrchestratorError, match="belongs to another orchestration"):
        df.when_all(tasks)


def test_the_leaves_are_reached_in_modes_that_look_at_yields() -> None:
    env = ReplayEnv(schedule_at=ScheduleAt.YIELD, emit=Emit.ALL)
    result = replay(all_of("a", "b"), [], [at(), started()], env)
    assert [action.name for action in result.actions] == ["a", "b"]
