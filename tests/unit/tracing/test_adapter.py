"""OpenTelemetry behind the port: whatever provider there is, or none, the app goes on."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler
from opentelemetry.trace import NoOpTracerProvider, StatusCode

from durable_app.protocol import FailureDetails, TraceContext
from durable_app.replay.spans import Span, SpanKind
from durable_app.testing.timeline import VirtualClock
from durable_app.tracing.adapter import OpenTelemetryTracing
from tests.contract.span_tree import Spans

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = TraceContext(f"00-{TRACE}-b7ad6b7169203331-01", "vendor=1")
UNSAMPLED = TraceContext(f"00-{TRACE}-b7ad6b7169203331-00")
OWN = TraceContext(f"00-{TRACE}-00f067aa0ba902b7-01")
FAILURE = FailureDetails("ValueError", "sold out")


def tracing(provider: Any) -> OpenTelemetryTracing:
    return OpenTelemetryTracing(VirtualClock(MOMENT), provider)


def over(context: TraceContext = OWN, parent: TraceContext | None = PARENT, **more: Any) -> Span:
    return Span(
        "it", SpanKind.CLIENT, context, parent, MOMENT, MOMENT + timedelta(seconds=2), {}, **more
    )


@pytest.fixture
def no_global_provider(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The place where ``set_tracer_provider`` puts one, empty for the time of the test."""
    place: list[Any] = [trace.ProxyTracerProvider()]
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: place[0])
    return place


# -- spans that are over -------------------------------------------------------------------------


def test_a_span_gets_the_ids_and_times_that_it_has() -> None:
    spans = Spans()
    tracing(spans.provider).emit([over(failure=FAILURE, links=(PARENT, TraceContext("odd")))])
    (span,) = spans.all
    assert trace.format_span_id(span.context.span_id) == "00f067aa0ba902b7"
    assert trace.format_trace_id(span.context.trace_id) == TRACE
    assert (span.start_time, span.end_time) == (1767225600 * 10**9, 1767225602 * 10**9)
    assert span.parent is not None
    assert trace.format_span_id(span.parent.span_id) == "b7ad6b7169203331"
    assert dict(span.context.trace_state) == {"vendor": "1"}
    assert (span.status.status_code, span.status.description) == (
        StatusCode.ERROR,
        "ValueError: sold out",
    )
    assert len(span.links) == 1


def test_a_root_has_the_trace_id_that_was_chosen() -> None:
    spans = Spans()
    with spans.provider.get_tracer("user").start_as_current_span("user"):
        tracing(spans.provider).emit([over(parent=None)])
    root, _user = spans.all
    assert root.parent is None
    assert trace.format_trace_id(root.context.trace_id) == TRACE


def test_a_span_without_an_id_is_none() -> None:
    spans = Spans()
    tracing(spans.provider).emit([over(context=TraceContext("odd"))])
    assert spans.all == []


def test_two_adapters_share_a_provider() -> None:
    spans = Spans()
    for number in (1, 2):
        own = TraceContext(f"00-{TRACE}-{number:016x}-01")
        tracing(spans.provider).emit([over(context=own)])
    assert [span.context.span_id for span in spans.all] == [1, 2]


# -- live ones -----------------------------------------------------------------------------------


def test_code_runs_within_a_live_span() -> None:
    spans = Spans()
    clock = VirtualClock(MOMENT)
    adapter = OpenTelemetryTracing(clock, spans.provider, shows_payloads=True)
    with adapter.live("it", SpanKind.SERVER, {"a": 1}, PARENT) as live:
        assert adapter.current() == live.context
        clock.set(MOMENT + timedelta(seconds=1))
        live.tell({"b": 2})
        live.fail(FAILURE)
    assert adapter.current() is None
    (span,) = spans.all
    assert span.attributes == {"a": 1, "b": 2}
    assert span.end_time - span.start_time == 10**9
    assert live.context is not None
    assert live.context.trace_parent.startswith(f"00-{TRACE}-")
    assert live.context.trace_state == "vendor=1"
    assert adapter.shows_payloads


def test_without_a_parent_it_belongs_to_the_running_code() -> None:
    spans = Spans()
    adapter = tracing(spans.provider)
    with adapter.live("outer", SpanKind.SERVER, {}), adapter.live("inner", SpanKind.CLIENT, {}):
        pass
    inner, outer = spans.all
    assert inner.parent.span_id == outer.context.span_id


def test_what_is_raised_is_its_failure() -> None:
    spans = Spans()
    with (
        pytest.raises(asyncio.CancelledError),
        tracing(spans.provider).live("it", SpanKind.SERVER, {}),
    ):
        raise asyncio.CancelledError
    assert spans.all[0].status.status_code is StatusCode.ERROR


def test_an_unsampled_parent_stays_unsampled() -> None:
    spans = Spans()
    with tracing(spans.provider).live("it", SpanKind.SERVER, {}, UNSAMPLED) as live:
        pass
    assert spans.all == []
    assert live.context is not None
    assert live.context.trace_parent.startswith(f"00-{TRACE}-")
    assert live.context.trace_parent.endswith("-00")


# -- providers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", [NoOpTracerProvider(), trace.ProxyTracerProvider()])
def test_with_the_api_alone_contexts_are_handed_on_and_nothing_is_emitted(provider: Any) -> None:
    adapter = tracing(provider)
    adapter.emit([over()])
    assert not adapter.is_on
    assert not adapter.samples(TRACE, "it")
    with adapter.live("it", SpanKind.SERVER, {}, PARENT) as live:
        live.tell({"a": 1})
        live.fail(FAILURE)
        assert live.context == PARENT == adapter.current()
    with adapter.live("it", SpanKind.SERVER, {}) as live:
        assert live.context is None


def test_a_provider_that_is_set_later_gets_what_comes_then(no_global_provider: list[Any]) -> None:
    adapter = tracing(None)
    before = adapter.is_on
    spans = Spans()
    no_global_provider[0] = spans.provider
    adapter.emit([over()])
    assert (before, adapter.is_on) == (False, True)
    assert len(spans.all) == 1


def test_the_sampler_of_the_provider_decides_about_roots() -> None:
    assert tracing(TracerProvider(shutdown_on_exit=False)).samples(TRACE, "it")
    assert not tracing(Spans(ALWAYS_OFF).provider).samples(TRACE, "it")


class Broken(SpanProcessor):
    """Of an app: one that raises where it is used."""

    def __init__(self, where: str) -> None:
        setattr(self, where, self._raise)

    def _raise(self, *_args: Any, **_named: Any) -> None:
        raise OSError("no space")


class BrokenSampler(Sampler):
    def should_sample(self, *_args: Any, **_named: Any) -> Any:
        raise OSError("no sampler")

    def get_description(self) -> str:
        return "broken"


@pytest.mark.parametrize("where", ["on_start", "on_end"])
def test_a_processor_that_raises_breaks_nothing_and_is_told_once(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Broken(where))
    adapter = tracing(provider)
    with caplog.at_level(logging.WARNING):
        adapter.emit([over(), over()])
        with adapter.live("it", SpanKind.SERVER, {}, PARENT) as live:
            assert live.context is not None
    assert [record.message for record in caplog.records] == ["Spans get lost; this is told once."]


def test_a_sampler_that_raises_drops_the_trace(caplog: pytest.LogCaptureFixture) -> None:
    adapter = tracing(Spans(BrokenSampler()).provider)
    with caplog.at_level(logging.WARNING):
        assert not adapter.samples(TRACE, "it")
    assert "Spans get lost" in caplog.text


# -- contexts from outside -----------------------------------------------------------------------


def test_a_block_runs_in_a_context_from_outside() -> None:
    adapter = tracing(Spans().provider)
    with adapter.within(PARENT):
        assert adapter.current() == PARENT
        with adapter.within(None), adapter.within(TraceContext("odd")):
            assert adapter.current() == PARENT
    assert adapter.current() is None
