"""The port of tracing on OpenTelemetry.

The provider is looked up at each use: an app may set its own at any time, in ``function_app.py`` or
later. One that is not the SDK's cannot be told ids, so it gets no spans; contexts are handed on.

What must never happen: an app fails because its spans cannot be taken.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from durable_app.protocol import EPOCH, TraceContext
from durable_app.replay.spans import Attributes, TraceParent
from durable_app.tracing.chosen_ids import ChosenIds

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from durable_app.ports import Clock
    from durable_app.protocol import FailureDetails
    from durable_app.replay.spans import Span
    from durable_app.replay.spans import SpanKind as Kind
    from durable_app.telemetry import LiveSpan

_log = logging.getLogger(__name__)

_SCOPE: Final = "durable_app"
_MICROSECOND: Final = timedelta(microseconds=1)
_KINDS: Final = {kind.name: kind for kind in SpanKind}


class OpenTelemetryTracing:
    """Gives spans to OpenTelemetry. Implements ``telemetry.Tracing``.

    Args:
        clock: tells when live spans begin and end.
        provider: a TracerProvider of the SDK; None for the process's global one.
        shows_payloads: spans tell inputs and outputs.
    """

    def __init__(self, clock: Clock, provider: Any = None, *, shows_payloads: bool = False) -> None:
        self._clock = clock
        self._given = provider
        self._shows_payloads = shows_payloads
        self._found: tuple[object, Any] = (None, None)
        self._has_failed = False

    @property
    def shows_payloads(self) -> bool:
        """See ``Tracing.shows_payloads``."""
        return self._shows_payloads

    @property
    def is_on(self) -> bool:
        """See ``Tracing.is_on``."""
        return self._tracer() is not None

    def _tracer(self) -> Any:
        """The tracer of the present provider; None where it takes no chosen ids."""
        provider = self._given or trace.get_tracer_provider()
        known, tracer = self._found
        if provider is not known:
            tracer = _tracer_of(provider)
            self._found = (provider, tracer)
        return tracer

    # -- contexts ----------------------------------------------------------------------------

    def samples(self, trace_id: str, name: str) -> bool:
        """See ``Tracing.samples``."""
        tracer = self._tracer()
        if tracer is None:
            return False
        try:
            result = tracer.sampler.should_sample(contexts.Context(), int(trace_id, 16), name)
            return bool(result.decision.is_sampled())
        except Exception as error:  # noqa: BLE001  a sampler may be anybody's
            self._note(error)
            return False

    def current(self) -> TraceContext | None:
        """See ``Tracing.current``."""
        return _from_otel(trace.get_current_span().get_span_context())

    @contextmanager
    def within(self, parent: TraceContext | None) -> Iterator[None]:
        """See ``Tracing.within``."""
        outside = _in_context(parent, contexts.get_current())
        if outside is None:
            yield
            return
        token = contexts.attach(outside)
        try:
            yield
        finally:
            contexts.detach(token)

    # -- spans -------------------------------------------------------------------------------

    def emit(self, spans: Iterable[Span]) -> None:
        """See ``Tracing.emit``."""
        tracer = self._tracer()
        if tracer is None:
            return
        for span in spans:
            try:
                _emit(tracer, span)
            except Exception as error:  # noqa: BLE001  processors may be anybody's
                self._note(error)

    @contextmanager
    def live(
        self, name: str, kind: Kind, attributes: Attributes, parent: TraceContext | None = None
    ) -> Iterator[LiveSpan]:
        """See ``Tracing.live``."""
        around = contexts.get_current()
        outside = _in_context(parent, around)
        span = self._begun(name, kind, attributes, outside or around)
        if span is None:
            with self.within(parent):
                yield _Live(trace.get_current_span())
            return
        token = contexts.attach(trace.set_span_in_context(span, outside or around))
        try:
            yield _Live(span)
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
            raise
        finally:
            contexts.detach(token)
            self._end(span)

    def _begun(self, name: str, kind: Kind, attributes: Attributes, around: Context) -> Any:
        tracer = self._tracer()
        if tracer is None:
            return None
        try:
            return tracer.start_span(
                name,
                around,
                _KINDS[kind.name],
                dict(attributes),
                start_time=_nanoseconds(self._clock.now()),
            )
        except Exception as error:  # noqa: BLE001  samplers and processors may be anybody's
            self._note(error)
            return None

    def _end(self, span: trace.Span) -> None:
        try:
            span.end(_nanoseconds(self._clock.now()))
        except Exception as error:  # noqa: BLE001  likewise
            self._note(error)

    def _note(self, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            _log.warning("Spans get lost; this is told once.", exc_info=error)


class _Live:
    """A span around code that runs. Implements ``telemetry.LiveSpan``."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def context(self) -> TraceContext | None:
        return _from_otel(self._span.get_span_context())

    def tell(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def fail(self, failure: FailureDetails) -> None:
        self._span.set_status(_status(failure))


def _tracer_of(provider: Any) -> Any:
    tracer = provider.get_tracer(_SCOPE)
    # Those of the API alone have neither: they make no spans.
    if not hasattr(tracer, "id_generator") or not hasattr(tracer, "sampler"):
        return None
    if not isinstance(tracer.id_generator, ChosenIds):
        tracer.id_generator = ChosenIds(tracer.id_generator)
    return tracer


def _emit(tracer: Any, span: Span) -> None:
    own = TraceParent.of(span.context)
    if own is None:
        return
    parent = contexts.Context() if span.parent is None else _in_context(span.parent, None)
    with tracer.id_generator.choose(int(own.trace_id, 16), int(own.span_id, 16)):
        made = tracer.start_span(
            span.name,
            parent,
            _KINDS[span.kind.name],
            dict(span.attributes),
            [Link(found) for link in span.links if (found := _to_otel(link)) is not None],
            _nanoseconds(span.started_at),
        )
    if span.failure is not None:
        made.set_status(_status(span.failure))
    made.end(_nanoseconds(span.ended_at))


def _status(failure: FailureDetails) -> Status:
    return Status(StatusCode.ERROR, f"{failure.error_type}: {failure.error_message}")


def _nanoseconds(moment: datetime) -> int:
    return (moment - EPOCH) // _MICROSECOND * 1000


def _in_context(parent: TraceContext | None, around: Context | None) -> Context | None:
    """A context in which the running span is the given one; None for None."""
    found = _to_otel(parent)
    if found is None:
        return None
    return trace.set_span_in_context(
        NonRecordingSpan(found), contexts.Context() if around is None else around
    )


def _to_otel(context: TraceContext | None) -> SpanContext | None:
    parts = TraceParent.of(context)
    if parts is None or context is None:
        return None
    return SpanContext(
        int(parts.trace_id, 16),
        int(parts.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(parts.is_sampled)),
        trace_state=TraceState.from_header([context.trace_state] if context.trace_state else []),
    )


def _from_otel(found: SpanContext) -> TraceContext | None:
    if not found.is_valid:
        return None
    parts = TraceParent(
        trace.format_trace_id(found.trace_id),
        trace.format_span_id(found.span_id),
        bool(found.trace_flags.sampled),
    )
    return parts.context(found.trace_state.to_header() or None)
