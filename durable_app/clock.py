"""The only reader of clocks and randomness."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock. Implements ``ports.Clock``."""

    __slots__ = ()

    def now(self) -> datetime:
        """Wall-clock time, aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds of the machine's monotonic clock."""
        return time.monotonic()

    def new_id(self) -> str:
        """A random UUID as 32 hex digits."""
        return uuid.uuid4().hex
