"""Scheduled tasks of the official SDK for Python, on our hub and beside our own."""

from __future__ import annotations

import json
from datetime import timedelta

from durabletask.client import OrchestrationQuery
from durabletask.entities import EntityInstanceId
from durabletask.scheduled import (
    ScheduleCreationOptions,
    ScheduledTaskClient,
    ScheduleStatus,
    ScheduleUpdateOptions,
    models,
)

from durable_app.clock import SystemClock
from durable_app.schedules.state import Configuration, ScheduleState

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def report(context, value):
    return value


def created(hub, interval=HOUR, **more):
    options = ScheduleCreationOptions("nightly", "report", interval, **more)
    return ScheduledTaskClient(hub.client).create_schedule(options)


def test_a_schedule_runs_its_orchestration_again_and_again(hub):
    hub.work(report, has_schedules=True)
    schedule = created(hub, SECOND, orchestration_input={"a": 1}, start_immediately_if_late=True)

    def runs():
        query = OrchestrationQuery(instance_id_prefix="nightly-", fetch_inputs_and_outputs=True)
        return hub.client.get_all_orchestration_states(query)

    hub.until(lambda: len(runs()) >= 2)
    first, second = sorted(run.created_at for run in runs())[:2]
    assert 0.3 < (second - first).total_seconds() < 1.9
    schedule.pause()
    assert {run.get_input(dict)["a"] for run in runs()} == {1}


def test_a_schedule_is_paused_changed_resumed_and_deleted(hub):
    hub.work(report, has_schedules=True)
    schedule = created(hub)
    assert schedule.describe().status is ScheduleStatus.ACTIVE

    schedule.pause()
    assert schedule.describe().status is ScheduleStatus.PAUSED
    schedule.update(ScheduleUpdateOptions(interval=2 * HOUR))
    schedule.resume()
    assert (schedule.describe().status, schedule.describe().interval) == (
        ScheduleStatus.ACTIVE,
        2 * HOUR,
    )
    schedules = ScheduledTaskClient(hub.client)
    assert [each.schedule_id for each in schedules.list_schedules()] == ["nightly"]
    schedule.delete()
    assert schedules.get_schedule("nightly") is None


def test_its_state_can_be_read_as_one_of_ours(hub):
    hub.work(report, has_schedules=True)
    start = hub.now() + HOUR
    told = created(hub, orchestration_input={"a": 1}, start_at=start).describe()
    found = hub.client.get_entity(EntityInstanceId("schedule", "nightly"))
    assert found is not None

    ours = ScheduleState.from_json(json.loads(found._state))
    assert ours is not None
    assert ours.configuration == Configuration(
        "nightly", "report", HOUR, '{"a": 1}', start_at=start
    )
    assert (ours.status.name, ours.token) == (told.status.name, told.execution_token)


def test_the_state_of_ours_can_be_read_by_the_sdk():
    now = SystemClock().now()
    ours = ScheduleState(
        Configuration("nightly", "report", HOUR, '{"a": 1}', start_at=now, end_at=now + HOUR),
        created_at=now,
        modified_at=now,
        token="t",
        next_run_at=now + HOUR,
    )

    theirs = models.ScheduleState.from_json(ours.to_json()).to_description()
    assert (theirs.schedule_id, theirs.orchestration_name, theirs.interval) == (
        "nightly",
        "report",
        HOUR,
    )
    assert theirs.orchestration_input == {"a": 1}
    assert (theirs.start_at, theirs.end_at, theirs.next_run_at) == (now, now + HOUR, now + HOUR)
    assert (theirs.status, theirs.execution_token) == (ScheduleStatus.ACTIVE, "t")
