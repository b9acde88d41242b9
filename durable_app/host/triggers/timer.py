"""Runs timer functions when their schedules say so. What to do is decided in ``schedule``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta, tzinfo
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from durable_app.errors import StoreUnavailableError
from durable_app.host.calls.invocation_context import Retry
from durable_app.host.console.console import Level
from durable_app.host.triggers.calling import Journal, TriggerCall, cancel, run_once
from durable_app.host.triggers.repetition import Repetition, repetition_of
from durable_app.host.triggers.schedule import (
    Fire,
    Never,
    ScheduleStatus,
    after_run,
    following_clock,
    occurrences_text,
    opening,
    parse_schedule,
    plan,
    round_trip_text,
    status_from_text,
)
from durable_app.host.triggers.values import TIMER_TRIGGER, check_annotation, timer_value

if TYPE_CHECKING:
    from durable_app.host.state import HostState
    from durable_app.ports import Clock
    from durable_app.recurrence.schedules import Schedule

#: Kind of the facts in which the host's state keeps the status of timers.
TIMER_FACTS: Final = "timer"
_CATEGORY: Final = "Host.Triggers.Timer"
# The wall clock may be set while a timer sleeps; it is looked at so often.
_LONGEST_SLEEP_S: Final = 10.0
_ONCE: Final = Repetition(0, timedelta(0), timedelta(0))

_log = logging.getLogger(__name__)
# Whose turn it is to run a function; shared by all loads of an app in this process.
_turns: WeakKeyDictionary[HostState, dict[str, asyncio.Lock]] = WeakKeyDictionary()


def _turn(state: HostState, name: str) -> asyncio.Lock:
    return _turns.setdefault(state, {}).setdefault(name, asyncio.Lock())


class TimerFunction(NamedTuple):
    """One timer function.

    Attributes:
        is_monitored: keep its status over restarts, so that a missed run is made up for.
        repetition: of runs that fail; None for none.
    """

    call: TriggerCall
    schedule: Schedule
    run_on_startup: bool
    is_monitored: bool
    repetition: Repetition | None = None

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.call.facts.name


def timer_function(
    call: TriggerCall, zone: tzinfo, repeat: Repetition | None = None
) -> TimerFunction:
    """Read the trigger's binding.

    Args:
        repeat: of functions that name no retry policy themselves.

    Raises:
        ConfigError: the schedule is no schedule, the message names the function and the field; or
            the retry policy is none.
        DefinitionError: its parameter is annotated with something else than a TimerRequest.
    """
    facts = call.facts
    check_annotation(facts)
    binding = next(found for found in facts.bindings if found["type"] == TIMER_TRIGGER)
    schedule = parse_schedule(str(binding.get("schedule", "")), zone, facts.name)
    monitored = binding.get("useMonitor")
    return TimerFunction(
        call,
        schedule,
        run_on_startup=_is_true(binding.get("runOnStartup")),
        is_monitored=not schedule.is_frequent if monitored is None else _is_true(monitored),
        repetition=repeat if facts.retry is None else repetition_of(facts.name, facts.retry),
    )


class TimerTriggers:
    """All timers of an app, a task for each.

    Runs of one function never overlap, not even those of two loads of an app: one that takes over
    while the former one still runs a function waits for it, if both have the same ``state``.

    Args:
        state: keeps the status of monitored timers.
        sleep: waits for seconds; replaceable together with ``clock``.
    """

    def __init__(
        self,
        timers: Sequence[TimerFunction],
        state: HostState,
        clock: Clock,
        journal: Journal,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._state = state
        self._clock = clock
        self._journal = journal
        self._sleep = sleep
        self._timers = [_Timer(timer, _turn(state, timer.name)) for timer in timers]
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def prepare(self) -> None:
        """Read what is remembered; nothing runs yet, and a former load may go on meanwhile.

        Raises:
            StoreUnavailableError: the host's state cannot be read or written.
        """
        for timer in self._timers:
            if not timer.turn.locked():
                # It may wait for the disk, and requests are served by this loop.
                await asyncio.to_thread(self._open, timer)

    async def start(self) -> None:
        """Begin; runs that are due at once begin now.

        Raises:
            StoreUnavailableError: the host's state cannot be read or written.
        """
        for timer in self._timers:
            if timer.turn.locked():
                timer.is_open = False  # what the former load's run leaves counts
            elif not timer.is_open:
                self._open(timer)
        # Only now: a timer whose status cannot be kept stops the start before any function ran.
        self._tasks = [
            asyncio.create_task(self._timer_loop(timer), name=f"timer {timer.function.name}")
            for timer in self._timers
        ]

    async def stop(self, grace_s: float) -> None:
        """Begin no run any more; runs that go on get ``grace_s``, then they are cancelled.

        A run that is cancelled counts as missed: a monitored timer makes up for it at the next
        start. Idempotent.
        """
        self._stopping = True
        for timer, task in zip(self._timers, self._tasks, strict=False):
            if not timer.is_running:
                task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_s)
            await cancel(late)
        self._tasks = []

    def _open(self, timer: _Timer) -> None:
        function, now = timer.function, self._clock.now()
        timer.is_open = True
        stored = None
        if function.is_monitored:
            stored = status_from_text(self._state.read(TIMER_FACTS, function.name))
        timer.status, timer.first = opening(
            function.schedule, stored, now, run_on_startup=function.run_on_startup
        )
        if function.is_monitored and timer.status != stored:
            # A new timer, too: its first occurrence is missed if the host does not run then.
            self._state.write(TIMER_FACTS, function.name, timer.status.to_text())
        level = Level.WARNING if timer.status.next is None else Level.INFORMATION
        text = occurrences_text(function.name, function.schedule, now)
        self._journal.log(level, _CATEGORY, "%s", text)

    async def _timer_loop(self, timer: _Timer) -> None:
        try:
            if not timer.is_open:
                # A former load of the app runs the function: what it leaves decides how to begin.
                async with timer.turn:
                    self._open(timer)
            if timer.first is not None:
                await self._run(timer, timer.first)
            while not self._stopping:
                now = self._clock.now()
                timer.status = following_clock(timer.function.schedule, timer.status, now)
                step = plan(timer.status, now)
                if isinstance(step, Never):
                    return
                if isinstance(step, Fire):
                    await self._run(timer, step)
                else:
                    left_s = (step.moment - now).total_seconds()
                    await self._sleep(min(left_s, _LONGEST_SLEEP_S))
        except Exception:  # noqa: BLE001  the top of a loop
            # The others go on; this one would fail again.
            _log.exception("timer_stopped", extra={"function": timer.function.name})

    async def _run(self, timer: _Timer, fire: Fire) -> None:
        function, began = timer.function, self._clock.now()
        schedule = function.schedule
        value = timer_value(
            schedule,
            timer.status if function.is_monitored else None,
            is_past_due=fire.cause == "IsPastDue",
        )
        reason = f"Timer fired at {round_trip_text(began, schedule)}"
        details = _details(fire, schedule)
        timer.is_running = True
        try:
            async with timer.turn:
                await self._run_until_done(timer, value, reason, details)
                timer.status = after_run(schedule, began)
                await self._keep(timer)
        finally:
            timer.is_running = False

    async def _run_until_done(self, timer: _Timer, value: Any, reason: str, details: str) -> None:
        function = timer.function
        policy = function.repetition or _ONCE
        for retries in count():
            retry = None if policy is _ONCE else Retry(retries, policy.max_retries)
            is_done = await run_once(
                function.call, value, self._journal, reason=reason, details=details, retry=retry
            )
            pause = policy.pause(retries)
            if is_done or pause is None or self._stopping:
                return
            self._journal.log(
                Level.INFORMATION,
                f"Function.{function.name}",
                "Waiting for `%s` before retrying function execution. Next attempt: '%d'."
                " Max retry count: '%d'.",
                pause,
                retries + 1,
                policy.max_retries,
            )
            timer.is_running = False  # an end of the host does not wait for it
            await self._sleep(pause / timedelta(seconds=1))
            timer.is_running = True

    async def _keep(self, timer: _Timer) -> None:
        function = timer.function
        if not function.is_monitored:
            return
        try:
            # It waits for the disk, and requests are served by this loop.
            await asyncio.to_thread(
                self._state.write, TIMER_FACTS, function.name, timer.status.to_text()
            )
        except StoreUnavailableError as error:
            # The function did run; a restart may run it for this occurrence once more.
            self._journal.log(
                Level.WARNING, _CATEGORY, "Timer '%s' is not remembered: %s", function.name, error
            )


class _Timer:
    """A timer at work; owned by its loop once that has begun."""

    status: ScheduleStatus

    def __init__(self, function: TimerFunction, turn: asyncio.Lock) -> None:
        self.function = function
        self.turn = turn
        self.is_open = False
        self.first: Fire | None = None
        self.is_running = False


def _details(fire: Fire, schedule: Schedule) -> str:
    if fire.cause == "Schedule":
        return ""
    text = f"UnscheduledInvocationReason: {fire.cause}"
    if fire.original is not None:
        text += f", OriginalSchedule: {round_trip_text(fire.original, schedule)}"
    return text


def _is_true(value: object) -> bool:
    """A flag of a binding: JSON's true, or the text of an app setting."""
    return value is True or (isinstance(value, str) and value.strip().casefold() == "true")
