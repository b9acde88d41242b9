from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest

from durable_app.errors import ConfigError
from durable_app.host.triggers.schedule import (
    Fire,
    Never,
    ScheduleStatus,
    WaitUntil,
    after_run,
    following_clock,
    occurrences_text,
    opening,
    parse_schedule,
    plan,
    round_trip_text,
    status_from_text,
    zone_of,
)

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("00:05:00", 300, "00:05:00"),
        ("00:05", 300, "00:05:00"),
        ("1.02:00:00", 26 * 3600, "1.02:00:00"),
        ("00:00:01.5", 1.5, "00:00:01.5000000"),
        ("24:00:00", 24 * 86400, "24.00:00:00"),
        ("23:59:59", 86399, "23:59:59"),
    ],
)
def test_intervals(text: str, seconds: float, shown: str) -> None:
    schedule = parse_schedule(text)
    assert schedule.next_after(NOON) == NOON + timedelta(seconds=seconds)
    assert schedule.description == f"Constant: {shown}"
    assert not schedule.adjust_for_dst
    assert schedule.is_frequent == (seconds < 60)


def test_an_interval_beyond_the_calendar_never_ends() -> None:
    assert parse_schedule("9999999.00:00:00").next_after(NOON) is None


@pytest.mark.parametrize("text", ["00:00:00", "00:60:00", "1.24:00:00", "99:99", "00:05:00 x", ""])
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ConfigError, match="of function 'tick' is not valid"):
        parse_schedule(text, function="tick")


@pytest.mark.parametrize(
    ("text", "is_frequent"),
    [("0 * * * * *", False), ("*/30 * * * * *", True), ("0,30 0 0 1 1 *", True)],
)
def test_frequent_expressions(text: str, *, is_frequent: bool) -> None:
    schedule = parse_schedule(text)
    assert (schedule.is_frequent, schedule.adjust_for_dst) == (is_frequent, True)


def test_zone_of_the_settings() -> None:
    assert zone_of({}) is UTC
    assert zone_of({"WEBSITE_TIME_ZONE": "utc"}) is UTC
    assert zone_of({"WEBSITE_TIME_ZONE": " Europe/Berlin "}) is BERLIN


@pytest.mark.parametrize("name", ["Europe/Berlim", "../../etc/passwd", "W. Europe Standard Time"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="which is no time zone"):
        zone_of({"WEBSITE_TIME_ZONE": name})


def test_a_machine_without_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(ConfigError, match="pip install tzdata"):
        zone_of({"WEBSITE_TIME_ZONE": "Mars/Olympus"})


def test_occurrences_are_announced_in_local_time_and_utc() -> None:
    text = occurrences_text("tick", parse_schedule("0 0 9 * * *", BERLIN), NOON)
    assert text.splitlines()[:2] == [
        "The next 5 occurrences of the 'tick' schedule (Cron: '0 0 9 * * *') will be:",
        "05/05/2026 09:00:00+02:00 (05/05/2026 07:00:00Z)",
    ]
    assert len(text.splitlines()) == 6


def test_moments_have_seven_digits() -> None:
    moment = NOON.replace(microsecond=123456)
    schedule = parse_schedule("0 0 9 * * *", BERLIN)
    assert round_trip_text(moment, schedule) == "2026-05-04T14:00:00.1234560+02:00"


HOURLY = parse_schedule("0 0 * * * *")


def at(hour: int, minute: int = 0) -> datetime:
    return NOON.replace(hour=hour, minute=minute)


def test_a_status_survives_its_text() -> None:
    for status in (ScheduleStatus(None, at(13), NOON), ScheduleStatus(NOON, None, NOON)):
        assert status_from_text(status.to_text()) == status


def test_a_status_as_a_function_sees_it() -> None:
    shown = ScheduleStatus(None, None, NOON).shown(HOURLY)
    assert shown == {
        "Last": "0001-01-01T00:00:00",
        "Next": "9999-12-31T23:59:59.9999999",
        "LastUpdated": "2026-05-04T12:00:00.0000000+00:00",
    }


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "{}",
        '{"Last": null, "Next": null, "LastUpdated": null}',
        '{"Last": null, "Next": null, "LastUpdated": 5}',
        '{"Last": null, "Next": null, "LastUpdated": "2026-05-04T12:00:00"}',
    ],
)
def test_a_damaged_status_counts_as_none(text: str | None) -> None:
    assert status_from_text(text) is None


def test_opening_of_a_new_timer() -> None:
    fresh = ScheduleStatus(None, at(13), NOON)
    assert opening(HOURLY, None, NOON, run_on_startup=False) == (fresh, None)
    assert opening(HOURLY, None, NOON, run_on_startup=True) == (fresh, Fire("RunOnStartup"))


def test_opening_after_a_missed_occurrence() -> None:
    stored = ScheduleStatus(at(9), at(10), at(9))
    missed = Fire("IsPastDue", at(10))
    assert opening(HOURLY, stored, at(12, 30), run_on_startup=True) == (stored, missed)


def test_opening_in_time() -> None:
    stored = ScheduleStatus(at(12), at(13), at(12))
    assert opening(HOURLY, stored, at(12, 30), run_on_startup=False) == (stored, None)


def test_opening_with_another_schedule() -> None:
    # its next occurrence is still to come: the old reckoning goes on
    stored = ScheduleStatus(at(12), at(13), at(12))
    daily = parse_schedule("0 0 20 * * *")
    status, fire = opening(daily, stored, at(12, 30), run_on_startup=False)
    assert (status, fire) == (ScheduleStatus(None, at(20), at(12)), None)

    # it is over already: it was never promised
    half = parse_schedule("0 30 * * * *")
    status, fire = opening(half, stored, at(14), run_on_startup=False)
    assert (status, fire) == (ScheduleStatus(None, at(14, 30), at(14)), None)

    # there is none any more
    never = parse_schedule("0 0 0 30 2 *")
    status, fire = opening(never, stored, at(14), run_on_startup=False)
    assert (status, fire) == (ScheduleStatus(None, None, at(14)), None)


def test_opening_with_a_status_from_the_future() -> None:
    stored = ScheduleStatus(at(20), at(21), at(20))
    status, fire = opening(HOURLY, stored, NOON, run_on_startup=False)
    assert (status, fire) == (ScheduleStatus(None, at(13), NOON), None)


def test_steps() -> None:
    status = ScheduleStatus(None, at(13), NOON)
    assert plan(status, at(12, 59)) == WaitUntil(at(13))
    assert plan(status, at(13)) == Fire()
    assert plan(status, at(20)) == Fire()
    assert plan(status._replace(next=None), NOON) == Never()
    assert after_run(HOURLY, at(13, 1)) == ScheduleStatus(at(13, 1), at(14), at(13, 1))


def test_a_clock_that_is_set_back_is_followed() -> None:
    status = ScheduleStatus(at(12), at(13), at(12))
    assert following_clock(HOURLY, status, at(11, 59) + 30 * SECOND) == status
    assert following_clock(HOURLY, status, at(9, 30)) == ScheduleStatus(at(12), at(10), at(9, 30))
