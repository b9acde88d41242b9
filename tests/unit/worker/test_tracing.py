"""Spans of a worker: after the result was handed over, and also where something went wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import StatusCode

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.functions.index import index_app
from durable_app.functions.version_match import VersionMatch
from durable_app.protocol import (
    CompletionToken,
    EntityBatchRequest,
    ExecutionStarted,
    OperationRequest,
    TraceContext,
)
from durable_app.replay.environment import ReplayEnv
from durable_app.tracing.adapter import OpenTelemetryTracing
from durable_app.worker.activities import ActivityPool, _ActivityJob
from durable_app.worker.entities import EntityPool
from durable_app.worker.orchestrators import OrchestratorThread
from durable_app.worker.sessions import Sessions
from durable_app.worker.tracing import TracedActivity
from tests.contract.span_tree import Spans
from tests.unit.worker.rig import TIMEOUT_S, Desk, a_turn, an_activity, unobserved

PARENT = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
app = df.DFApp()
gate = threading.Event()


@app.orchestration_trigger(context_name="context")
def at_once(context: Any) -> str:
    return "done"


@app.activity_trigger(input_name="x")
def waits(x: int) -> None:
    gate.wait(TIMEOUT_S)


@app.activity_trigger(input_name="x")
def fails(x: int) -> None:
    raise ValueError("no")


@app.entity_trigger(context_name="context")
def counter(context: Any) -> None:
    context.set_state(1)


class Witness(SpanProcessor):
    """Asks something whenever a span ends."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self.answers: list[Any] = []
        self._ask = ask

    def on_end(self, span: ReadableSpan) -> None:
        self.answers.append(self._ask())


def tracing_of(spans: Spans) -> OpenTelemetryTracing:
    return OpenTelemetryTracing(SystemClock(), spans.provider)


def run_turn(turn: Any, spans: Spans, desk: Desk, versions: VersionMatch | None = None) -> Any:
    thread = OrchestratorThread(
        index_app(app),
        ReplayEnv(),
        Sessions(10, 100),
        SystemClock(),
        unobserved(),
        versions or VersionMatch(),
        tracing_of(spans),
    )
    thread.start(desk)
    thread.submit(turn)
    result = desk.next_result()
    thread.stop()
    thread._thread.join(TIMEOUT_S)
    return result


def test_a_span_is_emitted_after_the_result_was_handed_over() -> None:
    spans, desk = Spans(), Desk()
    handed_over: list[Any] = []
    complete = desk.complete

    def hand_over(results: Any) -> None:
        handed_over.extend(results)
        complete(results)

    desk.complete = hand_over  # type: ignore[method-assign]  # to look at it from within
    witness = Witness(lambda: len(handed_over))
    spans.provider.add_span_processor(witness)
    response = run_turn(a_turn("at_once"), spans, desk)
    assert witness.answers == [1]
    assert response.trace_context is not None
    assert [span.name for span in spans.all] == ["orchestration:at_once"]


@pytest.mark.parametrize(
    ("name", "version", "error"),
    [("nobody", None, "OrchestratorNotRegistered"), ("at_once", "9.0", "VersionMismatch")],
)
def test_an_instance_that_cannot_run_here_has_a_failed_span(
    name: str, version: str | None, error: str
) -> None:
    spans = Spans()
    turn = a_turn(name)
    events = [
        msgspec.structs.replace(event, version=version)
        if isinstance(event, ExecutionStarted)
        else event
        for event in turn.new_events
    ]
    strict = VersionMatch("1.0", "Strict", fails=True) if version else None
    run_turn(msgspec.structs.replace(turn, new_events=events), spans, Desk(), strict)
    (span,) = spans.all
    assert span.status.status_code is StatusCode.ERROR
    assert error in span.status.description


def test_an_activity_that_took_too_long_ends_its_span_when_it_comes_back() -> None:
    spans, desk = Spans(), Desk()
    gate.clear()

    async def main() -> Any:
        pool = ActivityPool(
            index_app(app), 1, unobserved(), SystemClock(), None, 0.05, tracing_of(spans)
        )
        pool.start(desk, asyncio.get_running_loop())
        pool.submit(an_activity("waits", "1"))
        result = await asyncio.to_thread(desk.next_result)
        gate.set()
        async with asyncio.timeout(TIMEOUT_S):
            while not spans.all:  # noqa: ASYNC110  a thread's work sets no asyncio event
                await asyncio.sleep(0.01)
        pool.stop()
        return result

    result = asyncio.run(main())
    assert result.failure.error_type == "TimeoutError"
    assert [span.name for span in spans.all] == ["activity:waits"]


def test_a_traced_activity_tells_of_failures_as_the_one_inside() -> None:
    request = an_activity("fails", "1")
    facts = index_app(app).activities["fails"].durable
    assert facts is not None
    inner = _ActivityJob(request, "fails", facts, unobserved(), None)
    job = TracedActivity(inner, request, tracing_of(Spans()))
    result = job.run()
    assert result.failure is not None
    assert job.failure_in(result) == result.failure


def test_operations_in_the_older_form_have_their_parent_too() -> None:
    spans, desk = Spans(), Desk()
    operation = OperationRequest("add", "r", None, PARENT)
    batch = EntityBatchRequest("@counter@k", None, (operation,), CompletionToken("i", 1))

    async def main() -> None:
        pool = EntityPool(index_app(app), 1, unobserved(), SystemClock(), tracing=tracing_of(spans))
        pool.start(desk, asyncio.get_running_loop())
        pool.submit(batch)
        await asyncio.to_thread(desk.next_result)
        pool.stop()

    asyncio.run(main())
    (span,) = spans.all
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
