"""Instance rows, tasks and open work."""

import pytest

from durable_app.protocol import (
    CompletionToken,
    EventRaised,
    FailureDetails,
    OrchestrationStatus,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durable_app.taskhub.instance import OpenChild, OpenWork
from tests.unit.taskhub.builders import EXECUTION, NOW, a_parent, a_row, a_task, later

SCHEDULES = (
    TaskScheduled(1, NOW, "charge", key=11),
    TimerCreated(2, NOW, later(60), key=12),
    SubOrchestrationInstanceCreated(3, NOW, "child-1", "child", key=13),
)
FAILURE = FailureDetails("ValueError", "no")


def test_state_shows_the_row_to_clients():
    row = a_row(output='"out"', parent=a_parent(), tags={"team": "a"}, failure=FAILURE)
    state = row.state(fetch_payloads=True)
    assert (state.instance_id, state.execution_id, state.name) == ("order-1", EXECUTION, "order")
    assert (state.input, state.output, state.parent_instance_id) == ('"in"', '"out"', "parent-1")
    assert (state.tags, state.failure, state.last_updated_at) == ({"team": "a"}, FAILURE, NOW)


def test_state_holds_payloads_back_unless_asked_for():
    state = a_row(output='"out"', custom_status='"here"').state(fetch_payloads=False)
    assert (state.input, state.output, state.custom_status) == (None, None, '"here"')
    assert state.parent_instance_id is None


@pytest.mark.parametrize("status", OrchestrationStatus)
def test_terminal_statuses(status):
    ended = {"COMPLETED", "FAILED", "CANCELED", "TERMINATED"}
    assert a_row(status=status).is_terminal is (status.name in ended)


def test_reference_names_the_execution():
    reference = a_row().as_reference
    assert (reference.instance_id, reference.execution_id) == ("order-1", EXECUTION)


def test_request_counts_the_attempt_that_it_is():
    token = CompletionToken("t:10", 4)
    request = a_task(attempts=2, tags={"k": "v"}).request(token)
    assert (request.name, request.input, request.task_id) == ("charge", '"in"', 1)
    assert (request.attempt, request.token, request.tags) == (3, token, {"k": "v"})


def test_open_work_is_what_the_history_leaves_open():
    work = OpenWork.of(SCHEDULES)
    assert (work.tasks, work.timers) == ({1: 11}, {2: 12})
    assert work.children == {3: OpenChild(13, "child-1")}
    assert len(work) == 3


@pytest.mark.parametrize(
    "resolution",
    [
        TaskCompleted(-1, NOW, 1),
        TaskFailed(-1, NOW, 1, FAILURE),
        TimerFired(-1, NOW, 2),
        SubOrchestrationInstanceCompleted(-1, NOW, 3),
        SubOrchestrationInstanceFailed(-1, NOW, 3, FAILURE),
    ],
)
def test_a_resolution_closes_its_schedule(resolution):
    work = OpenWork.of((*SCHEDULES, resolution))
    assert len(work) == 2
    # A second one finds nothing to close.
    work.apply(resolution)
    assert len(work) == 2


def test_events_that_schedule_nothing_leave_open_work_alone():
    work = OpenWork.of((*SCHEDULES, EventRaised(-1, NOW, "go")))
    assert len(work) == 3


def test_an_id_used_again_is_another_schedule():
    # One SDK gives all attempts of a retry the same event id.
    again = TaskScheduled(1, NOW, "charge", key=21)
    work = OpenWork.of((*SCHEDULES, TaskFailed(-1, NOW, 1, FAILURE), again))
    assert not work.accepts(TaskCompleted(-1, NOW, 1), 11)
    assert work.accepts(TaskCompleted(-1, NOW, 1), 21)


@pytest.mark.parametrize(
    ("event", "key", "accepted"),
    [
        (TaskCompleted(-1, NOW, 1), 11, True),
        (TaskFailed(-1, NOW, 1), 11, True),
        (TaskCompleted(-1, NOW, 1), 12, False),
        (TaskCompleted(-1, NOW, 2), 12, False),
        (TimerFired(-1, NOW, 2), 12, True),
        (TimerFired(-1, NOW, 1), 11, False),
        (SubOrchestrationInstanceCompleted(-1, NOW, 3), 13, True),
        (SubOrchestrationInstanceFailed(-1, NOW, 3), 13, True),
        (SubOrchestrationInstanceCompleted(-1, NOW, 3), 11, False),
        (SubOrchestrationInstanceFailed(-1, NOW, 9), 13, False),
        (EventRaised(-1, NOW, "go"), 0, True),
    ],
)
def test_accepts_only_what_resolves_an_open_schedule(event, key, accepted):
    assert OpenWork.of(SCHEDULES).accepts(event, key) is accepted


def test_clear_forgets_everything():
    work = OpenWork.of(SCHEDULES)
    work.clear()
    assert len(work) == 0
