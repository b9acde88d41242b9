"""The stored form of a schedule, which dashboards of others read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import durable_app as df
from durable_app.schedules.state import Configuration, ScheduleState

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def full() -> ScheduleState:
    return ScheduleState(
        Configuration(
            "s",
            "job",
            timedelta(days=1, seconds=1.5),
            '{"a":1}',
            "only",
            NOON,
            NOON,
            start_immediately_if_late=True,
        ),
        NOON,
        NOON,
        df.ScheduleStatus.PAUSED,
        "token",
        NOON,
        NOON,
        "run",
        "waits",
        NOON,
        "watcher",
    )


def test_the_form_of_other_sdks() -> None:
    moment = "2026-05-04T12:00:00+00:00"
    assert full().to_json() == {
        "Status": 2,
        "ExecutionToken": "token",
        "LastRunAt": moment,
        "NextRunAt": moment,
        "ScheduleCreatedAt": moment,
        "ScheduleLastModifiedAt": moment,
        "ScheduleConfiguration": {
            "ScheduleId": "s",
            "OrchestrationName": "job",
            "Interval": "1.00:00:01.5000000",
            "OrchestrationInput": '{"a":1}',
            "OrchestrationInstanceId": "only",
            "StartAt": moment,
            "EndAt": moment,
            "StartImmediatelyIfLate": True,
            "Cron": None,
            "TimeZone": None,
            "Overlap": "Allow",
        },
        "RunningInstanceId": "run",
        "BufferedInstanceId": "waits",
        "LastTriggeredAt": moment,
        "WatcherInstanceId": "watcher",
    }


def test_it_survives_being_stored() -> None:
    assert ScheduleState.from_json(full().to_json()) == full()


def test_an_expression_is_stored_with_the_time_between_its_runs() -> None:
    for cron, interval in (
        ("0 9 * * MON", "7.00:00:00"),
        ("0 0 30 2 *", "1.00:00:00"),
    ):
        told = Configuration("s", "job", cron=cron, overlap=df.OverlapPolicy.BUFFER_ONE)
        stored = told.to_json(NOON)
        assert stored["Interval"] == interval
        assert Configuration.from_json(stored) == told


def test_what_other_sdks_have_stored_is_read() -> None:
    stored = {
        "Status": 1,
        "ExecutionToken": "token",
        "NextRunAt": "2026-05-04T14:00:00.1234567+02:00",
        "ScheduleCreatedAt": "2026-05-04T12:00:00Z",
        "ScheduleLastModifiedAt": "2026-05-04T12:00:00",
        "ScheduleConfiguration": {
            "ScheduleId": "s",
            "OrchestrationName": "job",
            "Interval": "00:00:05",
        },
    }
    state = ScheduleState.from_json(stored)
    assert state is not None
    assert state.next_run_at == NOON.replace(microsecond=123456)
    assert (state.created_at, state.modified_at) == (NOON, NOON)
    assert state.configuration == Configuration("s", "job", timedelta(seconds=5))


def test_what_is_no_schedule_yet() -> None:
    assert ScheduleState.from_json(None) is None
    assert ScheduleState.from_json({"Status": 0, "ScheduleConfiguration": {}}) is None
    assert ScheduleState.from_json({"Status": 1, "ScheduleConfiguration": None}) is None


def test_a_description_has_the_input_itself() -> None:
    described = full().description()
    assert described.orchestration_input == {"a": 1}
    assert (described.status, described.interval) == (
        df.ScheduleStatus.PAUSED,
        timedelta(days=1, seconds=1.5),
    )
    assert (described.running_instance_id, described.buffered_instance_id) == ("run", "waits")
    assert (described.created_at, described.last_modified_at) == (NOON, NOON)


def test_a_schedule_of_unknown_age() -> None:
    stored = full().to_json() | {"ScheduleCreatedAt": None, "ScheduleLastModifiedAt": None}
    state = ScheduleState.from_json(stored)
    assert state is not None
    assert state.created_at == state.modified_at == datetime.min.replace(tzinfo=UTC)
