from __future__ import annotations

import pytest

from durable_app.errors import NonDeterminismError
from durable_app.protocol import (
    CreateSubOrchestration,
    CreateTimer,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityUnlockSent,
    EventSent,
    OrchestrationInstance,
    ScheduleTask,
    SendEntityMessage,
    SendEvent,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TimerCreated,
)
from durable_app.replay.determinism import MATCHING, describe_action, mismatch
from durable_app.replay.engine import ReplayEnv
from tests.unit.replay.world import NOON, World, at, done, fired, replay, started

TARGET = OrchestrationInstance("other")
CALLED = EntityOperationCalled(1, NOON, "r", "add", target_instance_id="@counter@a")
SIGNALED = EntityOperationSignaled(1, NOON, "r", "add", target_instance_id="@counter@a")
LOCK = EntityLockRequested(1, NOON, "c", ("@counter@a", "@counter@b"))
UNLOCK = EntityUnlockSent(1, NOON, "c", target_instance_id="@counter@a")

AGREEING = [
    (TaskScheduled(1, NOON, "a"), ScheduleTask(1, "a")),
    (SubOrchestrationInstanceCreated(1, NOON, "x", "a"), CreateSubOrchestration(1, "y", "a")),
    (TimerCreated(1, NOON, NOON), CreateTimer(1, NOON)),
    (EventSent(1, NOON, "other", "go"), SendEvent(1, TARGET, "go")),
    (EventSent(1, NOON, "@counter@a", "op"), SendEntityMessage(1, CALLED)),
    (CALLED, SendEntityMessage(1, CALLED)),
    (SIGNALED, SendEntityMessage(1, SIGNALED)),
    (LOCK, SendEntityMessage(1, LOCK)),
    (UNLOCK, SendEntityMessage(1, UNLOCK)),
]
DIFFERING = [
    (TaskScheduled(1, NOON, "a"), ScheduleTask(1, "b")),
    (TaskScheduled(1, NOON, "a"), CreateSubOrchestration(1, "y", "a")),
    (SubOrchestrationInstanceCreated(1, NOON, "x", "a"), CreateSubOrchestration(1, "x", "b")),
    (TimerCreated(1, NOON, NOON), ScheduleTask(1, "a")),
    (EventSent(1, NOON, "other", "go"), SendEvent(1, TARGET, "stop")),
    (EventSent(1, NOON, "else", "go"), SendEvent(1, TARGET, "go")),
    (EventSent(1, NOON, "other", "go"), ScheduleTask(1, "go")),
    (CALLED, SendEntityMessage(1, SIGNALED)),
    (CALLED, ScheduleTask(1, "add")),
    (LOCK, SendEntityMessage(1, EntityLockRequested(1, NOON, "c"))),
    (LOCK, SendEntityMessage(1, EntityLockRequested(1, NOON, "c", ("@counter@a",)))),
]


@pytest.mark.parametrize(("event", "action"), AGREEING)
def test_an_action_and_the_event_that_records_it_agree(event, action) -> None:
    assert MATCHING[type(event)](event, action)


@pytest.mark.parametrize(("event", "action"), DIFFERING)
def test_kind_name_and_target_count(event, action) -> None:
    assert not MATCHING[type(event)](event, action)


def test_the_error_names_both_sides_and_the_place() -> None:
    error = mismatch(TaskScheduled(4, NOON, "old"), ScheduleTask(5, "new"), "app.py:7")
    assert isinstance(error, NonDeterminismError)
    for part in ("TaskScheduled #4 'old'", "ScheduleTask #5 'new'", "app.py:7"):
        assert part in str(error)


def test_the_error_for_code_that_asks_for_nothing() -> None:
    assert "nothing more" in str(mismatch(TimerCreated(4, NOON), None, "app.py:7"))


def test_an_entity_message_is_named_by_its_operation() -> None:
    assert describe_action(SendEntityMessage(3, CALLED)) == (
        "EntityOperationCalled #3 'add' to @counter@a"
    )


def one(context):
    yield context.call_activity("one")


def timer(context):
    yield context.create_timer(context.current_utc_datetime)


def child(context):
    yield context.call_sub_orchestrator("one")


def nothing(context):
    return 1


def ends_early(context):
    yield context.call_activity("one")
    return 1


PAST = [at(), started(), TaskScheduled(1, NOON, "one")]


@pytest.mark.parametrize(
    ("fn", "event", "wanted"),
    [
        (one, TaskScheduled(1, NOON, "uno"), "ScheduleTask #1 'one'"),
        (one, TaskScheduled(2, NOON, "one"), "ScheduleTask #1 'one'"),
        (one, TimerCreated(1, NOON), "ScheduleTask #1 'one'"),
        (timer, TaskScheduled(1, NOON, "one"), "CreateTimer #1"),
        (child, TaskScheduled(1, NOON, "one"), "CreateSubOrchestration #1 'one'"),
        (nothing, TaskScheduled(1, NOON, "one"), "nothing more"),
    ],
)
def test_changed_code_fails_the_instance(fn, event, wanted: str) -> None:
    result = replay(fn, [at(), started(), event], [at(1)], ReplayEnv())
    (completion,) = result.actions
    assert completion.id == -1
    assert completion.failure.error_type == "NonDeterminismError"
    assert wanted in completion.failure.error_message
    assert __file__ in completion.failure.error_message


def test_a_call_that_code_no_longer_makes() -> None:
    past = [*PAST, at(1), done(1), TaskScheduled(2, NOON, "two")]
    result = replay(ends_early, past, [at(2), done(2)], ReplayEnv())
    assert [action.failure.error_type for action in result.actions] == ["NonDeterminismError"]
    assert "TaskScheduled #2 'two'" in result.actions[0].failure.error_message


def test_a_call_that_code_makes_beyond_history_is_new() -> None:
    def two(context):
        context.call_activity("one")
        yield context.call_activity("added")

    result = replay(two, PAST, [at(1)], ReplayEnv())
    assert result.actions == (ScheduleTask(2, "added"),)


def test_foreign_histories_may_use_other_ids() -> None:
    def two(context):
        first = yield context.call_activity("one")
        context.call_activity("two", first)
        yield context.call_activity("three", first)

    past = [at(), started(), TaskScheduled(5, NOON, "one"), at(1), done(5, 7)]
    past += [TaskScheduled(9, NOON, "two")]
    result = replay(two, past, [at(2)], ReplayEnv(strict_ids=False))
    assert [(action.id, action.name) for action in result.actions] == [(10, "three")]


def test_foreign_histories_may_use_one_id_for_all_attempts() -> None:
    from durable_app.replay.retry import RetryOptions
    from tests.unit.replay.world import failed

    def retried(context):
        return (yield context.call_activity_with_retry("one", RetryOptions(1000, 3)))

    past = [at(), started(), TaskScheduled(1, NOON, "one"), at(1), failed(1)]
    past += [TimerCreated(2, NOON), at(2), fired(2), TaskScheduled(1, NOON, "one")]
    result = replay(retried, past, [at(3), done(1, "ok")], ReplayEnv(strict_ids=False))
    assert [action.result for action in result.actions] == ['"ok"']


def test_an_all_actions_host_gets_the_ids_of_history() -> None:
    from durable_app.replay.engine import Emit

    past = [at(), started(), TaskScheduled(5, NOON, "one")]
    env = ReplayEnv(strict_ids=False, emit=Emit.ALL)
    assert replay(one, past, [at(1)], env).actions == (ScheduleTask(5, "one"),)


def test_names_are_compared_warm_as_cold() -> None:
    world = World(one)
    world.turn(TaskScheduled(3, NOON, "other"))
    assert world.failure.error_type == "NonDeterminismError"
