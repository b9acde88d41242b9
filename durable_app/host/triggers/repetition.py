"""Retry policies of functions: how often a failed run is repeated, and after which pause.

The Functions host has them for triggers whose events nobody else hands out again. Of those, timers
run here; a queue message comes back by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from durable_app.errors import ConfigError
from durable_app.recurrence.timespan import parse_timespan

#: Repeat until a run succeeds.
FOR_EVER: Final = -1
_FIXED: Final = "fixeddelay"
_EXPONENTIAL: Final = "exponentialbackoff"
_INTEGER: Final = re.compile(r"-1|\d{1,9}", re.ASCII)


class Repetition(NamedTuple):
    """How a failed run is repeated.

    Attributes:
        max_retries: runs after the first one, >= 0; -1 for no limit.
        first: pause before the first of them.
        longest: each further pause is twice the one before, up to this one. The same as ``first``
            for a fixed delay.
    """

    max_retries: int
    first: timedelta
    longest: timedelta

    def pause(self, retries: int) -> timedelta | None:
        """How long to wait before the next run; None for no further run.

        Args:
            retries: runs so far, without the first one.
        """
        if self.max_retries != FOR_EVER and retries >= self.max_retries:
            return None
        if self.first >= self.longest:
            return self.first
        # Past 2**64 of any pause lies the longest one; a larger number only costs time.
        factor = 2 ** min(retries, 64)
        return self.longest if self.longest // factor < self.first else self.first * factor


def repetition(
    strategy: str,
    max_retries: int,
    *,
    delay: timedelta | None,
    minimum: timedelta | None,
    maximum: timedelta | None,
) -> Repetition:
    """Build a policy of what host.json or a decorator says.

    Args:
        strategy: in the words of either, in any case.

    Raises:
        ValueError: an interval is missing, or the strategy is unknown.
    """
    kind = strategy.replace("_", "").casefold()
    if kind == _FIXED:
        if delay is None:
            raise ValueError("a fixed delay needs a delay interval")
        return Repetition(max_retries, delay, delay)
    if kind != _EXPONENTIAL:
        raise ValueError(f"'{strategy}' is no strategy: fixed_delay or exponential_backoff")
    if minimum is None or maximum is None:
        raise ValueError("exponential back-off needs a minimum and a maximum interval")
    if minimum > maximum:
        raise ValueError("the minimum interval is longer than the maximum")
    return Repetition(max_retries, minimum, maximum)


def repetition_of(function: str, settings: Mapping[str, Any]) -> Repetition:
    """Read what ``@app.retry`` says.

    Args:
        function: its name, for the message.
        settings: as azure-functions keeps them.

    Raises:
        ConfigError: it is no policy.
    """
    try:
        return repetition(
            str(settings.get("strategy", "")),
            _count(settings.get("max_retry_count")),
            delay=_interval(settings.get("delay_interval")),
            minimum=_interval(settings.get("minimum_interval")),
            maximum=_interval(settings.get("maximum_interval")),
        )
    except ValueError as error:
        raise ConfigError(f"The retry policy of function '{function}' is wrong: {error}.") from None


def _count(given: object) -> int:
    if _INTEGER.fullmatch(str(given)) is None:
        raise ValueError(f"max_retry_count is a number from -1 (for ever), not {given!r}")
    return int(str(given))


def _interval(given: object) -> timedelta | None:
    return None if given is None else parse_timespan(str(given))
