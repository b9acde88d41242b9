"""What follows from the actions of a turn."""

from typing import Any

import pytest

from durable_app.errors import UnsupportedOnHostError
from durable_app.protocol import (
    PATCH_MARKER,
    CompleteOrchestration,
    CreateSubOrchestration,
    CreateTimer,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    ExecutionTerminated,
    FailureDetails,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestrationTraceContext,
    OrchestratorStarted,
    ScheduleTask,
    SendEvent,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskScheduled,
    TerminateOrchestration,
    TimerCreated,
    TimerFired,
)
from durable_app.taskhub.instance import OpenChild, RowChange
from durable_app.taskhub.orchestration import complete, end_execution, start_message
from tests.unit.taskhub.builders import (
    EXECUTION,
    NOW,
    PARENT_EXECUTION,
    CountingIds,
    a_message,
    a_parent,
    a_pending_row,
    a_response,
    a_row,
    a_start,
    a_turn,
    an_own_message,
    completed,
    continued,
    known,
    later,
)

FAILURE = FailureDetails("ValueError", "no")
FAILED = CompleteOrchestration(9, OrchestrationStatus.FAILED, None, FAILURE)
OPEN = (
    TaskScheduled(1, NOW, "charge", key=11),
    TimerCreated(2, NOW, later(60), key=12),
    SubOrchestrationInstanceCreated(3, NOW, "child-1", "child", key=13),
)


def decide(*actions, knows=None, turn=None, now=NOW, **response) -> Any:
    return complete(
        knows or known(), turn or a_turn(), a_response(*actions, **response), now, CountingIds()
    )


# -- going on -------------------------------------------------------------------------------------


def test_the_first_turn_makes_it_run():
    row, start = a_pending_row(), a_start()
    decision = decide(knows=known(row, start), turn=a_turn(start, row=row))
    assert decision.instance.status is OrchestrationStatus.RUNNING
    assert decision.change is RowChange.TOUCH
    assert (decision.instance.history_count, decision.instance.revision) == (2, 1)
    assert decision.consumed == (start.id,)
    assert decision.history == (OrchestratorStarted(-1, NOW), start.event)


def test_a_result_ends_the_row_of_lost_attempts():
    row = a_row(attempts=3, not_before=NOW, updated_at=NOW)
    decision = decide(knows=known(row), now=later(1))
    assert (decision.instance.attempts, decision.instance.not_before) == (0, None)
    assert (decision.expected_revision, decision.instance.revision) == (1, 2)
    assert decision.instance.updated_at == later(1)


def test_after_the_clock_was_set_back_the_row_is_not_older_than_its_turn():
    decision = decide(now=later(-60))
    assert decision.instance.updated_at == NOW


@pytest.mark.parametrize(
    ("new", "kept"), [(None, '"old"'), ('"new"', '"new"'), ('""', '""'), ("", "")]
)
def test_custom_status_is_kept_unless_there_is_a_new_one(new, kept):
    row = a_row(custom_status='"old"')
    assert decide(knows=known(row), custom_status=new).instance.custom_status == kept


def test_the_trace_of_the_execution_is_kept():
    old, new = OrchestrationTraceContext("1"), OrchestrationTraceContext("2")
    row = a_row(trace_context=old)
    assert decide(knows=known(row)).instance.trace_context is old
    assert decide(knows=known(row), trace_context=new).instance.trace_context is new


def test_an_activity_is_recorded_and_queued_with_one_key():
    knows = known()
    decision = decide(ScheduleTask(1, "charge", "2", '"in"', {"k": "v"}), knows=knows)
    [task] = decision.tasks
    event = decision.history[-1]
    assert event == TaskScheduled(1, NOW, "charge", "2", '"in"', None, {"k": "v"}, task.key)
    assert (task.instance.execution_id, task.task_id, task.name) == (EXECUTION, 1, "charge")
    assert (task.version, task.input, task.tags) == ("2", '"in"', {"k": "v"})
    assert knows.work.tasks == {1: task.key}


def test_two_schedules_of_one_id_have_different_keys():
    first = decide(ScheduleTask(1, "charge"))
    ids = CountingIds(2_000)
    second = complete(known(), a_turn(), a_response(ScheduleTask(1, "charge")), NOW, ids)
    assert first.tasks[0].key != second.tasks[0].key


def test_a_timer_is_a_message_that_is_not_visible_yet():
    knows = known()
    decision = decide(CreateTimer(2, later(60)), knows=knows)
    [message] = decision.messages
    assert decision.history[-1] == TimerCreated(2, NOW, later(60), message.key)
    assert message.event == TimerFired(-1, later(60), 2, later(60))
    assert (message.visible_at, message.execution_id) == (later(60), EXECUTION)
    assert knows.work.timers == {2: message.key}


def test_a_timer_of_the_past_fires_at_once():
    [message] = decide(CreateTimer(2, later(-5))).messages
    assert message.visible_at == NOW
    assert message.event.fire_at == later(-5)


def test_a_cancelled_timer_is_none():
    decision = decide(CreateTimer(2, later(60), is_canceled=True))
    assert decision.messages == ()
    assert decision.history == (OrchestratorStarted(-1, NOW),)


def test_a_child_is_born_with_the_message_that_starts_it():
    knows = known(a_row(version="7"))
    action = CreateSubOrchestration(3, "child-1", "child", "2", '"in"', None, {"k": "v"})
    decision = decide(action, knows=knows)
    [child], [message] = decision.births, decision.messages
    assert (child.instance_id, child.name, child.version) == ("child-1", "child", "2")
    assert (child.status, child.input) == (OrchestrationStatus.PENDING, '"in"')
    assert child.tags == {"k": "v"}
    assert child.parent.instance == OrchestrationInstance("order-1", EXECUTION)
    assert (child.parent.name, child.parent.version) == ("order", "7")
    assert (message.instance_id, message.execution_id) == ("child-1", child.execution_id)
    assert message.event.parent == child.parent
    assert knows.work.children == {3: OpenChild(child.parent.key, "child-1")}
    assert decision.history[-1].key == child.parent.key


def test_a_child_without_an_id_gets_one_that_no_other_execution_can_give():
    [child] = decide(CreateSubOrchestration(26, None, "child")).births
    assert child.instance_id == f"{EXECUTION}:001a"


def test_an_event_for_another_instance():
    target = OrchestrationInstance("other", None)
    decision = decide(SendEvent(4, target, "go", '"data"'))
    [message] = decision.messages
    assert decision.history[-1] == EventSent(4, NOW, "other", "go", '"data"')
    assert message.event == EventRaised(-1, NOW, "go", '"data"')
    assert (message.instance_id, message.execution_id) == ("other", None)


def test_termination_of_another_instance_is_no_history():
    decision = decide(TerminateOrchestration(4, "other", '"why"', recurse=True))
    [message] = decision.messages
    assert message.event == ExecutionTerminated(-1, NOW, '"why"', recurse=True)
    assert message.instance_id == "other"
    assert decision.history == (OrchestratorStarted(-1, NOW),)


def test_events_of_the_turn_close_what_they_resolve():
    done = an_own_message(TaskCompleted(-1, NOW, 1), 11)
    knows = known(a_row(), done, history=OPEN)
    decision = decide(ScheduleTask(1, "again"), knows=knows, turn=a_turn(done))
    assert knows.work.tasks == {1: decision.tasks[0].key}
    assert decision.consumed == (done.id,)


def test_an_action_that_this_hub_does_not_know_changes_nothing():
    knows = known(history=OPEN)
    with pytest.raises(UnsupportedOnHostError, match="action object"):
        decide(ScheduleTask(8, "charge"), object(), knows=knows)
    assert knows.work.tasks == {1: 11}


# -- the end --------------------------------------------------------------------------------------


def test_completion_ends_the_execution():
    decision = decide(completed('"out"'), custom_status='"bye"', now=later(2))
    row = decision.instance
    assert (row.status, row.output) == (OrchestrationStatus.COMPLETED, '"out"')
    assert (row.completed_at, row.custom_status) == (later(2), '"bye"')
    assert row.history_count == 2 + len(decision.history)
    assert decision.change is RowChange.REPLACE
    assert decision.history[-1] == ExecutionCompleted(
        9, later(2), OrchestrationStatus.COMPLETED, '"out"'
    )


def test_a_failure_keeps_its_details():
    row = decide(FAILED).instance
    assert (row.status, row.failure, row.output) == (OrchestrationStatus.FAILED, FAILURE, None)


def test_work_in_progress_of_a_completed_one_goes_on():
    decision = decide(ScheduleTask(8, "audit"), completed(), knows=known(history=OPEN))
    assert [task.name for task in decision.tasks] == ["audit"]
    assert decision.finished == ()


def test_work_of_a_failed_one_is_of_no_use():
    decision = decide(ScheduleTask(8, "audit"), FAILED, knows=known(history=OPEN))
    assert decision.tasks == ()
    assert decision.finished == (11,)
    # A rewind finds it as scheduled and not resolved.
    assert [type(e) for e in decision.history][1:] == [TaskScheduled, ExecutionCompleted]


def test_its_own_messages_die_with_it_and_external_events_do_not():
    timer = an_own_message(TimerFired(-1, NOW, 2), 12, visible_at=later(60))
    done = an_own_message(TaskCompleted(-1, NOW, 1), 11)
    event = a_message(EventRaised(-1, NOW, "go"))
    knows = known(a_row(), timer, event, done, history=OPEN)
    decision = decide(completed(), knows=knows, turn=a_turn(done))
    assert sorted(decision.consumed) == sorted((timer.id, done.id))
    assert len(decision.consumed) == len(set(decision.consumed))


def test_what_it_asked_for_with_its_last_turn_happens_but_for_timers():
    decision = decide(
        SendEvent(1, OrchestrationInstance("other"), "go"),
        CreateTimer(2, later(60)),
        CreateSubOrchestration(3, "child-1", "child"),
        completed(),
    )
    assert [m.instance_id for m in decision.messages] == ["other", "child-1"]
    assert [birth.instance_id for birth in decision.births] == ["child-1"]


def test_a_completion_wins_over_a_termination_that_came_later():
    terminate = a_message(ExecutionTerminated(-1, NOW))
    decision = decide(completed(), knows=known(a_row(), terminate))
    assert decision.instance.status is OrchestrationStatus.COMPLETED


@pytest.mark.parametrize(
    ("action", "event"),
    [
        (completed('"out"'), SubOrchestrationInstanceCompleted(-1, NOW, 3, '"out"')),
        (FAILED, SubOrchestrationInstanceFailed(-1, NOW, 3, FAILURE)),
        (
            CompleteOrchestration(9, OrchestrationStatus.TERMINATED, '"out"'),
            SubOrchestrationInstanceFailed(
                -1,
                NOW,
                3,
                FailureDetails(
                    "OrchestrationTerminated", "Sub-orchestration 'order-1' was terminated."
                ),
            ),
        ),
        (
            CompleteOrchestration(9, OrchestrationStatus.CANCELED),
            SubOrchestrationInstanceFailed(
                -1,
                NOW,
                3,
                FailureDetails(
                    "OrchestrationTerminated", "Sub-orchestration 'order-1' was canceled."
                ),
            ),
        ),
    ],
)
def test_the_parent_is_told_exactly_once(action, event):
    decision = decide(action, knows=known(a_row(parent=a_parent())))
    [message] = decision.messages
    assert message.event == event
    assert (message.instance_id, message.execution_id) == ("parent-1", PARENT_EXECUTION)
    assert message.key == 77


def test_a_root_tells_nobody():
    assert decide(completed()).messages == ()


def test_one_that_ends_before_its_first_turn_records_its_start():
    row, start = a_pending_row(), a_start()
    last = ExecutionCompleted(-1, later(3), OrchestrationStatus.FAILED, None, FAILURE)
    decision: Any = end_execution(known(row, start), last, later(3), CountingIds())
    assert decision.history == (OrchestratorStarted(-1, later(3)), start.event, last)
    assert decision.instance.history_count == 3
    assert decision.consumed == (start.id,)


def test_a_start_in_the_turn_is_not_recorded_twice():
    row, start = a_pending_row(), a_start()
    decision = decide(completed(), knows=known(row, start), turn=a_turn(start, row=row))
    assert [type(e) for e in decision.history].count(ExecutionStarted) == 1


# -- continue-as-new ------------------------------------------------------------------------------


def test_a_new_execution_takes_the_place_of_the_old_one():
    row = a_row(custom_status='"old"', version="1", tags={"k": "v"}, parent=a_parent())
    decision = decide(continued('"next"'), knows=known(row), now=later(1))
    new, [start] = decision.instance, decision.messages
    assert decision.change is RowChange.REPLACE
    assert decision.replaces_history
    assert decision.history == ()
    assert (new.history_count, new.input, new.custom_status) == (0, '"next"', None)
    assert (new.version, new.tags, new.parent) == ("1", {"k": "v"}, a_parent())
    assert new.execution_id not in (EXECUTION, None)
    assert (start.execution_id, start.event.input) == (new.execution_id, '"next"')
    assert new.status is OrchestrationStatus.RUNNING


def test_a_new_execution_may_have_another_version_and_other_tags():
    action = continued(new_version="2", tags={"k": "w"})
    new = decide(action, knows=known(a_row(version="1", tags={"k": "v"}))).instance
    assert (new.version, new.tags) == ("2", {"k": "w"})


def test_nothing_of_the_old_execution_reaches_the_new_one():
    timer = an_own_message(TimerFired(-1, NOW, 2), 12, visible_at=later(60))
    event = a_message(EventRaised(-1, NOW, "late"))
    knows = known(a_row(), timer, event, history=OPEN)
    decision = decide(CreateTimer(8, later(9)), continued(), knows=knows)
    assert decision.consumed == (timer.id,)
    assert [type(m.event) for m in decision.messages] == [ExecutionStarted]
    assert len(knows.work) == 0


def test_other_actions_of_the_turn_are_carried_out():
    decision = decide(
        SendEvent(1, OrchestrationInstance("other"), "go"),
        ScheduleTask(2, "audit"),
        CreateSubOrchestration(3, "child-1", "child"),
        continued(),
    )
    assert [m.instance_id for m in decision.messages] == ["other", "child-1", "order-1"]
    assert [task.name for task in decision.tasks] == ["audit"]
    assert decision.tasks[0].instance.execution_id == EXECUTION
    assert len(decision.births) == 1


def test_carried_over_events_go_before_those_that_arrived_meanwhile():
    consumed = a_message(EventRaised(-1, NOW, "one"))
    # The clock was set back between the two: the one that waits looks older.
    waiting = a_message(EventRaised(-1, later(-9), "three"), visible_at=later(-9))
    carried = (EventRaised(-1, NOW, "one"), EventRaised(-1, later(1), "two"))
    decision = decide(
        continued(carryover_events=carried),
        knows=known(a_row(), consumed, waiting),
        turn=a_turn(consumed),
    )
    inbox = [*decision.messages[1:], waiting]
    inbox.sort(key=lambda m: (m.visible_at, m.id))
    assert [m.event.name for m in inbox] == ["one", "two", "three"]
    assert decision.consumed == (consumed.id,)


def test_a_termination_wins_over_continue_as_new():
    terminate = a_message(ExecutionTerminated(-1, NOW))
    decision = decide(continued(), knows=known(a_row(), terminate))
    assert decision.instance.execution_id == EXECUTION
    assert not decision.replaces_history
    assert terminate.id not in decision.consumed


@pytest.mark.parametrize(
    ("scheduled", "visible"), [(None, NOW), (later(60), later(60)), (later(-60), NOW)]
)
def test_a_start_is_visible_at_its_time(scheduled, visible):
    message: Any = start_message(a_pending_row(scheduled_start=scheduled), NOW, CountingIds())
    assert message.visible_at == visible
    assert message.event.scheduled_start == scheduled
    assert message.event.event_id == 0


@pytest.mark.parametrize("child_id", ["a/b", "@counter@x", "x" * 300])
def test_a_child_id_that_cannot_be_kept_fails_the_task(child_id):
    action = CreateSubOrchestration(1, child_id, "child")

    decision = complete(known(), a_turn(), a_response(action), NOW, CountingIds())

    assert decision.births == ()
    (message,) = decision.messages
    assert isinstance(message.event, SubOrchestrationInstanceFailed)
    assert message.event.failure is not None
    assert message.event.failure.is_non_retriable


def test_a_patch_marker_is_complete_without_a_worker():
    decided = decide(ScheduleTask(1, f"{PATCH_MARKER}fix"))
    assert decided.tasks == ()
    scheduled = decided.history[-1]
    [message] = decided.messages
    assert (message.event, message.key) == (TaskCompleted(-1, NOW, 1), scheduled.key)
