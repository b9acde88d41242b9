"""When a failed run is repeated."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durable_app.errors import ConfigError
from durable_app.host.triggers.repetition import FOR_EVER, Repetition, repetition_of

FIXED = {"strategy": "fixed_delay", "max_retry_count": "3", "delay_interval": "00:00:10"}
GROWING = {
    "strategy": "exponentialBackoff",
    "max_retry_count": -1,
    "minimum_interval": "00:00:03",
    "maximum_interval": "1.00:00:00",
}


def pauses(policy: Repetition, *retries: int) -> list[float | None]:
    found = [policy.pause(count) for count in retries]
    return [None if pause is None else pause / timedelta(seconds=1) for pause in found]


def test_a_fixed_delay_stays_and_ends() -> None:
    assert pauses(repetition_of("f", FIXED), 0, 1, 2, 3) == [10, 10, 10, None]


def test_a_growing_one_doubles_up_to_the_longest_and_may_last_for_ever() -> None:
    policy = repetition_of("f", GROWING)
    assert policy.max_retries == FOR_EVER
    assert pauses(policy, 0, 1, 2, 14, 15, 10**6) == [3, 6, 12, 49_152, 86_400, 86_400]


def test_a_policy_of_no_retry_ends_at_once() -> None:
    assert pauses(repetition_of("f", {**FIXED, "max_retry_count": 0}), 0) == [None]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"strategy": "none"}, "'none' is no strategy: fixed_delay or exponential_backoff"),
        ({"max_retry_count": None}, "max_retry_count is a number from -1 .for ever., not None"),
        ({"max_retry_count": "-2"}, "not '-2'"),
        ({"delay_interval": None}, "a fixed delay needs a delay interval"),
        ({"delay_interval": "soon"}, "a duration looks like"),
        ({"strategy": "exponential_backoff"}, "needs a minimum and a maximum interval"),
        (
            {**GROWING, "minimum_interval": "2.00:00:00"},
            "the minimum interval is longer than the maximum",
        ),
    ],
)
def test_what_is_no_policy_is_told(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=f"^The retry policy of function 'f' is wrong: .*{text}"):
        repetition_of("f", {**FIXED, **change})
