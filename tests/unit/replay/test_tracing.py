"""The trace of one execution, where the contract tests of whole traces do not reach."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from durable_app.protocol import (
    CompleteOrchestration,
    CompletionToken,
    CreateTimer,
    EventRaised,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestrationTraceContext,
    OrchestratorRequest,
    OrchestratorStarted,
    RewindOrchestration,
    ScheduleTask,
    SendEvent,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TraceContext,
)
from durable_app.replay.spans import SpanKind, TraceParent, derived_span_id
from durable_app.replay.tracing import ExecutionTrace
from tests.unit.replay.world import NOON

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = TraceContext(f"00-{TRACE}-b7ad6b7169203331-01", "vendor=1")
OTHER = f"00-{'b' * 32}-{'c' * 16}-01"
EXECUTION = "e" * 32
DONE = CompleteOrchestration(9, OrchestrationStatus.COMPLETED, '"out"')


def begin(parent: TraceContext | None = PARENT, version: str | None = None) -> list[HistoryEvent]:
    instance = OrchestrationInstance("i", EXECUTION)
    return [
        OrchestratorStarted(-1, NOON),
        ExecutionStarted(0, NOON, "ship", version, '"in"', instance, parent_trace_context=parent),
    ]


def request(
    new: Sequence[HistoryEvent],
    past: Sequence[HistoryEvent] = (),
    kept: OrchestrationTraceContext | None = None,
) -> OrchestratorRequest:
    token = CompletionToken("i", 1)
    return OrchestratorRequest(
        "i", EXECUTION, "ship", past, new, token, len(past), trace_context=kept
    )


def trace_of(
    new: Sequence[HistoryEvent],
    past: Sequence[HistoryEvent] = (),
    kept: OrchestrationTraceContext | None = None,
    *,
    sampled: bool = True,
    **more: Any,
) -> ExecutionTrace:
    return ExecutionTrace(request(new, past, kept), past, lambda *_: sampled, **more)


def test_where_spans_go_nowhere_the_context_is_handed_on_as_it_is() -> None:
    trace = ExecutionTrace(request(begin()), (), None)
    (asked,) = trace.stamped([ScheduleTask(1, "pack")])
    assert isinstance(asked, ScheduleTask)
    assert asked.parent_trace_context == PARENT
    assert trace.turn(begin(), [DONE], NOON) == []
    assert trace.kept is None


@pytest.mark.parametrize("parent", [None, TraceContext("malformed")])
def test_where_spans_go_nowhere_and_nothing_came_nothing_is_handed_on(
    parent: TraceContext | None,
) -> None:
    trace = ExecutionTrace(request(begin(parent)), (), None)
    action = ScheduleTask(1, "pack")
    assert trace.stamped([action]) == (action,)
    assert trace.context_of(1) is None


def test_a_root_has_a_trace_of_its_own_that_is_kept() -> None:
    trace = trace_of(begin(None))
    (span,) = trace.turn(begin(None), [DONE], NOON + timedelta(seconds=3))
    assert (span.parent, span.started_at, span.ended_at) == (
        None,
        NOON,
        NOON + timedelta(seconds=3),
    )
    assert trace.kept == OrchestrationTraceContext(
        derived_span_id(EXECUTION, "execution"), NOON, span.context.trace_parent, None
    )


def test_an_unsampled_root_stays_unsampled_whatever_a_later_sampler_says() -> None:
    first = trace_of(begin(None), sampled=False)
    assert first.turn(begin(None), [ScheduleTask(1, "pack")], NOON) == []
    later = trace_of([OrchestratorStarted(-1, NOON)], begin(None), first.kept)
    parts = TraceParent.of(later.context_of(1))
    assert parts is not None
    assert not parts.is_sampled
    assert later.turn([], [DONE], NOON) == []


def test_an_unsampled_parent_needs_nothing_kept() -> None:
    unsampled = TraceContext(PARENT.trace_parent[:-2] + "00")
    trace = trace_of(begin(unsampled))
    assert trace.turn(begin(unsampled), [DONE], NOON) == []
    assert trace.kept is None


def test_an_execution_that_continues_another_root_stays_in_its_trace() -> None:
    trace = trace_of(begin(None), kept=OrchestrationTraceContext("c" * 16, NOON, OTHER))
    (span,) = trace.turn(begin(None), [DONE], NOON)
    assert span.context.trace_parent.split("-")[1] == "b" * 32
    assert span.links == (TraceContext(OTHER),)


def test_a_span_of_another_library_is_gone_on_with() -> None:
    kept = OrchestrationTraceContext("d" * 16, NOON - timedelta(hours=1))
    trace = trace_of([OrchestratorStarted(-1, NOON)], begin(), kept)
    (span,) = trace.turn([], [DONE], NOON)
    assert span.context == TraceContext(f"00-{TRACE}-{'d' * 16}-01", "vendor=1")
    assert span.started_at == NOON - timedelta(hours=1)


def test_versions_are_in_the_names() -> None:
    trace = trace_of(begin(version="2.0"))
    (activity, whole) = trace.turn(
        begin(version="2.0"), [ScheduleTask(1, "pack", "3.1"), DONE], NOON
    )
    assert activity.name == "activity:pack@(3.1)"
    assert activity.attributes["durabletask.task.version"] == "3.1"
    assert whole.name == "orchestration:ship@(2.0)"
    assert whole.attributes["durabletask.task.version"] == "2.0"


def test_payloads_are_shown_where_they_are_asked_for() -> None:
    (whole,) = trace_of(begin(), shows_payloads=True).turn(begin(), [DONE], NOON)
    (silent,) = trace_of(begin()).turn(begin(), [DONE], NOON)
    assert whole.attributes["durabletask.task.input"] == '"in"'
    assert whole.attributes["durabletask.task.output"] == '"out"'
    assert not any(key.endswith(("input", "output")) for key in silent.attributes)


def test_past_answers_make_no_span_and_new_ones_make_one() -> None:
    past = [
        *begin(),
        TaskScheduled(1, NOON, "pack"),
        TaskScheduled(2, NOON, "send"),
        OrchestratorStarted(-1, NOON + timedelta(seconds=1)),
        TaskCompleted(-1, NOON, 1),
    ]
    later = NOON + timedelta(seconds=9)
    new: list[HistoryEvent] = [
        OrchestratorStarted(-1, later),
        TaskFailed(-1, later, 2),
        TaskCompleted(-1, later, 1),
    ]
    (span,) = trace_of(new, past).turn(new, [], later)
    assert (span.name, span.kind) == ("activity:send", SpanKind.CLIENT)
    assert (span.started_at, span.ended_at) == (NOON, later)
    assert span.failure is not None


def test_a_clock_that_was_set_back_makes_no_negative_span() -> None:
    new = [*begin(), TaskCompleted(-1, NOON - timedelta(hours=1), 1)]
    trace = trace_of(new)
    trace.turn(begin(), [ScheduleTask(1, "pack")], NOON)
    (span,) = trace.turn([TaskCompleted(-1, NOON - timedelta(hours=1), 1)], [], NOON)
    assert span.started_at == span.ended_at == NOON
    (whole,) = trace.turn([], [DONE], NOON - timedelta(hours=1))
    assert whole.ended_at == NOON


def test_a_timer_that_has_not_fired_and_an_event_that_came_make_no_span() -> None:
    trace = trace_of(begin())
    sent = SendEvent(2, OrchestrationInstance("other"), "go")
    events = [*begin(), EventRaised(-1, NOON, "come")]
    spans = trace.turn(events, [CreateTimer(1, NOON), sent, DONE], NOON)
    assert [span.name for span in spans] == ["orchestration_event:go", "orchestration:ship"]


def test_a_turn_that_lacks_its_start_is_named_by_the_request() -> None:
    new = [OrchestratorStarted(-1, NOON)]
    (span,) = trace_of(new).turn(new, [DONE], NOON)
    assert span.name == "orchestration:ship"


def test_a_rewind_of_an_unsampled_execution_keeps_its_context() -> None:
    unsampled = TraceContext(PARENT.trace_parent[:-2] + "00")
    trace = trace_of(begin(unsampled))
    before = trace.context_of(1)
    history = (*begin(unsampled), TaskScheduled(1, NOON, "pack"))
    (action,) = trace.stamped([RewindOrchestration(2, history)])
    assert action == RewindOrchestration(2, history)
    assert trace.context_of(1) == before
