"""What one turn of an instance gets to see."""

import pytest

from durable_app.protocol import (
    EventRaised,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionSuspended,
    ExecutionTerminated,
    FailureDetails,
    OrchestrationStatus,
    OrchestratorStarted,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durable_app.taskhub.delivery import is_ready, make_turn, sort_inbox
from durable_app.taskhub.instance import OpenWork
from tests.unit.taskhub.builders import (
    NOW,
    OLD_EXECUTION,
    a_failed_row,
    a_message,
    a_parent,
    a_pending_row,
    a_row,
    a_start,
    an_own_message,
    later,
)

HISTORY = (
    TaskScheduled(1, NOW, "charge", key=11),
    TimerCreated(2, NOW, later(60), key=12),
    SubOrchestrationInstanceCreated(3, NOW, "child-1", "child", key=13),
)
FAILURE = FailureDetails("ValueError", "no")
CONTROLS = [
    ExecutionTerminated(-1, NOW),
    ExecutionSuspended(-1, NOW),
    ExecutionResumed(-1, NOW),
    ExecutionRewound(-1, NOW),
]


def sort(*messages, row=None, history=HISTORY):
    return sort_inbox(row or a_row(), OpenWork.of(history), messages)


def test_open_schedules_are_resolved_in_order_of_arrival():
    fired = an_own_message(TimerFired(-1, NOW, 2), 12)
    done = an_own_message(TaskCompleted(-1, NOW, 1), 11)
    child = an_own_message(SubOrchestrationInstanceCompleted(-1, NOW, 3), 13)
    heaps = sort(fired, done, child)
    assert heaps.events == [fired, done, child]
    assert not heaps.strays


@pytest.mark.parametrize("second", [TaskCompleted(-1, NOW, 1, '"2"'), TaskFailed(-1, NOW, 1)])
def test_one_schedule_is_resolved_once_within_a_batch(second):
    first = an_own_message(TaskCompleted(-1, NOW, 1, '"1"'), 11)
    other = an_own_message(second, 11)
    heaps = sort(first, other)
    assert heaps.events == [first]
    assert heaps.strays == [other.id]


def test_a_child_that_failed_and_was_rewound_meanwhile_is_heard_once():
    failed = an_own_message(SubOrchestrationInstanceFailed(-1, NOW, 3, FAILURE), 13)
    completed = an_own_message(SubOrchestrationInstanceCompleted(-1, NOW, 3), 13)
    heaps = sort(failed, completed)
    assert heaps.events == [failed]
    assert heaps.strays == [completed.id]


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (TaskCompleted(-1, NOW, 7), 11),
        (TaskCompleted(-1, NOW, 1), 10),
        (TaskFailed(-1, NOW, 1, FAILURE), 12),
        (TimerFired(-1, NOW, 1), 11),
        (SubOrchestrationInstanceFailed(-1, NOW, 3), 12),
    ],
)
def test_what_resolves_nothing_open_is_a_stray(event, key):
    message = an_own_message(event, key)
    heaps = sort(message)
    assert heaps.strays == [message.id]
    assert not heaps.events


def test_an_id_used_again_takes_the_result_of_the_latest_schedule_alone():
    retried = (
        TaskScheduled(1, NOW, "charge", key=11),
        TaskFailed(-1, NOW, 1, FAILURE),
        TaskScheduled(1, NOW, "charge", key=21),
    )
    late = an_own_message(TaskCompleted(-1, NOW, 1, '"late"'), 11)
    fresh = an_own_message(TaskCompleted(-1, NOW, 1, '"fresh"'), 21)
    heaps = sort(late, fresh, history=retried)
    assert heaps.events == [fresh]
    assert heaps.strays == [late.id]


def test_messages_of_an_older_execution_are_strays():
    result = a_message(TaskCompleted(-1, NOW, 1), execution_id=OLD_EXECUTION, key=11)
    event = a_message(EventRaised(-1, NOW, "go"), execution_id=OLD_EXECUTION)
    heaps = sort(result, event)
    assert heaps.strays == [result.id, event.id]
    assert not heaps.events


def test_external_events_are_never_duplicates():
    first = a_message(EventRaised(-1, NOW, "go", "1"))
    second = a_message(EventRaised(-1, NOW, "go", "1"))
    assert sort(first, second).events == [first, second]


@pytest.mark.parametrize("event", CONTROLS)
def test_control_messages_are_kept_apart(event):
    message = a_message(event)
    heaps = sort(message, an_own_message(TaskCompleted(-1, NOW, 1), 11))
    assert heaps.control == [message]
    assert len(heaps.events) == 1


@pytest.mark.parametrize(
    ("row", "is_own"),
    [(a_row(parent=a_parent()), True), (a_row(), False)],
    ids=["own child", "somebody else's"],
)
def test_a_parent_ends_only_what_its_own_schedule_has_started(row, is_own):
    message = an_own_message(ExecutionTerminated(-1, NOW), a_parent().key)
    heaps = sort(message, row=row)
    assert heaps.control == ([message] if is_own else [])
    assert heaps.strays == ([] if is_own else [message.id])


def test_the_start_comes_before_events_that_arrived_earlier():
    early = a_message(EventRaised(-1, NOW, "go"))
    start = a_start()
    heaps = sort(early, start, row=a_pending_row(), history=())
    assert heaps.events == [start, early]


def test_a_second_start_of_the_same_execution_is_no_event():
    first, second = a_start(), a_start()
    heaps = sort(first, second, row=a_pending_row(), history=())
    assert heaps.events == [first]
    assert heaps.arrivals == [second]


@pytest.mark.parametrize(
    "row",
    [
        a_row(),
        a_pending_row(execution_id=OLD_EXECUTION),
        a_failed_row(),
        a_failed_row(history_count=0),
    ],
)
def test_a_start_that_meets_an_existing_instance_is_an_arrival(row):
    start = a_start()
    heaps = sort(start, row=row, history=())
    assert heaps.arrivals == [start]
    assert not heaps.events


def test_one_that_has_ended_hears_nothing_but_a_start_and_a_rewind():
    rewound = a_message(ExecutionRewound(-1, NOW))
    strays = [
        a_message(EventRaised(-1, NOW, "go")),
        a_message(ExecutionTerminated(-1, NOW)),
        an_own_message(TaskCompleted(-1, NOW, 1), 11),
    ]
    heaps = sort(*strays, rewound, row=a_failed_row())
    assert heaps.strays == [m.id for m in strays]
    assert heaps.control == [rewound]


def test_ready_with_an_event():
    assert is_ready(a_row(), [a_message(EventRaised(-1, NOW, "go"))])


def test_not_ready_without_events():
    assert not is_ready(a_row(), [])


def test_not_ready_while_suspended():
    row = a_row(status=OrchestrationStatus.SUSPENDED)
    assert not is_ready(row, [a_message(EventRaised(-1, NOW, "go"))])


def test_before_its_start_it_is_not_ready():
    event = a_message(EventRaised(-1, NOW, "go"))
    assert not is_ready(a_pending_row(), [event])
    assert is_ready(a_pending_row(), [a_start(), event])


def test_a_turn_begins_with_its_time():
    done = an_own_message(TaskCompleted(-1, NOW, 1), 11)
    turn = make_turn(a_row(), [done], later(5))
    assert turn.events == (OrchestratorStarted(-1, later(5)), done.event)
    assert turn.messages == (done.id,)
    assert (turn.instance_id, turn.execution_id) == ("order-1", a_row().execution_id)


def test_time_does_not_run_backwards_between_turns():
    turn = make_turn(a_row(updated_at=later(9)), [a_message(EventRaised(-1, NOW, "go"))], NOW)
    assert turn.events[0].timestamp == later(9)


def test_a_wake_up_is_consumed_and_not_seen():
    wake = an_own_message(OrchestratorStarted(timestamp=NOW))
    turn = make_turn(a_row(), [wake], NOW)
    assert turn.events == (OrchestratorStarted(-1, NOW),)
    assert turn.messages == (wake.id,)
