"""What a schedule does: functions ``(state, request, now) -> Step``. Pure.

A state of None is that of no schedule. ``now`` is aware UTC. For the theory see the package.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from durable_app.errors import (
    ScheduleClientValidationError,
    ScheduleInvalidTransitionError,
    ScheduleNotFoundError,
)
from durable_app.payload import encode_input
from durable_app.schedules.options import (
    OverlapPolicy,
    ScheduleCreationOptions,
    ScheduleStatus,
    ScheduleUpdateOptions,
    check_recurrence,
    check_times,
)
from durable_app.schedules.state import Configuration, ScheduleState

_TICK: Final = timedelta(microseconds=1)
#: How often a schedule that is over asks whether the run it still waits for is watched.
_PROBE_PAUSE: Final = timedelta(hours=1)
_TOKEN_DIGITS: Final = 32
_WATCHER_DIGITS: Final = 16
_TIMING: Final = (
    "start_at",
    "end_at",
    "interval",
    "start_immediately_if_late",
    "cron",
    "time_zone",
)
_PLAIN: Final = ("orchestration_name", "orchestration_instance_id", "overlap")


class Wake(NamedTuple):
    """Send the schedule a signal with its token, at that moment."""

    at: datetime


class Start(NamedTuple):
    """Start a run.

    Attributes:
        watcher: id of the watcher whose child it is, and which reports its end; None for none.
    """

    instance_id: str
    watcher: str | None = None


class Probe(NamedTuple):
    """Start a watcher again, so that it reports the end of its run if it is gone."""

    watcher: str


class Relay(NamedTuple):
    """Send the schedule the report of that watcher once more, as a signal for that moment."""

    watcher: str
    at: datetime


Effect = Wake | Start | Probe | Relay


class Step(NamedTuple):
    """What an operation leads to.

    Attributes:
        state: as it shall be; None to remove the schedule.
        effects: what to send, in this order.
        result: of the operation.
    """

    state: ScheduleState | None
    effects: tuple[Effect, ...] = ()
    result: Any = None


# -- what clients ask for --------------------------------------------------------------------


def create(state: ScheduleState | None, options: ScheduleCreationOptions, now: datetime) -> Step:
    """Make a schedule, or make an existing one anew; it is active then.

    Raises:
        ScheduleClientValidationError: it never occurs, or not before its end.
    """
    configuration = Configuration(
        options.schedule_id,
        options.orchestration_name,
        options.interval,
        encode_input(options.orchestration_input),
        options.orchestration_instance_id or None,
        options.start_at,
        options.end_at,
        options.start_immediately_if_late,
        options.cron,
        options.time_zone,
        options.overlap,
    )
    if state is None:
        return _with_a_run(_armed(ScheduleState(configuration, now, now), now))
    made = replace(
        state,
        configuration=configuration,
        modified_at=now,
        status=ScheduleStatus.ACTIVE,
        next_run_at=None,
    )
    return _with_a_run(_armed(_without_forbidden_buffer(made), now))


def _with_a_run(step: Step) -> Step:
    if step.state is not None and step.state.next_run_at is None:
        reason = "end_at comes before the first run."
        raise ScheduleClientValidationError(step.state.configuration.schedule_id, reason)
    return step


def update(
    state: ScheduleState | None, schedule_id: str, options: ScheduleUpdateOptions, now: datetime
) -> Step:
    """Change what the options name. Nothing happens where all of it is so already.

    Raises:
        ScheduleNotFoundError: there is no schedule.
        ScheduleClientValidationError: the whole would make no sense.
    """
    state = _existing(state, schedule_id)
    old = state.configuration
    new = _changed(old, options)
    if new == old:
        return Step(state)
    check_times(schedule_id, new.start_at, new.end_at)
    check_recurrence(schedule_id, new.interval, new.cron, new.time_zone)
    is_moved = any(getattr(new, name) != getattr(old, name) for name in _TIMING)
    made = _without_forbidden_buffer(
        replace(
            state,
            configuration=new,
            modified_at=now,
            next_run_at=None if is_moved else state.next_run_at,
        )
    )
    return _armed(made, now) if made.status is ScheduleStatus.ACTIVE else Step(made)


def _changed(old: Configuration, options: ScheduleUpdateOptions) -> Configuration:
    changes: dict[str, Any] = {
        name: value
        for name in (*_TIMING, *_PLAIN)
        if (value := getattr(options, name)) is not None and value != ""
    }
    if options.orchestration_input is not None:
        changes["orchestration_input"] = encode_input(options.orchestration_input)
    if options.interval is not None:
        changes |= {"cron": None, "time_zone": None}
    elif options.cron is not None:
        changes["interval"] = None
    return replace(old, **changes)


def pause(state: ScheduleState | None, schedule_id: str, now: datetime) -> Step:
    """Start no more runs; one that is in progress goes on, one that waits for it is dropped.

    Raises:
        ScheduleNotFoundError: there is no schedule.
        ScheduleInvalidTransitionError: it is paused already.
    """
    state = _existing(state, schedule_id)
    _require(state, ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED, "pause_schedule")
    paused = replace(
        state, status=ScheduleStatus.PAUSED, modified_at=now, next_run_at=None, buffered=None
    )
    return Step(_renewed(paused, now))


def resume(state: ScheduleState | None, schedule_id: str, now: datetime) -> Step:
    """Start runs again, from the next occurrence on.

    Raises:
        ScheduleNotFoundError: there is no schedule.
        ScheduleInvalidTransitionError: it is not paused.
    """
    state = _existing(state, schedule_id)
    _require(state, ScheduleStatus.PAUSED, ScheduleStatus.ACTIVE, "resume_schedule")
    return _armed(
        replace(state, status=ScheduleStatus.ACTIVE, modified_at=now, next_run_at=None), now
    )


def trigger(state: ScheduleState | None, schedule_id: str, now: datetime) -> Step:
    """Start one run now, whether the schedule is paused or not; the next occurrence stays.

    Returns:
        The result is the run's id; None where the overlap policy leaves it out.

    Raises:
        ScheduleNotFoundError: there is no schedule.
    """
    state = _existing(state, schedule_id)
    moment = now
    if state.triggered_at is not None and state.triggered_at >= now:
        moment = state.triggered_at + _TICK
    fixed = state.configuration.orchestration_instance_id
    instance_id = fixed or f"{schedule_id}-manual-{moment.isoformat()}"
    return _begun(replace(state, triggered_at=moment), instance_id, moment).step


# -- what the schedule and its watchers send ---------------------------------------------------


def run(state: ScheduleState | None, token: object, now: datetime) -> Step:
    """The signal to itself has come: start what is due, and wait for the next occurrence.

    A signal with another token was overtaken and does nothing.
    """
    if state is None or token != state.token or state.status is not ScheduleStatus.ACTIVE:
        return Step(state)
    due = state.next_run_at
    if due is None:
        return _over(state, now) if _is_over(state, now) else _waiting_for(state, None, now)
    if now < due:
        return _waiting_for(state, due, now)
    fixed = state.configuration.orchestration_instance_id
    instance_id = fixed or f"{state.configuration.schedule_id}-{due.isoformat()}"
    begun = _begun(state, instance_id, due)
    following = state.configuration.next_after(max(now, due), state.created_at)
    later = _waiting_for(begun.state, following, now)
    return Step(later.state, (*begun.effects, *later.effects))


def run_reported(state: ScheduleState | None, watcher: object, now: datetime) -> Step:
    """A watcher says that its run has ended.

    Where another run waits for that, the schedule tells itself: what it begins at the word of a
    watcher belongs to the trace of that watcher's run, and runs that always overlap would all be
    one trace. Until then the run counts as in progress.
    """
    if state is not None and state.buffered is not None and _is_in_progress(state, watcher):
        return Step(state, (Relay(state.watcher, now),))
    return run_ended(state, watcher, now)


def run_ended(state: ScheduleState | None, watcher: object, now: datetime) -> Step:
    """A watched run has ended, or nobody watches it any more.

    A watcher reports twice where it was probed in the moment in which it ended; runs can share one
    id. Only the id of the watcher tells that this is the run in progress.
    """
    if state is None or not _is_in_progress(state, watcher):
        return Step(state)
    free = replace(state, running=None, buffered=None)
    if state.buffered is not None:
        return _begun(free, state.buffered, now).step._replace(result=None)
    if free.status is ScheduleStatus.ACTIVE and _is_over(free, now):
        return _over(free, now)
    return Step(free)


# -- parts --------------------------------------------------------------------------------------


def _existing(state: ScheduleState | None, schedule_id: str) -> ScheduleState:
    if state is None:
        raise ScheduleNotFoundError(schedule_id)
    return state


def _is_in_progress(state: ScheduleState, watcher: object) -> bool:
    return state.running is not None and state.watcher == watcher


def _require(
    state: ScheduleState, needed: ScheduleStatus, target: ScheduleStatus, operation: str
) -> None:
    if state.status is not needed:
        raise ScheduleInvalidTransitionError(
            state.configuration.schedule_id, state.status.value, target.value, operation
        )


def _without_forbidden_buffer(state: ScheduleState) -> ScheduleState:
    """What another overlap policy has left behind means nothing to the present one."""
    policy = state.configuration.overlap
    return replace(
        state,
        running=None if policy is OverlapPolicy.ALLOW else state.running,
        buffered=state.buffered if policy is OverlapPolicy.BUFFER_ONE else None,
    )


class _Begun(NamedTuple):
    """What became of a run.

    Attributes:
        instance_id: of the run that takes place, now or later; None where it is left out.
    """

    state: ScheduleState
    effects: tuple[Effect, ...]
    instance_id: str | None

    @property
    def step(self) -> Step:
        return Step(self.state, self.effects, self.instance_id)


def _begun(state: ScheduleState, instance_id: str, moment: datetime) -> _Begun:
    """Start a run if the overlap policy lets it."""
    policy = state.configuration.overlap
    started = replace(state, last_run_at=moment)
    if policy is OverlapPolicy.ALLOW:
        return _Begun(started, (Start(instance_id),), instance_id)
    if state.running is None:
        watcher = _next_watcher(state, moment)
        started = replace(started, running=instance_id, watcher=watcher)
        return _Begun(started, (Start(instance_id, watcher),), instance_id)
    probe = (Probe(state.watcher),)
    if policy is OverlapPolicy.SKIP:
        return _Begun(state, probe, None)
    buffered = state.buffered or instance_id
    return _Begun(replace(state, buffered=buffered), probe, buffered)


def _armed(state: ScheduleState, now: datetime) -> Step:
    """Wait for the next occurrence, after a client's request.

    Raises:
        ScheduleClientValidationError: there is none, and never will be.
    """
    following = state.next_run_at or _first_after(state, now)
    if following is None:
        told = state.configuration
        reason = f"it never occurs after {now.isoformat()}."
        raise ScheduleClientValidationError(told.schedule_id, reason)
    return _waiting_for(state, following, now)


def _first_after(state: ScheduleState, now: datetime) -> datetime | None:
    told, last = state.configuration, state.last_run_at
    start = told.start_at
    if start is not None and now <= start and (last is None or last < start):
        # The start itself may be an occurrence.
        return told.next_after(start - _TICK, state.created_at)
    if last is None and told.start_immediately_if_late:
        return now
    return told.next_after(now, state.created_at)


def _waiting_for(state: ScheduleState, following: datetime | None, now: datetime) -> Step:
    """Wait for an occurrence, or for the end, whichever comes first."""
    end = state.configuration.end_at
    if end is not None and (following is None or following > end):
        following = None
    waits_for = following or end
    waiting = _renewed(replace(state, next_run_at=following), now)
    return Step(waiting, () if waits_for is None else (Wake(waits_for),))


def _next_watcher(state: ScheduleState, moment: datetime) -> str:
    digest = _digest(state.created_at.isoformat(), state.watcher, state.token, moment.isoformat())
    return f"{state.configuration.schedule_id}-watch-{digest[:_WATCHER_DIGITS]}"


def _renewed(state: ScheduleState, now: datetime) -> ScheduleState:
    """With another token: signals under way count no more."""
    digest = _digest(state.created_at.isoformat(), state.token, now.isoformat())
    return replace(state, token=digest[:_TOKEN_DIGITS])


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _is_over(state: ScheduleState, now: datetime) -> bool:
    end = state.configuration.end_at
    return state.next_run_at is None and end is not None and now >= end


def _over(state: ScheduleState, now: datetime) -> Step:
    if state.buffered is None:
        return Step(None)
    # A run that waits for another one was due before the end. No occurrence will notice any more
    # that nobody watches that other one.
    return Step(_renewed(state, now), (Probe(state.watcher), Wake(now + _PROBE_PAUSE)))
