"""Timer functions that fail and have a retry policy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta

import pytest

from durable_app.errors import ConfigError
from durable_app.host.calls.invoke import FunctionFailedError
from durable_app.host.console.console import Level
from durable_app.host.triggers.repetition import Repetition
from durable_app.host.triggers.timer import timer_function
from tests.unit.host.triggers.test_timer import Bench, Recorder, VirtualClock, nothing

TWICE = {"strategy": "fixed_delay", "max_retry_count": "2", "delay_interval": "00:00:05"}
GROWING = {
    "strategy": "exponential_backoff",
    "max_retry_count": "4",
    "minimum_interval": "00:00:04",
    "maximum_interval": "00:00:10",
}


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.state.close()


async def fail() -> None:
    raise FunctionFailedError


@pytest.mark.parametrize(
    ("policy", "times"),
    [
        (None, ["12:01:00"]),
        (TWICE, ["12:01:00", "12:01:05", "12:01:10"]),
        (GROWING, ["12:01:00", "12:01:04", "12:01:12", "12:01:22", "12:01:32"]),
    ],
)
def test_a_run_that_fails_is_repeated_as_its_policy_says(bench: Bench, policy, times):
    recorder = bench.run("0 1 * * * *", 600, fail, retry=policy)
    assert recorder.times == times
    last = recorder.retries[-1]
    if policy is None:
        assert last is None
    else:
        assert last is not None
        assert (last.retry_count, last.max_retry_count) == (len(times) - 1, len(times) - 1)
        assert last.exception is None


def test_a_repetition_ends_with_the_first_run_that_succeeds(bench: Bench):
    outcomes = [fail, nothing]

    async def act() -> None:
        await outcomes.pop(0)()

    recorder = bench.run("0 1 * * * *", 600, act, retry=TWICE)
    assert recorder.times == ["12:01:00", "12:01:05"]
    assert (
        Level.INFORMATION,
        "Function.tick",
        "Waiting for `0:00:05` before retrying function execution. Next attempt: '1'."
        " Max retry count: '2'.",
    ) in bench.journal.lines


def test_an_end_does_not_wait_for_a_repetition_and_the_run_is_made_up_for(bench: Bench):
    policy = {**TWICE, "delay_interval": "01:00:00"}
    first = bench.run("0 1 * * * *", 60, fail, grace_s=60, retry=policy)
    assert first.times == ["12:01:00"]
    bench.clock._now += timedelta(minutes=2)
    again = bench.run("0 1 * * * *", 1, nothing, retry=policy)
    ((_, value, _),) = again.runs
    assert value.past_due


def test_host_json_says_it_for_functions_that_say_nothing():
    minute = timedelta(minutes=1)
    general = Repetition(1, minute, minute)
    clock = VirtualClock()
    silent = Recorder(clock, {"schedule": "0 * * * * *"}, nothing)
    own = Recorder(clock, {"schedule": "0 * * * * *", "retry": TWICE}, nothing)
    assert timer_function(silent, UTC, general).repetition is general
    found = timer_function(own, UTC, general).repetition
    assert found is not None
    assert found.max_retries == 2


def test_a_policy_that_is_none_is_told_with_its_function():
    wrong = Recorder(VirtualClock(), {"schedule": "0 * * * * *", "retry": {}}, nothing)
    with pytest.raises(ConfigError, match="policy of function 'tick' is wrong: max_re"):
        timer_function(wrong, UTC)
