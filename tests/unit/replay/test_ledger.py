"""The classic host's rules: ids at the yield, from 0, all actions every time."""

from __future__ import annotations

from durable_app.protocol import CreateSubOrchestration
from durable_app.replay.engine import Emit, ReplayEnv, ScheduleAt
from tests.unit.replay.world import World, at, done, raised, replay, started

AT_YIELD = ReplayEnv(schedule_at=ScheduleAt.YIELD, first_id=0, emit=Emit.ALL)


def actions_of(orchestrator, *new, env=AT_YIELD):
    return replay(orchestrator, (), [at(), started(), *new], env)


def test_a_task_gets_its_id_when_it_is_yielded() -> None:
    seen = []

    def orchestrator(context):
        late = context.call_activity("late")
        early = context.call_activity("early")
        seen.append((late.id, early.id))
        yield context.wait_for_external_event("go")
        yield early
        yield late

    result = actions_of(orchestrator, raised("go"))
    assert seen == [(-1, -1)]
    assert [(action.id, action.name) for action in result.actions] == [(0, "early")]


def test_a_task_that_is_never_yielded_is_never_scheduled() -> None:
    def orchestrator(context):
        context.call_activity("forgotten")
        yield context.call_activity("wanted")

    assert [action.name for action in actions_of(orchestrator).actions] == ["wanted"]


def test_composites_reach_their_leaves_in_order_and_once() -> None:
    def orchestrator(context):
        a, b, c, d = (context.call_activity(name) for name in "abcd")
        pair = context.task_all([b, context.task_any([c, context.wait_for_external_event("x")])])
        yield context.task_any([a, pair, a, context.wait_for_external_event("go")])
        yield context.task_all([pair, d])

    result = actions_of(orchestrator, raised("go"))
    assert [action.name for action in result.actions] == ["a", "b", "c", "d"]
    assert [action.id for action in result.actions] == [0, 1, 2, 3]
    first, second = result.trace
    assert [action.name for action in first.actions] == ["a", "b", "c"]
    assert [action.name for action in second.actions] == ["d"]
    assert [type(child).__name__ for child in first.task.children] == [
        "ActivityTask",
        "WhenAllTask",
        "ActivityTask",
        "ExternalEventTask",
    ]


def test_children_are_named_by_the_id_that_they_get() -> None:
    def orchestrator(context):
        tasks = [context.call_sub_orchestrator("child") for _ in range(2)]
        tasks.append(context.call_sub_orchestrator("child", instance_id="mine"))
        yield context.task_all(tasks)

    actions = actions_of(orchestrator).actions
    prefix = "e" * 32
    assert [action.instance_id for action in actions] == [
        f"{prefix}:0000",
        f"{prefix}:0001",
        "mine",
    ]
    assert all(isinstance(action, CreateSubOrchestration) for action in actions)


def test_a_timer_cancelled_before_it_is_yielded_is_announced_as_cancelled() -> None:
    def orchestrator(context):
        timer = context.create_timer(context.current_utc_datetime)
        timer.cancel()
        yield context.task_any([timer, context.call_activity("a")])

    timer, _ = actions_of(orchestrator).actions[:2]
    assert timer.is_canceled


def test_yield_time_ids_match_a_history() -> None:
    def orchestrator(context):
        second = context.call_activity("second")
        first = context.call_activity("first")
        return [(yield first), (yield second)]

    world = World(orchestrator, env=ReplayEnv(schedule_at=ScheduleAt.YIELD), warm=False)
    world.turn(done(1, "1"))
    world.turn(done(2, "2"))
    assert world.output == ["1", "2"]


def test_tasks_after_continue_as_new_are_not_scheduled() -> None:
    def orchestrator(context):
        context.continue_as_new(None)
        yield context.call_activity("late")

    assert len(actions_of(orchestrator).actions) == 1
