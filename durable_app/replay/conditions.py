"""Which failures are worth another attempt, and how pauses are spread.

Both are looked at again in every replay, so that they depend on what history holds and on nothing
else: a failure is judged by its text, built-in and registered classes, never by what this process
has loaded; the "random" part of a pause follows from ids.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

from durable_app.exception_types import known_class, type_name
from durable_app.protocol import FailureDetails
from durable_app.replay.failures import passed_on

Rule = type[BaseException] | str | Callable[[FailureDetails], bool]
"""A class, the name of a class, or a function that judges the failure."""

_DIGEST_BYTES: Final = 8


class Conditions:
    """What a retry policy says beyond what a task hub knows.

    Attributes:
        jitter: largest part of a pause that is left out, 0 to 1.
        retry_on: failures that are worth another attempt; None for all.
        give_up_on: failures that are not, whatever ``retry_on`` says.
    """

    __slots__ = ("give_up_on", "jitter", "retry_on")

    def __init__(
        self, jitter: float, retry_on: tuple[Rule, ...] | None, give_up_on: tuple[Rule, ...]
    ) -> None:
        self.jitter = jitter
        self.retry_on = retry_on
        self.give_up_on = give_up_on

    @property
    def _values(self) -> tuple[Any, ...]:
        return self.jitter, self.retry_on, self.give_up_on

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Conditions) and other._values == self._values

    def __hash__(self) -> int:
        return hash(self._values)

    def __repr__(self) -> str:
        """The part of a policy's text that is about them: what differs from the defaults."""
        parts = [
            f", jitter={self.jitter}" if self.jitter else "",
            "" if self.retry_on is None else f", retry_on={self.retry_on!r}",
            f", give_up_on={self.give_up_on!r}" if self.give_up_on else "",
        ]
        return "".join(parts)

    def allow(self, failure: FailureDetails) -> bool:
        """Tell whether the failure is worth another attempt; raises what a user's function does."""
        if any(_fits(rule, failure) for rule in self.give_up_on):
            return False
        return self.retry_on is None or any(_fits(rule, failure) for rule in self.retry_on)

    def spread(self, delay: timedelta, execution: str, task_id: int, attempt: int) -> timedelta:
        """Shorten a pause by a part that differs from task to task and from attempt to attempt."""
        if not self.jitter:
            return delay
        digest = sha256(f"{execution}/{task_id}/{attempt}".encode()).digest()[:_DIGEST_BYTES]
        part = int.from_bytes(digest) / 256**_DIGEST_BYTES
        return delay * (1 - self.jitter * part)


def conditions_of(jitter: Any, retry_on: Any, give_up_on: Any) -> Conditions | None:
    """Check what a user gave; None where it says nothing.

    Raises:
        TypeError: a value of another type.
        ValueError: the jitter is out of its bounds, or nothing could ever be retried.
    """
    made = Conditions(
        _jitter(jitter),
        None if retry_on is None else _rules("retry_on", retry_on),
        () if give_up_on is None else _rules("give_up_on", give_up_on),
    )
    if made.retry_on == ():
        raise ValueError(
            "retry_on is empty, so that nothing would be tried again; None is for all."
        )
    return None if made == Conditions(0.0, None, ()) else made


def _jitter(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"jitter must be a number, not {value!r}.")
    if not 0 <= value <= 1:
        raise ValueError(f"jitter must be from 0 to 1, not {value}.")
    return float(value)


def _rules(name: str, given: Any) -> tuple[Rule, ...]:
    if isinstance(given, str) or callable(given) or not isinstance(given, Iterable):
        given = (given,)
    rules = tuple(given)
    for rule in rules:
        is_class = isinstance(rule, type)
        if is_class and not issubclass(rule, BaseException):
            raise TypeError(f"{name}: {rule!r} is no class of exceptions.")
        if not is_class and (
            not (isinstance(rule, str) or callable(rule)) or inspect.iscoroutinefunction(rule)
        ):
            raise TypeError(
                f"{name} takes classes of exceptions, their names, and plain functions of"
                f" FailureDetails, one or a list of them, not {rule!r}."
            )
    return rules


def _fits(rule: Rule, failure: FailureDetails) -> bool:
    if isinstance(rule, str):
        return any(each.is_caused_by(rule) for each in passed_on(failure))
    if isinstance(rule, type):
        return any(_is_of(each, rule) for each in passed_on(failure))
    return bool(rule(failure))


def _is_of(failure: FailureDetails, kind: type[BaseException]) -> bool:
    known = known_class(failure.error_type)
    if known is not None and issubclass(known, kind):
        return True
    if kind in (Exception, BaseException):  # those that failures do not name
        return failure.is_caused_by(kind)
    return type_name(kind) in (failure.error_type, *failure.base_types)
