"""Trace contexts and names of spans."""

from __future__ import annotations

import pytest

from durable_app.protocol import TraceContext
from durable_app.replay.spans import (
    TraceParent,
    derived_span_id,
    derived_trace_id,
    entity_span,
    event_span,
    span_name,
    task_attributes,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"00-{TRACE}-{SPAN}-01", TraceParent(TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-00", TraceParent(TRACE, SPAN, False)),
        (f"00-{TRACE}-{SPAN}-03", TraceParent(TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01-new", TraceParent(TRACE, SPAN, True)),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        ("", None),
    ],
)
def test_a_trace_parent_is_taken_apart(text: str, expected: TraceParent | None) -> None:
    assert TraceParent.of(TraceContext(text)) == expected


def test_no_context_has_no_parts() -> None:
    assert TraceParent.of(None) is None


def test_parts_make_a_context() -> None:
    parts = TraceParent(TRACE, SPAN, is_sampled=True)
    assert parts.context("a=1") == TraceContext(f"00-{TRACE}-{SPAN}-01", "a=1")


def test_derived_ids_depend_on_the_whole_seed() -> None:
    ids = {derived_span_id("a", "1"), derived_span_id("a", "2"), derived_span_id("b", "1")}
    assert {len(each) for each in ids} == {16}
    assert len(ids) == 3
    assert derived_span_id("a", "1") == derived_span_id("a", "1")
    assert len(derived_trace_id("a")) == 32


def test_names_and_attributes() -> None:
    assert span_name("activity", "pack") == "activity:pack"
    assert span_name("orchestration", "ship", "2.0") == "orchestration:ship@(2.0)"
    assert entity_span("@counter@k", "add")[0] == "entity:counter:add"
    assert event_span("go", "i")[0] == "orchestration_event:go"
    assert task_attributes("activity", "pack", "2", "i", 3) == {
        "durabletask.type": "activity",
        "durabletask.task.name": "pack",
        "durabletask.task.version": "2",
        "durabletask.task.instance_id": "i",
        "durabletask.task.task_id": 3,
    }
