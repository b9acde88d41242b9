from __future__ import annotations

from contextlib import suppress
from typing import Any

from durable_app.entity_id import EntityId
from durable_app.errors import TaskFailedError
from durable_app.protocol import (
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityUnlockSent,
    ExecutionCompleted,
    ExecutionRewound,
    RewindOrchestration,
    SubOrchestrationInstanceFailed,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
)
from durable_app.replay.engine import ReplayEnv, rewind_history
from durable_app.replay.retry import RetryOptions
from tests.unit.replay.world import (
    NOON,
    World,
    answered,
    at,
    child_failed,
    done,
    failed,
    fired,
    granted,
    raised,
    refused,
    replay,
)

FAILURES = (TaskFailed, SubOrchestrationInstanceFailed)


def rewound(world: World) -> list[Any]:
    """Rewind a failed instance and check that the rest of its history still fits its code."""
    new = [at(100), ExecutionRewound(-1, NOON, "try again")]
    result = replay(world.fn, world.history, new, world.env)
    (action,) = result.actions
    assert isinstance(action, RewindOrchestration)
    assert result.is_complete
    history = list(action.new_history)
    assert history == list(rewind_history(world.fn, world.history, world.env))
    assert not any(isinstance(event, ExecutionCompleted) for event in history)
    again = replay(world.fn, history, [at(200)], world.env)
    assert not any(
        getattr(action, "failure", None) is not None
        and action.failure.error_type == "NonDeterminismError"
        for action in again.actions
    )
    return history


def failures_in(history: list[Any]) -> list[int]:
    return [event.task_scheduled_id for event in history if isinstance(event, FAILURES)]


def two_steps(context):
    yield context.call_activity("first")
    yield context.call_activity("second")


def test_the_fatal_failure_goes_and_all_before_it_stays() -> None:
    world = World(two_steps)
    world.turn(done(1))
    world.turn(failed(2))
    history = rewound(world)
    assert failures_in(history) == []
    assert history == [event for event in world.history if event in history]
    assert len(history) == len(world.history) - 2
    assert replay(two_steps, history, [at(9), done(2)], world.env).is_complete


def test_it_can_be_rewound_twice() -> None:
    world = World(two_steps)
    world.turn(failed(1))
    world.history = rewound(world)
    world.warm = False
    world.turn(failed(1))
    assert failures_in(rewound(world)) == []


def test_a_failed_child_goes_too() -> None:
    def orchestrator(context):
        yield context.call_sub_orchestrator("child")

    world = World(orchestrator)
    world.turn(child_failed(1))
    assert failures_in(rewound(world)) == []


def test_a_failure_that_the_code_lived_with_stays() -> None:
    def orchestrator(context):
        with suppress(TaskFailedError):
            yield context.call_activity("optional")
        yield context.call_activity("needed")

    world = World(orchestrator)
    world.turn(failed(1))
    world.turn(failed(2))
    assert failures_in(rewound(world)) == [1]


def test_causes_and_contexts_of_the_fatal_error_go() -> None:
    def orchestrator(context):
        try:
            yield context.call_activity("first")
        except TaskFailedError as error:
            raise RuntimeError("wrapped") from error

    world = World(orchestrator)
    world.turn(failed(1))
    assert failures_in(rewound(world)) == []


def test_failures_that_nobody_saw_go() -> None:
    def orchestrator(context):
        yield context.task_all([context.call_activity("a") for _ in range(3)])

    world = World(orchestrator)
    world.turn(failed(2), failed(1), done(3))
    assert failures_in(rewound(world)) == []

    world = World(orchestrator)
    world.turn(failed(2))
    assert failures_in(rewound(world)) == []


def test_a_failure_seen_on_its_task_counts_as_seen() -> None:
    def orchestrator(context):
        task = context.call_activity("optional")
        winner = yield context.task_any([task])
        assert winner.get_exception() is not None
        assert winner.result is not None
        yield context.call_activity("needed")

    world = World(orchestrator)
    world.turn(failed(1))
    world.turn(failed(2))
    assert failures_in(rewound(world)) == [1]


def test_attempts_that_were_followed_by_another_stay() -> None:
    def orchestrator(context):
        yield context.call_activity_with_retry("a", RetryOptions(1000, 2))

    world = World(orchestrator)
    world.turn(failed(1))
    world.turn(fired(2))
    world.turn(failed(3))
    history = rewound(world)
    assert failures_in(history) == [1]
    assert sum(isinstance(event, TimerCreated) for event in history) == 1


def test_compensation_goes_with_the_failure_that_led_to_it() -> None:
    def saga(context):
        yield context.call_activity("book")
        try:
            yield context.call_activity("pay")
        except TaskFailedError:
            yield context.call_activity("unbook")
            yield context.create_timer(context.current_utc_datetime)
            raise

    world = World(saga)
    world.turn(done(1))
    world.turn(failed(2))
    world.turn(done(3))
    world.turn(raised("note"), fired(4))
    history = rewound(world)
    names = [event.name for event in history if isinstance(event, TaskScheduled)]
    assert names == ["book", "pay"]
    assert failures_in(history) == []
    assert not any(isinstance(event, TimerCreated) for event in history)
    assert raised("note") in history
    assert replay(saga, history, [at(9), done(2)], world.env).is_complete


def test_an_id_used_again_belongs_to_its_last_action() -> None:
    def saga(context):
        try:
            yield context.call_activity("pay")
        except TaskFailedError:
            yield context.call_activity("unbook")
            raise

    env = ReplayEnv(strict_ids=False)
    world = World(saga, env=env)
    world.turn(failed(1))
    scheduled = world.history.pop()
    assert isinstance(scheduled, TaskScheduled)
    world.history += [TaskScheduled(1, NOON, "unbook"), at(5), done(1)]
    world.history.append(world_completion(world))
    history = rewound(world)
    assert [event.name for event in history if isinstance(event, TaskScheduled)] == ["pay"]


def world_completion(world: World) -> ExecutionCompleted:
    from durable_app.protocol import OrchestrationStatus

    return ExecutionCompleted(9, NOON, OrchestrationStatus.FAILED)


def test_a_bug_of_the_orchestrator_costs_only_the_completion() -> None:
    def buggy(context):
        yield context.call_activity("a")
        raise ZeroDivisionError

    world = World(buggy)
    world.turn(done(1))
    assert rewound(world) == world.history[:-1]


def test_changed_code_costs_only_the_completion() -> None:
    world = World(two_steps)
    world.turn(TaskScheduled(7, NOON, "other"))
    (action,) = replay(
        two_steps, world.history, [at(9), ExecutionRewound(-1, NOON)], world.env
    ).actions
    assert action.new_history == tuple(world.history[:-1])


def test_failures_that_come_after_the_end_go() -> None:
    def orchestrator(context):
        yield context.task_all([context.call_activity("a"), context.call_sub_orchestrator("b")])

    world = World(orchestrator)
    world.turn(failed(1), child_failed(2))
    assert failures_in(rewound(world)) == []


def test_the_earliest_of_the_fatal_failures_decides_what_goes() -> None:
    def orchestrator(context):
        try:
            yield context.call_activity("a")
        except TaskFailedError:
            yield context.call_activity("undo a")

    world = World(orchestrator)
    world.turn(failed(1))
    world.turn(failed(2))
    history = rewound(world)
    assert failures_in(history) == []
    assert [event.name for event in history if isinstance(event, TaskScheduled)] == ["a"]


def test_a_failure_that_the_code_only_asked_about_stays() -> None:
    def orchestrator(context):
        optional = context.call_activity("optional")
        yield context.wait_for_external_event("go")
        if optional.is_completed:
            yield context.call_activity("after")
        yield context.call_activity("needed")

    world = World(orchestrator)
    world.turn(failed(1), raised("go"))
    world.turn(done(2))
    world.turn(failed(3))
    assert failures_in(rewound(world)) == [1]


def test_a_failure_that_won_a_race_stays_although_nobody_looked_at_it() -> None:
    def orchestrator(context):
        yield context.task_any([context.call_activity("a"), context.call_activity("b")])
        yield context.call_activity("needed")

    world = World(orchestrator)
    world.turn(failed(1))
    world.turn(failed(2), failed(3))
    assert failures_in(rewound(world)) == [1]


def test_code_that_follows_no_history_keeps_all_of_it() -> None:
    visits: list[int] = []

    def fickle(context):
        visits.append(1)
        if len(visits) > 2:
            yield context.create_timer(context.current_utc_datetime)
        yield context.call_activity("a")

    world = World(fickle)
    world.turn(failed(1))
    assert rewind_history(fickle, world.history, world.env) == tuple(world.history[:-1])


def test_a_history_without_an_end_stays_as_it_is() -> None:
    world = World(two_steps)
    assert rewind_history(two_steps, world.history, ReplayEnv()) == tuple(world.history)


def test_a_past_rewind_is_history() -> None:
    world = World(two_steps)
    past = [*world.history, ExecutionRewound(-1, NOON)]
    result = replay(two_steps, past, [at(9), done(1)], world.env)
    assert [action.name for action in result.actions] == ["second"]


# -- entities ------------------------------------------------------------------------------------

A = EntityId("account", "a")
B = EntityId("account", "b")


def kinds_in(history: list[Any]) -> list[type]:
    return [type(event) for event in history if type(event).__name__.startswith("Entity")]


def test_a_failed_operation_goes_and_its_call_stays_open() -> None:
    def orchestrator(context):
        yield context.call_entity(A, "take")
        return (yield context.call_entity(A, "put"))

    world = World(orchestrator)
    world.turn(answered(world.actions[0]))
    call = world.actions[0]
    world.turn(refused(call))
    history = rewound(world)
    assert kinds_in(history) == [
        EntityOperationCalled,
        EntityOperationCompleted,
        EntityOperationCalled,
    ]
    result = replay(orchestrator, history, [at(300), answered(call, 5)], world.env)
    assert [action.result for action in result.actions] == ["5"]


def test_a_failed_operation_that_the_code_lived_with_stays() -> None:
    def orchestrator(context):
        with suppress(TaskFailedError):
            yield context.call_entity(A, "optional")
        yield context.call_activity("needed")

    world = World(orchestrator)
    world.turn(refused(world.actions[0]))
    world.turn(failed(2))
    history = rewound(world)
    assert EntityOperationFailed in kinds_in(history)
    assert failures_in(history) == []


def test_a_rewound_section_is_held_again() -> None:
    def orchestrator(context):
        with (yield context.lock_entities([A, B])):
            yield context.call_entity(A, "take")
            yield context.call_entity(B, "put")
        return "done"

    world = World(orchestrator)
    world.turn(granted(world.actions[0]))
    world.turn(answered(world.actions[0]))
    put = world.actions[0]
    world.turn(refused(put))
    assert kinds_in(world.history)[-2:] == [EntityUnlockSent, EntityUnlockSent]
    history = rewound(world)
    assert kinds_in(history) == [
        EntityLockRequested,
        EntityLockGranted,
        EntityOperationCalled,
        EntityOperationCompleted,
        EntityOperationCalled,
    ]
    result = replay(orchestrator, history, [at(300), answered(put)], world.env)
    assert result.warnings == ()
    assert [type(action).__name__ for action in result.actions] == [
        "SendEntityMessage",
        "SendEntityMessage",
        "CompleteOrchestration",
    ]


def test_what_was_done_about_a_failure_goes_with_its_answers() -> None:
    def orchestrator(context):
        try:
            yield context.call_entity(A, "take")
        except TaskFailedError:
            with (yield context.lock_entities([B])):
                yield context.call_entity(B, "note")
            raise

    world = World(orchestrator)
    world.turn(refused(world.actions[0]))
    world.turn(granted(world.actions[0]))
    world.turn(answered(world.actions[0]))
    assert kinds_in(rewound(world)) == [EntityOperationCalled]


def test_a_failed_operation_that_came_too_late_goes() -> None:
    def orchestrator(context):
        call = context.call_entity(A, "take")
        yield context.task_any([call, context.wait_for_external_event("now")])
        raise ValueError("impatient")

    world = World(orchestrator)
    call = world.actions[0]
    world.turn(raised("now"))
    world.history.insert(-1, refused(call))
    assert kinds_in(rewound(world)) == [EntityOperationCalled]
