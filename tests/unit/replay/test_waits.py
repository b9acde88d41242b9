"""Waits for external events with a limit of time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from durable_app.errors import TaskTimeoutError
from durable_app.protocol import CreateTimer
from durable_app.replay.engine import Emit, ReplayEnv, RetryMode, ScheduleAt
from tests.unit.replay.world import NOON, World, at, done, fired, raised, replay, started

CLASSIC = ReplayEnv(schedule_at=ScheduleAt.YIELD, first_id=0, emit=Emit.ALL, strict_ids=False)


def approval(context):
    try:
        return (yield context.wait_for_external_event("go", timeout=timedelta(seconds=5)))
    except TimeoutError as error:
        return [type(error).__name__, str(error)]


def test_the_event_ends_the_wait_and_its_timer_changes_nothing() -> None:
    def orchestrator(context):
        first = yield context.wait_for_external_event("go", timeout=timedelta(seconds=5))
        return [first, (yield context.call_activity("a"))]

    world = World(orchestrator)
    assert world.actions == (CreateTimer(1, NOON + timedelta(seconds=5)),)
    world.turn(raised("GO", 1))
    world.turn(fired(1), done(2, 2))
    assert world.output == [1, 2]
    assert world.results[-1].warnings == ()


def test_the_timer_ends_the_wait_with_a_timeout_error() -> None:
    world = World(approval)
    world.turn(fired(1))
    assert world.output == ["TaskTimeoutError", "No event 'go' came until 2026-05-04 12:00:05 UTC."]


def test_a_timeout_that_nobody_catches_is_the_failure() -> None:
    def orchestrator(context):
        yield context.wait_for_external_event("go", timeout=NOON)

    world = World(orchestrator)
    world.turn(fired(1))
    assert world.failure.error_type == "TaskTimeoutError"


def test_an_event_that_is_there_already_needs_no_timer() -> None:
    def orchestrator(context):
        yield context.call_activity("a")
        return (yield context.wait_for_external_event("go", timeout=timedelta(0)))

    world = World(orchestrator)
    world.turn(raised("go", 7))
    world.turn(done(1))
    assert world.output == 7
    assert world.ids == [2]


def test_after_a_timeout_the_next_event_goes_to_the_next_wait() -> None:
    def orchestrator(context):
        with pytest.raises(TaskTimeoutError):
            yield context.wait_for_external_event("go", timeout=timedelta(seconds=5))
        return (yield context.wait_for_external_event("go"))

    world = World(orchestrator)
    world.turn(fired(1))
    world.turn(raised("go", 8))
    assert world.output == 8


def test_a_cancelled_wait_ends_its_timer_too() -> None:
    def orchestrator(context):
        wait = context.wait_for_external_event("go", timeout=timedelta(seconds=5))
        assert wait.cancel()
        assert not wait.cancel()
        return (yield context.call_activity("a"))

    world = World(orchestrator)
    world.turn(fired(1), done(2, 3))
    assert world.output == 3


def test_a_host_that_schedules_at_the_yield_gets_the_timer_with_the_wait() -> None:
    def orchestrator(context):
        context.wait_for_external_event("never", timeout=timedelta(seconds=9))
        wait = context.wait_for_external_event("go", timeout=timedelta(seconds=5))
        work = context.call_activity("a")
        yield context.task_any([wait, work])
        return (yield wait)

    first = replay(orchestrator, [], [at(), started()], CLASSIC)
    assert [(action.id, type(action).__name__) for action in first.actions] == [
        (0, "CreateTimer"),
        (1, "ScheduleTask"),
    ]
    world = World(orchestrator, env=CLASSIC, warm=False)
    world.history = world.history[:2]
    last = replay(orchestrator, [], [at(), started(), raised("go", 4)], CLASSIC)
    timer, _, completion = last.actions
    assert timer.is_canceled
    assert completion.result == "4"


@pytest.mark.parametrize(("timeout", "kind"), [(5, TypeError), (timedelta.max, ValueError)])
def test_what_is_no_timeout(timeout: object, kind: type[Exception]) -> None:
    def orchestrator(context):
        with pytest.raises(kind, match="wait_for_external_event: timeout"):
            context.wait_for_external_event("go", timeout=timeout)
        return 1

    assert World(orchestrator).output == 1


def test_a_limit_that_ends_after_the_execution_changes_nothing() -> None:
    def orchestrator(context):
        context.wait_for_external_event("never", timeout=timedelta(seconds=5))
        return (yield context.call_activity("a"))

    env = ReplayEnv(retry=RetryMode.HOST, strict_ids=False)
    world = World(orchestrator, env=env)
    world.turn(done(2, 1), fired(1))
    assert world.output == 1
