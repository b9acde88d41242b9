"""``context.is_patched``: changed code for executions that come to it for the first time."""

from __future__ import annotations

from typing import Any

import pytest

from durable_app.errors import DefinitionError, UnsupportedOnHostError
from durable_app.protocol import (
    PATCH_MARKER,
    ExecutionCompleted,
    ExecutionRewound,
    ScheduleTask,
    TaskScheduled,
)
from durable_app.replay.engine import ReplayEnv, rewind_history
from tests.unit.replay.world import NOON, World, at, done, failed, replay, started

ASKED_TWICE = PATCH_MARKER + "ask twice"


def before(context):
    yield context.call_activity("ask")
    return (yield context.call_activity("ship"))


def patched(context):
    if context.is_patched("ask twice"):
        yield context.call_activity("ask")
        yield context.call_activity("ask again")
    else:
        yield context.call_activity("ask")
    return (yield context.call_activity("ship"))


def patched_later(context):
    yield context.call_activity("ask")
    if context.is_patched("ask twice"):
        yield context.call_activity("ask again")
    return (yield context.call_activity("ship"))


def names(actions: Any) -> list[str]:
    return [action.name for action in actions if isinstance(action, ScheduleTask)]


def test_a_new_execution_runs_the_new_code_and_history_tells() -> None:
    world = World(patched)
    assert names(world.actions) == [ASKED_TWICE, "ask"]
    assert any(isinstance(e, TaskScheduled) and e.name == ASKED_TWICE for e in world.history)
    world.turn(done(1))
    assert world.actions == ()
    world.turn(done(2))
    assert names(world.actions) == ["ask again"]


def test_answers_that_are_known_before_are_given_from_the_first_turn_on() -> None:
    new = World(patched).history
    for known, asked in (
        (frozenset[str](), ["ask"]),
        (frozenset(["ask twice"]), [ASKED_TWICE, "ask"]),
    ):
        env = ReplayEnv(patches=known)
        assert names(replay(patched, [], new[:2], env).actions) == asked


def test_an_execution_of_before_goes_on_with_the_old_code() -> None:
    world = World(before)
    result = replay(patched, world.history, [at(1), done(1)], world.env)
    assert names(result.actions) == ["ship"]


def test_an_execution_that_has_not_come_there_yet_runs_the_new_code() -> None:
    world = World(before)
    result = replay(patched_later, world.history, [at(1), done(1)], world.env)
    assert names(result.actions) == [ASKED_TWICE, "ask again"]


def test_one_that_went_by_in_a_turn_without_actions_goes_on_with_the_old_code() -> None:
    def waits(context):
        yield context.wait_for_external_event("go")

    def waits_or_not(context):
        if not context.is_patched("no wait"):
            yield context.wait_for_external_event("go")
        return "done"

    world = World(waits)
    result = replay(waits_or_not, world.history, [at(1), done(9)], world.env)
    assert not result.is_complete


def test_the_answer_stays_the_same_until_the_execution_ends() -> None:
    def loop(context):
        answers = []
        for _ in range(3):
            answers.append(context.is_patched("p"))
            yield context.call_activity("a")
        return answers

    def unpatched(context):
        yield context.call_activity("a")
        yield context.call_activity("a")

    old = World(unpatched)
    last = replay(
        loop, [*old.history, at(1), done(1), TaskScheduled(2, NOON, "a")], [at(2), done(2)], old.env
    )
    assert names(last.actions) == ["a"]
    new = World(loop)
    for number in (2, 3, 4):
        new.turn(done(number))
    assert new.output == [True, True, True]


def test_a_cold_execution_gives_the_answer_of_the_warm_one() -> None:
    world = World(patched)
    world.turn(done(1), done(2))
    for past, new in world.turns:
        cold = replay(patched, world.history[:past], new, world.env)
        assert names(cold.actions) == names(world.results[world.turns.index((past, new))].actions)


def test_the_mark_needs_no_worker_that_knows_it() -> None:
    world = World(patched)
    world.turn(failed(1))
    world.turn(done(2))
    assert names(world.actions) == ["ask again"]


def test_code_after_continue_as_new_leaves_no_mark() -> None:
    def orchestrator(context):
        context.continue_as_new(1)
        return context.is_patched("late")

    assert [type(action).__name__ for action in World(orchestrator).actions] == [
        "CompleteOrchestration"
    ]


def test_a_failed_execution_of_before_is_rewound_with_the_old_code() -> None:
    world = World(before)
    world.turn(failed(1))
    assert isinstance(world.history[-1], ExecutionCompleted)
    history = rewind_history(patched_later, world.history, world.env)
    rewound = replay(patched_later, world.history, [at(5), ExecutionRewound()], world.env)
    assert rewound.actions[0].new_history == history
    result = replay(patched_later, history, [at(6), done(1)], world.env)
    assert names(result.actions) == [ASKED_TWICE, "ask again"]


@pytest.mark.parametrize("name", ["", 3, None])
def test_a_patch_has_a_name(name: object) -> None:
    def orchestrator(context):
        with pytest.raises(DefinitionError, match="is_patched: the name"):
            context.is_patched(name)
        return 1

    assert World(orchestrator).output == 1


def test_a_host_without_them_says_what_to_use() -> None:
    def orchestrator(context):
        context.is_patched("p")

    env = ReplayEnv(capabilities=frozenset())
    (action,) = replay(orchestrator, [], [at(), started()], env).actions
    assert action.failure.error_type == UnsupportedOnHostError.__name__
    assert "new version" in action.failure.error_message
