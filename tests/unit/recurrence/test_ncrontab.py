from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_app.recurrence.ncrontab import parse_cron

MONDAY = datetime(2026, 5, 4, 12, 0, 30)  # noqa: DTZ001  the expressions know no time zones
BOUNDS = {"second": (0, 59), "minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12)}


def following(text: str, moment: datetime = MONDAY, count: int = 1) -> list[str]:
    expression = parse_cron(text)
    found = []
    for _ in range(count):
        later = expression.next_after(moment)
        assert later is not None
        found.append(f"{later:%Y-%m-%d %H:%M:%S}")
        moment = later
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * * *", "2026-05-04 12:00:31"),
        ("0 */5 * * * *", "2026-05-04 12:05:00"),
        ("*/5 * * * *", "2026-05-04 12:05:00"),
        ("30 0 12 * * *", "2026-05-05 12:00:30"),
        ("31 0 12 * * *", "2026-05-04 12:00:31"),
        ("0 0 9-17/4 * * *", "2026-05-04 13:00:00"),
        ("0 50/4 * * * *", "2026-05-04 12:50:00"),
        ("0 0 0 1 JAN,jul *", "2026-07-01 00:00:00"),
        ("0 0 0 * * sunday", "2026-05-10 00:00:00"),
        ("0 0 0 * * 0", "2026-05-10 00:00:00"),
        ("0 0 0 * * FRI-MON", "2026-05-05 00:00:00"),
        ("0 0 22-6 * * *", "2026-05-04 13:00:00"),
        ("0 */0 * * * *", "2026-05-04 12:01:00"),
        ("0 0 0 29 2 *", "2028-02-29 00:00:00"),
        ("0 0 0 29 2 MON", "2044-02-29 00:00:00"),
        ("0 0 0 31 * *", "2026-05-31 00:00:00"),
        ("0 0 0 31 4,6,12 *", "2026-12-31 00:00:00"),
        ("  0   0 0 1 1   *  ", "2027-01-01 00:00:00"),
    ],
)
def test_next_occurrence(text: str, expected: str) -> None:
    assert following(text) == [expected]


def test_both_day_fields_must_match() -> None:
    assert following("0 0 0 13 * FRI", count=3) == [
        "2026-11-13 00:00:00",
        "2027-08-13 00:00:00",
        "2028-10-13 00:00:00",
    ]


def test_occurrences_go_on_over_the_ends_of_minutes_days_and_years() -> None:
    assert following("59 59 23 31 12 *", MONDAY, 2) == [
        "2026-12-31 23:59:59",
        "2027-12-31 23:59:59",
    ]
    assert following("15,45 10 8,20 * * *", MONDAY, 5) == [
        "2026-05-04 20:10:15",
        "2026-05-04 20:10:45",
        "2026-05-05 08:10:15",
        "2026-05-05 08:10:45",
        "2026-05-05 20:10:15",
    ]


@pytest.mark.parametrize("text", ["0 0 0 30 2 *", "0 0 0 31 2,4,6,9,11 *"])
def test_what_never_occurs(text: str) -> None:
    assert parse_cron(text).next_after(MONDAY) is None


def test_the_calendar_has_an_end() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001  see above
    assert parse_cron("* * * * * *").next_after(last) is None
    assert parse_cron("0 0 0 1 1 *").next_after(last.replace(year=9998)) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it has 0 fields"),
        ("* * * *", "it has 4 fields"),
        ("* * * * * * *", "it has 7 fields"),
        ("60 * * * * *", "the second field '60' is invalid: 60 is not within 0-59$"),
        ("* 99 * * * *", "the minute field '99'"),
        ("* * 24 * * *", "the hour field '24'"),
        ("* * * 0 * *", "the day field '0' is invalid: 0 is not within 1-31"),
        ("* * * * 13 *", "the month field '13'"),
        ("* * * * * 7", "the day-of-week field '7' is invalid: .*; Sunday is 0"),
        ("* * * * foo *", "'foo' is no value of it"),
        ("* * * * ja *", "'ja' is no value of it"),
        ("JAN * * * * *", "'JAN' is no value of it"),
        ("? * * * * *", r"'\?' is no value of it"),
        ("1, * * * * *", "a value is missing"),
        ("1- * * * * *", "a value is missing"),
        ("/5 * * * * *", "a value is missing"),
        ("-5 * * * * *", "a value is missing"),
        ("*/ * * * * *", "'' is no step"),
        ("*/x * * * * *", "'x' is no step"),
        ("*/-2 * * * * *", "'-2' is no step"),
        ("1.5 * * * * *", "'1.5' is no value of it"),
        ("\u0661 * * * * *", "'\u0661' is no value of it"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_cron(text)


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> str:
    values = st.integers(low, high)
    item = st.one_of(
        st.just("*"),
        values.map(str),
        st.tuples(values, values).map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.integers(1, high).map(lambda step: f"*/{step}"),
        st.tuples(values, st.integers(1, 9)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    )
    return ",".join(draw(st.lists(item, min_size=1, max_size=3)))


expressions = st.tuples(*(fields(*bounds) for bounds in BOUNDS.values()), fields(0, 6)).map(
    " ".join
)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001  see above


@given(expressions, moments)
def test_the_next_occurrence_is_later_and_matches_every_field(text: str, moment: datetime) -> None:
    expression = parse_cron(text)
    later = expression.next_after(moment)
    assert later is None or (later > moment and expression.matches(later))


@given(
    fields(0, 59), fields(0, 59), fields(0, 23), fields(0, 6), moments, st.integers(60, 3 * 3600)
)
@settings(max_examples=40)
def test_no_occurrence_is_left_out(
    second: str, minute: str, hour: str, weekday: str, moment: datetime, window_s: int
) -> None:
    expression = parse_cron(f"{second} {minute} {hour} * * {weekday}")
    start = moment.replace(microsecond=0)
    each_second = (start + timedelta(seconds=n) for n in range(1, window_s))
    expected = next((each for each in each_second if expression.matches(each)), None)
    later = expression.next_after(moment)
    if expected is None:
        assert later is None or later >= start + timedelta(seconds=window_s)
    else:
        assert later == expected
