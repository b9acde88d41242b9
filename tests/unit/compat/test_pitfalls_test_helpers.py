"""What moved apps stumble over, in lists that users can read: helpers of their own tests."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

import durable_app as df
from durable_app.testing import AppRunner, execute_entity, orchestrator_generator_wrapper


def done(value):
    return SimpleNamespace(result=value)


class Failed:
    @property
    def result(self):
        raise ValueError("sold out")


def test_a_generator_that_returns_without_a_yield_gives_its_result():
    """The helper of 1.x needs no task for it."""

    def returns(context):
        if context is not None:
            yield context.call_activity("echo")
        return "nothing to do"

    assert list(orchestrator_generator_wrapper(returns(None))) == ["nothing to do"]


def test_tasks_and_then_the_result_come_out_of_a_generator():
    """In this order, and each task's result goes in."""

    def adds(context):
        first = yield done(3)
        second = yield done(4)
        return first + second

    *tasks, result = orchestrator_generator_wrapper(adds(None))
    assert [each.result for each in tasks] == [3, 4]
    assert result == 7


def test_a_task_whose_result_raises_fails_in_the_generator():
    """So that `except` in an orchestrator can be tested."""

    def catches(context):
        try:
            yield Failed()
        except ValueError as error:
            return str(error)

    assert list(orchestrator_generator_wrapper(catches(None)))[-1] == "sold out"


def test_one_operation_of_an_entity_runs_without_an_app():
    """`execute_entity` shows its result, its state and what it has sent."""

    class Counter(df.DurableEntity):
        def add(self, number: int) -> int:
            self.signal_entity(df.EntityId("log", "l"), "write", number)
            self.start_new_orchestration("report", number, "one")
            self.set_state(self.get_state(int, 0) + number)
            return self.get_state(int, 0)

    outcome = execute_entity(Counter, "add", 5, state=2, entity_key="c")

    assert (outcome.get_result(int), outcome.get_state(int)) == (7, 7)
    (signal,), (start,) = outcome.signals, outcome.started
    assert (str(signal.entity_id), signal.operation, signal.get_input()) == ("@log@l", "write", 5)
    assert (start.name, start.instance_id, start.get_input()) == ("report", "one", 5)


def test_an_operation_that_fails_raises_in_the_test():
    """With the type that it was raised with."""

    class Counter(df.DurableEntity):
        def add(self) -> None:
            raise ZeroDivisionError("by nothing")

    with pytest.raises(ZeroDivisionError, match="by nothing"):
        execute_entity(Counter, "add")


def test_a_month_passes_at_once(app: df.DFApp, play):
    """Timers leap: no test waits, no port is opened."""

    @app.orchestration_trigger(context_name="context")
    def waits(context):
        yield context.create_timer(timedelta(days=30))
        return "a month later"

    async def story(run: AppRunner):
        began = run.now
        return await run.run(waits), run.now - began

    assert play(story) == ("a month later", timedelta(days=30))


def test_a_decorated_app_runs_in_a_test_as_it_is(app: df.DFApp, play):
    """The app itself, with its blueprints and clients: nothing is registered a second time."""
    blueprint = df.Blueprint()

    @blueprint.orchestration_trigger(context_name="context")
    def nested(context):
        return (yield context.call_activity("echo", context.get_input()))

    app.register_functions(blueprint)

    async def story(run: AppRunner):
        started = await run.client.start_new("nested", client_input=7)
        return await run.result(started)

    assert play(story) == 7


def test_code_that_is_not_deterministic_fails_its_test(app: df.DFApp, play):
    """Every turn is replayed, as after a restart."""
    calls = []

    @app.orchestration_trigger(context_name="context")
    def drifts(context):
        calls.append(1)
        yield context.call_activity("echo" if len(calls) % 2 else "fail", 1)
        yield context.call_activity("echo", 2)

    async def story(run: AppRunner):
        with pytest.raises(df.OrchestrationFailedError, match="NonDeterminismError"):
            await run.run(drifts)

    play(story)
