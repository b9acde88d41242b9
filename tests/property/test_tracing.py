"""Spans of a turn are the same whether its execution was kept or made again, and come once."""

from __future__ import annotations

from datetime import timedelta
from random import Random  # noqa: TID251  with a fixed seed

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from durable_app.protocol import (
    CompletionToken,
    OrchestrationTraceContext,
    OrchestratorRequest,
    TraceContext,
)
from durable_app.replay.engine import Execution, ReplayEnv
from durable_app.replay.spans import Span
from durable_app.replay.tracing import ExecutionTrace
from tests.property.replay_programs import PROGRAMS, Hub, Program, Turn

ENV = ReplayEnv()
SEEDS = st.integers(0, 1_000)
A_SECOND = timedelta(seconds=1)


def request_of(turn: Turn, kept: OrchestrationTraceContext | None) -> OrchestratorRequest:
    token = CompletionToken("i", 1)
    return OrchestratorRequest(
        "i", "e" * 32, "p", (), turn.new, token, turn.past, trace_context=kept
    )


def spans_of(trace: ExecutionTrace, turn: Turn) -> list[Span]:
    now = turn.new[0].timestamp + A_SECOND
    return trace.turn(turn.new, turn.result.actions, now)


@given(program=PROGRAMS, seed=SEEDS)
def test_warm_and_cold_traces_agree_and_no_span_comes_twice(program: Program, seed: int) -> None:
    hub = Hub(program, ENV, Random(seed).randrange, warm=True)
    hub.run()
    warm = ExecutionTrace(request_of(hub.turns[0], None), (), lambda *_: True)
    kept: OrchestrationTraceContext | None = None
    seen: list[Span] = []
    for turn in hub.turns:
        cold = ExecutionTrace(request_of(turn, kept), hub.history[: turn.past], lambda *_: True)
        again = spans_of(cold, turn)
        spans = spans_of(warm, turn)
        assert again == spans
        assert cold.kept == warm.kept
        kept = warm.kept
        seen += spans
    ids = [span.context for span in seen]
    assert len(set(map(msgspec.json.encode, ids))) == len(ids)
    assert [span.name for span in seen if span.name == "orchestration:p"] == ["orchestration:p"]
    assert all(span.started_at <= span.ended_at for span in seen)


@given(program=PROGRAMS, seed=SEEDS)
def test_what_is_asked_for_has_the_context_of_its_span(program: Program, seed: int) -> None:
    hub = Hub(program, ENV, Random(seed).randrange, warm=True)
    hub.run()
    contexts: set[TraceContext] = set()
    spans: list[Span] = []
    execution = Execution(hub.fn, ENV)
    execution.trace = ExecutionTrace(request_of(hub.turns[0], None), (), lambda *_: True)
    for turn in hub.turns:
        result = execution.advance((), turn.new)
        carriers = [getattr(action, "message", action) for action in result.actions]
        contexts.update(
            context
            for carrier in carriers
            if (context := getattr(carrier, "parent_trace_context", None)) is not None
            and not getattr(carrier, "name", "").startswith("durable_app.patch:")
        )
        spans += spans_of(execution.trace, turn)
    execution.close()
    assert contexts <= {span.context for span in spans}
