"""A failed instance goes on from the point of its failure."""

from typing import Any

import msgspec
import pytest

from durable_app.protocol import (
    CompleteOrchestration,
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EventRaised,
    ExecutionRewound,
    ExecutionStarted,
    FailureDetails,
    OrchestrationStatus,
    OrchestratorStarted,
    RewindOrchestration,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durable_app.taskhub.delivery import Turn, is_ready, sort_inbox
from durable_app.taskhub.instance import Known, OpenWork, RowChange
from durable_app.taskhub.lifecycle import control, give_up
from durable_app.taskhub.orchestration import complete
from durable_app.taskhub.rewind import reborn
from tests.unit.taskhub.builders import (
    NOW,
    OLD_EXECUTION,
    PARENT_EXECUTION,
    CountingIds,
    a_failed_row,
    a_message,
    a_parent,
    a_pending_row,
    a_response,
    a_row,
    a_start,
    a_turn,
    known,
    later,
)

FAILURE = FailureDetails("ValueError", "no")
STARTED = ExecutionStarted(0, NOW, "order")
ASKED_BY_PARENT = ExecutionRewound(
    -1, NOW, "again", name="order", version="2", input='"in"', parent=a_parent(key=99)
)


def rewind(*history, row=None, turn=None, now=NOW) -> tuple[Known, Any]:
    knows = known(row or a_failed_row())
    turn = turn or a_turn(a_message(ExecutionRewound(-1, NOW)))
    response = a_response(RewindOrchestration(1, (STARTED, *history)))
    return knows, complete(knows, turn, response, now, CountingIds())


# -- a worker's answer ----------------------------------------------------------------------------


def test_it_runs_again_with_the_history_as_it_should_have_been():
    done = TaskCompleted(-1, NOW, 1, '"1"')
    row = a_failed_row(failure=FAILURE, output='"x"', attempts=2)
    _, decision = rewind(TaskScheduled(1, NOW, "a", key=11), done, row=row)
    new = decision.instance
    assert decision.replaces_history
    assert decision.change is RowChange.REPLACE
    assert decision.history == (STARTED, TaskScheduled(1, NOW, "a", key=11), done)
    assert (new.status, new.history_count) == (OrchestrationStatus.RUNNING, 3)
    assert (new.failure, new.output, new.completed_at) == (None, None, None)
    assert (new.attempts, new.execution_id) == (0, row.execution_id)


def test_only_what_is_open_runs_again_with_a_new_key():
    knows, decision = rewind(
        TaskScheduled(1, NOW, "done", key=11),
        TaskCompleted(-1, NOW, 1),
        TaskScheduled(2, NOW, "failed", "7", '"in"', key=12),
    )
    [task] = decision.tasks
    assert (task.name, task.version, task.input, task.task_id) == ("failed", "7", '"in"', 2)
    assert task.key != 12
    assert decision.history[-1].key == task.key
    assert knows.work.tasks == {2: task.key}


def test_an_entity_is_called_again_where_its_answer_is_missing():
    answered = EntityOperationCalled(1, NOW, "r1", "get", target_instance_id="@counter@a")
    asked = EntityOperationCalled(2, NOW, "r2", "get", target_instance_id="@counter@b")
    knows, decision = rewind(answered, EntityOperationCompleted(-1, NOW, "r1", "1"), asked)
    [call] = [message for message in decision.messages if message.event == asked]
    assert (call.instance_id, call.execution_id) == ("@counter@b", None)
    assert [birth.instance_id for birth in decision.births] == ["@counter@b"]
    assert decision.history[-1] == asked
    assert knows.work.calls == {"r2": 2}


def test_within_a_critical_section_it_stays_failed():
    lock = EntityLockRequested(1, NOW, "s1", ("@counter@a",))
    row = a_failed_row(failure=FAILURE)
    _, decision = rewind(lock, EntityLockGranted(-1, NOW, "s1"), row=row)
    assert decision.instance == msgspec.structs.replace(row, revision=2)
    assert (decision.history, decision.messages) == ((), ())


@pytest.mark.parametrize("keys", [(11, 12), (0, 0)], ids=["known keys", "keys lost on the wire"])
def test_of_an_id_that_was_used_again_only_the_last_schedule_is_open(keys):
    knows, decision = rewind(
        TaskScheduled(1, NOW, "first", key=keys[0]),
        TaskFailed(-1, NOW, 1, FAILURE),
        TaskScheduled(1, NOW, "second", key=keys[1]),
    )
    assert [task.name for task in decision.tasks] == ["second"]
    assert knows.work.tasks == {1: decision.tasks[0].key}


@pytest.mark.parametrize(("fire_at", "visible"), [(later(60), later(60)), (later(-60), NOW)])
def test_an_open_timer_keeps_its_time(fire_at, visible):
    knows, decision = rewind(TimerCreated(2, NOW, fire_at, key=12))
    timer = decision.messages[0]
    assert timer.event == TimerFired(-1, fire_at, 2, fire_at)
    assert timer.visible_at == visible
    assert knows.work.timers == {2: timer.key}


def test_a_failed_child_is_rewound_in_its_turn():
    created = SubOrchestrationInstanceCreated(3, NOW, "child-1", "child", "2", '"in"', key=13)
    knows, decision = rewind(created)
    message = decision.messages[0]
    event: Any = message.event
    assert (type(event), message.instance_id) == (ExecutionRewound, "child-1")
    assert (event.name, event.version, event.input) == ("child", "2", '"in"')
    assert (event.parent.instance, event.parent.task_scheduled_id) == (
        a_row().as_reference,
        3,
    )
    assert knows.work.children[3].key == event.parent.key != 13


def test_a_wake_up_makes_the_code_go_on_where_nothing_runs_again():
    knows, decision = rewind()
    [wake] = decision.messages
    heaps = sort_inbox(decision.instance, knows.work, [wake])
    assert wake.event == OrchestratorStarted(-1, NOW)
    assert is_ready(decision.instance, heaps.events)


def test_it_is_not_older_than_its_turn():
    _, decision = rewind(now=later(-60))
    assert decision.instance.updated_at == NOW


def test_rewound_by_its_parent_it_answers_to_the_new_key():
    turn = a_turn(a_message(ASKED_BY_PARENT))
    _, decision = rewind(row=a_failed_row(parent=a_parent(key=77)), turn=turn)
    assert decision.instance.parent.key == 99
    assert decision.consumed == turn.messages


def test_rewound_by_a_client_it_keeps_its_parent():
    _, decision = rewind(row=a_failed_row(parent=a_parent(key=77)))
    assert decision.instance.parent.key == 77


def test_one_that_was_given_up_before_its_first_turn_can_start_after_a_rewind():
    row, start = a_pending_row(), a_start()
    ended: Any = give_up(known(row, start), "its process died", NOW, CountingIds())
    history = ended.history[:-1]
    knows = known(ended.instance)
    turn = a_turn(a_message(ExecutionRewound(-1, NOW)), row=ended.instance)
    response = a_response(RewindOrchestration(1, history))
    decision: Any = complete(knows, turn, response, NOW, CountingIds())
    heaps = sort_inbox(decision.instance, knows.work, decision.messages)
    assert start.event in decision.history
    assert is_ready(decision.instance, heaps.events)


# -- a worker that cannot -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "actions", [(), (CompleteOrchestration(1, OrchestrationStatus.FAILED, None, FAILURE),)]
)
def test_without_a_new_history_it_stays_failed(actions):
    row = a_failed_row(failure=FAILURE)
    turn = a_turn(a_message(ExecutionRewound(-1, NOW)))
    decision: Any = complete(known(row), turn, a_response(*actions), NOW, CountingIds())
    assert decision.instance == msgspec.structs.replace(row, revision=2)
    assert decision.history == ()
    assert decision.consumed == turn.messages
    assert decision.messages == ()


def test_a_child_that_cannot_be_rewound_tells_its_parent_again():
    row = a_failed_row(failure=FAILURE, parent=a_parent(key=77))
    turn = a_turn(a_message(ASKED_BY_PARENT))
    decision: Any = complete(known(row), turn, a_response(), NOW, CountingIds())
    [message] = decision.messages
    assert message.event == SubOrchestrationInstanceFailed(-1, NOW, 3, FAILURE)
    assert message.key == 99
    assert decision.instance.parent.key == 99


def test_a_rewind_whose_turns_are_lost_is_given_up():
    rewound = a_message(ASKED_BY_PARENT)
    other = a_message(EventRaised(-1, NOW, "go"))
    row = a_failed_row(failure=FAILURE, parent=a_parent(), attempts=9, not_before=NOW)
    decision: Any = give_up(known(row, rewound, other), "no answer", NOW, CountingIds())
    assert decision.consumed == (rewound.id,)
    assert (decision.instance.attempts, decision.instance.not_before) == (0, None)
    assert [m.key for m in decision.messages] == [99]
    assert decision.history == ()


# -- the request ----------------------------------------------------------------------------------


def ask(row, event) -> tuple[Any, Any]:
    message = a_message(event)
    return message, control(known(row, message), message, NOW, CountingIds())


@pytest.mark.parametrize("event", [ExecutionRewound(-1, NOW, "again"), ASKED_BY_PARENT])
def test_a_failed_one_gets_a_turn(event):
    message, turn = ask(a_failed_row(parent=a_parent()), event)
    assert isinstance(turn, Turn)
    assert turn.events == (OrchestratorStarted(-1, NOW), event)
    assert turn.messages == (message.id,)


def test_a_client_cannot_rewind_what_went_on_meanwhile():
    message, decision = ask(a_row(), ExecutionRewound(-1, NOW))
    assert decision.instance is None
    assert decision.consumed == (message.id,)


def test_a_child_that_runs_is_adopted():
    message, decision = ask(a_row(parent=a_parent(key=77)), ASKED_BY_PARENT)
    assert decision.instance.parent.key == 99
    assert (decision.messages, decision.consumed) == ((), (message.id,))


def test_a_child_that_completed_meanwhile_tells_its_parent_again():
    row = a_row(status=OrchestrationStatus.COMPLETED, output='"out"', parent=a_parent(key=77))
    _, decision = ask(row, ASKED_BY_PARENT)
    [told] = decision.messages
    assert told.event == SubOrchestrationInstanceCompleted(-1, NOW, 3, '"out"')
    assert told.key == 99


STRANGERS = [
    None,
    a_parent(task_scheduled_id=4),
    a_parent(instance=a_row().as_reference),
    a_parent(instance=msgspec.structs.replace(a_parent().instance, execution_id=OLD_EXECUTION)),
]


@pytest.mark.parametrize("parent", STRANGERS)
def test_a_running_stranger_is_not_adopted(parent):
    message, decision = ask(a_row(parent=parent), ASKED_BY_PARENT)
    [told] = decision.messages
    assert decision.instance is None
    assert decision.consumed == (message.id,)
    failure = told.event.failure
    assert type(told.event) is SubOrchestrationInstanceFailed
    assert failure.error_type == "InstanceExistsError"
    assert (told.instance_id, told.execution_id, told.key) == ("parent-1", PARENT_EXECUTION, 99)


@pytest.mark.parametrize("parent", STRANGERS)
def test_a_stranger_that_has_ended_is_replaced(parent):
    message, decision = ask(a_failed_row(parent=parent), ASKED_BY_PARENT)
    assert decision.change is RowChange.REPLACE
    assert decision.replaces_history
    assert decision.instance.status is OrchestrationStatus.PENDING
    assert decision.instance.parent == a_parent(key=99)
    assert message.id in decision.consumed
    assert [type(m.event) for m in decision.messages] == [ExecutionStarted]


def test_a_stranger_stays_where_the_request_does_not_say_what_to_start():
    event = msgspec.structs.replace(ASKED_BY_PARENT, name=None)
    _, decision = ask(a_failed_row(), event)
    assert decision.instance is None
    assert isinstance(decision.messages[0].event, SubOrchestrationInstanceFailed)


def test_a_child_that_was_purged_is_born_anew():
    _, decision = rewind(
        SubOrchestrationInstanceCreated(1, NOW, "child-1", "order", "2", '"in"', key=11)
    )
    (birth,) = decision.births
    assert (birth.instance_id, birth.name, birth.version, birth.input) == (
        "child-1",
        "order",
        "2",
        '"in"',
    )
    (asked,) = [m for m in decision.messages if isinstance(m.event, ExecutionRewound)]
    assert birth.parent == asked.event.parent
    message, born = ask(birth, asked.event)
    assert born.consumed == (message.id,)
    assert [type(m.event) for m in born.messages] == [ExecutionStarted]
    assert born.messages[0].execution_id == birth.execution_id


@pytest.mark.parametrize("lost", ["parent", "name"])
def test_without_a_parent_or_a_name_nothing_is_born(lost):
    event = msgspec.structs.replace(ASKED_BY_PARENT, **{lost: None})
    assert reborn(event, "child-1", NOW, CountingIds()) is None


def test_open_work_follows_the_new_history():
    knows, decision = rewind(TaskScheduled(1, NOW, "a", key=11))
    assert isinstance(knows, Known)
    assert knows.work.tasks == OpenWork.of(decision.history).tasks
