"""What a commit changes, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from durable_app.errors import InstanceExistsError, LeaseLostError
from durable_app.protocol import (
    EPOCH,
    EventRaised,
    FailureDetails,
    OrchestrationStatus,
    OrchestrationTraceContext,
    OrchestratorStarted,
    TraceContext,
)
from durable_app.taskhub.instance import Decision, MessageId, RowChange, TaskKey
from tests.contract.backends import FAR
from tests.unit.taskhub.builders import (
    EXECUTION,
    NOW,
    OLD_EXECUTION,
    a_message,
    a_parent,
    a_pending_row,
    a_row,
    a_task,
    later,
)

STARTED = OrchestratorStarted(timestamp=NOW)
RAISED = EventRaised(-1, NOW, "go", '"1"')
BIG = '"' + "ä" * 1_000_000 + '"'


def insert(instance_id="order-1", **changes) -> Decision:
    row = a_pending_row(instance_id=instance_id, **changes)
    return Decision(instance_id, row, RowChange.INSERT)


def touch(instance_id="order-1", expected=0, history=(), count=0, **changes) -> Decision:
    row = a_row(
        instance_id=instance_id,
        revision=expected + 1,
        history_count=count + len(history),
        **changes,
    )
    return Decision(instance_id, row, RowChange.TOUCH, expected, history=history)


def replace(decision: Decision, **changes: Any) -> Decision:
    return msgspec.structs.replace(decision, **changes)


def commit(store, *decisions):
    assert store.commit(decisions) == [None] * len(decisions)


FULL_ROW = {
    "version": "2",
    "scheduled_start": later(5),
    "completed_at": later(6),
    "output": '"out"',
    "custom_status": '"here"',
    "failure": FailureDetails("E", "m", "s", FailureDetails("I", "n"), True, {"k": 1}),
    "parent": a_parent(),
    "tags": {"k": "v"},
    "trace_context": OrchestrationTraceContext("span", NOW),
    "parent_trace_context": TraceContext("00-1-2-01", "x=1"),
    "attempts": 3,
    "not_before": later(7),
    "unsuspended_status": OrchestrationStatus.RUNNING,
}


def test_a_row_comes_back_as_it_was(store):
    commit(store, insert(**FULL_ROW))
    assert store.load("order-1").instance == a_pending_row(**FULL_ROW)


def test_nothing_is_found_of_an_unknown_instance(store):
    assert store.load("order-1") is None
    assert store.read_history("order-1", None) == []


def test_a_message_and_a_task_come_back_as_they_were(store):
    message = a_message(RAISED, execution_id=EXECUTION, key=12, visible_at=later(0.000001))
    task = a_task(version="2", tags={"k": "v"}, attempts=2, not_before=later(3))
    commit(store, replace(insert(), messages=(message,), tasks=(task,)))
    assert store.load("order-1").messages == (message,)
    assert store.tasks(TaskKey(0), 10) == [task]


def test_an_empty_commit(store):
    assert store.commit([]) == []


def test_a_touch_changes_what_turns_change(store):
    commit(store, insert(tags={"k": "v"}, parent=a_parent()))
    changes: dict[str, Any] = {
        "custom_status": '"x"',
        "trace_context": OrchestrationTraceContext("s"),
        "attempts": 1,
        "not_before": later(1),
        "unsuspended_status": OrchestrationStatus.PENDING,
        "status": OrchestrationStatus.SUSPENDED,
        "updated_at": later(2),
    }
    kept = {"tags": {"k": "v"}, "parent": a_parent()}
    commit(store, touch(history=(STARTED,), **changes, **kept))
    found = store.load("order-1").instance
    assert found == a_row(revision=1, history_count=1, **changes, **kept)


def test_a_replacement_changes_everything(store):
    commit(store, insert(**FULL_ROW))
    row = a_pending_row(execution_id=OLD_EXECUTION, name="other", revision=1, created_at=later(9))
    commit(store, Decision("order-1", row, RowChange.REPLACE, 0))
    assert store.load("order-1").instance == row


def test_an_insert_over_an_existing_row_is_refused(store):
    commit(store, insert(status=OrchestrationStatus.SUSPENDED))
    [error] = store.commit([insert(name="other")])
    assert isinstance(error, InstanceExistsError)
    assert error.status is OrchestrationStatus.SUSPENDED
    assert store.load("order-1").instance.name == "order"


@pytest.mark.parametrize("change", [RowChange.TOUCH, RowChange.REPLACE])
@pytest.mark.parametrize("expected", [1, 7])
def test_a_stale_revision_loses(store, change, expected):
    commit(store, insert())
    commit(store, touch())
    commit(store, touch(expected=1))
    message = a_message(RAISED)
    stale = Decision(
        "order-1",
        a_row(revision=expected + 1, history_count=1),
        change,
        expected,
        history=(STARTED,),
        messages=(message,),
        tasks=(a_task(),),
    )
    [error] = store.commit([stale])
    assert isinstance(error, LeaseLostError)
    assert store.load("order-1").instance.revision == 2
    assert store.load("order-1").messages == ()
    assert store.read_history("order-1", None) == []
    assert store.tasks(TaskKey(0), 10) == []


@pytest.mark.parametrize("change", [RowChange.TOUCH, RowChange.REPLACE])
def test_what_is_not_there_cannot_be_changed(store, change):
    [error] = store.commit([Decision("order-1", a_row(), change, 0)])
    assert isinstance(error, LeaseLostError)
    assert store.load("order-1") is None


def test_the_neighbours_of_a_bad_decision_live(store):
    commit(store, insert("a"), insert("b"), insert("c"))
    message = a_message(RAISED, instance_id="c")
    group = [
        touch("a", history=(STARTED,)),
        touch("b", expected=5, history=(STARTED,)),
        insert("c"),
        replace(touch("c"), messages=(message,)),
        insert("d"),
    ]
    outcomes = store.commit(group)
    assert [type(error) for error in outcomes] == [
        type(None),
        LeaseLostError,
        InstanceExistsError,
        type(None),
        type(None),
    ]
    assert store.read_history("a", None) == [STARTED]
    assert store.read_history("b", None) == []
    assert store.load("c").messages == (message,)
    assert store.load("d").instance.status is OrchestrationStatus.PENDING


def test_decisions_of_one_instance_are_applied_in_order(store):
    replaced = Decision(
        "order-1",
        a_row(revision=2, history_count=0, execution_id=OLD_EXECUTION),
        RowChange.REPLACE,
        1,
        replaces_history=True,
    )
    commit(
        store,
        insert(),
        touch(history=(STARTED, RAISED)),
        replaced,
        touch(expected=2, history=(RAISED,), execution_id=OLD_EXECUTION),
    )
    assert store.load("order-1").instance.revision == 3
    assert store.read_history("order-1", OLD_EXECUTION) == [RAISED]


def test_a_birth_comes_only_where_nobody_is(store):
    child = a_pending_row(instance_id="child-1", parent=a_parent(), input=BIG)
    commit(store, replace(insert(), births=(child,)))
    assert store.load("child-1").instance == child
    other = msgspec.structs.replace(child, name="other", input='"small"')
    commit(store, replace(touch(), births=(other,)))
    assert store.load("child-1").instance == child


def test_a_birth_and_a_start_of_one_id_in_one_group(store):
    child = a_pending_row(instance_id="child-1", name="child")
    outcomes = store.commit([replace(insert(), births=(child,)), insert("child-1")])
    assert outcomes[0] is None
    assert isinstance(outcomes[1], InstanceExistsError)
    assert store.load("child-1").instance.name == "child"


def test_messages_and_tasks_leave_when_they_are_done(store):
    first, second = a_message(RAISED), a_message(RAISED)
    tasks = (a_task(), a_task(key=TaskKey(11)))
    commit(store, replace(insert(), messages=(first, second), tasks=tasks))
    commit(store, Decision("order-1", consumed=(first.id,), finished=(TaskKey(10),)))
    assert store.load("order-1").messages == (second,)
    assert [task.key for task in store.tasks(TaskKey(0), 10)] == [11]
    # A second time there is nothing to do.
    commit(store, Decision("order-1", consumed=(first.id,), finished=(TaskKey(10),)))


def test_messages_are_loaded_in_the_order_of_their_time(store):
    late = a_message(RAISED, id=MessageId(1), visible_at=later(2))
    tied = a_message(RAISED, id=MessageId(3), visible_at=later(1))
    early = a_message(RAISED, id=MessageId(2), visible_at=later(1))
    commit(store, replace(insert(), messages=(late, tied, early)))
    assert [m.id for m in store.load("order-1").messages] == [2, 3, 1]


def test_history_grows_turn_by_turn(store):
    commit(store, insert())
    commit(store, touch(history=(STARTED, RAISED)))
    commit(store, touch(expected=1, count=2, history=(STARTED,)))
    expected = [STARTED, RAISED, STARTED]
    assert store.read_history("order-1", None) == expected
    assert store.read_history("order-1", EXECUTION) == expected
    assert store.read_history("order-1", OLD_EXECUTION) == []


def test_a_replaced_history_begins_again(store):
    commit(store, insert())
    commit(store, touch(history=(STARTED, RAISED)))
    row = a_row(revision=2, history_count=1)
    again = Decision("order-1", row, RowChange.REPLACE, 1, history=(RAISED,), replaces_history=True)
    commit(store, again)
    assert store.read_history("order-1", None) == [RAISED]


def test_large_payloads_survive_turns(store):
    commit(store, insert(input=BIG))
    commit(store, touch(input=BIG, history=(STARTED,)))
    assert store.load("order-1").instance.input == BIG
    output = BIG.replace("ä", "日")
    ended = a_row(revision=2, input=BIG, output=output, history_count=1)
    commit(store, Decision("order-1", ended, RowChange.REPLACE, 1))
    found = store.load("order-1").instance
    assert (found.input, found.output) == (BIG, output)


def test_a_large_payload_goes_with_its_row(store):
    commit(store, insert(input=BIG))
    commit(store, Decision("order-1", a_row(revision=1, input=None), RowChange.REPLACE, 0))
    assert store.load("order-1").instance.input is None
    commit(store, Decision("order-1", a_row(revision=2, input=BIG), RowChange.REPLACE, 1))
    store.purge(["order-1"])
    commit(store, insert(input='"small"', output="z" * 3_000))
    assert store.load("order-1").instance.input == '"small"'


@pytest.mark.parametrize("new", [None, "", '"small"', "y" * 3_000])
def test_a_large_payload_does_not_outlive_a_replacement(store, new):
    commit(store, insert(input=BIG, output=BIG))
    row = a_row(revision=1, input=new, output="z" * 3_000)
    commit(store, Decision("order-1", row, RowChange.REPLACE, 0))
    found = store.load("order-1").instance
    assert (found.input, found.output) == (new, "z" * 3_000)


@pytest.mark.parametrize("length", [1_999, 2_000, 2_001])
def test_payloads_around_the_limit_of_a_row(store, length):
    text = "x" * length
    commit(store, insert(input=text, output=text))
    found = store.load("order-1").instance
    assert (found.input, found.output) == (text, text)


@pytest.mark.parametrize(
    "instance_id", ["bestellung-ä", "日本", "é😀", "a'b\"c", "a%b_c", "x" * 256]
)
def test_ids_of_all_kinds(store, instance_id):
    message = a_message(RAISED, instance_id=instance_id)
    commit(store, replace(insert(instance_id), messages=(message,)))
    commit(store, touch(instance_id, history=(STARTED,)))
    assert store.load(instance_id).messages == (message,)
    assert store.read_history(instance_id, None) == [STARTED]
    assert store.due((EPOCH, 0), FAR, 9) == [(NOW, message.id, instance_id)]
    assert store.purge([instance_id]) == 1


def test_a_value_that_no_row_can_hold_harms_nobody_else(store):
    half = "\ud800"
    bad = insert("bad", input=half, failure=FailureDetails("E", "m", properties={"k": object()}))
    outcomes = store.commit([insert("a"), bad, insert("b")])
    assert (outcomes[0], outcomes[2]) == (None, None)
    assert store.load("a") is not None
    commit(store, touch("b"))


def test_an_id_that_no_row_can_hold_is_unknown(store):
    assert store.load("a\ud800") is None
    assert store.read_history("a\ud800", None) == []
