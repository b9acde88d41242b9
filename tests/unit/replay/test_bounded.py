"""``context.map``: so many calls at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from durable_app.errors import PayloadError, TaskFailedError
from durable_app.protocol import CreateTimer, ScheduleTask
from durable_app.replay.engine import Emit, ReplayEnv, ScheduleAt
from durable_app.replay.retry import RetryOptions, RetryPolicy
from tests.unit.replay.world import NOON, World, done, failed, fired


def two_at_a_time(context):
    return (yield context.map("double", [1, 2, 3, 4], concurrency=2))


def inputs(world: World) -> list[str | None]:
    return [action.input for action in world.actions if isinstance(action, ScheduleTask)]


def test_each_call_that_ends_lets_the_next_one_begin() -> None:
    world = World(two_at_a_time)
    assert (world.ids, inputs(world)) == ([1, 2], ["1", "2"])
    world.turn(done(2, "b"))
    assert (world.ids, inputs(world)) == ([3], ["3"])
    world.turn(done(3, "c"), done(1, "a"))
    assert (world.ids, inputs(world)) == ([4], ["4"])
    world.turn(done(4, "d"))
    assert world.output == ["a", "b", "c", "d"]


def test_a_failure_fails_the_whole_at_once_and_nothing_begins_any_more() -> None:
    def orchestrator(context):
        with pytest.raises(ValueError, match="boom") as caught:
            yield context.map("double", [1, 2, 3, 4], concurrency=2)
        assert isinstance(caught.value, TaskFailedError)
        return (yield context.call_activity("after"))

    world = World(orchestrator)
    world.turn(failed(1))
    assert [action.name for action in world.actions] == ["after"]
    world.turn(done(2))
    assert world.actions == ()
    world.turn(done(3, "x"))
    assert world.output == "x"


@pytest.mark.parametrize("concurrency", [None, 3, 99])
def test_without_a_bound_all_begin_at_once(concurrency: int | None) -> None:
    def orchestrator(context):
        return (yield context.map("double", iter("abc"), concurrency=concurrency))

    assert inputs(World(orchestrator)) == ['"a"', '"b"', '"c"']


def test_no_items_give_no_results_at_once() -> None:
    def orchestrator(context):
        return (yield context.map("double", [], concurrency=1))

    assert World(orchestrator).output == []


def test_what_happens_to_the_items_afterwards_changes_nothing() -> None:
    def orchestrator(context):
        items = [{"n": 1}, {"n": 2}]
        task = context.map("double", items, concurrency=1)
        items[1]["n"] = 99
        return (yield task)

    world = World(orchestrator)
    world.turn(done(1))
    assert inputs(world) == ['{"n":2}']


def test_calls_are_retried_in_their_place() -> None:
    def orchestrator(context):
        options = RetryOptions(1000, 2)
        return (yield context.map("double", [1, 2], concurrency=1, retry_policy=options))

    world = World(orchestrator)
    world.turn(failed(1))
    assert [type(action) for action in world.actions] == [CreateTimer]
    world.turn(fired(2))
    assert inputs(world) == ["1"]
    world.turn(done(3, "a"))
    world.turn(done(4, "b"))
    assert world.output == ["a", "b"]


def test_the_timeout_of_a_retry_begins_with_its_call() -> None:
    def orchestrator(context):
        policy = RetryPolicy(
            first_retry_interval=timedelta(seconds=1),
            max_number_of_attempts=9,
            retry_timeout=timedelta(seconds=10),
        )
        return (yield context.map("double", [1, 2], concurrency=1, retry_policy=policy))

    world = World(orchestrator)
    world.turn(done(1, "a"), after=60)
    world.turn(failed(2), after=1)
    assert world.actions == (CreateTimer(3, world.now + timedelta(seconds=1)),)
    assert world.now - NOON > timedelta(seconds=10)


def test_at_a_host_that_schedules_at_the_yield_the_bound_holds_too() -> None:
    def orchestrator(context):
        context.map("never", [1], concurrency=1)
        return (yield context.map("double", [1, 2, 3], concurrency=2, tags={"k": "v"}))

    world = World(orchestrator, env=ReplayEnv(schedule_at=ScheduleAt.YIELD))
    assert [(action.name, action.tags) for action in world.actions] == [("double", {"k": "v"})] * 2
    world.turn(done(1, 1))
    assert inputs(world) == ["3"]
    world.turn(done(2, 2), done(3, 3))
    assert world.output == [1, 2, 3]


def test_all_actions_of_a_bounded_fan_out_are_kept_for_hosts_that_want_them() -> None:
    env = ReplayEnv(schedule_at=ScheduleAt.YIELD, emit=Emit.ALL, first_id=0)
    world = World(two_at_a_time, env=env)
    world.history = world.history[:2]
    result = world.execution.advance((), [done(0, 1)])
    assert [action.id for action in result.actions] == [0, 1, 2]


@pytest.mark.parametrize(
    ("items", "concurrency", "kind"),
    [
        ("abc", 1, TypeError),
        (3, 1, TypeError),
        ([1], True, TypeError),
        ([1], 1.5, TypeError),
        ([1], 0, ValueError),
        ([object()], 1, PayloadError),
    ],
)
def test_what_map_does_not_take(items: object, concurrency: object, kind: type[Exception]) -> None:
    def orchestrator(context):
        with pytest.raises(kind):
            context.map("double", items, concurrency=concurrency)
        return 1

    assert World(orchestrator).output == 1
