"""Start, restart, terminate, suspend, resume; starts that meet an instance; lost turns."""

from typing import Any

import pytest

from durable_app.errors import InstanceExistsError, WrongStatusError
from durable_app.protocol import (
    TERMINAL,
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    FailureDetails,
    OrchestrationStatus,
    OrchestratorStarted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskScheduled,
    TimerFired,
    TraceContext,
)
from durable_app.taskhub import lifecycle
from durable_app.taskhub.delivery import is_ready, sort_inbox
from durable_app.taskhub.instance import OpenWork, RowChange
from tests.unit.taskhub.builders import (
    EXECUTION,
    NOW,
    OLD_EXECUTION,
    PARENT_EXECUTION,
    CountingIds,
    a_failed_row,
    a_message,
    a_parent,
    a_pending_row,
    a_row,
    a_start,
    an_own_message,
    known,
    later,
)

Status = OrchestrationStatus
OPEN = (
    TaskScheduled(1, NOW, "charge", key=11),
    SubOrchestrationInstanceCreated(3, NOW, "child-1", "child", key=13),
    SubOrchestrationInstanceCreated(4, NOW, "child-2", "child", key=14),
)

# -- start ----------------------------------------------------------------------------------------


def start(existing=None, replaceable=TERMINAL, **new) -> Any:
    row = a_pending_row(execution_id="1" * 32, **new)
    return lifecycle.start(row, existing, replaceable, NOW, CountingIds())


def test_a_new_instance_is_a_row_and_the_message_that_starts_it():
    decision = start()
    [message] = decision.messages
    assert decision.change is RowChange.INSERT
    assert decision.instance.status is Status.PENDING
    assert (message.execution_id, message.visible_at) == ("1" * 32, NOW)


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_one_that_has_ended_is_replaced_by_default(status):
    stray = a_message(EventRaised(-1, NOW, "go"))
    decision = start(known(a_row(status=status, revision=6), stray))
    assert decision.change is RowChange.REPLACE
    assert decision.replaces_history
    assert (decision.expected_revision, decision.instance.revision) == (6, 7)
    assert decision.instance.history_count == 0
    assert decision.consumed == (stray.id,)


@pytest.mark.parametrize("status", [Status.RUNNING, Status.PENDING, Status.SUSPENDED])
def test_one_that_runs_is_not_replaced_by_default(status):
    with pytest.raises(InstanceExistsError, match=status.title):
        start(known(a_row(status=status)))


def test_nothing_is_replaced_where_nothing_may_be():
    with pytest.raises(InstanceExistsError):
        start(known(a_failed_row()), frozenset())


def test_a_running_one_that_may_be_replaced_ends_first():
    timer = an_own_message(TimerFired(-1, NOW, 2), 12, visible_at=later(60))
    row = a_row(parent=a_parent())
    decision = start(known(row, timer, history=OPEN), frozenset({Status.RUNNING}))
    told, started = decision.messages
    assert isinstance(told.event, SubOrchestrationInstanceFailed)
    assert (told.instance_id, told.key) == ("parent-1", 77)
    assert isinstance(started.event, ExecutionStarted)
    assert decision.consumed == (timer.id,)
    assert decision.finished == (11,)


def test_a_parent_that_was_told_already_is_not_told_again():
    decision = start(known(a_failed_row(parent=a_parent())))
    assert [type(m.event) for m in decision.messages] == [ExecutionStarted]


@pytest.mark.parametrize(
    ("start_at", "scheduled"), [(None, None), (later(-1), None), (NOW, None), (later(9), later(9))]
)
def test_a_start_in_the_past_is_now(start_at, scheduled):
    row = lifecycle.new_instance("order-1", "order", NOW, CountingIds(), start_at=start_at)
    message = lifecycle.start(row, None, TERMINAL, NOW, CountingIds()).messages[0]
    assert row.scheduled_start == scheduled
    assert message.visible_at == (scheduled or NOW)
    assert row.status is Status.PENDING


def test_a_restart_takes_over_what_the_old_one_was_started_with():
    old = a_failed_row(version="2", tags={"k": "v"}, output='"x"', parent=a_parent())
    row = lifecycle.restarted(old, "order-2", later(1), CountingIds())
    assert (row.instance_id, row.name, row.version) == ("order-2", "order", "2")
    assert (row.input, row.tags, row.output, row.parent) == ('"in"', {"k": "v"}, None, None)
    assert row.execution_id != old.execution_id


# -- checks and posts -----------------------------------------------------------------------------


def test_requests_for_one_that_has_finished_are_refused():
    with pytest.raises(WrongStatusError, match="is Failed and cannot be suspended"):
        lifecycle.check_running(a_failed_row(), "be suspended")
    lifecycle.check_running(a_row(), "be suspended")
    lifecycle.check_running(a_pending_row(), "be suspended")


def test_only_failed_ones_can_be_rewound():
    lifecycle.check_rewindable(a_failed_row())
    with pytest.raises(WrongStatusError, match="is Running and cannot be rewound"):
        lifecycle.check_rewindable(a_row())
    with pytest.raises(WrongStatusError, match="is Completed"):
        lifecycle.check_rewindable(a_row(status=Status.COMPLETED))


def test_an_external_event_is_for_any_execution():
    event = EventRaised(-1, NOW, "go", '"data"')
    decision: Any = lifecycle.post("order-1", event, NOW, CountingIds())
    [message] = decision.messages
    assert decision.instance is None
    assert message.event == event
    assert (message.execution_id, message.visible_at) == (None, NOW)


# -- control --------------------------------------------------------------------------------------


def control(row, event, *inbox, history=(), now=NOW) -> Any:
    message = a_message(event)
    knows = known(row, *inbox, message, history=history)
    decision: Any = lifecycle.control(knows, message, now, CountingIds())
    assert message.id in decision.consumed
    return decision


def test_termination_ends_it_with_its_output():
    timer = an_own_message(TimerFired(-1, NOW, 2), 12)
    event = ExecutionTerminated(-1, NOW, '"why"')
    decision = control(a_row(), event, timer, history=OPEN)
    row = decision.instance
    assert (row.status, row.output, row.completed_at) == (Status.TERMINATED, '"why"', NOW)
    assert decision.history == (event, ExecutionCompleted(-1, NOW, Status.TERMINATED, '"why"'))
    assert row.history_count == 4
    assert timer.id in decision.consumed
    assert decision.finished == (11,)
    assert decision.messages == ()


def test_a_recursive_termination_goes_to_the_children_that_run():
    decision = control(a_row(), ExecutionTerminated(-1, NOW, '"x"', recurse=True), history=OPEN)
    assert [m.instance_id for m in decision.messages] == ["child-1", "child-2"]
    assert {m.event for m in decision.messages} == {
        ExecutionTerminated(-1, NOW, '"x"', recurse=True)
    }
    assert {m.execution_id for m in decision.messages} == {None}


def test_the_parent_of_a_terminated_child_is_told_once():
    decision = control(a_row(parent=a_parent()), ExecutionTerminated(-1, NOW))
    [message] = decision.messages
    assert isinstance(message.event, SubOrchestrationInstanceFailed)
    assert (message.instance_id, message.key) == ("parent-1", 77)


def test_one_that_is_terminated_before_its_start_never_runs():
    start_message = a_start()
    terminated = ExecutionTerminated(-1, NOW)
    decision = control(a_pending_row(), terminated, start_message)
    assert decision.instance.status is Status.TERMINATED
    assert start_message.id in decision.consumed
    assert decision.history[:3] == (OrchestratorStarted(-1, NOW), start_message.event, terminated)


def test_a_suspended_one_can_be_terminated():
    row = a_row(status=Status.SUSPENDED, unsuspended_status=Status.RUNNING)
    decision = control(row, ExecutionTerminated(-1, NOW))
    assert decision.instance.status is Status.TERMINATED
    assert decision.instance.unsuspended_status is None


def test_suspend_and_resume():
    event = ExecutionSuspended(-1, NOW, '"holiday"')
    decision = control(a_row(), event, now=later(1))
    suspended = decision.instance
    assert (suspended.status, suspended.unsuspended_status) == (Status.SUSPENDED, Status.RUNNING)
    assert decision.history == (event,)
    assert (suspended.history_count, suspended.updated_at) == (3, later(1))
    resumed = control(suspended, ExecutionResumed(-1, NOW), now=later(2)).instance
    assert (resumed.status, resumed.unsuspended_status) == (Status.RUNNING, None)


def test_suspended_before_its_start_it_waits_and_then_starts():
    decision = control(a_pending_row(), ExecutionSuspended(-1, NOW))
    # The history stays empty: it has to begin with the start.
    assert decision.history == ()
    inbox = [a_start(), a_message(EventRaised(-1, NOW, "go"))]
    assert not is_ready(decision.instance, sort_inbox(decision.instance, OpenWork(), inbox).events)
    resumed = control(decision.instance, ExecutionResumed(-1, NOW)).instance
    assert resumed.status is Status.PENDING
    assert is_ready(resumed, sort_inbox(resumed, OpenWork(), inbox).events)


def test_events_of_a_suspended_one_are_held_back_in_order():
    row = control(a_row(), ExecutionSuspended(-1, NOW)).instance
    work = OpenWork.of(OPEN)
    inbox = [
        a_message(EventRaised(-1, NOW, "go")),
        an_own_message(TaskCompleted(-1, NOW, 1), 11),
    ]
    heaps = sort_inbox(row, work, inbox)
    assert heaps.events == inbox
    assert not heaps.strays
    assert not is_ready(row, heaps.events)


def test_a_resume_of_one_that_does_not_know_what_it_was():
    row = a_row(status=Status.SUSPENDED, unsuspended_status=None)
    assert control(row, ExecutionResumed(-1, NOW)).instance.status is Status.RUNNING


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (Status.SUSPENDED, ExecutionSuspended(-1, NOW)),
        (Status.RUNNING, ExecutionResumed(-1, NOW)),
        (Status.PENDING, ExecutionResumed(-1, NOW)),
    ],
)
def test_suspending_twice_and_resuming_what_runs_change_nothing(status, event):
    decision = control(a_row(status=status), event)
    assert decision.instance is None
    assert decision.history == ()


def test_after_the_clock_was_set_back_a_row_does_not_get_older():
    row = a_row(updated_at=later(60))
    assert control(row, ExecutionSuspended(-1, NOW)).instance.updated_at == later(60)
    assert control(row, ExecutionTerminated(-1, NOW)).instance.updated_at == later(60)


def test_what_is_no_control_message_is_a_mistake():
    with pytest.raises(AssertionError, match="EventRaised"):
        control(a_row(), EventRaised(-1, NOW, "go"))


# -- starts that meet an instance -----------------------------------------------------------------


def arrive(row, start_message, *inbox, history=()) -> Any:
    knows = known(row, start_message, *inbox, history=history)
    return lifecycle.arrive(knows, start_message, NOW, CountingIds())


def a_child_start(**changes):
    child = a_pending_row(
        execution_id="c" * 32, parent=a_parent(), version="2", tags={"k": "v"}, input='"new"'
    )
    return a_start(child, **changes)


def test_a_child_replaces_one_that_has_ended():
    message = a_child_start()
    leftover = an_own_message(TimerFired(-1, NOW, 2), 12)
    decision = arrive(a_failed_row(revision=4), message, leftover)
    row = decision.instance
    assert decision.change is RowChange.REPLACE
    assert decision.replaces_history
    assert (row.execution_id, row.status, row.revision) == ("c" * 32, Status.PENDING, 5)
    assert (row.parent, row.version, row.input) == (a_parent(), "2", '"new"')
    assert (row.tags, row.failure, row.history_count) == ({"k": "v"}, None, 0)
    assert decision.consumed == (leftover.id,)
    # The start stays: it is the first event of the new execution.
    heaps = sort_inbox(row, OpenWork(), [message])
    assert heaps.events == [message]


def test_over_one_that_runs_the_task_of_the_parent_fails():
    message = a_child_start()
    decision = arrive(a_row(), message)
    [told] = decision.messages
    assert decision.instance is None
    assert decision.consumed == (message.id,)
    failure = told.event.failure
    assert isinstance(told.event, SubOrchestrationInstanceFailed)
    assert failure.error_type == "InstanceExistsError"
    assert "already exists" in failure.error_message
    assert (told.instance_id, told.execution_id, told.key) == ("parent-1", PARENT_EXECUTION, 77)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (a_row(), a_start(a_pending_row(parent=a_parent()))),
        (a_failed_row(), a_start(a_pending_row(parent=a_parent()))),
        (a_row(execution_id=OLD_EXECUTION), a_start()),
        (a_failed_row(), a_child_start(execution_id=None)),
    ],
    ids=["same execution", "same, ended", "client start that was replaced", "no execution"],
)
def test_starts_that_have_nothing_to_do(row, message):
    decision = arrive(row, message)
    assert (decision.instance, decision.messages) == (None, ())
    assert decision.consumed == (message.id,)


def test_only_a_start_arrives():
    with pytest.raises(TypeError, match="EventRaised starts nothing"):
        arrive(a_row(), a_message(EventRaised(-1, NOW, "go")))


# -- lost turns -----------------------------------------------------------------------------------


def test_a_lost_turn_is_counted_and_waits():
    decision: Any = lifecycle.postpone(a_row(attempts=1), NOW)
    assert decision.change is RowChange.TOUCH
    assert (decision.instance.attempts, decision.instance.not_before) == (2, later(2))
    assert decision.instance.revision == 2


def test_one_whose_turns_are_lost_too_often_fails_with_the_reason():
    timer = an_own_message(TimerFired(-1, NOW, 2), 12)
    row = a_row(attempts=10, parent=a_parent())
    knows = known(row, timer, history=OPEN)
    decision: Any = lifecycle.give_up(knows, "its process died", NOW, CountingIds())
    failure = FailureDetails(
        "PoisonedOrchestration",
        "Orchestration 'order' was given up after 10 turns that ended without a result; the last"
        " one: its process died",
    )
    assert decision.instance.status is Status.FAILED
    assert decision.instance.failure == failure
    assert decision.consumed == (timer.id,)
    assert decision.finished == (11,)
    assert decision.messages[0].event == SubOrchestrationInstanceFailed(-1, NOW, 3, failure)


def test_the_trace_of_the_caller_is_not_taken_from_an_old_instance():
    old = a_failed_row(parent_trace_context=TraceContext("00-1-2-01"))
    row = lifecycle.restarted(old, "order-1", NOW, CountingIds())
    assert row.parent_trace_context is None
    assert row.execution_id != EXECUTION
