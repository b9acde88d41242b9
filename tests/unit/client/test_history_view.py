"""History as the status API shows it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from durable_app.client.history_view import Shown, project, project_text
from durable_app.protocol import (
    ContinueAsNew,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    FailureDetails,
    GenericEvent,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorStarted,
    SubOrchestrationInstanceCreated,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)

T0 = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return T0 + timedelta(seconds=seconds)


HISTORY: list[HistoryEvent] = [
    OrchestratorStarted(timestamp=T0),
    ExecutionStarted(timestamp=T0, name="chain", input="1"),
    TaskScheduled(1, T0, name="a", input="2"),
    TaskScheduled(2, T0, name="b", input="3"),
    SubOrchestrationInstanceCreated(3, T0, instance_id="c", name="child", input="4"),
    TimerCreated(4, T0, fire_at=at(9)),
    TaskCompleted(timestamp=at(1), task_scheduled_id=1, result='{"x": 1}'),
    SubOrchestrationInstanceFailed(
        timestamp=at(2),
        task_scheduled_id=3,
        failure=FailureDetails("E", "bad", "trace", FailureDetails("F", "deep")),
    ),
    EventRaised(timestamp=at(3), name="go", input="5"),
    ExecutionSuspended(timestamp=at(4), input="pause"),
    TimerFired(timestamp=at(9), timer_id=4, fire_at=at(9)),
    ExecutionCompleted(5, at(9), status=OrchestrationStatus.COMPLETED, result="[1]"),
]


def test_a_finished_task_is_one_entry_and_an_open_one_stays():
    types = [entry["EventType"] for entry in project(HISTORY)]
    assert types == [
        "ExecutionStarted",
        "TaskScheduled",
        "TimerCreated",
        "TaskCompleted",
        "SubOrchestrationInstanceFailed",
        "EventRaised",
        "ExecutionSuspended",
        "TimerFired",
        "ExecutionCompleted",
    ]


def test_a_resolution_knows_what_was_scheduled():
    done = project(HISTORY)[3]
    assert done == {
        "EventType": "TaskCompleted",
        "Timestamp": "2026-01-02T03:04:06.000000Z",
        "ScheduledTime": "2026-01-02T03:04:05.000000Z",
        "FunctionName": "a",
    }


def test_payloads_show_only_when_asked_for():
    shown = project(HISTORY, Shown(True, True))
    assert shown[0]["Input"] == "1"
    assert shown[1] | {"Timestamp": ""} == {
        "EventType": "TaskScheduled",
        "Timestamp": "",
        "Name": "b",
        "Input": "3",
    }
    assert (shown[3]["Input"], shown[3]["Result"]) == ("2", {"x": 1})
    assert shown[8]["Result"] == [1]
    assert all("Result" not in entry for entry in project(HISTORY))


def test_the_text_is_the_same():
    for shown in (True, False):
        text = project_text(HISTORY, Shown(shown, shown))
        assert json.loads(text) == project(HISTORY, Shown(shown, shown))
    assert project_text([]) == "[]"


def test_the_text_shows_results_that_are_too_deep_to_be_read():
    deep = "[" * 5_000 + "]" * 5_000
    text = project_text([TaskCompleted(timestamp=T0, result=deep)], Shown(output=True))
    assert text.endswith(f'"Result":{deep}}}]')


def test_attempts_that_share_an_id_are_told_apart():
    history: list[HistoryEvent] = [
        TaskScheduled(1, at(0), name="a", input="1"),
        TaskFailed(timestamp=at(1), task_scheduled_id=1),
        TaskScheduled(1, at(2), name="a", input="2"),
        TaskCompleted(timestamp=at(3), task_scheduled_id=1),
        TaskScheduled(1, at(4), name="a", input="3"),
    ]
    entries = project(history, Shown(input=True))
    assert [(e["EventType"], e["Input"]) for e in entries] == [
        ("TaskFailed", "1"),
        ("TaskCompleted", "2"),
        ("TaskScheduled", "3"),
    ]
    assert entries[1]["ScheduledTime"] == "2026-01-02T03:04:07.000000Z"


def test_the_start_of_an_instance():
    start = ExecutionStarted(timestamp=T0, name="chain", version="1", tags={"a": "b"})
    assert project([start]) == [
        {
            "EventType": "ExecutionStarted",
            "Timestamp": "2026-01-02T03:04:05.000000Z",
            "FunctionName": "chain",
            "Correlation": None,
            "ScheduledStartTime": None,
        }
    ]
    later = project([ExecutionStarted(timestamp=T0, name="chain", scheduled_start=at(60))])
    assert later[0]["ScheduledStartTime"] == "2026-01-02T03:05:05.000000Z"


def test_a_failure_shows_its_causes():
    failed = project(HISTORY)[4]
    assert (failed["Reason"], failed["Details"]) == ("bad", "trace")
    assert failed["FailureDetails"]["InnerFailure"]["ErrorMessage"] == "deep"
    bare = project([SubOrchestrationInstanceFailed(task_scheduled_id=9)])
    assert bare[0]["Reason"] is None
    assert "FunctionName" not in bare[0]


def test_other_events_keep_what_matters():
    entries = project(HISTORY)
    assert entries[2]["FireAt"] == "2026-01-02T03:04:14.000000Z"
    assert (entries[5]["Name"], entries[5]["Input"]) == ("go", "5")
    assert entries[6]["Reason"] == "pause"
    assert entries[8]["OrchestrationStatus"] == "Completed"


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (ExecutionTerminated(timestamp=T0, input='"enough"'), {"Input": '"enough"'}),
        (ContinueAsNew(timestamp=T0, input="2"), {"Input": "2"}),
        (EventSent(1, T0, "other", "go", "5"), {"InstanceId": "other", "Name": "go", "Input": "5"}),
        (GenericEvent(timestamp=T0, data="note"), {"Data": "note"}),
        (
            SubOrchestrationInstanceCreated(3, T0, "c", "child", input="4"),
            {"Name": "child", "InstanceId": "c", "Input": "4"},
        ),
        (
            ExecutionCompleted(
                1, T0, OrchestrationStatus.FAILED, failure=FailureDetails("ValueError", "boom")
            ),
            {
                "OrchestrationStatus": "Failed",
                "FailureDetails": {
                    "ErrorType": "ValueError",
                    "ErrorMessage": "boom",
                    "StackTrace": None,
                    "InnerFailure": None,
                    "IsNonRetriable": False,
                },
                "Result": None,
            },
        ),
    ],
)
def test_each_kind_of_event_has_its_fields(event, fields):
    head = {"EventType": type(event).__name__, "Timestamp": "2026-01-02T03:04:05.000000Z"}
    assert project([event], Shown(True, True)) == [{**head, **fields}]


def test_inputs_of_tasks_can_be_left_out_alone():
    entries = project(HISTORY, Shown(input=True, task_input=False))
    with_input = [entry["EventType"] for entry in entries if "Input" in entry]
    assert "ExecutionStarted" in with_input
    assert not {"TaskScheduled", "TaskCompleted", "SubOrchestrationInstanceCompleted"} & set(
        with_input
    )
