from __future__ import annotations

import pytest

from durable_app.errors import OrchestratorError
from durable_app.protocol import (
    CompleteOrchestration,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionSuspended,
    ExecutionTerminated,
    OrchestrationStatus,
    ScheduleTask,
    TaskScheduled,
)
from durable_app.replay.engine import Emit, Execution, ReplayEnv
from tests.unit.replay.world import NOON, World, at, done, fired, raised, replay, started


def two_steps(context):
    first = yield context.call_activity("first", "x")
    second = yield context.call_activity("second", first)
    return [first, second]


def test_a_chain_asks_step_by_step_and_completes() -> None:
    world = World(two_steps)
    assert world.actions == (ScheduleTask(1, "first", None, '"x"'),)
    world.turn(done(1, 10))
    assert world.actions == (ScheduleTask(2, "second", None, "10"),)
    world.turn(done(2, 20))
    assert world.output == [10, 20]
    assert world.completion.id == 3
    assert world.results[-1].is_complete
    assert world.execution.is_complete


def test_cold_replay_gives_the_same_turns() -> None:
    warm, cold = World(two_steps), World(two_steps, warm=False)
    for world in (warm, cold):
        world.turn(done(1, 10))
        world.turn(done(2, 20))
    assert warm.results == cold.results


def test_replay_of_a_finished_history_asks_for_nothing() -> None:
    world = World(two_steps)
    world.turn(done(1))
    world.turn(done(2))
    result = replay(two_steps, world.history, (), world.env)
    assert result.is_complete
    assert result.actions == ()


def test_a_finished_execution_says_nothing_more() -> None:
    world = World(lambda context: 1)
    assert world.turn(raised("late")).actions == ()


def test_all_actions_again_for_a_host_that_wants_them() -> None:
    env = ReplayEnv(emit=Emit.ALL)
    world = World(two_steps)
    world.turn(done(1, 10))
    result = replay(two_steps, world.history, [at(5), done(2, 20)], env)
    assert [type(action).__name__ for action in result.actions] == [
        "ScheduleTask",
        "ScheduleTask",
        "CompleteOrchestration",
    ]
    assert [[action.id for action in entry.actions] for entry in result.trace] == [[1], [2]]
    world.turn(done(2, 20))
    again = replay(two_steps, world.history, (), env)
    assert [action.id for action in again.actions] == [1, 2]


def test_no_trace_where_nobody_asks_for_all() -> None:
    assert World(two_steps).results[0].trace == ()


def test_schedules_recorded_within_the_new_events_are_not_asked_for_again() -> None:
    past = [at(), started()]
    new = [TaskScheduled(1, NOON, "first"), at(1), done(1, 5)]
    result = replay(two_steps, past, new, ReplayEnv())
    assert result.actions == (ScheduleTask(2, "second", None, "5"),)


def test_a_closed_execution_refuses_to_go_on() -> None:
    world = World(two_steps)
    world.execution.close()
    with pytest.raises(OrchestratorError, match="closed"):
        world.turn(done(1))


def test_history_without_its_beginning_is_refused() -> None:
    with pytest.raises(OrchestratorError, match="no ExecutionStarted"):
        replay(two_steps, (), [at(), done(1)], ReplayEnv())


def test_a_second_beginning_is_ignored_with_a_warning() -> None:
    world = World(two_steps)
    result = world.turn(started())
    assert result.actions == ()
    assert "second ExecutionStarted" in result.warnings[0]
    assert world.turn(done(1)).warnings == ()


def test_a_resolution_that_nothing_waits_for_is_ignored_with_a_warning() -> None:
    world = World(two_steps)
    result = world.turn(done(7), fired(1))
    assert result.actions == ()
    assert result.warnings == (
        "TaskCompleted for #7 was ignored: nothing of that kind is open under that id.",
        "TimerFired for #1 was ignored: nothing of that kind is open under that id.",
    )
    world.turn(done(1))
    assert world.ids == [2]


def test_termination_ends_it_at_once_and_nothing_else_happens() -> None:
    world = World(two_steps)
    world.turn(done(1), ExecutionTerminated(-1, NOON, '"enough"'), done(2), raised("x"))
    assert world.actions == (CompleteOrchestration(3, OrchestrationStatus.TERMINATED, '"enough"'),)
    assert world.execution.location is None


def test_what_a_terminated_execution_had_asked_for_may_be_in_its_history() -> None:
    history = [
        at(),
        started(),
        TaskScheduled(1, NOON, "first"),
        at(1),
        ExecutionTerminated(-1, NOON, None),
        TaskScheduled(9, NOON, "elsewhere"),
    ]
    result = replay(two_steps, history, (), ReplayEnv())
    assert [action.status for action in result.actions] == [OrchestrationStatus.TERMINATED]


def test_termination_before_the_first_turn() -> None:
    result = replay(two_steps, (), [at(), ExecutionTerminated(-1, NOON, None)], ReplayEnv())
    assert result.actions == (CompleteOrchestration(1, OrchestrationStatus.TERMINATED),)


def test_suspended_it_keeps_events_until_it_is_resumed() -> None:
    world = World(two_steps)
    assert world.turn(ExecutionSuspended(-1, NOON), done(1, 1)).actions == ()
    assert world.turn(raised("noise")).actions == ()
    world.turn(ExecutionResumed(-1, NOON))
    assert world.ids == [2]
    cold = replay(two_steps, world.history, [at(9), done(2, 2)], world.env)
    assert [type(action) for action in cold.actions] == [CompleteOrchestration]


def test_suspended_twice_needs_one_resume() -> None:
    world = World(two_steps)
    world.turn(ExecutionSuspended(-1, NOON), ExecutionSuspended(-1, NOON), done(1, 1))
    world.turn(ExecutionResumed(-1, NOON))
    assert world.ids == [2]


def test_the_end_comes_while_the_kept_events_run() -> None:
    world = World(two_steps)
    world.turn(done(1))
    world.turn(ExecutionSuspended(-1, NOON), done(2), done(2))
    world.turn(ExecutionResumed(-1, NOON))
    assert world.output == [None, None]


def test_suspended_before_it_began() -> None:
    execution = Execution(two_steps, ReplayEnv())
    result = execution.advance((), [at(), ExecutionSuspended(-1, NOON), started()])
    assert result.actions == ()
    assert not result.is_complete
    assert execution.instance_id == ""
    assert execution.execution_id is None
    result = execution.advance((), [at(1), ExecutionResumed(-1, NOON)])
    assert [action.id for action in result.actions] == [1]
    assert execution.instance_id == "order-1"
    assert execution.execution_id == "e" * 32


def test_time_passes_while_it_is_suspended() -> None:
    def clock(context):
        yield context.call_activity("first")
        return context.current_utc_datetime.isoformat()

    world = World(clock)
    world.turn(ExecutionSuspended(-1, NOON), done(1), after=10)
    world.turn(ExecutionResumed(-1, NOON), after=60)
    assert world.output == "2026-05-04T12:01:10+00:00"


def test_terminated_while_suspended() -> None:
    world = World(two_steps)
    world.turn(ExecutionSuspended(-1, NOON), done(1))
    world.turn(ExecutionTerminated(-1, NOON, None))
    assert world.completion.status is OrchestrationStatus.TERMINATED


def test_an_execution_that_the_hub_ended_is_over_without_an_action() -> None:
    world = World(two_steps)
    end = ExecutionCompleted(2, NOON, OrchestrationStatus.FAILED)
    result = replay(two_steps, [*world.history, at(1), end], (), world.env)
    assert result.is_complete
    assert result.actions == ()


def test_history_says_completed_but_the_code_still_waits() -> None:
    world = World(two_steps)
    end = ExecutionCompleted(2, NOON, OrchestrationStatus.COMPLETED)
    result = replay(two_steps, [*world.history, at(1), end], (), world.env)
    assert isinstance(result.actions[-1], CompleteOrchestration)
    assert result.actions[-1].failure is not None
    assert result.actions[-1].failure.error_type == "NonDeterminismError"


def test_what_was_asked_for_before_the_end_comes_first() -> None:
    def fire_and_forget(context):
        context.call_activity("log")
        context.call_activity("audit")
        yield from ()
        return "done"

    world = World(fire_and_forget)
    assert world.ids == [1, 2, 3]
    assert world.output == "done"
    assert replay(fire_and_forget, world.history, (), world.env).actions == ()


@pytest.mark.parametrize("most", [1, 3])
def test_too_many_actions_in_one_turn_fail_the_instance(most: int) -> None:
    def endless(context):
        while True:
            context.call_activity("again")

    world = World(endless, env=ReplayEnv(max_actions=most))
    assert f"more than {most} actions" in world.failure.error_message


def test_the_limit_counts_by_turn() -> None:
    def many(context):
        for _ in range(5):
            yield context.task_all([context.call_activity("a"), context.call_activity("b")])

    world = World(many, env=ReplayEnv(max_actions=2))
    for number in range(1, 11, 2):
        world.turn(done(number), done(number + 1))
    assert world.output is None
