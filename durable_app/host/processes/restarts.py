"""When a worker process that has ended is started again.

The first time almost at once, then after ever longer pauses: an app that cannot start must not eat
the machine. Once a process has worked for a while, what was before counts no more.
"""

from __future__ import annotations

from typing import Final

_FIRST_S: Final = 0.5
_MOST_S: Final = 30.0
#: A process that has lived for so long was a good one.
GOOD_S: Final = 60.0


class Restarts:
    """Of one worker process and those that take its place."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self._failures = 0

    def wait_s(self, lived_s: float) -> float:
        """How long to wait before the next start: 0.5, 1, 2 ... at most 30 seconds.

        Args:
            lived_s: how long the process has lived that has ended just now.
        """
        if lived_s >= GOOD_S:
            self._failures = 0
        wait_s = min(_FIRST_S * 2.0 ** min(self._failures, 10), _MOST_S)
        self._failures += 1
        return wait_s
