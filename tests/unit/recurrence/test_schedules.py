"""Occurrences in time zones, above all where a clock steps."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_app.recurrence.ncrontab import parse_cron
from durable_app.recurrence.schedules import CronSchedule, Grid, IntervalSchedule
from durable_app.recurrence.timespan import is_timespan, parse_timespan, timespan_text
from durable_app.recurrence.zones import named_zone

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
LORD_HOWE = zoneinfo.ZoneInfo("Australia/Lord_Howe")  # its clock steps by half an hour
APIA = zoneinfo.ZoneInfo("Pacific/Apia")  # left out 30 December 2011
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def cron(text: str, zone: tzinfo = UTC) -> CronSchedule:
    return CronSchedule(text, parse_cron(text), zone)


def occurrences(text: str, zone: tzinfo, start: str, count: int) -> list[str]:
    """The next ones in local time with their offset."""
    schedule = cron(text, zone)
    moment = datetime.fromisoformat(start).replace(tzinfo=zone)
    found = []
    for _ in range(count):
        later = schedule.next_after(moment)
        assert later is not None
        found.append(later.astimezone(zone).strftime("%d %H:%M %z"))
        moment = later
    return found


def test_a_zone_decides_what_the_fields_mean() -> None:
    assert occurrences("0 30 9 * * *", BERLIN, "2026-05-04T12:00", 1) == ["05 09:30 +0200"]
    assert occurrences("0 30 9 * * *", BERLIN, "2026-12-04T12:00", 1) == ["05 09:30 +0100"]


def test_a_skipped_time_runs_late_by_what_was_skipped() -> None:
    assert occurrences("0 30 2 * * *", BERLIN, "2026-03-28T12:00", 2) == [
        "29 03:30 +0200",
        "30 02:30 +0200",
    ]
    # 02:30 does not hide what occurs before 03:30
    assert occurrences("0 30 2,3 * * *", BERLIN, "2026-03-29T00:00", 2) == [
        "29 03:30 +0200",
        "30 02:30 +0200",
    ]
    assert occurrences("0 0,45 2-3 * * *", BERLIN, "2026-03-29T00:00", 3) == [
        "29 03:00 +0200",
        "29 03:45 +0200",
        "30 02:00 +0200",
    ]


def test_an_ambiguous_time_runs_once_in_standard_time() -> None:
    assert occurrences("0 30 2 * * *", BERLIN, "2026-10-24T12:00", 2) == [
        "25 02:30 +0100",
        "26 02:30 +0100",
    ]


def test_a_schedule_for_every_hour_runs_by_elapsed_time() -> None:
    assert occurrences("0 30 * * * *", BERLIN, "2026-03-29T00:45", 3) == [
        "29 01:30 +0100",
        "29 03:30 +0200",
        "29 04:30 +0200",
    ]
    assert occurrences("0 30 * * * *", BERLIN, "2026-10-25T01:45", 3) == [
        "25 02:30 +0200",
        "25 02:30 +0100",
        "25 03:30 +0100",
    ]


def test_a_day_that_was_left_out() -> None:
    assert occurrences("0 0 10 * * *", APIA, "2011-12-29T12:00", 2) == [
        "31 10:00 +1400",
        "01 10:00 +1400",
    ]


def expected_by_brute_force(schedule: CronSchedule, start: datetime, end: datetime) -> datetime:
    """The first occurrence, found by asking about every minute, as the rules are worded."""
    zone, expression = schedule.zone, schedule.expression
    by_elapsed_time = len(expression.hours) == 24
    found = []
    moment = (start - timedelta(hours=2)).replace(second=0, microsecond=0)
    while moment < end:
        local = moment.astimezone(zone)
        name = local.replace(tzinfo=None, fold=0)
        again = (moment + timedelta(hours=1)).astimezone(zone).replace(tzinfo=None, fold=0)
        half = (moment + timedelta(minutes=30)).astimezone(zone).replace(tzinfo=None, fold=0)
        comes_again = name in {again, half}
        if expression.matches(name) and (by_elapsed_time or not comes_again):
            found.append(moment)
        moment += timedelta(minutes=1)
    if not by_elapsed_time:
        found += skipped(schedule, start, end)
    return min(each for each in found if each > start)


def skipped(schedule: CronSchedule, start: datetime, end: datetime) -> list[datetime]:
    found = []
    moment = (start - timedelta(hours=2)).replace(second=0, microsecond=0)
    while moment < end:
        offset = moment.astimezone(schedule.zone).utcoffset()
        earlier = (moment - timedelta(hours=2)).astimezone(schedule.zone).utcoffset()
        assert offset is not None
        assert earlier is not None
        name = (moment + earlier).replace(tzinfo=None)
        back = name.replace(tzinfo=schedule.zone).astimezone(UTC).astimezone(schedule.zone)
        is_skipped = back.replace(tzinfo=None) != name
        if earlier < offset and is_skipped and schedule.expression.matches(name):
            found.append(moment)
        moment += timedelta(minutes=1)
    return found


@given(
    st.sampled_from(
        [
            (BERLIN, datetime(2026, 3, 29, 1, tzinfo=UTC)),
            (BERLIN, datetime(2026, 10, 25, 1, tzinfo=UTC)),
            (LORD_HOWE, datetime(2026, 4, 4, 15, tzinfo=UTC)),
            (LORD_HOWE, datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
        ]
    ),
    st.integers(-5 * 3600, 3 * 3600),
    st.sampled_from(["*", "*/10", "7,30", "0", "59"]),
    st.sampled_from(["*", "2", "1-3", "*/2", "1,2,3,4"]),
)
@settings(max_examples=60, deadline=None)
def test_around_a_step_of_the_clock_nothing_is_left_out(
    step: tuple[tzinfo, datetime], second: int, minute: str, hour: str
) -> None:
    zone, moment = step
    start = moment + second * SECOND
    schedule = cron(f"0 {minute} {hour} * * *", zone)
    end = start + timedelta(hours=30)
    assert schedule.next_after(start) == expected_by_brute_force(schedule, start, end)


def test_a_cron_schedule_describes_itself() -> None:
    schedule = cron("0 0 9 * * *", BERLIN)
    assert (schedule.description, schedule.is_frequent) == ("Cron: '0 0 9 * * *'", False)
    assert cron("*/30 * * * * *").is_frequent
    assert cron("0 0 0 30 2 *").next_after(NOON) is None


def test_an_interval_counts_from_the_last_run() -> None:
    schedule = IntervalSchedule("00:05", timedelta(minutes=5))
    assert schedule.next_after(NOON) == NOON + timedelta(minutes=5)
    assert (schedule.description, schedule.is_frequent) == ("Constant: 00:05:00", False)
    assert IntervalSchedule("x", timedelta.max).next_after(NOON) is None
    with pytest.raises(ValueError, match="longer than nothing"):
        IntervalSchedule("x", timedelta(0))


def test_a_grid_keeps_to_its_anchor() -> None:
    grid = Grid(NOON.astimezone(BERLIN), timedelta(minutes=7))
    assert grid.next_after(NOON - SECOND) == NOON
    assert grid.next_after(NOON) == NOON + timedelta(minutes=7)
    assert grid.next_after(NOON + timedelta(minutes=20)) == NOON + timedelta(minutes=21)
    assert Grid(NOON, timedelta.max).next_after(NOON) is None


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(seconds=1), "00:00:01"),
        (timedelta(days=3, hours=2, minutes=1), "3.02:01:00"),
        (timedelta(microseconds=1500000), "00:00:01.5000000"),
    ],
)
def test_durations_as_dotnet_writes_them(duration: timedelta, text: str) -> None:
    assert timespan_text(duration) == text
    assert (is_timespan(text), parse_timespan(text)) == (True, duration)


def test_more_forms_that_dotnet_reads() -> None:
    assert parse_timespan("24:01:02") == timedelta(days=24, hours=1, minutes=2)
    assert parse_timespan("00:05") == timedelta(minutes=5)
    assert not is_timespan("*/5 * * * *")
    for text in ("tomorrow", "00:60:00", "1.24:00:00", "24:00"):
        with pytest.raises(ValueError, match=r"looks like|end at"):
            parse_timespan(text)


def test_zones_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named_zone("Europe/Berlin") is BERLIN
    assert named_zone("utc") is UTC
    with pytest.raises(ValueError, match=r"no time zone\. Write a name such as 'Europe/Berlin'"):
        named_zone("Europe/Berlim")
    with pytest.raises(ValueError, match="such as 'Europe/Paris'"):
        named_zone("???")
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(ValueError, match="pip install tzdata"):
        named_zone("Mars/Olympus")
