"""One trace per instance: the exact tree, in every way in which a turn can come about."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import StatusCode

import durable_app as df
from durable_app.testing import AppRunner
from tests.contract.span_tree import Spans

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
COUNTER = df.EntityId("counter", "k")
bp = df.Blueprint()
fails = [True]


@bp.orchestration_trigger(context_name="context")
def everything(context: df.DurableOrchestrationContext) -> Any:
    yield context.call_activity("hello", "x")
    yield context.create_timer(context.current_utc_datetime + timedelta(days=1))
    yield context.call_sub_orchestrator("child", 2)
    context.signal_entity(COUNTER, "add", 1)
    count = yield context.call_entity(COUNTER, "get")
    policy = df.RetryOptions(60_000, 2)
    try:
        yield context.call_activity_with_retry("bad", policy, None)
    except df.TaskFailedError:
        return count
    return None


@bp.orchestration_trigger(context_name="context")
def child(context: df.DurableOrchestrationContext) -> Any:
    left = context.get_input()
    yield context.call_activity("late", left)
    if left > 1:
        context.continue_as_new(left - 1)
    return left


@bp.orchestration_trigger(context_name="context")
def race(context: df.DurableOrchestrationContext) -> Any:
    deadline = context.create_timer(context.current_utc_datetime + timedelta(days=1))
    waiting = context.wait_for_external_event("go")
    yield context.task_any([waiting, deadline, context.call_sub_orchestrator("sleeper")])
    deadline.cancel()
    context.send_event("nobody", "went", 1)
    return "done"


@bp.orchestration_trigger(context_name="context")
def sleeper(context: df.DurableOrchestrationContext) -> Any:
    yield context.wait_for_external_event("never")


@bp.orchestration_trigger(context_name="context")
def failing(context: df.DurableOrchestrationContext) -> Any:
    yield context.call_activity("flaky", None)
    return "fine"


@bp.orchestration_trigger(context_name="context")
def patched(context: df.DurableOrchestrationContext) -> Any:
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
    return context.is_patched("new")


@bp.activity_trigger(input_name="text")
def hello(text: str) -> str:
    with trace.get_tracer_provider().get_tracer("none").start_as_current_span("ignored"):
        return text


@bp.activity_trigger(input_name="number")
async def late(number: int) -> str:
    await asyncio.sleep(0)
    context = trace.get_current_span().get_span_context()
    return f"{context.span_id:016x} {threading.current_thread().name}"


@bp.activity_trigger(input_name="nothing")
def bad(nothing: Any) -> None:
    raise ValueError("sold out")


@bp.activity_trigger(input_name="nothing")
def flaky(nothing: Any) -> str:
    if fails[0]:
        raise ValueError("not yet")
    return "done"


@bp.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext) -> Any:
    if context.operation_name == "add":
        context.set_state(context.get_state(0) + context.get_input())
    if context.operation_name == "spread":
        context.signal_entity(df.EntityId("counter", "other"), "add", 1)
        context.start_new_orchestration("child", 1)
    if context.operation_name == "fail":
        raise ValueError("no")
    return context.get_state(0)


@bp.function_name("async_counter")
@bp.entity_trigger(context_name="context", entity_name="asynchronous")
async def asynchronous(context: df.DurableEntityContext) -> Any:
    await asyncio.sleep(0)
    if context.operation_name == "fail":
        raise ValueError("no")
    return 1


def activity(name: str) -> tuple[str, list[Any]]:
    return f"CLIENT activity:{name}", [(f"SERVER activity:{name}", [])]


EVERYTHING = [
    (
        "PRODUCER create_orchestration:everything",
        [
            (
                "SERVER orchestration:everything",
                [
                    activity("hello"),
                    ("INTERNAL orchestration:everything:timer", []),
                    (
                        "CLIENT orchestration:child",
                        [
                            ("SERVER orchestration:child", [activity("late")]),
                            ("SERVER orchestration:child", [activity("late")]),
                        ],
                    ),
                    ("PRODUCER entity:counter:add", [("CONSUMER entity:counter:add", [])]),
                    ("CLIENT entity:counter:get", [("SERVER entity:counter:get", [])]),
                    activity("bad"),
                    ("INTERNAL orchestration:everything:timer", []),
                    activity("bad"),
                ],
            )
        ],
    )
]


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


@pytest.fixture(params=[True, False], ids=["cold", "warm"])
def replays(request: pytest.FixtureRequest) -> Any:
    return request.param


def runner(spans: Spans, *, replays: bool = True) -> AppRunner:
    return AppRunner(bp, start_at=MOMENT, replays=replays, tracer_provider=spans.provider)


def sorted_tree(found: list[Any]) -> list[Any]:
    return sorted((name, sorted_tree(below)) for name, below in found)


@on_loop
async def test_one_trace_with_everything_in_it(replays: bool) -> None:
    spans = Spans()
    async with runner(spans, replays=replays) as run:
        await run.run("everything")
    assert sorted_tree(spans.tree()) == sorted_tree(EVERYTHING)
    assert len({span.context.trace_id for span in spans.all}) == 1


@on_loop
async def test_times_are_those_of_the_work_and_attributes_name_it() -> None:
    spans = Spans()
    async with runner(spans) as run:
        started = await run.start("everything")
        await run.result(started)
    (whole,) = spans.named("orchestration:everything")
    first, second = spans.named("orchestration:everything:timer")
    (created,) = spans.named("create_orchestration:everything")
    assert _seconds(whole) == 86_460
    assert (_seconds(first), _seconds(second)) == (86_400, 60)
    assert whole.attributes == {
        "durabletask.type": "orchestration",
        "durabletask.task.name": "everything",
        "durabletask.task.instance_id": started,
        "durabletask.task.status": "Completed",
    }
    assert first.attributes == {
        "durabletask.type": "timer",
        "durabletask.task.name": "everything",
        "durabletask.task.instance_id": started,
        "durabletask.task.task_id": 2,
        "durabletask.fire_at": (MOMENT + timedelta(days=1)).isoformat(),
    }
    assert created.attributes["durabletask.task.instance_id"] == started


@on_loop
async def test_failures_are_errors_with_their_text(replays: bool) -> None:
    spans = Spans()
    async with runner(spans, replays=replays) as run:
        await run.run("everything")
    for span in spans.named("activity:bad"):
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == "ValueError: sold out"
        assert span.attributes["durabletask.task.status"] == "Failed"
    assert all(span.status.is_unset for span in spans.named("activity:hello"))


@on_loop
async def test_a_new_execution_follows_from_the_one_before(replays: bool) -> None:
    spans = Spans()
    async with runner(spans, replays=replays) as run:
        await run.run("child", 3)
    first, second, third = spans.named("orchestration:child")
    assert not first.links
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert [link.context.span_id for link in third.links] == [second.context.span_id]
    assert len({span.context.trace_id for span in spans.all}) == 1


@on_loop
async def test_what_is_open_at_the_end_is_over_but_a_timer_never_was(replays: bool) -> None:
    spans = Spans()
    async with runner(spans, replays=replays) as run:
        started = await run.start("race")
        await run.raise_event(started, "go")
        await run.result(started)
    assert sorted_tree(spans.tree()) == [
        (
            "PRODUCER create_orchestration:race",
            [
                (
                    "SERVER orchestration:race",
                    [
                        ("CLIENT orchestration:sleeper", []),
                        ("PRODUCER orchestration_event:went", []),
                    ],
                )
            ],
        ),
        ("PRODUCER orchestration_event:go", []),
    ]
    (event,) = spans.named("orchestration_event:go")
    assert event.attributes["durabletask.event.target_instance_id"] == started


@on_loop
async def test_a_failed_instance_that_is_rewound_has_a_second_span_behind_the_first() -> None:
    spans = Spans()
    fails[0] = True
    async with runner(spans) as run:
        started = await run.start("failing")
        failed = await run.status(started)
        fails[0] = False
        await run.client.rewind(started, "fixed")
        assert await run.result(started) == "fine"
    assert failed.runtime_status is df.OrchestrationRuntimeStatus.Failed
    assert spans.tree() == [
        (
            "PRODUCER create_orchestration:failing",
            [("SERVER orchestration:failing", [activity("flaky")])] * 2,
        )
    ]
    first, second = spans.named("orchestration:failing")
    assert (first.status.is_ok, first.status.status_code) == (False, StatusCode.ERROR)
    assert second.status.is_unset
    assert [link.context.span_id for link in second.links] == [first.context.span_id]


@on_loop
async def test_what_an_entity_sends_belongs_to_its_operation() -> None:
    spans = Spans()
    async with runner(spans) as run:
        await run.signal_entity(COUNTER, "spread")
    assert spans.tree() == [
        (
            "PRODUCER entity:counter:spread",
            [
                (
                    "CONSUMER entity:counter:spread",
                    [
                        ("CONSUMER entity:counter:add", []),
                        ("SERVER orchestration:child", [activity("late")]),
                    ],
                )
            ],
        )
    ]
    (sent,) = [s for s in spans.named("entity:counter:spread") if s.kind.name == "PRODUCER"]
    assert sent.attributes == {
        "durabletask.type": "entity",
        "durabletask.task.name": "counter",
        "durabletask.task.operation": "spread",
        "durabletask.event.target_instance_id": "@counter@k",
    }


@pytest.mark.parametrize("entity", ["counter", "asynchronous"])
@on_loop
async def test_a_failed_operation_is_an_error(entity: str) -> None:
    spans = Spans()
    async with runner(spans) as run:
        await run.signal_entity(df.EntityId(entity, "k"), "fail")
    (ran,) = [s for s in spans.named(f"entity:{entity}:fail") if s.kind.name == "CONSUMER"]
    assert (ran.status.status_code, ran.status.description) == (StatusCode.ERROR, "ValueError: no")


@on_loop
async def test_users_code_runs_within_the_span_of_its_activity() -> None:
    spans = Spans()
    async with runner(spans) as run:
        await run.start("child", 1, "one")
        status = await run.status("one")
        history = await run.history("one")
    (ran,) = [s for s in spans.named("activity:late") if s.kind.name == "SERVER"]
    (done,) = [event for event in history if event["EventType"] == "TaskCompleted"]
    assert status.output == 1
    assert str(done["Result"]).startswith(f"{ran.context.span_id:016x}")


@on_loop
async def test_a_start_belongs_to_the_trace_of_its_caller() -> None:
    spans = Spans()
    tracer = spans.provider.get_tracer("caller")
    async with runner(spans) as run:
        with tracer.start_as_current_span("caller"):
            await run.run("child", 1)
            await run.signal_entity(COUNTER, "add", 1)
    ((name, below),) = spans.tree()
    assert (name, [each for each, _ in below]) == (
        "INTERNAL caller",
        ["PRODUCER create_orchestration:child", "PRODUCER entity:counter:add"],
    )


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(TraceIdRatioBased(0))])
@on_loop
async def test_an_unsampled_trace_is_handed_on_and_makes_no_span(
    sampler: Any, replays: bool
) -> None:
    spans = Spans(sampler)
    async with runner(spans, replays=replays) as run:
        started = await run.start("everything", None)
        await run.result(started)
        events = await run.client.get_orchestration_history(started)
    assert spans.all == []
    contexts = [c for e in events if (c := getattr(e, "parent_trace_context", None)) is not None]
    assert len({context.trace_parent[:35] for context in contexts}) == 1
    assert {context.trace_parent[-2:] for context in contexts} == {"00"}


@on_loop
async def test_patches_leave_no_span() -> None:
    spans = Spans()
    async with runner(spans) as run:
        assert await run.run("patched") is True
    assert [span.name for span in spans.all] == [
        "create_orchestration:patched",
        "orchestration:patched:timer",
        "orchestration:patched",
    ]


def _seconds(span: Any) -> Any:
    return (span.end_time - span.start_time) / 1e9
