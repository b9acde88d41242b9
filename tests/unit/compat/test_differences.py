"""What the guide of migration says that differs, does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import durable_app as df
from durable_app.testing import AppRunner, run_orchestration

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "migration.md"
bp = df.Blueprint()


class Cents:
    def __init__(self, amount):
        self.amount = amount

    @staticmethod
    def to_json(value):
        return {"amount": value.amount}

    @staticmethod
    def from_json(value):
        return Cents(value["amount"])


@bp.activity_trigger(input_name="value")
def echo(value: Any) -> Any:
    return value


@bp.activity_trigger(input_name="number")
def strict(number: int) -> int:
    return number


@bp.activity_trigger(input_name="value")
def fail(value: Any) -> None:
    raise ValueError("sold out")


@bp.activity_trigger(input_name="amount")
def coin(amount: int) -> Cents:
    return Cents(amount)


@bp.orchestration_trigger(context_name="context")
def objects(context: df.DurableOrchestrationContext) -> Any:
    by_name = yield context.call_activity("coin", 1)
    by_function = yield context.call_activity(coin, 2)
    by_type = yield context.call_activity("coin", 3, expected_type=Cents)
    return [by_name, by_function.amount, by_type.amount]


@bp.orchestration_trigger(context_name="context")
def forgotten(context: df.DurableOrchestrationContext) -> Any:
    context.call_activity("echo", "never yielded")
    yield context.create_timer(timedelta(seconds=1))


@bp.orchestration_trigger(context_name="context")
def empty(context: df.DurableOrchestrationContext) -> Any:
    lists = [(yield context.task_all([])), (yield df.when_all([]))]
    for none in (context.task_any, df.when_any):
        with pytest.raises(ValueError, match="at least one task"):
            none([])
    return lists


@bp.orchestration_trigger(context_name="context")
def events(context: df.DurableOrchestrationContext) -> Any:
    first = yield context.wait_for_external_event("Go")
    second = yield context.wait_for_external_event("GO")
    return [first, second]


@bp.orchestration_trigger(context_name="context")
def no_task(context: df.DurableOrchestrationContext) -> Any:
    yield [context.call_activity("echo", 1)]


@bp.orchestration_trigger(context_name="context")
def failing(context: df.DurableOrchestrationContext) -> Any:
    task = context.call_activity("fail")
    yield context.task_any([task])
    with pytest.raises(df.TaskFailedError):
        task.get_result()
    try:
        yield task
    except ValueError as error:
        return [str(error), isinstance(task.result, df.TaskFailedError)]


@bp.orchestration_trigger(context_name="context")
def gathering(context: df.DurableOrchestrationContext) -> Any:
    began = context.current_utc_datetime
    group = context.task_all if context.get_input() == "task_all" else df.when_all
    day = context.create_timer(timedelta(days=1))
    try:
        yield group([context.call_activity("fail"), day])
    except df.TaskFailedError:
        return (context.current_utc_datetime - began).days


@bp.orchestration_trigger(context_name="context")
def renewed(context: df.DurableOrchestrationContext) -> Any:
    if context.get_input() == "last":
        event = context.wait_for_external_event("news")
        yield context.task_any([event, context.create_timer(timedelta(hours=1))])
        return event.result
    yield context.create_timer(timedelta(hours=1))
    if context.get_input() == "keep":
        context.continue_as_new("last")
    else:
        context.continue_as_new("last", save_events=False)


@bp.orchestration_trigger(context_name="ctx")
def clock(ctx: df.OrchestrationContext, _: Any) -> Any:
    yield ctx.create_timer(datetime(2030, 1, 2))  # noqa: DTZ001  apps of durabletask have naive times
    return [ctx.current_utc_datetime.isoformat(), len(ctx.histories) > 0]


@bp.orchestration_trigger(context_name="context")
def unfit(context: df.DurableOrchestrationContext) -> Any:
    try:
        yield context.call_activity(strict, "seven")
    except df.TaskFailedError as failure:
        return str(failure)


def test_objects_come_back_where_their_type_is_known() -> None:
    assert run_orchestration(bp, objects) == [{"amount": 1}, 2, 3]


def test_a_call_that_is_never_yielded_happens() -> None:
    async def forget():
        async with AppRunner(bp) as run:
            await run.run(forgotten)
            return [call.name for call in run.calls]

    assert asyncio.run(forget()) == ["echo"]


def test_groups_of_no_tasks() -> None:
    assert run_orchestration(bp, empty) == [[], []]


def test_each_event_is_delivered_once_and_in_its_order() -> None:
    async def send():
        async with AppRunner(bp) as run:
            waiting = await run.start(events)
            await run.raise_event(waiting, "go", 1)
            await run.raise_event(waiting, "gO", 2)
            with pytest.raises(df.InstanceNotFoundError):
                await run.client.raise_orchestration_event("nobody", "go")
            return await run.result(waiting)

    assert asyncio.run(send()) == [1, 2]


def test_what_is_no_task_fails_with_the_line() -> None:
    with pytest.raises(df.OrchestrationFailedError, match=r"yielded .* at .*test_differences.py:"):
        run_orchestration(bp, no_task)


def test_a_failure_is_of_its_own_type_too() -> None:
    assert run_orchestration(bp, failing) == [
        "Activity function 'fail' failed: ValueError: sold out",
        True,
    ]


@pytest.mark.parametrize(("group", "days"), [("task_all", 0), ("when_all", 1)])
def test_groups_wait_as_those_they_are_named_after(group: str, days: int) -> None:
    assert run_orchestration(bp, gathering, group) == days


@pytest.mark.parametrize(("choice", "event"), [("keep", "flood"), ("drop", None)])
def test_events_outlive_their_execution(choice: str, event: str | None) -> None:
    async def renew():
        async with AppRunner(bp) as run:
            instance = await run.start(renewed, choice)
            await run.raise_event(instance, "news", "flood")
            return await run.result(instance)

    assert asyncio.run(renew()) == event


def test_times_are_aware_in_both_forms() -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)

    assert run_orchestration(bp, clock, start_at=start) == ["2030-01-02T00:00:00+00:00", True]


def test_an_input_that_does_not_fit_fails() -> None:
    assert "int was expected, but the JSON holds str" in run_orchestration(bp, unfit)


def test_what_is_said_to_be_missing_is_missing() -> None:
    text = GUIDE.read_text("utf-8")
    app = df.DFApp()
    for name in (
        "configure_history_export",
        "configure_large_payloads",
        "durable_openai_agent_orchestrator",
    ):
        assert f"`{name}`" in text
        assert not hasattr(app, name)
    for name in ("Orchestrator", "Entity", "TaskHubGrpcWorker", "TaskHubGrpcClient"):
        assert not hasattr(df, name)
