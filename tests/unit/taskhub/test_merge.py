"""Two steps of one instance as one."""

import msgspec

from durable_app.protocol import EventRaised, OrchestratorStarted
from durable_app.taskhub.instance import Decision, MessageId, RowChange, TaskKey
from durable_app.taskhub.merge import merge
from tests.unit.taskhub.builders import NOW, a_message, a_pending_row, a_row, a_task

FIRST = OrchestratorStarted(timestamp=NOW)
SECOND = EventRaised(-1, NOW, "go")


def row(revision, **changes):
    return a_row(revision=revision, **changes)


def test_one_part_is_itself():
    decision = Decision("order-1")
    assert merge([decision]) is decision


def test_what_is_posted_and_consumed_on_the_way_is_never_stored():
    message, kept = a_message(SECOND), a_message(SECOND)
    parts = [
        Decision("order-1", messages=(message, kept)),
        Decision("order-1", consumed=(message.id, MessageId(3))),
    ]
    merged = merge(parts)
    assert merged.messages == (kept,)
    assert merged.consumed == (3,)


def test_tasks_that_are_finished_on_the_way_are_never_stored():
    parts = [
        Decision("order-1", tasks=(a_task(), a_task(key=TaskKey(11)))),
        Decision("order-1", finished=(TaskKey(10), TaskKey(5))),
    ]
    merged = merge(parts)
    assert [task.key for task in merged.tasks] == [11]
    assert merged.finished == (5,)


def test_a_part_may_consume_its_own_message():
    message = a_message(SECOND)
    parts = [Decision("order-1", messages=(message,), consumed=(message.id,)), Decision("order-1")]
    assert (merge(parts).messages, merge(parts).consumed) == ((), ())


def test_without_a_row_nothing_is_fenced():
    merged = merge([Decision("order-1", finished=(TaskKey(1),)), Decision("order-1")])
    assert (merged.instance, merged.change) == (None, RowChange.TOUCH)


def test_the_first_expects_and_the_last_is_written():
    parts = [
        Decision("order-1", row(2), RowChange.TOUCH, 1, history=(FIRST,)),
        Decision("order-1", consumed=(MessageId(4),)),
        Decision("order-1", row(3), RowChange.TOUCH, 2, history=(SECOND,)),
    ]
    merged = merge(parts)
    assert (merged.instance, merged.expected_revision) == (row(3), 1)
    assert (merged.change, merged.history) == (RowChange.TOUCH, (FIRST, SECOND))


def test_the_widest_change_counts():
    touch = Decision("order-1", row(2), RowChange.TOUCH, 1)
    replace = Decision("order-1", row(3), RowChange.REPLACE, 2)
    assert merge([touch, replace]).change is RowChange.REPLACE
    assert merge([replace, touch]).change is RowChange.REPLACE


def test_a_row_that_was_never_stored_is_inserted():
    insert = Decision("order-1", a_pending_row(), RowChange.INSERT)
    for change in (RowChange.TOUCH, RowChange.REPLACE):
        merged = merge([insert, Decision("order-1", row(1), change, 0)])
        assert (merged.change, merged.expected_revision) == (RowChange.INSERT, 0)
        assert merged.instance == row(1)


def test_a_history_that_is_replaced_forgets_what_came_before():
    parts = [
        Decision("order-1", row(2), RowChange.TOUCH, 1, history=(FIRST,)),
        Decision("order-1", row(3), RowChange.REPLACE, 2, replaces_history=True),
        Decision("order-1", row(4), RowChange.TOUCH, 3, history=(SECOND,)),
    ]
    merged = merge(parts)
    assert merged.replaces_history
    assert merged.history == (SECOND,)


def test_all_births_are_kept():
    child = msgspec.structs.replace(a_pending_row(), instance_id="child-1")
    other = msgspec.structs.replace(a_pending_row(), instance_id="child-2")
    parts = [Decision("order-1", births=(child,)), Decision("order-1", births=(other,))]
    assert merge(parts).births == (child, other)
