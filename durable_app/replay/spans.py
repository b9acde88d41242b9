"""Spans: what a trace shows of the work that the hub and its workers do.

Names, kinds and attributes are those of the other Durable Task libraries, so that one trace may go
through programs of several of them. The ids of spans that belong to an orchestrator are derived
from what they stand for: whoever comes by the same place again, in a replay or after a crash,
finds the same id.

A trace context is W3C's ``traceparent``: version, trace id, span id, flags; the lowest bit of the
flags says that the trace is sampled, which means: recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from durable_app.protocol import FailureDetails, TraceContext

TYPE: Final = "durabletask.type"
NAME: Final = "durabletask.task.name"
VERSION: Final = "durabletask.task.version"
INSTANCE_ID: Final = "durabletask.task.instance_id"
TASK_ID: Final = "durabletask.task.task_id"
STATUS: Final = "durabletask.task.status"
OPERATION: Final = "durabletask.task.operation"
TARGET: Final = "durabletask.event.target_instance_id"
FIRE_AT: Final = "durabletask.fire_at"
INPUT: Final = "durabletask.task.input"
OUTPUT: Final = "durabletask.task.output"

COMPLETED: Final = "Completed"
FAILED: Final = "Failed"

Attributes = Mapping[str, str | int]

_SAMPLED: Final = 1
# What a newer version adds behind the flags is ignored; ids of zeros alone name nothing.
_TRACE_PARENT: Final = re.compile(
    r"(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-.*)?",
    re.ASCII,
)


class SpanKind(Enum):
    """The part that a span plays between two programs, in OpenTelemetry's words."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class Span(msgspec.Struct, frozen=True):
    """Something that is over.

    Attributes:
        context: its own.
        parent: None for the root of a trace.
        started_at: aware UTC. ended_at: not before it.
        failure: None where it succeeded.
        links: spans that it follows from.
    """

    name: str
    kind: SpanKind
    context: TraceContext
    parent: TraceContext | None
    started_at: datetime
    ended_at: datetime
    attributes: Attributes
    failure: FailureDetails | None = None
    links: tuple[TraceContext, ...] = ()


class TraceParent(NamedTuple):
    """A trace context, taken apart.

    Attributes:
        trace_id: 32 lower-case hex digits. span_id: 16 of them.
    """

    trace_id: str
    span_id: str
    is_sampled: bool

    @classmethod
    def of(cls, context: TraceContext | None) -> TraceParent | None:
        """The parts; None where there is no context, or one that is malformed."""
        found = None if context is None else _TRACE_PARENT.fullmatch(context.trace_parent)
        if found is None:
            return None
        return cls(found[1], found[2], bool(int(found[3], 16) & _SAMPLED))

    def context(self, trace_state: str | None = None) -> TraceContext:
        """The context of these parts."""
        text = f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}"
        return TraceContext(text, trace_state)


def derived_trace_id(*seed: str) -> str:
    """A trace id that follows from the seed: 32 hex digits."""
    return sha256(":".join(seed).encode()).hexdigest()[:32]


def derived_span_id(*seed: str) -> str:
    """A span id that follows from the seed: 16 hex digits."""
    return sha256(":".join(seed).encode()).hexdigest()[:16]


def span_name(kind: str, name: str, version: str | None = None) -> str:
    """``orchestration:Order@(2.0)``; without a version ``orchestration:Order``."""
    return f"{kind}:{name}@({version})" if version else f"{kind}:{name}"


def task_attributes(
    kind: str, name: str, version: str | None, instance_id: str, task_id: int | None = None
) -> dict[str, str | int]:
    """What all spans of orchestrations and activities tell."""
    attributes: dict[str, str | int] = {TYPE: kind, NAME: name, INSTANCE_ID: instance_id}
    if version:
        attributes[VERSION] = version
    if task_id is not None:
        attributes[TASK_ID] = task_id
    return attributes


def event_span(name: str, target: str) -> tuple[str, dict[str, str | int]]:
    """Name and attributes of the span of an event that is sent to an instance."""
    return f"orchestration_event:{name}", {TYPE: "event", NAME: name, TARGET: target}


def entity_span(entity_id: str, operation: str) -> tuple[str, dict[str, str | int]]:
    """Name and attributes of the spans of an operation of an entity."""
    name = entity_id[1:].partition("@")[0]
    attributes: dict[str, str | int] = {
        TYPE: "entity",
        NAME: name,
        OPERATION: operation,
        TARGET: entity_id,
    }
    return f"entity:{name}:{operation}", attributes
