"""With OpenTelemetry installed and nobody who takes spans: no work, and no trace gets lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from opentelemetry import trace

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.functions.index import index_app
from durable_app.protocol import (
    CompletionToken,
    EntityBatchRequest,
    ExecutionStarted,
    OperationRequest,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
    TraceContext,
)
from durable_app.tracing.adapter import OpenTelemetryTracing
from durable_app.worker.service import Worker, WorkerOptions
from tests.contract.span_tree import Spans
from tests.unit.taskhub.builders import NOW
from tests.unit.worker.rig import Desk, a_turn, an_activity

PARENT = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
SPAN_ID = "b7ad6b7169203331"
NO_SPAN = "0" * 16
app = df.DFApp()


def running_span() -> str:
    return f"{trace.get_current_span().get_span_context().span_id:016x}"


@app.orchestration_trigger(context_name="context")
def two_steps(context: Any) -> Any:
    yield context.call_activity("see", 1)
    yield context.call_activity("see", 2)


@app.activity_trigger(input_name="x")
def see(x: int) -> str:
    return running_span()


@app.activity_trigger(input_name="x")
async def see_later(x: int) -> str:
    return running_span()


@app.entity_trigger(context_name="context")
def seer(context: Any) -> None:
    context.set_result(running_span())


class Counted(OpenTelemetryTracing):
    """Counts what is asked of it beyond whether it is on."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.calls = 0

    def __getattribute__(self, name: str) -> Any:
        if name in {"samples", "shows_payloads", "current", "emit", "live", "within"}:
            self.calls += 1
        return super().__getattribute__(name)


class Rig:
    """A worker at its desk."""

    def __init__(self, provider: list[Any]) -> None:
        self._provider = provider
        self.desk = Desk()
        self.tracing = Counted()
        self.worker = Worker(
            self.desk, index_app(app), WorkerOptions(), SystemClock(), tracing=self.tracing
        )

    def set_provider(self) -> Spans:
        spans = Spans()
        self._provider[0] = spans.provider
        return spans

    async def run(self, item: Any) -> Any:
        self.worker.push([item])
        return await asyncio.to_thread(self.desk.next_result)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The place of the process's provider, empty at first."""
    place: list[Any] = [trace.ProxyTracerProvider()]
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: place[0])
    return place


def at_work(provider: list[Any], story: Callable[[Rig], Any]) -> None:
    async def main() -> None:
        rig = Rig(provider)
        rig.worker.start()
        try:
            await story(rig)
        finally:
            await rig.worker.stop()

    asyncio.run(main())


@contextmanager
def nothing_asked(rig: Rig) -> Iterator[None]:
    before = rig.tracing.calls
    yield
    assert rig.tracing.calls == before


def with_parent(turn: Any) -> Any:
    events = [
        msgspec.structs.replace(event, parent_trace_context=PARENT)
        if isinstance(event, ExecutionStarted)
        else event
        for event in turn.new_events
    ]
    return msgspec.structs.replace(turn, new_events=events)


def second_turn(first: Any) -> Any:
    answer = (OrchestratorStarted(timestamp=NOW), TaskCompleted(-1, NOW, 1, '"seen"'))
    # Two events that were given, and the schedule that was recorded.
    return a_turn(first.name, past_count=3, new_events=answer)


def a_batch(*parents: TraceContext | None) -> EntityBatchRequest:
    operations = [OperationRequest("look", str(n), None, p) for n, p in enumerate(parents)]
    return EntityBatchRequest("@seer@k", None, tuple(operations), CompletionToken("i", 1))


@pytest.mark.parametrize("name", ["see", "see_later"])
def test_an_activity_without_provider_and_parent_is_not_traced(
    provider: list[Any], name: str
) -> None:
    async def story(rig: Rig) -> None:
        with nothing_asked(rig):
            response = await rig.run(an_activity(name, "1"))
        assert response.result == f'"{NO_SPAN}"'

    at_work(provider, story)


def test_an_orchestrator_without_provider_and_parent_is_not_traced(provider: list[Any]) -> None:
    async def story(rig: Rig) -> None:
        first = a_turn("two_steps")
        with nothing_asked(rig):
            responses = [await rig.run(first), await rig.run(second_turn(first))]
        assert [response.trace_context for response in responses] == [None, None]
        contexts = [r.actions[0].parent_trace_context for r in responses]
        assert contexts == [None, None]

    at_work(provider, story)


def test_an_entity_without_provider_and_parent_is_not_traced(provider: list[Any]) -> None:
    async def story(rig: Rig) -> None:
        with nothing_asked(rig):
            result = await rig.run(a_batch(None, None))
        assert [outcome.result for outcome in result.results] == [f'"{NO_SPAN}"'] * 2

    at_work(provider, story)


@pytest.mark.parametrize("name", ["see", "see_later"])
def test_an_activity_without_provider_sees_the_trace_that_it_belongs_to(
    provider: list[Any], name: str
) -> None:
    async def story(rig: Rig) -> None:
        request = msgspec.structs.replace(an_activity(name, "1"), parent_trace_context=PARENT)
        assert (await rig.run(request)).result == f'"{SPAN_ID}"'
        # What comes next on the same thread does not.
        assert (await rig.run(an_activity(name, "1"))).result == f'"{NO_SPAN}"'

    at_work(provider, story)


def test_an_orchestrator_without_provider_hands_its_trace_on(provider: list[Any]) -> None:
    async def story(rig: Rig) -> None:
        first = with_parent(a_turn("two_steps"))
        for turn in (first, second_turn(first)):
            (action,) = (await rig.run(turn)).actions
            assert action.parent_trace_context == PARENT

    at_work(provider, story)


def test_one_that_is_made_again_hands_its_trace_on(provider: list[Any]) -> None:
    async def story(rig: Rig) -> None:
        first = with_parent(a_turn("two_steps"))
        recorded = TaskScheduled(1, NOW, "see", None, "1", PARENT)
        past = (*first.new_events, recorded)
        turn = msgspec.structs.replace(second_turn(first), past_events=past)
        (action,) = (await rig.run(turn)).actions
        assert action.parent_trace_context == PARENT

    at_work(provider, story)


def test_an_operation_without_provider_sees_the_trace_that_it_belongs_to(
    provider: list[Any],
) -> None:
    async def story(rig: Rig) -> None:
        result = await rig.run(a_batch(None, PARENT))
        seen = [outcome.result for outcome in result.results]
        assert seen == [f'"{NO_SPAN}"', f'"{SPAN_ID}"']

    at_work(provider, story)


def test_a_provider_may_be_set_while_a_worker_runs(provider: list[Any]) -> None:
    async def story(rig: Rig) -> None:
        await rig.run(an_activity("see", "1"))
        spans = rig.set_provider()
        await rig.run(an_activity("see", "1"))
        await rig.run(a_batch(None))
        response = await rig.run(a_turn("two_steps"))
        assert [span.name for span in spans.all] == ["activity:see", "entity:seer:look"]
        assert response.trace_context is not None
        assert response.actions[0].parent_trace_context is not None

    at_work(provider, story)


def test_an_execution_that_began_before_the_provider_was_set_has_no_half_of_a_trace(
    provider: list[Any],
) -> None:
    async def story(rig: Rig) -> None:
        first = a_turn("two_steps")
        await rig.run(first)
        rig.set_provider()
        with nothing_asked(rig):
            response = await rig.run(second_turn(first))
        assert response.trace_context is None
        assert response.actions[0].parent_trace_context is None

    at_work(provider, story)
