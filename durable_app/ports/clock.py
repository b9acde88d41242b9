"""Time and randomness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class Clock(Protocol):
    """Time and randomness, replaceable by virtual ones."""

    def now(self) -> datetime:
        """Wall-clock time, aware UTC; may jump, even backwards."""
        ...

    def monotonic(self) -> float:
        """Seconds since some point; never goes backwards."""
        ...

    def new_id(self) -> str:
        """32 random lower-case hex digits."""
        ...
