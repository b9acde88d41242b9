from __future__ import annotations

from datetime import timedelta

import pytest

from durable_app import protocol
from durable_app.replay.retry import (
    MAX_DELAY,
    Plan,
    RetryOptions,
    RetryPolicy,
    next_delay,
    retry_plan,
)
from tests.unit.replay.world import NOON

SECOND = timedelta(seconds=1)


def policy(**changes) -> RetryPolicy:
    return RetryPolicy(**{"first_retry_interval": SECOND, "max_number_of_attempts": 3, **changes})


def test_options_and_policy_say_the_same() -> None:
    options = RetryOptions(
        1000,
        3,
        backoff_coefficient=2,
        max_retry_interval_in_milliseconds=5000,
        retry_timeout_in_milliseconds=60_000,
    )
    same = policy(backoff_coefficient=2.0, max_retry_interval=5 * SECOND, retry_timeout=60 * SECOND)
    assert options.to_protocol() == same.to_protocol()
    assert options.to_protocol() == protocol.RetryPolicy(SECOND, 3, 2.0, 5 * SECOND, 60 * SECOND)


def test_options_can_be_read_back() -> None:
    options = RetryOptions(1500, 2, max_retry_interval_in_milliseconds=9000)
    assert options.first_retry_interval_in_milliseconds == 1500
    assert options.max_number_of_attempts == 2
    assert options.backoff_coefficient == 1.0
    assert options.max_retry_interval_in_milliseconds == 9000
    assert options.retry_timeout_in_milliseconds is None


def test_a_policy_can_be_read_back() -> None:
    read = policy(retry_timeout=9 * SECOND)
    assert read.first_retry_interval == SECOND
    assert read.max_number_of_attempts == 3
    assert read.backoff_coefficient == 1.0
    assert read.max_retry_interval is None
    assert read.retry_timeout == 9 * SECOND


def test_options_as_the_classic_host_reads_them() -> None:
    assert RetryOptions(5000, 3).to_json() == {
        "firstRetryIntervalInMilliseconds": 5000,
        "maxNumberOfAttempts": 3,
    }
    full = RetryOptions(
        1,
        3,
        backoff_coefficient=1.5,
        max_retry_interval_in_milliseconds=2,
        retry_timeout_in_milliseconds=3,
    )
    assert full.to_json() == {
        "firstRetryIntervalInMilliseconds": 1,
        "maxNumberOfAttempts": 3,
        "backoffCoefficient": 1.5,
        "maxRetryIntervalInMilliseconds": 2,
        "retryTimeoutInMilliseconds": 3,
    }


@pytest.mark.parametrize(
    "make", [lambda n: RetryOptions(1000, n), lambda n: policy(max_number_of_attempts=n)]
)
def test_equal_policies_are_equal(make) -> None:
    assert make(3) == make(3)
    assert hash(make(3)) == hash(make(3))
    assert make(3) != make(4)
    assert make(3) != "retry"
    assert "3" in repr(make(3))


@pytest.mark.parametrize(
    "options",
    [
        {"first_retry_interval_in_milliseconds": 0},
        {"first_retry_interval_in_milliseconds": -1},
        {"first_retry_interval_in_milliseconds": 10**18},
        {"max_number_of_attempts": 0},
        {"backoff_coefficient": 0.5},
        {"backoff_coefficient": float("nan")},
        {"backoff_coefficient": float("inf")},
        {"max_retry_interval_in_milliseconds": 0},
        {"retry_timeout_in_milliseconds": -5},
    ],
)
def test_values_out_of_bounds(options) -> None:
    valid = {"first_retry_interval_in_milliseconds": 1000, "max_number_of_attempts": 3}
    with pytest.raises(ValueError, match=next(iter(options))):
        RetryOptions(**{**valid, **options})


@pytest.mark.parametrize(
    "options",
    [
        {"first_retry_interval_in_milliseconds": 1.5},
        {"first_retry_interval_in_milliseconds": True},
        {"max_number_of_attempts": "3"},
        {"max_number_of_attempts": True},
        {"backoff_coefficient": "2"},
        {"backoff_coefficient": True},
    ],
)
def test_values_of_another_type(options) -> None:
    valid = {"first_retry_interval_in_milliseconds": 1000, "max_number_of_attempts": 3}
    with pytest.raises(TypeError, match=next(iter(options))):
        RetryOptions(**{**valid, **options})


def test_intervals_are_timedeltas_within_bounds() -> None:
    with pytest.raises(TypeError, match="first_retry_interval"):
        policy(first_retry_interval=5)
    with pytest.raises(ValueError, match="retry_timeout"):
        policy(retry_timeout=timedelta(0))
    with pytest.raises(ValueError, match="36500 days"):
        policy(max_retry_interval=MAX_DELAY + SECOND)


def test_any_form_of_policy_is_taken() -> None:
    native = protocol.RetryPolicy(SECOND, 3)
    forms = (RetryOptions(1000, 3), policy(), native)
    assert {retry_plan(form, "call") for form in forms} == {Plan(native)}
    with pytest.raises(TypeError, match="call: retry_options must be"):
        retry_plan(3, "call")


def test_pauses_grow_to_the_longest() -> None:
    growing = policy(backoff_coefficient=2, max_retry_interval=5 * SECOND).to_protocol()
    pauses = [next_delay(growing, attempt, NOON, NOON) for attempt in (1, 2, 3, 4, 5_000)]
    assert pauses == [SECOND, 2 * SECOND, 4 * SECOND, 5 * SECOND, 5 * SECOND]


@pytest.mark.parametrize("attempt", [40, 5_000])
def test_pauses_without_a_limit_stay_within_the_calendar(attempt: int) -> None:
    growing = policy(backoff_coefficient=10).to_protocol()
    assert next_delay(growing, attempt, NOON, NOON) == MAX_DELAY


def test_the_timeout_counts_from_the_first_attempt() -> None:
    limited = policy(retry_timeout=10 * SECOND).to_protocol()
    assert next_delay(limited, 1, NOON, NOON + 9 * SECOND) == SECOND
    assert next_delay(limited, 1, NOON, NOON + 10 * SECOND) is None
