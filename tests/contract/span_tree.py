"""Spans of OpenTelemetry's SDK, kept in memory, and the tree that they make."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler


class Spans:
    """A provider, and what it has got."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def all(self) -> list[Any]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[Any]:
        return [span for span in self.all if span.name == name]

    def clear(self) -> None:
        self._exporter.clear()

    def tree(self) -> list[Any]:
        return tree(self.all)


def tree(spans: Iterable[ReadableSpan]) -> list[Any]:
    """``[("SERVER name", [children ...]), ...]``, each level in order of time.

    Roots are those whose parent is not among the spans.
    """
    ordered = sorted(spans, key=lambda span: (span.start_time or 0, span.name, span.kind.name))
    known = {span.context.span_id for span in ordered}
    assert len(known) == len(ordered), "two spans have one id"

    def below(parent: int | None) -> list[Any]:
        return [
            (f"{span.kind.name} {span.name}", below(span.context.span_id))
            for span in ordered
            if _parent(span, known) == parent
        ]

    return below(None)


def _parent(span: ReadableSpan, known: set[int]) -> int | None:
    parent = span.parent
    return parent.span_id if parent is not None and parent.span_id in known else None
