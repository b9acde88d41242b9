"""What moved apps stumble over, in lists that users can read: timers and external events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import durable_app as df
from durable_app.testing import AppRunner, run_orchestration

HOUR = timedelta(hours=1)

# -- timers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["is_completed", "is_complete"])
def test_the_timeout_of_an_approval_is_cancelled_as_the_samples_do_it(app: df.DFApp, play, word):
    """`if not timeout.is_completed: timeout.cancel()`, in the words of either library."""

    @app.orchestration_trigger(context_name="context")
    def approval(context):
        answer = context.wait_for_external_event("Approval")
        timeout = context.create_timer(context.current_utc_datetime + timedelta(days=3))
        winner = yield context.task_any([answer, timeout])
        if not getattr(timeout, word):
            timeout.cancel()
        return [winner == answer, answer.result, timeout.is_cancelled]

    async def story(run: AppRunner):
        waiting, began = await run.start(approval), run.now
        await run.raise_event(waiting, "Approval", True)
        return await run.result(waiting), run.now - began

    assert play(story) == ([True, True, True], timedelta(0))


def test_a_timer_that_has_fired_can_be_cancelled_without_an_error(app: df.DFApp):
    """`cancel()` then does nothing and gives False."""

    @app.orchestration_trigger(context_name="context")
    def cancels(context):
        timer = context.create_timer(HOUR)
        yield timer
        return [timer.cancel(), timer.is_cancelled]

    assert run_orchestration(app, cancels) == [False, False]


@pytest.mark.parametrize("days", [1, 100], ids=["a short timer", "a long timer"])
def test_a_cancelled_timer_says_so_by_either_name(app: df.DFApp, days):
    """`is_cancelled` of short timers and `is_canceled()` of long ones: here all are alike."""

    @app.orchestration_trigger(context_name="context")
    def cancels(context):
        timer = context.create_timer(timedelta(days=days))
        before = [timer.is_cancelled, timer.is_canceled()]
        return [before, timer.cancel(), timer.is_cancelled, timer.is_canceled()]

    assert run_orchestration(app, cancels) == [[False, False], True, True, True]


def test_yielding_a_cancelled_timer_raises_and_does_not_hang(app: df.DFApp):
    """What is cancelled has ended, with a TaskCancelledError."""

    @app.orchestration_trigger(context_name="context")
    def waits(context):
        timer = context.create_timer(HOUR)
        cancelled = timer.cancel()
        try:
            yield timer
        except df.TaskCancelledError:
            return cancelled

    assert run_orchestration(app, waits) is True


def test_a_wait_for_an_event_can_be_cancelled(app: df.DFApp, play):
    """The next event of that name then goes to the next wait."""

    @app.orchestration_trigger(context_name="context")
    def waits(context):
        first, second = (context.wait_for_external_event("go") for _ in range(2))
        assert first.cancel()
        try:
            yield first
        except df.TaskCancelledError:
            return (yield second)

    async def story(run: AppRunner):
        waiting = await run.start(waits)
        await run.raise_event(waiting, "go", 1)
        return await run.result(waiting)

    assert play(story) == 1


def test_a_timer_takes_a_duration(app: df.DFApp):
    """`create_timer(timedelta(hours=1))` is as good as a moment."""

    @app.orchestration_trigger(context_name="context")
    def waits(context):
        began = context.current_utc_datetime
        yield context.create_timer(HOUR)
        return context.current_utc_datetime - began >= HOUR

    assert run_orchestration(app, waits) is True


@pytest.mark.parametrize("moment", [timedelta(hours=-1), datetime(2001, 1, 1, tzinfo=UTC)], ids=str)
def test_a_timer_of_the_past_fires_at_once(app: df.DFApp, play, moment):
    """It neither fails nor waits."""

    @app.orchestration_trigger(context_name="context")
    def waits(context):
        yield context.create_timer(moment)

    async def story(run: AppRunner):
        began = run.now
        await run.run(waits)
        return run.now - began

    assert play(story) == timedelta(0)


def test_a_timer_may_be_months_away_and_is_one_event(app: df.DFApp, play):
    """It is not cut into pieces of days."""

    @app.orchestration_trigger(context_name="context")
    def waits(context):
        yield context.create_timer(timedelta(days=200))

    async def story(run: AppRunner):
        waiting = await run.start(waits)
        await run.result(waiting)
        return [event["EventType"] for event in await run.history(waiting)].count("TimerFired")

    assert play(story) == 1


# -- external events ------------------------------------------------------------------------------


def collector(app: df.DFApp, waits: int, *, early: bool = True):
    """An orchestrator that waits so many times, after an hour if the events shall come first."""

    @app.orchestration_trigger(context_name="context")
    def collect(context):
        if early:
            yield context.create_timer(HOUR)
        tasks = [context.wait_for_external_event("Go") for _ in range(waits)]
        return (yield context.task_all(tasks))

    return collect


async def send(run: AppRunner, orchestrator: Any, *events: tuple[str, Any]) -> Any:
    waiting = await run.start(orchestrator)
    for name, value in events:
        await run.raise_event(waiting, name, value)
    return await run.result(waiting)


def test_the_case_of_an_events_name_does_not_matter(app: df.DFApp, play):
    """An event `GO` ends a wait for `Go`."""
    collect = collector(app, 2)

    assert play(lambda run: send(run, collect, ("go", 1), ("GO", 2))) == [1, 2]


def test_events_before_the_wait_are_kept_each_for_one_wait(app: df.DFApp, play):
    """No event overwrites an earlier one, and none is delivered to several waits."""
    collect = collector(app, 3)

    assert play(lambda run: send(run, collect, ("Go", 1), ("Go", 2), ("Go", 3))) == [1, 2, 3]


def test_the_first_of_several_waits_gets_the_first_event(app: df.DFApp, play):
    """Waits of one name are served in the order in which they were made."""
    collect = collector(app, 3, early=False)

    assert play(lambda run: send(run, collect, ("Go", 1), ("Go", 2), ("Go", 3))) == [1, 2, 3]


def test_a_second_wait_does_not_get_the_event_of_the_first_again(app: df.DFApp, play):
    """One event, two waits: the second one goes on waiting."""

    @app.orchestration_trigger(context_name="context")
    def waits(context):
        first = yield context.wait_for_external_event("go")
        again = context.wait_for_external_event("go")
        yield context.task_any([again, context.create_timer(HOUR)])
        return [first, again.is_completed]

    assert play(lambda run: send(run, waits, ("go", 1))) == [1, False]


@pytest.mark.parametrize("value", [0, "", False, [], {}, None], ids=repr)
def test_what_an_event_carries_may_be_falsy(app: df.DFApp, play, value):
    """`0`, `""`, `False` and `[]` arrive as they were sent."""

    @app.orchestration_trigger(context_name="context")
    def waits(context):
        return [(yield context.wait_for_external_event("go"))]

    assert play(lambda run: send(run, waits, ("go", value))) == [value]


def test_the_text_of_an_event_stays_a_text(app: df.DFApp, play):
    """JSON that was sent as a text is not decoded a second time."""

    @app.orchestration_trigger(context_name="context")
    def waits(context):
        return (yield context.wait_for_external_event("go"))

    assert play(lambda run: send(run, waits, ("go", '{"a": 1}'))) == '{"a": 1}'


def test_a_wait_has_a_time_limit_of_its_own(app: df.DFApp):
    """`timeout=` takes the place of a race with a timer; TimeoutError when it is up."""

    @app.orchestration_trigger(context_name="context")
    def waits(context):
        try:
            yield context.wait_for_external_event("go", timeout=HOUR)
        except TimeoutError:
            return "nobody came"

    assert run_orchestration(app, waits) == "nobody came"
