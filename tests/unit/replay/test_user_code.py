from __future__ import annotations

import inspect
import traceback

import pytest

from durable_app.errors import TaskFailedError
from durable_app.protocol import OrchestrationStatus
from durable_app.replay.engine import Execution, ReplayEnv
from tests.unit.replay.world import World, at, done, failed, raised, replay, started


def line_with(fn, text: str) -> str:
    lines, first = inspect.getsourcelines(fn)
    return f"{__file__}:{first + next(i for i, line in enumerate(lines) if text in line)}"


def test_a_plain_function_completes_with_its_value() -> None:
    def plain(context):
        return {"input": context.get_input()}

    assert World(plain, 7).output == {"input": 7}


def test_a_plain_function_may_raise() -> None:
    def plain(context):
        raise LookupError("nothing here")

    failure = World(plain).failure
    assert (failure.error_type, failure.error_message) == ("LookupError", "nothing here")
    assert failure.stack_trace is not None
    assert "durable_app/replay" not in failure.stack_trace


def test_none_is_no_result() -> None:
    assert World(lambda context: None).completion.result is None


def test_a_result_without_json_form_fails_the_instance() -> None:
    def plain(context):
        return {"when": object()}

    failure = World(plain).failure
    assert failure.error_type == "PayloadError"
    assert "when" in failure.error_message


def test_an_async_generator_is_told_what_to_write() -> None:
    async def stream(context):
        yield 1

    failure = World(stream).failure
    assert failure.error_type == "OrchestratorError"
    assert "both `async` and `yield`" in failure.error_message


def test_a_task_is_no_result() -> None:
    def forgot(context):
        return context.call_activity("a")

    failure = World(forgot).failure
    assert "yield task" in failure.error_message


def iter_nothing():
    yield from ()


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (None, "called without return"),
        ([], "task_all"),
        ((), "task_all"),
        (iter_nothing(), "yield from"),
        (7, "call_activity"),
    ],
)
def test_a_yield_of_no_task_names_line_and_remedy(value: object, hint: str) -> None:
    def wrong(context):
        yield value

    failure = World(wrong).failure
    assert failure.error_type == "OrchestratorError"
    assert line_with(wrong, "yield value") in failure.error_message
    assert hint in failure.error_message


def test_a_yield_of_a_coroutine_leaves_no_warning_behind() -> None:
    async def activity():
        return 1

    def wrong(context):
        yield activity()

    assert "instead of calling its function" in World(wrong).failure.error_message


def test_the_line_is_that_of_the_innermost_generator() -> None:
    def inner(context):
        yield context.wait_for_external_event("go")

    def outer(context):
        yield from inner(context)

    assert World(outer).execution.location == line_with(inner, "yield context")


def test_a_failed_task_raises_in_the_orchestrator() -> None:
    def careful(context):
        try:
            yield context.call_activity("pay")
        except TaskFailedError as error:
            return [str(error), error.task_id, error.details.error_type]

    world = World(careful)
    world.turn(failed(1))
    assert world.output == ["Activity function 'pay' failed: ValueError: boom", 1, "ValueError"]


def test_an_unhandled_task_failure_is_the_inner_failure() -> None:
    def careless(context):
        yield context.call_activity("pay")

    world = World(careless)
    world.turn(failed(1))
    assert world.failure.error_type == "TaskFailedError"
    assert world.failure.inner_failure is not None
    assert world.failure.inner_failure.error_message == "boom"
    assert world.failure.stack_trace is not None
    assert world.failure.stack_trace.count("File ") == 1


def test_a_failure_without_details_has_some() -> None:
    def careless(context):
        yield context.call_activity("pay")

    world = World(careless)
    world.turn(failed(1, None))
    assert "without saying why" in world.failure.error_message


def test_one_failure_yielded_many_times_keeps_its_traceback_short() -> None:
    depths = []

    def stubborn(context):
        task = context.call_activity("pay")
        for _ in range(3):
            try:
                yield task
            except TaskFailedError as error:
                depths.append(len(list(traceback.walk_tb(error.__traceback__))))

    world = World(stubborn)
    world.turn(failed(1))
    assert world.output is None
    assert len(set(depths)) == 1


def test_sys_exit_fails_the_instance_and_not_the_host() -> None:
    def leaving(context):
        yield context.call_activity("a")
        raise SystemExit(3)

    world = World(leaving)
    world.turn(done(1))
    assert world.failure.error_type == "SystemExit"


@pytest.mark.parametrize("where", ["call", "generator", "clean-up"])
def test_an_interrupt_reaches_the_caller(where: str) -> None:
    def plain(context):
        raise KeyboardInterrupt

    def generator(context):
        yield context.call_activity("a")
        raise KeyboardInterrupt

    def clean_up(context):
        try:
            yield context.call_activity("a")
        finally:
            raise KeyboardInterrupt

    if where == "call":
        with pytest.raises(KeyboardInterrupt):
            World(plain)
    elif where == "generator":
        world = World(generator)
        with pytest.raises(KeyboardInterrupt):
            world.turn(done(1))
    else:
        world = World(clean_up)
        with pytest.raises(KeyboardInterrupt):
            world.execution.close()


def test_continue_as_new_takes_effect_at_the_next_yield() -> None:
    after = []

    def eternal(context):
        context.call_activity("before")
        context.continue_as_new({"round": 2})
        assert context.will_continue_as_new
        context.call_activity("after")
        try:
            yield context.create_timer(context.current_utc_datetime)
        finally:
            after.append("closed")
        after.append("not reached")

    world = World(eternal)
    assert world.ids == [1, 2]
    assert world.completion.status is OrchestrationStatus.CONTINUED_AS_NEW
    assert world.completion.result == '{"round":2}'
    assert after == ["closed"]


@pytest.mark.parametrize("plain", [True, False])
def test_continue_as_new_takes_effect_at_the_return(plain: bool) -> None:
    def function(context):
        context.continue_as_new(None)
        return "ignored"

    def generator(context):
        yield context.call_activity("a")
        context.continue_as_new(None)
        return "ignored"

    world = World(function if plain else generator)
    if not plain:
        world.turn(done(1))
    assert world.completion.status is OrchestrationStatus.CONTINUED_AS_NEW
    assert world.completion.result is None


def test_even_a_wrong_yield_ends_a_continued_execution() -> None:
    def eternal(context):
        context.continue_as_new(1)
        yield None

    assert World(eternal).completion.status is OrchestrationStatus.CONTINUED_AS_NEW


def test_an_error_after_continue_as_new_fails_the_instance() -> None:
    def eternal(context):
        yield context.call_activity("a")
        context.continue_as_new(1)
        raise ValueError("too late")

    world = World(eternal)
    world.turn(done(1))
    assert world.failure.error_message == "too late"


@pytest.mark.parametrize("keep", [True, False])
def test_events_that_nobody_took_are_carried_over(keep: bool) -> None:
    def eternal(context):
        got = yield context.wait_for_external_event("go")
        context.continue_as_new(got, save_events=keep)

    world = World(eternal)
    late = raised("late", 4)
    world.turn(raised("b", 1), raised("a", 2), raised("go", 3), late, raised("B", 5))
    carried = [(event.name, event.input) for event in world.completion.carryover_events]
    expected = [("b", "1"), ("a", "2"), ("late", "4"), ("B", "5")]
    assert carried == (expected if keep else [])


def test_waiting_for_a_foreign_task_fails_loudly() -> None:
    kept = []

    def lender(context):
        kept.append(context.call_activity("a"))
        yield kept[0]

    def borrower(context):
        yield kept[0]

    World(lender)
    assert "another orchestration" in World(borrower).failure.error_message


def test_a_completed_foreign_task_returns_at_once() -> None:
    kept = []

    def lender(context):
        kept.append(context.call_activity("a"))
        yield kept[0]

    def borrower(context):
        return (yield kept[0])

    World(lender).turn(done(1, "lent"))
    assert World(borrower).output == "lent"


def closed_at(fn, turns: int) -> Execution:
    execution = Execution(fn, ReplayEnv())
    execution.advance((), [at(), started()])
    for number in range(1, turns + 1):
        execution.advance((), [at(number), done(number)])
    execution.close()
    return execution


CALLS = {
    "activity": lambda context, timer, wait: context.call_activity("undo"),
    "child": lambda context, timer, wait: context.call_sub_orchestrator("undo"),
    "timer": lambda context, timer, wait: context.create_timer(context.current_utc_datetime),
    "event": lambda context, timer, wait: context.wait_for_external_event("undo"),
    "status": lambda context, timer, wait: context.set_custom_status("undo"),
    "again": lambda context, timer, wait: context.continue_as_new(1),
    "cancel timer": lambda context, timer, wait: timer.cancel(),
    "cancel wait": lambda context, timer, wait: wait.cancel(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("turns", range(3))
def test_eviction_at_every_yield_asks_for_nothing_and_raises_nothing(call, turns: int) -> None:
    seen = []

    def careful(context):
        timer = context.create_timer(context.current_utc_datetime)
        wait = context.wait_for_external_event("x")
        try:
            for _ in range(4):
                yield context.call_activity("do")
        finally:
            try:
                call(context, timer, wait)
            except GeneratorExit:
                seen.append("ended")
                raise
            seen.append("not reached")

    execution = Execution(careful, ReplayEnv())
    execution.advance((), [at(), started()])
    for number in range(2, turns + 2):
        execution.advance((), [at(number), done(number)])
    asked = execution._ledger.next_id
    execution.close()
    assert seen == ["ended"]
    assert execution._ledger.next_id == asked
    assert execution.location is None
    execution.close()


def test_eviction_swallows_what_clean_up_raises_or_yields() -> None:
    def raising(context):
        try:
            yield context.call_activity("a")
        finally:
            raise ValueError("nobody hears this")

    def yielding(context):
        while True:
            try:
                yield context.call_activity("a")
            except GeneratorExit:
                yield None

    assert closed_at(raising, 0).location is None
    assert closed_at(yielding, 0).location is None


def test_eviction_before_the_start() -> None:
    execution = Execution(lambda context: 1, ReplayEnv())
    execution.close()
    assert not execution.is_complete
    assert execution.location is None


def test_replay_closes_what_it_opened() -> None:
    seen = []

    def waiting(context):
        try:
            yield context.wait_for_external_event("go")
        finally:
            seen.append("closed")

    replay(waiting, (), [at(), started()], ReplayEnv())
    assert seen == ["closed"]


def test_an_event_in_the_first_turn_is_buffered_for_the_wait() -> None:
    def waiting(context):
        return (yield context.wait_for_external_event("go"))

    execution = Execution(waiting, ReplayEnv())
    result = execution.advance((), [at(), raised("GO", 1), started()])
    assert result.is_complete
