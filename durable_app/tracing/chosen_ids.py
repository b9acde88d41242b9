"""Spans with ids that were chosen before.

OpenTelemetry lets a program choose ids through the ``id_generator`` of a tracer. This one gives the
ids that the running thread has chosen for its next span, and otherwise asks the generator that the
tracer had before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class IdGenerator(Protocol):
    """The part of the SDK's generators that all its releases have."""

    def generate_span_id(self) -> int:
        """A span id, not 0."""
        ...

    def generate_trace_id(self) -> int:
        """A trace id, not 0."""
        ...


class ChosenIds:
    """A generator for the tracer of this package alone.

    Args:
        otherwise: gives the ids of spans for which none was chosen.
    """

    def __init__(self, otherwise: IdGenerator) -> None:
        self._otherwise = otherwise
        self._next = threading.local()

    @contextmanager
    def choose(self, trace_id: int, span_id: int) -> Iterator[None]:
        """Give these ids to what this thread starts in the block."""
        self._next.ids = (trace_id, span_id)
        try:
            yield
        finally:
            self._next.ids = None

    def generate_trace_id(self) -> int:
        """See ``IdGenerator``."""
        chosen = self._chosen
        return self._otherwise.generate_trace_id() if chosen is None else chosen[0]

    def generate_span_id(self) -> int:
        """See ``IdGenerator``."""
        chosen = self._chosen
        return self._otherwise.generate_span_id() if chosen is None else chosen[1]

    def is_trace_id_random(self) -> bool:
        """Whether new trace ids are random; releases of the SDK before 1.40 do not ask."""
        asked: Any = getattr(self._otherwise, "is_trace_id_random", None)
        return self._chosen is None and asked is not None and bool(asked())

    @property
    def _chosen(self) -> tuple[int, int] | None:
        chosen: tuple[int, int] | None = getattr(self._next, "ids", None)
        return chosen
