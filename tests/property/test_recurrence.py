"""Recurrences and schedules over any run of events: nothing lost, nothing doubled."""

from __future__ import annotations

import zoneinfo
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

import durable_app as df
from durable_app.recurrence.ncrontab import parse_cron
from durable_app.recurrence.schedules import CronSchedule, Grid
from durable_app.schedules import rules
from durable_app.schedules.rules import Relay, Start, Step, Wake
from durable_app.schedules.state import ScheduleState

START = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kathmandu",
]
zones = st.sampled_from(ZONES).map(zoneinfo.ZoneInfo)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis adds the time zone


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high).map(str)
    return st.one_of(
        st.just("*"), number, st.lists(number, min_size=1, max_size=3).map(",".join), st.just("*/7")
    )


@given(st.tuples(field(0, 59), field(0, 59), field(0, 23)), zones, moments)
@settings(max_examples=150, deadline=None)
def test_occurrences_increase_and_none_is_passed_over(
    fields: tuple[str, str, str], zone: zoneinfo.ZoneInfo, moment: datetime
) -> None:
    schedule = CronSchedule("", parse_cron(" ".join((*fields, "* * *"))), zone)
    for _ in range(5):
        following = schedule.next_after(moment)
        assert following is not None
        assert following > moment
        between = moment + (following - moment) / 2
        assert schedule.next_after(between) == following
        moment = following


@given(st.integers(0, 23), st.integers(0, 59), zones, st.integers(2015, 2035))
@settings(max_examples=60, deadline=None)
def test_a_daily_schedule_runs_once_on_every_day_of_a_year(
    hour: int, minute: int, zone: zoneinfo.ZoneInfo, year: int
) -> None:
    schedule = CronSchedule("", parse_cron(f"{minute} {hour} * * *"), zone)
    moment = datetime(year, 1, 1, tzinfo=zone) - timedelta(microseconds=1)
    end = datetime(year + 1, 1, 1, tzinfo=zone)
    days: Counter[int] = Counter()
    while (following := schedule.next_after(moment)) is not None and following < end:
        local = following.astimezone(zone)
        # What was skipped runs late, at midnight too, by what was skipped.
        assert (
            timedelta(0)
            <= local.replace(tzinfo=None) - local.replace(hour=hour, minute=minute, tzinfo=None)
            <= timedelta(hours=1)
        )
        days[local.timetuple().tm_yday] += 1
        moment = following
    length = (end.date() - datetime(year, 1, 1, tzinfo=zone).date()).days
    assert days == Counter(range(1, length + 1))


@given(moments, st.timedeltas(timedelta(seconds=1), timedelta(days=400)), moments)
def test_a_grid_is_hit_exactly(anchor: datetime, interval: timedelta, moment: datetime) -> None:
    following = Grid(anchor, interval).next_after(moment)
    assert following is not None
    assert following > moment
    assert (following - anchor) % interval == timedelta(0)
    assert following == anchor or following - interval <= moment


class World:
    """A hub in small: one schedule, its signals and its runs, moved by hypothesis.

    Signals come in their time's order, at their time or later; those of older tokens come, too.
    """

    def __init__(self, policy: df.OverlapPolicy) -> None:
        self.now = START
        self.policy = policy
        self.state: ScheduleState | None = None
        self.signals: list[tuple[datetime, str]] = []
        self.started: list[str] = []
        self.watched: set[str] = set()
        self.unwatched: set[str] = set()
        self.relayed: list[str] = []

    def take(self, step: Step) -> None:
        was_active = self.state is not None and self.state.status is df.ScheduleStatus.ACTIVE
        self.state = step.state
        for effect in step.effects:
            if isinstance(effect, Wake):
                assert step.state is not None
                self.signals.append((effect.at, step.state.token))
            elif isinstance(effect, Start):
                assert was_active or "manual" in effect.instance_id
                self.started.append(effect.instance_id)
                if effect.watcher is not None:
                    assert not self.watched
                    self.watched.add(effect.watcher)
            elif isinstance(effect, Relay):
                self.relayed.append(effect.watcher)
            elif effect.watcher in self.unwatched:
                self.unwatched.discard(effect.watcher)
                self.end(effect.watcher)

    def end(self, watcher: str) -> None:
        self.watched.discard(watcher)
        self.take(rules.run_reported(self.state, watcher, self.now))

    def advance(self, seconds: int) -> None:
        while self.relayed:
            self.take(rules.run_ended(self.state, self.relayed.pop(0), self.now))
        until = self.now + timedelta(seconds=seconds)
        while self.signals and min(self.signals)[0] <= until:
            at, token = min(self.signals)
            self.signals.remove((at, token))
            self.now = max(self.now, at)
            self.take(rules.run(self.state, token, self.now))
        self.now = until

    def ask(self, request: str) -> None:
        minute = timedelta(minutes=1)
        if request == "create":
            made = df.ScheduleCreationOptions("s", "job", minute, overlap=self.policy)
            self.take(rules.create(self.state, made, self.now))
        elif self.state is None:
            return
        elif request == "update":
            other = 3 * minute - (self.state.configuration.interval or minute)
            changes = df.ScheduleUpdateOptions(interval=other)
            self.take(rules.update(self.state, "s", changes, self.now))
        elif request == "pause" and self.state.status is df.ScheduleStatus.ACTIVE:
            self.take(rules.pause(self.state, "s", self.now))
        elif request == "resume" and self.state.status is df.ScheduleStatus.PAUSED:
            self.take(rules.resume(self.state, "s", self.now))
        elif request == "trigger":
            self.take(rules.trigger(self.state, "s", self.now))
        elif request == "end" and self.watched:
            self.end(min(self.watched))
        elif request == "lose" and self.watched:
            lost = self.watched.pop()
            self.unwatched.add(lost)


REQUESTS = ["create", "update", "pause", "resume", "trigger", "end", "lose"]


@given(
    st.sampled_from(df.OverlapPolicy),
    st.lists(st.one_of(st.sampled_from(REQUESTS), st.integers(1, 200)), max_size=30),
)
@settings(max_examples=300, deadline=None)
def test_a_schedule_goes_on_whatever_happens(
    policy: df.OverlapPolicy, events: list[str | int]
) -> None:
    world = World(policy)
    world.ask("create")
    for event in events:
        if isinstance(event, int):
            world.advance(event)
        else:
            world.ask(event)
        state = world.state
        assert state is not None
        valid = [at for at, token in world.signals if token == state.token]
        is_active = state.status is df.ScheduleStatus.ACTIVE
        assert valid == ([state.next_run_at] if is_active else [])

    # Then it is left alone, and what still runs ends: it starts runs again.
    world.ask("resume")
    before = len(world.started)
    for _ in range(6):
        world.ask("end")
        world.advance(120)
    assert len(world.started) > before
    assert len(set(world.started)) == len(world.started)
