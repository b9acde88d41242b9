"""Any cut of a history replays to the same actions; warm and cold agree; in all modes of hosts."""

from __future__ import annotations

import json
from random import Random  # noqa: TID251  with a fixed seed
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_app.protocol import CompleteOrchestration, ExecutionRewound, OrchestrationStatus
from durable_app.replay.engine import (
    Emit,
    Execution,
    ReplayEnv,
    ReplayResult,
    RetryMode,
    ScheduleAt,
    replay,
    rewind_history,
)
from tests.property.replay_programs import PROGRAMS, Hub, Program
from tests.unit.replay.world import NOON, at

HUB = ReplayEnv()
CLASSIC = ReplayEnv(
    schedule_at=ScheduleAt.YIELD,
    first_id=0,
    retry=RetryMode.HOST,
    emit=Emit.ALL,
    strict_ids=False,
    name_children=False,
)
MODES = {
    "hub": HUB,
    "foreign history": ReplayEnv(strict_ids=False),
    "all actions": ReplayEnv(emit=Emit.ALL, first_id=0),
    "at the yield": ReplayEnv(schedule_at=ScheduleAt.YIELD),
    "at the yield, all actions": ReplayEnv(schedule_at=ScheduleAt.YIELD, emit=Emit.ALL),
    "host repeats": ReplayEnv(retry=RetryMode.HOST, strict_ids=False),
    "classic": CLASSIC,
}
SEEDS = st.integers(0, 1_000)
WARM_MODES = ("hub", "foreign history", "at the yield")


def run(program: Program, env: ReplayEnv, seed: int, *, warm: bool = False) -> Hub:
    hub = Hub(program, env, Random(seed).randrange, warm=warm)
    hub.run()
    return hub


def comparable(result: ReplayResult) -> Any:
    """Return a result without what tells where code stands in a file, and without objects."""
    return [msgspec.to_builtins(action) for action in result.actions], result.is_complete


def told(result: ReplayResult) -> Any:
    """Return a result without stack traces, which name the lines of the code."""
    actions = [
        msgspec.structs.replace(
            action, failure=msgspec.structs.replace(action.failure, stack_trace=None)
        )
        if isinstance(action, CompleteOrchestration) and action.failure is not None
        else action
        for action in result.actions
    ]
    return actions, result.custom_status, result.is_complete, len(result.trace)


def assert_sound(result: ReplayResult) -> None:
    assert result.warnings == ()
    last = result.actions[-1]
    assert isinstance(last, CompleteOrchestration)
    if last.failure is not None:
        assert last.failure.error_type in {
            "TaskFailedError",
            "TaskTimeoutError",
            "LookupError",
            "OrchestratorError",
        }


@pytest.mark.parametrize("env", [MODES[name] for name in WARM_MODES], ids=WARM_MODES)
@given(program=PROGRAMS, seed=SEEDS)
def test_warm_and_cold_agree_on_every_turn(env: ReplayEnv, program: Program, seed: int) -> None:
    hub = run(program, env, seed, warm=True)
    assert_sound(hub.turns[-1].result)
    for turn in hub.turns:
        cold = replay(hub.fn, hub.history[: turn.past], turn.new, env)
        assert comparable(cold) == comparable(turn.result)
        assert cold.custom_status == turn.result.custom_status


@pytest.mark.parametrize("env", MODES.values(), ids=MODES)
@given(program=PROGRAMS, seed=SEEDS)
def test_every_cut_within_a_turn_gives_its_actions(
    env: ReplayEnv, program: Program, seed: int
) -> None:
    hub = run(program, env, seed)
    assert_sound(hub.turns[-1].result)
    for turn in hub.turns:
        for cut in range(1, len(turn.new) + 1):
            past = hub.history[: turn.past] + turn.new[:cut]
            again = replay(hub.fn, past, turn.new[cut:], env)
            assert comparable(again) == comparable(turn.result)


@pytest.mark.parametrize("env", MODES.values(), ids=MODES)
@given(program=PROGRAMS, seed=SEEDS)
@settings(max_examples=50)
def test_a_whole_history_cut_anywhere_asks_for_nothing_more(
    env: ReplayEnv, program: Program, seed: int
) -> None:
    hub = run(program, env, seed)
    for cut in range(len(hub.history) + 1):
        result = replay(hub.fn, hub.history[:cut], hub.history[cut:], env)
        assert result.is_complete
        if env.emit is Emit.NEW:
            assert result.actions == ()


@pytest.mark.parametrize("env", MODES.values(), ids=MODES)
@given(program=PROGRAMS, seed=SEEDS)
@settings(max_examples=50)
def test_await_asks_for_what_yield_asks_for(env: ReplayEnv, program: Program, seed: int) -> None:
    yields, awaits = (run((*program[:2], form), env, seed) for form in ("yields", "awaits"))
    assert [told(turn.result) for turn in yields.turns] == [
        told(turn.result) for turn in awaits.turns
    ]


@given(program=PROGRAMS, seed=SEEDS)
def test_an_execution_closed_after_any_turn_stays_silent(program: Program, seed: int) -> None:
    hub = run(program, HUB, seed)
    for turn in hub.turns:
        execution = Execution(hub.fn, HUB)
        execution.advance(hub.history[: turn.past], turn.new)
        execution.close()
        assert execution.location is None
        assert execution._ledger.queued == 0


@given(program=PROGRAMS, seed=SEEDS)
def test_a_failed_instance_can_be_rewound(program: Program, seed: int) -> None:
    hub = run(program, HUB, seed)
    completion = hub.turns[-1].result.actions[-1]
    assert isinstance(completion, CompleteOrchestration)
    if completion.status is not OrchestrationStatus.FAILED:
        return
    (action,) = replay(hub.fn, hub.history, [at(500), ExecutionRewound(-1, NOON)], HUB).actions
    new_history = rewind_history(hub.fn, hub.history, HUB)
    assert msgspec.to_builtins(action)[2] == msgspec.to_builtins(new_history)
    result = replay(hub.fn, new_history, [at(501)], HUB)
    assert "NonDeterminismError" not in json.dumps(msgspec.to_builtins(result.actions))
    assert result.warnings == ()
