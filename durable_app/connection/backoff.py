"""How long to wait before another attempt: exponential growth, full jitter, a cap.

Full jitter (anything between nothing and the bound) spreads the attempts of many processes that
lost the same server at the same moment.
"""

from __future__ import annotations

from typing import Final

# 2.0 ** 1024 overflows; far below, every cap is reached.
_MOST_DOUBLINGS: Final = 60
_DIGITS: Final = 12


def draw_of(random_id: str) -> float:
    """A random number, 0 <= n < 1, of a random id that begins with 12 hex digits or more."""
    return int(random_id[:_DIGITS], 16) / 16.0**_DIGITS


def backoff_s(attempt: int, *, first_s: float, cap_s: float, factor: float, draw: float) -> float:
    """Seconds to wait after the failed attempt of that number.

    Args:
        attempt: 1-based; below 1 counts as 1.
        first_s: bound of the first wait, > 0.
        cap_s: bound of every wait.
        factor: by which the bound grows from one wait to the next, >= 1.
        draw: random, 0 <= draw <= 1.

    Returns:
        Between 0 and ``cap_s``.
    """
    doublings = min(max(attempt, 1) - 1, _MOST_DOUBLINGS)
    return draw * min(cap_s, first_s * factor**doublings)
