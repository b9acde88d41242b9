"""How often and when a failed task is tried again.

Users say it with ``RetryOptions`` (milliseconds, as Durable Functions for Python 1.x has it) or
with ``RetryPolicy`` (timedeltas); both become the protocol's policy. The delays are computed from
the orchestration's own time, so that a replay finds the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from durable_app import protocol
from durable_app.replay.conditions import Conditions, Rule, conditions_of

Rules = Rule | Iterable[Rule] | None

MAX_DELAY: Final = timedelta(days=36_500)
"""Longest pause, where the policy names no shorter one; it keeps exponents within a datetime."""

_MS: Final = timedelta(milliseconds=1)


class Plan(NamedTuple):
    """A policy as the engine follows it.

    Attributes:
        policy: the part that task hubs know.
        conditions: the part that the engine alone can follow; None for none.
    """

    policy: protocol.RetryPolicy
    conditions: Conditions | None = None


class _Retries:
    """What both ways to write a policy have in common: the protocol's form of it."""

    __slots__ = ("_conditions", "_policy")

    _policy: protocol.RetryPolicy
    _conditions: Conditions | None

    @property
    def max_number_of_attempts(self) -> int:
        """Most attempts, the first one included."""
        return self._policy.max_number_of_attempts

    @property
    def backoff_coefficient(self) -> float:
        """Factor from one pause to the next."""
        return self._policy.backoff_coefficient

    @property
    def jitter(self) -> float:
        """Largest part of a pause that is left out."""
        return 0.0 if self._conditions is None else self._conditions.jitter

    @property
    def retry_on(self) -> tuple[Rule, ...] | None:
        """Failures that are worth another attempt, or None for all."""
        return None if self._conditions is None else self._conditions.retry_on

    @property
    def give_up_on(self) -> tuple[Rule, ...]:
        """Failures that are not worth another attempt."""
        return () if self._conditions is None else self._conditions.give_up_on

    def to_protocol(self) -> protocol.RetryPolicy:
        """Return the policy as the task hub knows it."""
        return self._policy

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, type(self))
            and other._policy == self._policy
            and other._conditions == self._conditions
        )

    def __hash__(self) -> int:
        return hash((self._policy, self._conditions))

    def _text(self, fields: str) -> str:
        return f"{type(self).__name__}({fields}{self._conditions or ''})"


class RetryPolicy(_Retries):
    """When a failed task is tried again.

    Args:
        first_retry_interval: pause before the second attempt, > 0.
        max_number_of_attempts: >= 1, the first one included.
        backoff_coefficient: factor from one pause to the next, >= 1.
        max_retry_interval: longest pause, > 0; None for no limit.
        retry_timeout: no further attempt begins when this much of the orchestration's time has
            passed since the first one was scheduled, > 0; None for no limit.
        jitter: 0 to 1: up to this part of every pause is left out, another one for every task and
            attempt, so that tasks that failed together do not come back together. It follows from
            ids, and is the same in every replay.
        retry_on: try again after these failures only: classes of exceptions, names of classes, or
            functions that take the FailureDetails and return a bool; one, or a list of them. None
            for all failures. A class stands for its subclasses too.
        give_up_on: never try again after these failures, given in the same way.

    Raises:
        TypeError: a value of another type.
        ValueError: a value out of its bounds.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        first_retry_interval: timedelta,
        max_number_of_attempts: int,
        backoff_coefficient: float = 1.0,
        max_retry_interval: timedelta | None = None,
        retry_timeout: timedelta | None = None,
        jitter: float = 0.0,
        retry_on: Rules = None,
        give_up_on: Rules = None,
    ) -> None:
        self._policy = protocol.RetryPolicy(
            _interval("first_retry_interval", first_retry_interval),
            _attempts(max_number_of_attempts),
            _coefficient(backoff_coefficient),
            _limit("max_retry_interval", max_retry_interval),
            _limit("retry_timeout", retry_timeout),
        )
        self._conditions = conditions_of(jitter, retry_on, give_up_on)

    @property
    def first_retry_interval(self) -> timedelta:
        """Pause before the second attempt."""
        return self._policy.first_retry_interval

    @property
    def max_retry_interval(self) -> timedelta | None:
        """Longest pause, or None."""
        return self._policy.max_retry_interval

    @property
    def retry_timeout(self) -> timedelta | None:
        """Time after which no further attempt begins, or None."""
        return self._policy.retry_timeout

    def __repr__(self) -> str:
        return self._text(
            f"first_retry_interval={self.first_retry_interval!r},"
            f" max_number_of_attempts={self.max_number_of_attempts},"
            f" backoff_coefficient={self.backoff_coefficient},"
            f" max_retry_interval={self.max_retry_interval!r},"
            f" retry_timeout={self.retry_timeout!r}"
        )


class RetryOptions(_Retries):
    """When a failed task is tried again, in milliseconds.

    Args:
        first_retry_interval_in_milliseconds: pause before the second attempt, > 0.
        max_number_of_attempts: >= 1, the first one included.
        backoff_coefficient: factor from one pause to the next, >= 1.
        max_retry_interval_in_milliseconds: longest pause, > 0; None for no limit.
        retry_timeout_in_milliseconds: no further attempt begins when this much of the
            orchestration's time has passed since the first one was scheduled; None for no limit.
        jitter: as in RetryPolicy.
        retry_on: likewise.
        give_up_on: likewise.

    Raises:
        TypeError: a value of another type.
        ValueError: a value out of its bounds.
    """

    __slots__ = ()

    def __init__(
        self,
        first_retry_interval_in_milliseconds: int,
        max_number_of_attempts: int,
        *,
        backoff_coefficient: float = 1.0,
        max_retry_interval_in_milliseconds: int | None = None,
        retry_timeout_in_milliseconds: int | None = None,
        jitter: float = 0.0,
        retry_on: Rules = None,
        give_up_on: Rules = None,
    ) -> None:
        self._policy = protocol.RetryPolicy(
            _milliseconds(
                "first_retry_interval_in_milliseconds", first_retry_interval_in_milliseconds
            ),
            _attempts(max_number_of_attempts),
            _coefficient(backoff_coefficient),
            _milliseconds_or_none(
                "max_retry_interval_in_milliseconds", max_retry_interval_in_milliseconds
            ),
            _milliseconds_or_none("retry_timeout_in_milliseconds", retry_timeout_in_milliseconds),
        )
        self._conditions = conditions_of(jitter, retry_on, give_up_on)

    @property
    def first_retry_interval_in_milliseconds(self) -> int:
        """Pause before the second attempt."""
        return self._policy.first_retry_interval // _MS

    @property
    def max_retry_interval_in_milliseconds(self) -> int | None:
        """Longest pause, or None."""
        return _in_milliseconds(self._policy.max_retry_interval)

    @property
    def retry_timeout_in_milliseconds(self) -> int | None:
        """Time after which no further attempt begins, or None."""
        return _in_milliseconds(self._policy.retry_timeout)

    def to_json(self) -> dict[str, int | float]:
        """Return the options as the classic host reads them; only what differs from the default.

        That host knows neither jitter nor conditions: they are left out.
        """
        plain: dict[str, int | float] = {
            "firstRetryIntervalInMilliseconds": self.first_retry_interval_in_milliseconds,
            "maxNumberOfAttempts": self.max_number_of_attempts,
        }
        if self.backoff_coefficient != 1.0:
            plain["backoffCoefficient"] = self.backoff_coefficient
        if self.max_retry_interval_in_milliseconds is not None:
            plain["maxRetryIntervalInMilliseconds"] = self.max_retry_interval_in_milliseconds
        if self.retry_timeout_in_milliseconds is not None:
            plain["retryTimeoutInMilliseconds"] = self.retry_timeout_in_milliseconds
        return plain

    def __repr__(self) -> str:
        return self._text(
            f"{self.first_retry_interval_in_milliseconds},"
            f" {self.max_number_of_attempts}, backoff_coefficient={self.backoff_coefficient},"
            f" max_retry_interval_in_milliseconds={self.max_retry_interval_in_milliseconds},"
            f" retry_timeout_in_milliseconds={self.retry_timeout_in_milliseconds}"
        )


def retry_plan(policy: Any, api: str) -> Plan:
    """Return what the engine follows of what a user gave.

    Raises:
        TypeError: it is neither RetryOptions nor RetryPolicy.
    """
    if isinstance(policy, (RetryOptions, RetryPolicy)):
        return Plan(policy.to_protocol(), policy._conditions)  # noqa: SLF001  of this module
    if isinstance(policy, protocol.RetryPolicy):
        return Plan(policy)
    raise TypeError(
        f"{api}: retry_options must be RetryOptions or RetryPolicy, not {type(policy).__name__}."
    )


def next_delay(
    policy: protocol.RetryPolicy, attempt: int, first_started: datetime, now: datetime
) -> timedelta | None:
    """Pause before the next attempt, or None when the timeout forbids one.

    The number of attempts is not looked at: hosts differ in when they do.

    Args:
        attempt: 1-based number of the attempt that has just failed.
        first_started: when the first attempt was scheduled, on the orchestration's clock.
        now: the orchestration's time.

    Returns:
        More than zero, at most ``policy.max_retry_interval``.

    Source: Durable Task retry semantics; the timeout is compared before the pause, not after it.
    """
    if policy.retry_timeout is not None and now - first_started >= policy.retry_timeout:
        return None
    longest = MAX_DELAY if policy.max_retry_interval is None else policy.max_retry_interval
    try:
        delay = policy.first_retry_interval * policy.backoff_coefficient ** (attempt - 1)
    except OverflowError:
        return longest
    return min(delay, longest)


def _interval(name: str, value: timedelta) -> timedelta:
    if not isinstance(value, timedelta):
        raise TypeError(f"{name} must be a timedelta, not {type(value).__name__}.")
    if not timedelta(0) < value <= MAX_DELAY:
        raise ValueError(f"{name} must be more than 0 and at most {MAX_DELAY.days} days.")
    return value


def _limit(name: str, value: timedelta | None) -> timedelta | None:
    return None if value is None else _interval(name, value)


def _milliseconds(name: str, value: int) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}.")
    if not 0 < value <= MAX_DELAY // _MS:
        raise ValueError(f"{name} must be more than 0 and at most {MAX_DELAY // _MS}, not {value}.")
    return value * _MS


def _milliseconds_or_none(name: str, value: int | None) -> timedelta | None:
    return None if value is None else _milliseconds(name, value)


def _in_milliseconds(value: timedelta | None) -> int | None:
    return None if value is None else value // _MS


def _attempts(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"max_number_of_attempts must be a whole number, not {value!r}.")
    if value < 1:
        raise ValueError(f"max_number_of_attempts must be at least 1, not {value}.")
    return value


def _coefficient(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"backoff_coefficient must be a number, not {value!r}.")
    if not (math.isfinite(value) and value >= 1):
        raise ValueError(f"backoff_coefficient must be at least 1 and finite, not {value}.")
    return float(value)
