"""Timers on virtual time: nothing here waits for a real clock."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import types
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from durable_app.errors import ConfigError, DefinitionError, StoreUnavailableError
from durable_app.functions.index import FunctionFacts
from durable_app.host.calls.invocation_context import Retry
from durable_app.host.calls.invoke import FunctionFailedError
from durable_app.host.console.console import Level
from durable_app.host.state import HostState
from durable_app.host.triggers.timer import TIMER_FACTS, TimerTriggers, timer_function

START = datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC)
NEVER_S = 24 * 3600.0


class VirtualClock:
    """Time that passes while somebody sleeps, ``left_s`` of it; then sleepers sleep for ever."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self.left_s = 0.0
        self.idle = asyncio.Event()
        self.jumps: list[tuple[datetime, timedelta]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def new_id(self) -> str:
        return "0" * 32

    async def sleep(self, seconds: float) -> None:
        if seconds > self.left_s:
            self.idle.set()
            await for_ever()
        self.left_s -= seconds
        self._now += timedelta(seconds=seconds)
        if self.jumps and self._now >= self.jumps[0][0]:
            self._now += self.jumps.pop(0)[1]
        await asyncio.sleep(0)


class Recorder:
    """A timer function that notes its runs; ``act`` is its body."""

    def __init__(
        self, clock: VirtualClock, binding: dict[str, Any], act: Callable[[], Awaitable[None]]
    ) -> None:
        self.runs: list[tuple[datetime, Any, str]] = []
        self.retries: list[Retry | None] = []
        self._clock = clock
        self._act = act
        policy = binding.pop("retry", None)
        self.facts = dataclasses.replace(facts(binding), retry=policy)

    async def __call__(self, value: Any, *, reason: str = "", retry: Retry | None = None) -> None:
        self.runs.append((self._clock.now(), value, reason))
        self.retries.append(retry)
        await self._act()

    @property
    def times(self) -> list[str]:
        return [f"{moment:%H:%M:%S}" for moment, _, _ in self.runs]


class Lines:
    def __init__(self) -> None:
        self.lines: list[tuple[Level, str, str]] = []

    def log(self, level: Level, category: str, text: str, *args: object) -> None:
        self.lines.append((level, category, text % args if args else text))


async def nothing() -> None:
    return


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


def facts(binding: dict[str, Any], handle: Callable[..., Any] = lambda tick: None) -> FunctionFacts:
    full = {"type": "timerTrigger", "name": "tick", "direction": "IN", **binding}
    return FunctionFacts(
        name="tick",
        trigger_type="timerTrigger",
        bindings=(full,),
        route=None,
        methods=(),
        auth_level=None,
        is_async=False,
        handle=handle,
        durable=None,
        script_file="function_app.py",
    )


class Bench:
    """One timer function with everything around it; ``state`` outlives a host."""

    def __init__(self, state: HostState | None = None, now: datetime = START) -> None:
        self.clock = VirtualClock(now)
        self.state = state or HostState(None)
        self.journal = Lines()
        self.recorder: Recorder

    def run(
        self,
        schedule: str,
        for_s: float,
        act: Callable[[], Awaitable[None]] = nothing,
        grace_s: float = 0,
        **binding: Any,
    ) -> Recorder:
        """Run the host for so many virtual seconds."""
        return asyncio.run(self._run(schedule, for_s, act, grace_s, binding))

    async def _run(
        self,
        schedule: str,
        for_s: float,
        act: Callable[[], Awaitable[None]],
        grace_s: float,
        binding: dict[str, Any],
    ) -> Recorder:
        recorder = Recorder(self.clock, {"schedule": schedule, **binding}, act)
        timers = TimerTriggers(
            [timer_function(recorder, UTC)],
            self.state,
            self.clock,
            self.journal,
            sleep=self.clock.sleep,
        )
        self.clock.left_s = for_s
        await timers.start()
        idle = asyncio.ensure_future(self.clock.idle.wait())
        await asyncio.wait([idle, *timers._tasks], return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        await timers.stop(grace_s)
        return recorder


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.state.close()


def test_it_runs_at_every_occurrence(bench: Bench) -> None:
    recorder = bench.run("*/15 * * * * *", 61)
    assert recorder.times == ["12:00:45", "12:01:00", "12:01:15", "12:01:30"]


def test_the_value_is_the_one_of_azure_functions(bench: Bench) -> None:
    recorder = bench.run("0 * * * * *", 90)
    _, first, reason = recorder.runs[0]
    assert issubclass(type(first), func.TimerRequest)
    assert (first.past_due, first.schedule) == (False, {"AdjustForDST": True})
    assert first.schedule_status == {
        "Last": "0001-01-01T00:00:00",
        "Next": "2026-05-04T12:01:00.0000000+00:00",
        "LastUpdated": "2026-05-04T12:00:30.0000000+00:00",
    }
    assert reason == "Timer fired at 2026-05-04T12:01:00.0000000+00:00"
    assert recorder.runs[1][1].schedule_status["Last"] == "2026-05-04T12:01:00.0000000+00:00"


def test_a_frequent_timer_is_not_monitored(bench: Bench) -> None:
    recorder = bench.run("*/15 * * * * *", 20)
    assert recorder.runs[0][1].schedule_status == {}
    assert bench.state.all_of(TIMER_FACTS) == {}


def test_a_frequent_timer_is_monitored_where_it_asks_for_it(bench: Bench) -> None:
    bench.run("*/15 * * * * *", 20, useMonitor=True)
    assert list(bench.state.all_of(TIMER_FACTS)) == ["tick"]


def test_it_runs_at_the_start_where_it_asks_for_it(bench: Bench) -> None:
    recorder = bench.run("0 0 * * * *", 1, runOnStartup=True)
    assert recorder.times == ["12:00:30"]
    assert (Level.INFORMATION, "Function.tick", START_DETAILS) in bench.journal.lines


START_DETAILS = "Trigger Details: UnscheduledInvocationReason: RunOnStartup"


def test_a_missed_run_is_made_up_for_once(bench: Bench) -> None:
    # given a host that has run at 12:01 and was away for ten minutes
    bench.run("0 * * * * *", 50)
    later = Bench(bench.state, START + timedelta(minutes=10))

    # when it starts again
    recorder = later.run("0 * * * * *", 40)

    # then it runs at once and then as usual
    assert recorder.times == ["12:10:30", "12:11:00"]
    assert [value.past_due for _, value, _ in recorder.runs] == [True, False]
    assert later.journal.lines[-1][2] == (
        "Trigger Details: UnscheduledInvocationReason: IsPastDue,"
        " OriginalSchedule: 2026-05-04T12:02:00.0000000+00:00"
    )


def test_the_first_run_of_a_new_timer_can_be_missed_too(bench: Bench) -> None:
    assert bench.run("0 * * * * *", 1).runs == []
    later = Bench(bench.state, START + timedelta(minutes=1))
    assert later.run("0 * * * * *", 1).times == ["12:01:30"]


def test_a_past_due_run_stands_for_the_one_at_the_start(bench: Bench) -> None:
    bench.run("0 * * * * *", 1)
    later = Bench(bench.state, START + timedelta(minutes=1))
    recorder = later.run("0 * * * * *", 1, runOnStartup=True)
    assert [value.past_due for _, value, _ in recorder.runs] == [True]


def test_a_timer_that_is_not_monitored_forgets_what_it_missed(bench: Bench) -> None:
    bench.run("0 * * * * *", 50, useMonitor=False)
    later = Bench(bench.state, START + timedelta(minutes=10))
    assert later.run("0 * * * * *", 20, useMonitor=False).runs == []


def test_a_changed_schedule_is_not_past_due(bench: Bench) -> None:
    bench.run("0 * * * * *", 50)
    later = Bench(bench.state, START + timedelta(minutes=10))
    recorder = later.run("0 */5 * * * *", 5 * 60)
    assert recorder.times == ["12:15:00"]
    assert [value.past_due for _, value, _ in recorder.runs] == [False]


def test_runs_never_overlap_and_a_missed_occurrence_follows_at_once(bench: Bench) -> None:
    async def slow() -> None:
        await bench.clock.sleep(25)

    recorder = bench.run("*/10 * * * * *", 61, slow)
    assert recorder.times == ["12:00:40", "12:01:05", "12:01:30"]


def test_a_failure_does_not_stop_the_timer(bench: Bench) -> None:
    async def fail() -> None:
        raise FunctionFailedError

    assert len(bench.run("*/15 * * * * *", 40, fail).runs) == 2


def test_an_unexpected_error_stops_this_timer_only(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise RuntimeError("a mistake of the host")

    assert len(bench.run("*/15 * * * * *", 40, fail).runs) == 1
    assert "timer_stopped" in caplog.text


def test_a_clock_that_is_set_forward_is_noticed(bench: Bench) -> None:
    bench.clock.jumps = [(START + timedelta(seconds=20), timedelta(hours=2))]
    recorder = bench.run("0 0 * * * *", 60)
    assert recorder.times == ["14:00:50"]


def test_a_clock_that_is_set_back_does_not_silence_a_timer(bench: Bench) -> None:
    # given a timer that ran at 13:00 by a clock that is then set back by a day
    bench.clock.jumps = [(START + timedelta(minutes=59, seconds=40), timedelta(days=-1))]

    # when it goes on for two hours by the new clock
    recorder = bench.run("0 0 * * * *", 2 * 3600)

    # then it follows that clock
    assert recorder.runs[0][0] == datetime(2026, 5, 4, 13, tzinfo=UTC)
    assert recorder.runs[1][0] == datetime(2026, 5, 3, 14, tzinfo=UTC)


def test_a_clock_that_is_set_back_a_little_does_not_repeat_a_run(bench: Bench) -> None:
    bench.clock.jumps = [(START + timedelta(seconds=31), timedelta(seconds=-5))]
    assert bench.run("0 * * * * *", 80).times == ["12:01:00"]


def test_the_next_occurrences_are_announced(bench: Bench) -> None:
    bench.run("0 */5 * * * *", 1)
    assert bench.journal.lines == [
        (
            Level.INFORMATION,
            "Host.Triggers.Timer",
            "The next 5 occurrences of the 'tick' schedule (Cron: '0 */5 * * * *') will be:\n"
            "05/04/2026 12:05:00+00:00 (05/04/2026 12:05:00Z)\n"
            "05/04/2026 12:10:00+00:00 (05/04/2026 12:10:00Z)\n"
            "05/04/2026 12:15:00+00:00 (05/04/2026 12:15:00Z)\n"
            "05/04/2026 12:20:00+00:00 (05/04/2026 12:20:00Z)\n"
            "05/04/2026 12:25:00+00:00 (05/04/2026 12:25:00Z)",
        )
    ]


def test_a_schedule_that_never_occurs_is_reported_and_sleeps(bench: Bench) -> None:
    assert bench.run("0 0 0 30 2 *", NEVER_S).runs == []
    level, _, text = bench.journal.lines[0]
    assert level is Level.WARNING
    assert text == "The 'tick' schedule (Cron: '0 0 0 30 2 *') never occurs."


def test_the_end_waits_for_a_run(bench: Bench) -> None:
    async def finish_late() -> None:
        bench.clock.idle.set()
        await asyncio.sleep(0.01)

    recorder = bench.run("0 * * * * *", 40, finish_late, grace_s=5)
    assert recorder.times == ["12:01:00"]
    assert json.loads(bench.state.all_of(TIMER_FACTS)["tick"])["Last"] == (
        "2026-05-04T12:01:00+00:00"
    )


def test_a_run_that_the_end_cuts_off_counts_as_missed(bench: Bench) -> None:
    async def hang() -> None:
        bench.clock.idle.set()
        await for_ever()

    bench.run("0 * * * * *", 40, hang)
    later = Bench(bench.state, START + timedelta(seconds=40))
    assert [value.past_due for _, value, _ in later.run("0 * * * * *", 1).runs] == [True]


def test_a_status_that_cannot_be_kept_does_not_stop_the_timer(bench: Bench) -> None:
    async def close() -> None:
        bench.state.close()

    recorder = bench.run("0 * * * * *", 95, close)
    assert recorder.times == ["12:01:00", "12:02:00"]
    warnings = [text for level, _, text in bench.journal.lines if level is Level.WARNING]
    assert len(warnings) == 2
    assert warnings[0].startswith("Timer 'tick' is not remembered: ")


def test_a_state_that_cannot_be_read_stops_the_start(bench: Bench, tmp_path: Path) -> None:
    bench.state.close()
    with pytest.raises(StoreUnavailableError):
        bench.run("0 * * * * *", 1)


def test_another_load_of_the_app_waits_for_the_run_of_the_former_one(bench: Bench) -> None:
    async def reload() -> list[str]:
        # given a timer function that runs
        began, finish = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            began.set()
            await finish.wait()

        old = Recorder(bench.clock, {"schedule": "0 * * * * *"}, slow)
        new = Recorder(bench.clock, {"schedule": "0 * * * * *"}, nothing)
        before, after = (
            TimerTriggers(
                [timer_function(call, UTC)],
                bench.state,
                bench.clock,
                bench.journal,
                sleep=bench.clock.sleep,
            )
            for call in (old, new)
        )
        bench.clock.left_s = 95
        await before.start()
        await began.wait()

        # when another load of the app takes over before it has ended
        retiring = asyncio.ensure_future(before.stop(5))
        await after.start()
        await asyncio.sleep(0)
        assert new.runs == []
        finish.set()
        await retiring

        # then that goes on with the next occurrence; none is missed, none comes twice
        await bench.clock.idle.wait()
        await after.stop(0)
        await after.stop(0)
        assert [value.past_due for _, value, _ in new.runs] == [False]
        return old.times + new.times

    assert asyncio.run(reload()) == ["12:01:00", "12:02:00"]


def test_no_timers_at_all(bench: Bench) -> None:
    async def start_and_stop() -> None:
        timers = TimerTriggers([], bench.state, bench.clock, bench.journal)
        await timers.start()
        await timers.stop(1)

    asyncio.run(start_and_stop())
    assert bench.journal.lines == []


def test_flags_may_be_texts_of_settings() -> None:
    call: Any = types.SimpleNamespace(
        facts=facts({"schedule": "* * * * * *", "runOnStartup": "True", "useMonitor": "false"})
    )
    timer = timer_function(call, UTC)
    assert (timer.name, timer.run_on_startup, timer.is_monitored) == ("tick", True, False)


def test_a_bad_schedule_names_the_function_and_the_field() -> None:
    call: Any = types.SimpleNamespace(facts=facts({"schedule": "0 60 * * * *"}))
    with pytest.raises(ConfigError, match=r"function 'tick'.* the minute field '60' is invalid"):
        timer_function(call, UTC)


def test_a_wrong_annotation_is_refused_as_in_azure() -> None:
    def text_timer(tick: str) -> None:
        return

    call: Any = types.SimpleNamespace(facts=facts({"schedule": "0 * * * * *"}, text_timer))
    with pytest.raises(DefinitionError, match='does not match its Python annotation "str"'):
        timer_function(call, UTC)
