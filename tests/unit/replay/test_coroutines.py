"""Orchestrators that are written as ``async def``."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from typing import Any

import pytest

from durable_app.entity_id import EntityId
from durable_app.errors import TaskFailedError
from durable_app.protocol import EntityUnlockSent, OrchestrationStatus
from durable_app.replay.engine import Emit, Execution, ReplayEnv, ScheduleAt
from tests.unit.replay.world import (
    World,
    at,
    child_done,
    done,
    failed,
    fired,
    granted,
    raised,
    replay,
    started,
)


def line_with(fn, text: str) -> str:
    lines, first = inspect.getsourcelines(fn)
    return f"{__file__}:{first + next(i for i, line in enumerate(lines) if text in line)}"


async def chain(context):
    first = await context.call_activity("a", context.get_input())
    second = await context.call_sub_orchestrator("b", first)
    return [first, second]


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_await_gives_what_yield_gives(warm: bool) -> None:
    world = World(chain, 7, warm=warm)
    assert [action.input for action in world.actions] == ["7"]
    world.turn(done(1, "one"))
    world.turn(child_done(2, "two"))
    assert world.output == ["one", "two"]


def test_a_coroutine_without_await_completes_at_once() -> None:
    async def plain(context):
        return {"input": context.get_input()}

    assert World(plain, 7).output == {"input": 7}


def test_whatever_gives_a_coroutine_is_one() -> None:
    async def add(number, context):
        return number + await context.call_activity("a")

    class Adder:
        async def __call__(self, context):
            return await context.call_activity("a")

    forms: list[tuple[Any, int]] = [
        (functools.partial(add, 5), 12),
        (lambda context: add(6, context), 13),
        (Adder(), 7),
    ]
    for fn, expected in forms:
        world = World(fn)
        world.turn(done(1, 7))
        assert world.output == expected


def test_a_failed_task_raises_at_the_await() -> None:
    async def careful(context):
        try:
            await context.call_activity("pay")
        except TaskFailedError as error:
            return error.details.error_type

    world = World(careful)
    world.turn(failed(1))
    assert world.output == "ValueError"


def test_an_unhandled_failure_shows_the_lines_of_user_code_alone() -> None:
    async def step(context):
        await context.call_activity("pay")

    async def careless(context):
        await step(context)

    world = World(careless)
    world.turn(failed(1))
    assert world.failure.error_type == "TaskFailedError"
    stack = world.failure.stack_trace or ""
    assert "durable_app/replay" not in stack
    assert stack.count("File ") == 2


def test_groups_timers_and_events_can_be_awaited() -> None:
    async def gather(context):
        pair = await context.task_all([context.call_activity("a"), context.call_activity("b")])
        late = context.create_timer(context.current_utc_datetime)
        go = context.wait_for_external_event("go")
        winner = await context.task_any([late, go])
        await late
        return [pair, winner is go, await go]

    world = World(gather)
    world.turn(done(2, "B"), done(1, "A"))
    world.turn(raised("go", 5), fired(3))
    assert world.output == [["A", "B"], True, 5]


def test_a_completed_task_can_be_awaited_again() -> None:
    async def twice(context):
        task = context.call_activity("a")
        return [await task, await task]

    world = World(twice)
    world.turn(done(1, 3))
    assert world.output == [3, 3]


def test_the_place_is_that_of_the_innermost_await() -> None:
    async def inner(context):
        await context.wait_for_external_event("go")

    async def outer(context):
        await inner(context)

    assert World(outer).execution.location == line_with(inner, "await context")


def test_an_await_within_an_async_generator_is_followed() -> None:
    async def numbers(context):
        for name in "ab":
            yield await context.call_activity(name)

    async def collect(context):
        return [number async for number in numbers(context)]

    world = World(collect)
    world.turn(done(1, 1))
    world.turn(done(2, 2))
    assert world.output == [1, 2]


def test_continue_as_new_takes_effect_at_the_next_await() -> None:
    reached = []

    async def eternal(context):
        context.continue_as_new(context.get_input() + 1)
        await context.call_activity("never")
        reached.append("after")

    completion = World(eternal, 1).completion
    assert (completion.status, completion.result) == (OrchestrationStatus.CONTINUED_AS_NEW, "2")
    assert reached == []


def test_entities_are_kept_by_async_with() -> None:
    account = EntityId("account", "a")

    async def transfer(context):
        async with context.lock_entities([account]) as lock:
            context.set_custom_status(lock is not None)
        with await context.lock_entities([account]):
            pass
        return "moved"

    world = World(transfer)
    for _ in range(2):
        world.turn(granted(world.actions[-1]))
    assert world.output == "moved"
    assert sum(isinstance(a.message, EntityUnlockSent) for a in world.actions[:-1]) == 1


def test_entities_are_let_go_when_the_block_fails() -> None:
    async def transfer(context):
        async with context.lock_entities([EntityId("account", "a")]):
            raise LookupError("no such account")

    world = World(transfer)
    world.turn(granted(world.actions[-1]))
    assert world.failure.error_type == "LookupError"
    assert isinstance(world.actions[0].message, EntityUnlockSent)


# -- what is no task of the context --------------------------------------------------------------


async def bare(context):
    await asyncio.sleep(0)


class Foreign:
    def __await__(self):
        yield 7


async def foreign(context):
    await Foreign()


@pytest.mark.parametrize(
    ("fn", "line"),
    [(bare, line_with(bare, "await ")), (foreign, line_with(Foreign.__await__, "yield"))],
)
def test_a_foreign_awaitable_is_named_with_its_line_and_what_to_use(fn, line) -> None:
    failure = World(fn).failure
    assert failure.error_type == "OrchestratorError"
    assert line in failure.error_message
    assert "context.create_timer" in failure.error_message


async def sleeping(context):
    await asyncio.sleep(1)


async def limiting(context):
    await asyncio.wait_for(context.call_activity("a"), 1)


async def wanting_a_loop(context):
    await asyncio.get_event_loop().run_in_executor(None, print)


@pytest.mark.parametrize("fn", [sleeping, limiting, wanting_a_loop])
def test_asyncio_is_refused_where_no_loop_runs(fn) -> None:
    worlds = []
    # A thread of its own, as the worker has for orchestrators: it never had an event loop.
    thread = threading.Thread(target=lambda: worlds.append(World(fn)))
    thread.start()
    thread.join()
    failure = worlds[0].failure
    assert failure.error_type == "OrchestratorError"
    assert line_with(fn, "await ") in failure.error_message
    assert "context.task_all" in failure.error_message
    assert failure.inner_failure is not None


def test_asyncio_is_refused_where_a_loop_runs() -> None:
    async def main():
        return World(sleeping).failure

    failure = asyncio.run(main())
    assert failure.error_type == "OrchestratorError"
    assert line_with(sleeping, "await ") in failure.error_message


def test_another_runtime_error_stays_what_it_is() -> None:
    async def wrong(context):
        raise RuntimeError("out of paper")

    assert World(wrong).failure.error_type == "RuntimeError"


def test_a_task_or_a_coroutine_is_no_result() -> None:
    async def forgot(context):
        return context.call_activity("a")

    async def forgot_to_wait(context):
        return forgot(context)

    assert "`await task`" in World(forgot).failure.error_message
    assert "return await" in World(forgot_to_wait).failure.error_message


# -- warm, cold, thrown out ----------------------------------------------------------------------


def test_a_coroutine_that_is_thrown_out_asks_for_nothing() -> None:
    closed = []

    async def careful(context):
        try:
            await context.call_activity("a")
        finally:
            closed.append("closed")
            await context.call_activity("clean up")

    execution = Execution(careful, ReplayEnv())
    execution.advance((), [at(), started()])
    execution.close()
    assert closed == ["closed"]
    assert execution._ledger.queued == 0
    assert execution.location is None


def test_in_a_mode_that_looks_at_yields_awaits_are_seen() -> None:
    env = ReplayEnv(schedule_at=ScheduleAt.YIELD, emit=Emit.ALL)

    async def pair(context):
        first = context.call_activity("a")
        context.call_activity("never awaited")
        return await first

    result = replay(pair, [], [at(), started()], env)
    assert [action.name for action in result.actions] == ["a"]
    assert len(result.trace) == 1
