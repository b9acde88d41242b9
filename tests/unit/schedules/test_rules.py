"""What a schedule does, by its rules alone."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import durable_app as df
from durable_app.schedules import rules
from durable_app.schedules.rules import Probe, Start, Step, Wake
from durable_app.schedules.state import ScheduleState

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SKIP, BUFFER = df.OverlapPolicy.SKIP, df.OverlapPolicy.BUFFER_ONE


def options(**given: Any) -> df.ScheduleCreationOptions:
    if "cron" not in given:
        given.setdefault("interval", MINUTE)
    return df.ScheduleCreationOptions("s", "job", **given)


def created(at: datetime = NOON, **given: Any) -> ScheduleState:
    state = rules.create(None, options(**given), at).state
    assert state is not None
    return state


def woken(state: ScheduleState, at: datetime) -> Step:
    return rules.run(state, state.token, at)


def starts(step: Step) -> list[str]:
    return [effect.instance_id for effect in step.effects if isinstance(effect, Start)]


def wakes(step: Step) -> list[datetime]:
    return [effect.at for effect in step.effects if isinstance(effect, Wake)]


# -- when ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "minutes"),
    [
        ({}, 1),
        ({"start_at": NOON}, 0),
        ({"start_at": NOON + 5 * MINUTE}, 5),
        ({"start_at": NOON - 1.5 * MINUTE}, 0.5),
        ({"start_at": NOON - 1.5 * MINUTE, "start_immediately_if_late": True}, 0),
        ({"start_immediately_if_late": True}, 0),
        ({"start_at": NOON + MINUTE, "start_immediately_if_late": True}, 1),
        ({"cron": "5 12 * * *"}, 5),
        ({"cron": "5 12 * * *", "start_at": NOON + 5 * MINUTE}, 5),
        ({"cron": "5 12 * * *", "start_at": NOON + 6 * MINUTE}, 24 * 60 + 5),
        ({"cron": "5 12 * * *", "time_zone": "Europe/Berlin"}, 22 * 60 + 5),
    ],
)
def test_the_first_occurrence(given: dict[str, Any], minutes: float) -> None:
    step = rules.create(None, options(**given), NOON)

    assert wakes(step) == [NOON + minutes * MINUTE]
    assert step.state is not None
    assert step.state.next_run_at == NOON + minutes * MINUTE


def test_a_run_is_named_after_its_occurrence_and_the_next_one_is_waited_for() -> None:
    step = woken(created(), NOON + MINUTE)

    assert step.effects == (
        Start("s-2026-05-04T12:01:00+00:00"),
        Wake(NOON + 2 * MINUTE),
    )
    assert step.state is not None
    assert step.state.last_run_at == NOON + MINUTE


def test_a_start_that_is_an_occurrence_runs_once() -> None:
    step = woken(created(start_at=NOON), NOON)
    assert wakes(step) == [NOON + MINUTE]
    assert step.state is not None

    # a change at the same moment does not bring it back
    changed = rules.update(step.state, "s", df.ScheduleUpdateOptions(interval=2 * MINUTE), NOON)
    assert wakes(changed) == [NOON + 2 * MINUTE]


def test_occurrences_that_were_missed_are_one_run() -> None:
    step = woken(created(), NOON + 10.5 * MINUTE)

    assert starts(step) == ["s-2026-05-04T12:01:00+00:00"]
    assert wakes(step) == [NOON + 11 * MINUTE]


def test_a_signal_that_comes_early_is_sent_again() -> None:
    state = created()
    step = woken(state, NOON)

    assert step.effects == (Wake(NOON + MINUTE),)
    assert step.state is not None
    assert step.state.token != state.token


def test_a_signal_that_was_overtaken_does_nothing() -> None:
    state = created()
    later = woken(state, NOON + MINUTE).state

    assert rules.run(later, state.token, NOON + MINUTE) == Step(later)
    assert rules.run(None, state.token, NOON) == Step(None)
    paused = rules.pause(state, "s", NOON).state
    assert paused is not None
    assert woken(paused, NOON + MINUTE) == Step(paused)


def test_a_fixed_id_is_that_of_every_run() -> None:
    state = created(orchestration_instance_id="only")
    assert starts(woken(state, NOON + MINUTE)) == ["only"]
    assert rules.trigger(state, "s", NOON).result == "only"


def test_what_never_occurs_is_refused() -> None:
    with pytest.raises(df.ScheduleClientValidationError, match="never occurs after 2026-05-04"):
        rules.create(None, options(cron="0 0 30 2 *"), NOON)


@pytest.mark.parametrize(
    "given",
    [
        {"cron": "0 13 * * *", "end_at": NOON + MINUTE},
        {"interval": MINUTE, "end_at": NOON - MINUTE},
        {"interval": MINUTE, "end_at": NOON - MINUTE, "start_immediately_if_late": True},
    ],
)
def test_an_end_before_the_first_run_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(df.ScheduleClientValidationError, match="end_at comes before the first run"):
        rules.create(None, options(**given), NOON)


def test_a_start_at_the_end_of_the_calendar() -> None:
    start = datetime(9999, 12, 31, tzinfo=UTC)
    assert created(interval=MINUTE, start_at=start).next_run_at == start
    with pytest.raises(df.ScheduleClientValidationError, match="never occurs"):
        rules.create(None, options(cron="0 13 * * *", start_at=start), NOON)


def test_the_calendar_ends() -> None:
    # the year 9999 cannot be shown in every time zone, so that nothing occurs in it
    state = created(datetime(9998, 12, 31, 12, tzinfo=UTC), cron="0 13 * * *")
    assert state.next_run_at is not None

    step = woken(state, state.next_run_at)

    assert (len(starts(step)), wakes(step)) == (1, [])


# -- the end ------------------------------------------------------------------------------------


def test_a_schedule_removes_itself_at_its_end() -> None:
    state = woken(created(end_at=NOON + 1.5 * MINUTE), NOON + MINUTE).state
    assert state is not None
    assert state.next_run_at is None

    early = woken(state, NOON + MINUTE)
    assert wakes(early) == [NOON + 1.5 * MINUTE]
    assert early.state is not None
    assert woken(early.state, NOON + 1.5 * MINUTE) == Step(None)


def test_an_occurrence_at_the_end_takes_place_even_late() -> None:
    step = woken(created(end_at=NOON + MINUTE), NOON + 3 * MINUTE)

    assert starts(step) == ["s-2026-05-04T12:01:00+00:00"]
    assert wakes(step) == [NOON + MINUTE]
    assert step.state is not None
    assert woken(step.state, NOON + 3 * MINUTE) == Step(None)


def test_a_buffered_run_outlives_the_end() -> None:
    state = created(end_at=NOON + 2 * MINUTE, overlap=BUFFER)
    for minute in (1, 2):
        state = woken(state, NOON + minute * MINUTE).state or state
    first, second = state.watcher, state.buffered
    assert second == "s-2026-05-04T12:02:00+00:00"

    step = rules.run_ended(state, first, NOON + 3 * MINUTE)

    assert starts(step) == [second]
    assert step.state is not None
    assert rules.run_ended(step.state, step.state.watcher, NOON + 4 * MINUTE) == Step(None)


def test_a_buffered_run_at_the_end_does_not_wait_for_what_nobody_watches() -> None:
    state = created(end_at=NOON + 2 * MINUTE, overlap=BUFFER)
    for minute in (1, 2):
        state = woken(state, NOON + minute * MINUTE).state or state

    for hour in (0, 1):
        now = NOON + 2 * MINUTE + hour * timedelta(hours=1)
        step = woken(state, now)

        assert step.effects == (rules.Probe(state.watcher), rules.Wake(now + timedelta(hours=1)))
        assert step.state is not None
        assert step.state.token != state.token
        state = step.state
    assert rules.run_ended(state, state.watcher, now).effects != ()


# -- requests -----------------------------------------------------------------------------------


def test_pause_and_resume() -> None:
    paused = rules.pause(created(), "s", NOON).state
    assert paused is not None
    assert (paused.status, paused.next_run_at) == (df.ScheduleStatus.PAUSED, None)

    step = rules.resume(paused, "s", NOON + 10.5 * MINUTE)

    assert wakes(step) == [NOON + 11 * MINUTE]


@pytest.mark.parametrize("request_name", ["pause", "resume"])
def test_a_status_that_does_not_allow_it(request_name: str) -> None:
    state = created()
    if request_name == "pause":
        state = rules.pause(state, "s", NOON).state or state
    status = state.status.value

    with pytest.raises(df.ScheduleInvalidTransitionError) as raised:
        getattr(rules, request_name)(state, "s", NOON)

    assert raised.value.properties == {
        "schedule_id": "s",
        "from_status": status,
        "to_status": status,
        "operation_name": f"{request_name}_schedule",
    }


def test_there_is_nothing_to_change() -> None:
    for request in (rules.pause, rules.resume, rules.trigger):
        with pytest.raises(df.ScheduleNotFoundError, match="no schedule 'nobody'"):
            request(None, "nobody", NOON)
    with pytest.raises(LookupError):
        rules.update(None, "nobody", df.ScheduleUpdateOptions(), NOON)


def test_an_update_of_the_times_counts_anew() -> None:
    state = created()
    step = rules.update(state, "s", df.ScheduleUpdateOptions(interval=3 * MINUTE), NOON + MINUTE)

    assert wakes(step) == [NOON + 3 * MINUTE]
    assert rules.run(step.state, state.token, NOON + MINUTE) == Step(step.state)


def test_an_update_of_anything_else_keeps_the_next_occurrence() -> None:
    changes = df.ScheduleUpdateOptions("other", {"a": 1}, "only", overlap=SKIP)
    step = rules.update(created(), "s", changes, NOON + 5 * MINUTE)

    assert wakes(step) == [NOON + MINUTE]
    assert step.state is not None
    told = step.state.configuration
    assert (told.orchestration_name, told.orchestration_input) == ("other", '{"a":1}')
    assert (told.orchestration_instance_id, told.overlap) == ("only", SKIP)


def test_an_update_to_what_is_so_already_changes_nothing() -> None:
    state = created()
    assert rules.update(state, "s", df.ScheduleUpdateOptions("job"), NOON) == Step(state)


def test_a_paused_schedule_is_updated_and_stays_paused() -> None:
    paused = rules.pause(created(), "s", NOON).state
    step = rules.update(paused, "s", df.ScheduleUpdateOptions(cron="0 9 * * *"), NOON)

    assert step.effects == ()
    assert step.state is not None
    assert step.state.configuration.interval is None
    assert step.state.status is df.ScheduleStatus.PAUSED


def test_an_interval_replaces_an_expression() -> None:
    state = created(cron="0 9 * * *", time_zone="Europe/Berlin")
    step = rules.update(state, "s", df.ScheduleUpdateOptions(interval=MINUTE), NOON)

    assert step.state is not None
    told = step.state.configuration
    assert (told.interval, told.cron, told.time_zone) == (MINUTE, None, None)


def test_an_update_is_checked_with_what_stays() -> None:
    state = created(end_at=NOON + MINUTE)
    for changes, reason in (
        (df.ScheduleUpdateOptions(start_at=NOON + 2 * MINUTE), "end_at must not be before"),
        (df.ScheduleUpdateOptions(time_zone="Europe/Berlin"), "time_zone belongs to cron"),
    ):
        with pytest.raises(df.ScheduleClientValidationError, match=reason):
            rules.update(state, "s", changes, NOON)


def test_a_schedule_that_is_made_anew_is_active() -> None:
    paused = rules.pause(created(), "s", NOON).state
    step = rules.create(paused, options(cron="0 9 * * *"), NOON + MINUTE)

    assert step.state is not None
    assert (step.state.status, step.state.created_at) == (df.ScheduleStatus.ACTIVE, NOON)
    assert step.state.modified_at == NOON + MINUTE


def test_triggered_runs_have_ids_of_their_own() -> None:
    state = created()
    first = rules.trigger(state, "s", NOON)
    second = rules.trigger(first.state, "s", NOON)

    assert first.result == "s-manual-2026-05-04T12:00:00+00:00"
    assert starts(second) == [second.result] == ["s-manual-2026-05-04T12:00:00.000001+00:00"]
    assert second.state is not None
    assert (second.state.next_run_at, second.state.token) == (NOON + MINUTE, state.token)


# -- overlap ------------------------------------------------------------------------------------


def test_an_occurrence_is_skipped_while_a_run_is_in_progress() -> None:
    first = woken(created(overlap=SKIP), NOON + MINUTE)
    running = "s-2026-05-04T12:01:00+00:00"
    assert first.state is not None
    watcher = first.state.watcher
    assert first.effects[0] == Start(running, watcher)

    second = woken(first.state, NOON + 2 * MINUTE)
    assert second.effects == (Probe(watcher), Wake(NOON + 3 * MINUTE))
    assert rules.trigger(second.state, "s", NOON).result is None

    ended = rules.run_ended(second.state, watcher, NOON + 2.5 * MINUTE)
    assert ended.state is not None
    assert starts(woken(ended.state, NOON + 3 * MINUTE)) == ["s-2026-05-04T12:03:00+00:00"]


def test_one_occurrence_waits_for_the_run_in_progress() -> None:
    state = created(overlap=BUFFER)
    for minute in (1, 2, 3):
        state = woken(state, NOON + minute * MINUTE).state or state
    assert state.buffered == "s-2026-05-04T12:02:00+00:00"
    assert rules.trigger(state, "s", NOON).result == state.buffered

    ended = rules.run_ended(state, state.watcher, NOON + 3.5 * MINUTE)

    assert ended.state is not None
    assert ended.state.watcher != state.watcher
    assert ended.effects == (Start("s-2026-05-04T12:02:00+00:00", ended.state.watcher),)
    assert (ended.state.running, ended.state.buffered) == (state.buffered, None)


def test_the_schedule_tells_itself_when_another_run_waits_for_the_end() -> None:
    state = created(overlap=BUFFER)
    for minute in (1, 2):
        state = woken(state, NOON + minute * MINUTE).state or state
    now = NOON + 2.5 * MINUTE
    assert rules.run_reported(state, "other", now) == Step(state)
    assert rules.run_reported(state, state.watcher, now) == Step(
        state, (rules.Relay(state.watcher, now),)
    )


def test_a_report_that_nobody_waits_for_is_taken_at_once() -> None:
    state = woken(created(overlap=BUFFER), NOON + MINUTE).state
    assert state is not None
    free = rules.run_reported(state, state.watcher, NOON + 1.5 * MINUTE)
    assert free == rules.run_ended(state, state.watcher, NOON + 1.5 * MINUTE)
    assert rules.run_reported(None, "other", NOON) == Step(None)


def test_the_end_of_another_run_means_nothing() -> None:
    state = woken(created(overlap=SKIP), NOON + MINUTE).state
    assert rules.run_ended(state, "other", NOON) == Step(state)
    assert rules.run_ended(created(), "other", NOON) == Step(created())
    assert rules.run_ended(None, "other", NOON) == Step(None)


def test_a_pause_drops_the_run_that_waits() -> None:
    state = created(overlap=BUFFER)
    for minute in (1, 2):
        state = woken(state, NOON + minute * MINUTE).state or state
    paused = rules.pause(state, "s", NOON).state
    assert paused is not None

    assert (paused.running, paused.buffered) == (state.running, None)
    assert rules.run_ended(paused, state.running, NOON).effects == ()


@pytest.mark.parametrize(
    ("policy", "running", "buffered"),
    [(df.OverlapPolicy.ALLOW, None, None), (SKIP, "one", None), (BUFFER, "one", "two")],
)
def test_another_policy(
    policy: df.OverlapPolicy, running: str | None, buffered: str | None
) -> None:
    state = dataclasses.replace(created(overlap=BUFFER), running="one", buffered="two")
    changes = df.ScheduleUpdateOptions(overlap=policy, end_at=NOON + timedelta(days=1))
    changed = rules.update(state, "s", changes, NOON).state
    assert changed is not None
    assert (changed.running, changed.buffered) == (running, buffered)
