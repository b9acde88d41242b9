from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from durable_app.errors import TaskFailedError
from durable_app.protocol import (
    CreateSubOrchestration,
    CreateTimer,
    FailureDetails,
    ScheduleTask,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TimerCreated,
)
from durable_app.replay.engine import Emit, ReplayEnv, RetryMode, ScheduleAt
from durable_app.replay.retry import RetryOptions, RetryPolicy
from tests.unit.replay.world import (
    BOOM,
    NOON,
    World,
    at,
    child_done,
    child_failed,
    done,
    failed,
    fired,
    replay,
    started,
)

TWICE = RetryOptions(1000, 2)
CLASSIC = ReplayEnv(
    schedule_at=ScheduleAt.YIELD,
    first_id=0,
    retry=RetryMode.HOST,
    emit=Emit.ALL,
    strict_ids=False,
    name_children=False,
)


def paying(options):
    def orchestrator(context):
        try:
            return (yield context.call_activity_with_retry("pay", options, 5))
        except TaskFailedError as error:
            return [str(error), error.task_id]

    return orchestrator


def test_a_failed_task_is_tried_again_after_a_pause() -> None:
    world = World(paying(TWICE))
    results = [world.results[0], world.turn(failed(1)), world.turn(fired(2))]
    assert [result.actions for result in results] == [
        (ScheduleTask(1, "pay", None, "5"),),
        (CreateTimer(2, NOON + timedelta(seconds=2)),),
        (ScheduleTask(3, "pay", None, "5"),),
    ]
    world.turn(done(3, "paid"))
    assert world.output == "paid"


def test_the_last_failure_is_the_one_that_counts() -> None:
    world = World(paying(TWICE))
    world.turn(failed(1))
    world.turn(fired(2))
    world.turn(failed(3, FailureDetails("OSError", "second")))
    assert world.output == ["Activity function 'pay' failed: OSError: second", 3]


@pytest.mark.parametrize("warm", [True, False])
def test_pauses_grow_and_the_whole_is_one_task(warm: bool) -> None:
    options = RetryOptions(1000, 4, backoff_coefficient=3, max_retry_interval_in_milliseconds=5000)
    world = World(paying(options), warm=warm)
    pauses = []
    for number in (1, 3, 5):
        world.turn(failed(number))
        pauses.append((world.actions[0].fire_at - world.now).total_seconds())
        world.turn(fired(number + 1))
    world.turn(done(7, "paid"))
    assert pauses == [1, 3, 5]
    assert world.output == "paid"


def test_no_attempt_after_the_timeout() -> None:
    policy = RetryPolicy(
        first_retry_interval=timedelta(seconds=1),
        max_number_of_attempts=9,
        retry_timeout=timedelta(seconds=30),
    )
    world = World(paying(policy))
    world.turn(failed(1), after=29)
    assert world.ids == [2]
    world.turn(fired(2))
    world.turn(failed(3))
    assert world.output == ["Activity function 'pay' failed: ValueError: boom", 3]


@pytest.mark.parametrize("mode", RetryMode)
def test_a_failure_that_cannot_be_retried_ends_it(mode: RetryMode) -> None:
    world = World(paying(TWICE), env=ReplayEnv(retry=mode))
    world.turn(failed(1, FailureDetails("ValueError", "never", is_non_retriable=True)))
    assert world.output == ["Activity function 'pay' failed: ValueError: never", 1]


def test_a_pause_beyond_the_calendar_is_a_pause_to_its_end() -> None:
    late = at()
    late = msgspec.structs.replace(late, timestamp=datetime(9999, 12, 1, tzinfo=UTC))
    policy = RetryPolicy(first_retry_interval=timedelta(days=36_500), max_number_of_attempts=2)
    past = [at(), started(), TaskScheduled(1, NOON, "pay")]
    result = replay(paying(policy), past, [late, failed(1)], ReplayEnv())
    assert result.actions == (CreateTimer(2, datetime(9999, 12, 31, tzinfo=UTC)),)


def child_ids(instance_id: str | None) -> list[Any]:
    def orchestrator(context):
        return (yield context.call_sub_orchestrator_with_retry("child", TWICE, 1, instance_id, "2"))

    world = World(orchestrator)
    (first,) = world.actions
    world.turn(child_failed(1))
    world.turn(fired(2))
    (second,) = world.actions
    assert isinstance(second, CreateSubOrchestration)
    assert (second.id, second.name, second.version, second.input) == (3, "child", "2", "1")
    world.turn(child_done(3, "ok"))
    assert world.output == "ok"
    return [first.instance_id, second.instance_id]


def test_a_child_gets_a_new_id_for_each_attempt_unless_it_was_given_one() -> None:
    assert child_ids(None) == ["e" * 32 + ":0001", "e" * 32 + ":0003"]
    assert child_ids("mine") == ["mine", "mine"]


def test_a_child_that_fails_for_good() -> None:
    def orchestrator(context):
        yield context.call_sub_orchestrator_with_retry("child", RetryOptions(1, 1))

    world = World(orchestrator)
    world.turn(child_failed(1))
    assert "Sub orchestrator function 'child' failed" in world.failure.error_message


def test_only_options_and_policies_are_taken() -> None:
    world = World(lambda context: context.call_activity_with_retry("a", 3))
    assert world.failure.error_type == "TypeError"


def test_too_many_retries_in_one_turn_fail_the_instance() -> None:
    def orchestrator(context):
        tasks = [context.call_activity_with_retry("pay", TWICE) for _ in range(2)]
        yield context.task_all(tasks)

    world = World(orchestrator, env=ReplayEnv(max_actions=2))
    world.turn(failed(1), failed(2))
    assert world.ids == [3, 4]
    world.turn(fired(3), fired(4))
    assert world.ids == [5, 6]

    def eager(context):
        task = context.call_activity_with_retry("pay", TWICE)
        yield task

    env = ReplayEnv(max_actions=1)
    past = [at(), started(), TaskScheduled(1, NOON, "pay"), at(1), failed(1)]
    result = replay(eager, past, [at(2), TimerCreated(2, NOON), fired(2)], env)
    assert result.actions[-1].failure.error_type == "OrchestratorError"


# -- the host repeats ----------------------------------------------------------------------------


def host_history(attempts: int, first_id: int = 0) -> list[Any]:
    """History of a retried activity of which every attempt failed, as the classic host has it."""
    events: list[Any] = []
    for attempt in range(attempts):
        number = first_id + 2 * attempt
        events += [TaskScheduled(number, NOON, "pay"), at(attempt + 1), failed(number)]
        events += [TimerCreated(number + 1, NOON), at(attempt + 1.5), fired(number + 1)]
    return events


def test_the_host_is_told_the_policy() -> None:
    result = replay(paying(TWICE), (), [at(), started()], CLASSIC)
    (action,) = result.actions
    assert (action.id, action.retry_policy) == (0, TWICE.to_protocol())


def test_the_host_tries_again_and_succeeds() -> None:
    past = [at(), started(), *host_history(1), TaskScheduled(2, NOON, "pay")]
    result = replay(paying(TWICE), past, [at(3), done(2, "paid")], CLASSIC)
    assert [type(action).__name__ for action in result.actions] == [
        "ScheduleTask",
        "CompleteOrchestration",
    ]
    assert result.actions[-1].result == '"paid"'


def test_the_host_writes_a_timer_after_the_last_attempt_too() -> None:
    past = [at(), started(), *host_history(2)]
    before = replay(paying(TWICE), past[:-2], [at(9)], CLASSIC)
    assert not before.is_complete
    after = replay(paying(TWICE), past[:-1], past[-1:], CLASSIC)
    assert after.is_complete
    assert "boom" in after.actions[-1].result


def test_the_hosts_timers_and_attempts_take_ids() -> None:
    def orchestrator(context):
        try:
            yield context.call_activity_with_retry("pay", TWICE)
        except TaskFailedError:
            yield context.call_activity("refund")

    past = [at(), started(), *host_history(2)]
    result = replay(orchestrator, past, [at(9)], CLASSIC)
    assert [(action.id, action.name) for action in result.actions] == [(0, "pay"), (4, "refund")]


def test_strict_ids_with_a_host_that_repeats() -> None:
    env = msgspec.structs.replace(CLASSIC, strict_ids=True)
    past = [at(), started(), *host_history(1), TaskScheduled(2, NOON, "pay")]
    assert replay(paying(TWICE), past, [at(3), done(2, 1)], env).is_complete
    wrong = [*past[:-1], TaskScheduled(7, NOON, "pay")]
    (completion,) = replay(paying(TWICE), wrong, [at(3)], env).actions
    assert completion.failure.error_type == "NonDeterminismError"


def test_no_timer_of_the_host_after_the_timeout() -> None:
    options = RetryOptions(1000, 5, retry_timeout_in_milliseconds=500)
    past = [at(), started(), TaskScheduled(0, NOON, "pay")]
    result = replay(paying(options), past, [at(1), failed(0, BOOM)], CLASSIC)
    assert result.is_complete


def test_the_host_repeats_children_too() -> None:
    def orchestrator(context):
        yield context.call_sub_orchestrator_with_retry("child", RetryOptions(1, 1))

    past = [at(), started(), SubOrchestrationInstanceCreated(0, NOON, "x", "child")]
    past += [at(1), child_failed(0), TimerCreated(1, NOON)]
    result = replay(orchestrator, past, [at(2), fired(1)], CLASSIC)
    assert "Sub orchestrator function 'child'" in result.actions[-1].failure.error_message


def test_the_users_actions_and_the_hosts_may_come_in_any_order() -> None:
    def orchestrator(context):
        retried = context.call_activity_with_retry("pay", TWICE)
        other = context.call_activity("look")
        yield context.task_any([retried, other])
        yield context.task_all([retried, context.create_timer(timedelta(1))])
        return "done"

    past = [at(), started(), TaskScheduled(0, NOON, "pay"), TaskScheduled(1, NOON, "look")]
    # One turn with both: the host's own timer is written before the one that the code asks for.
    past += [at(1), done(1), failed(0), TimerCreated(3, NOON), TimerCreated(2, NOON)]
    past += [at(2), fired(3), TaskScheduled(4, NOON, "pay"), fired(2)]
    result = replay(orchestrator, past, [at(3), done(4)], CLASSIC)
    assert result.actions[-1].result == '"done"'
