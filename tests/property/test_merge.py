"""A merged decision has the effect of its parts in order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from durable_app.protocol import EventRaised
from durable_app.storage.memory import MemoryStore
from durable_app.taskhub.instance import Decision, MessageId, RowChange, TaskKey
from durable_app.taskhub.merge import merge
from tests.contract.backends import snapshot
from tests.unit.taskhub.builders import a_message, a_pending_row, a_row, a_task, later

OURS = "order-1"
CHILDREN = ["child-1", "child-2"]
NUMBERS = st.integers(min_value=1, max_value=12)
SOME = st.lists(NUMBERS, max_size=4, unique=True)


@st.composite
def a_start(draw) -> list[Decision]:
    """What is stored before: nothing, or a row with messages and tasks."""
    if draw(st.booleans()):
        return []
    row = a_pending_row()
    messages = tuple(a_message(EventRaised(), id=MessageId(i)) for i in draw(SOME))
    tasks = tuple(a_task(key=TaskKey(i)) for i in draw(SOME))
    return [Decision(OURS, row, RowChange.INSERT, messages=messages, tasks=tasks)]


@st.composite
def parts_of(draw, *, exists: bool, stored: Decision | None) -> list[Decision]:
    """Steps of one instance, each based on the one before."""
    parts: list[Decision] = []
    revision, count = 0, 0
    used = {m.id for m in stored.messages} if stored else set()
    queued = {t.key for t in stored.tasks} if stored else set()
    for number in range(draw(st.integers(min_value=1, max_value=5))):
        fields: dict[str, Any] = {}
        if draw(st.booleans()):
            events = tuple(
                EventRaised(-1, later(number), f"{number}.{i}")
                for i in range(draw(st.integers(min_value=0, max_value=2)))
            )
            replaces = exists and draw(st.booleans())
            change = draw(st.sampled_from([RowChange.TOUCH, RowChange.REPLACE]))
            count = len(events) if replaces else count + len(events)
            fields = {"history": events, "replaces_history": replaces, "change": change}
            if exists:
                fields["expected_revision"] = revision
                revision += 1
            else:
                fields["change"], exists = RowChange.INSERT, True
            fields["instance"] = a_row(
                revision=revision, history_count=count, custom_status=str(number)
            )
        fresh = [i for i in draw(SOME) if i not in used]
        used.update(MessageId(i) for i in fresh)
        tasks = [i for i in draw(SOME) if i not in queued]
        queued.update(TaskKey(i) for i in tasks)
        targets = st.sampled_from([OURS, "other"])
        part = Decision(
            OURS,
            messages=tuple(
                a_message(EventRaised(), id=MessageId(i), instance_id=draw(targets)) for i in fresh
            ),
            tasks=tuple(a_task(key=TaskKey(i)) for i in tasks),
            consumed=tuple(MessageId(i) for i in draw(SOME) if i in used),
            finished=tuple(TaskKey(i) for i in draw(SOME) if i in queued),
            births=tuple(
                a_pending_row(instance_id=child, name=f"born {number}")
                for child in draw(st.lists(st.sampled_from(CHILDREN), max_size=1))
            ),
            **fields,
        )
        parts.append(part)
    return parts


def stored(before: list[Decision], decisions: list[Decision]) -> dict[str, Any]:
    store = MemoryStore()
    store.open()
    for decision in (*before, *decisions):
        assert store.commit([decision]) == [None]
    return snapshot(store, [OURS, "other", *CHILDREN])


@given(st.data())
def test_merged_or_one_by_one_the_rows_are_the_same(data):
    before = data.draw(a_start())
    exists = bool(before)
    parts = data.draw(parts_of(exists=exists, stored=before[0] if before else None))
    assert stored(before, [merge(parts)]) == stored(before, parts)
