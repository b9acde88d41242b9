"""What can be said of a schedule, and what cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

import durable_app as df

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"schedule_id": ""}, "schedule_id must be a text"),
        ({"schedule_id": 5}, "schedule_id must be a text"),
        ({"schedule_id": "x" * 191}, "at most 190 characters"),
        ({"schedule_id": "a/b"}, "has no /"),
        ({"schedule_id": "a\nb"}, "has no /"),
        ({"schedule_id": "@a"}, "no @ in front"),
        ({"orchestration_name": ""}, "orchestration_name must not be empty"),
        ({"interval": None}, "either interval or cron"),
        ({"cron": "* * * * *"}, "either interval or cron"),
        ({"interval": timedelta(milliseconds=999)}, "at least 1 second"),
        ({"interval": -HOUR}, "at least 1 second"),
        ({"time_zone": "Europe/Berlin"}, "time_zone belongs to cron"),
        ({"interval": None, "cron": "61 * * * *"}, "the minute field '61' is invalid"),
        ({"interval": None, "cron": "* * * * *", "time_zone": "Mars"}, "which is no time zone"),
        ({"start_at": NOON, "end_at": NOON - HOUR}, "end_at must not be before start_at"),
        ({"interval": 60}, "interval is a timedelta, not 60"),
        ({"interval": None, "cron": 5}, "cron is a text, not 5"),
        ({"start_at": "2026-05-04"}, "start_at is a datetime, not '2026-05-04'"),
        ({"interval": None, "cron": "* * * * *", "time_zone": UTC}, "is the name of a time zone"),
        ({"overlap": "skip"}, "overlap is an OverlapPolicy, not 'skip'"),
        ({"overlap": 5}, "overlap is an OverlapPolicy, not 5"),
    ],
)
def test_options_that_make_no_sense(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(df.ScheduleClientValidationError, match=reason) as raised:
        df.ScheduleCreationOptions(
            **{"schedule_id": "s", "orchestration_name": "job", "interval": HOUR, **given}
        )
    assert isinstance(raised.value, ValueError)


def test_the_positions_of_durabletask() -> None:
    given = df.ScheduleCreationOptions("s", "job", HOUR, 5, "id", NOON, NOON + HOUR, True)
    assert given.start_immediately_if_late
    assert (given.orchestration_input, given.orchestration_instance_id) == (5, "id")


def test_naive_times_are_utc() -> None:
    naive = NOON.replace(tzinfo=None)
    there = NOON.astimezone(timezone(HOUR))
    given = df.ScheduleCreationOptions("s", "job", HOUR, start_at=naive, end_at=there)
    assert (given.start_at, given.end_at) == (NOON, NOON)
    query = df.ScheduleQuery(created_from=naive)
    assert (query.created_from, query.created_to) == (NOON, None)


def test_a_policy_may_be_given_as_its_text() -> None:
    given = df.ScheduleCreationOptions("s", "job", HOUR, overlap="Skip")  # type: ignore[arg-type]  # as JSON has it
    assert given.overlap is df.OverlapPolicy.SKIP


def test_updates_are_checked_as_far_as_they_go() -> None:
    with pytest.raises(df.ScheduleClientValidationError, match="interval is a timedelta, not 5"):
        df.ScheduleUpdateOptions(interval=5)  # type: ignore[arg-type]  # refused
    df.ScheduleUpdateOptions(time_zone="Europe/Berlin")
    with pytest.raises(df.ScheduleClientValidationError, match="either interval or cron"):
        df.ScheduleUpdateOptions(interval=HOUR, cron="* * * * *")
    with pytest.raises(df.ScheduleClientValidationError, match="before start_at"):
        df.ScheduleUpdateOptions(start_at=NOON, end_at=NOON - HOUR)
