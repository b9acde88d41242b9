"""What the shells tell about their work: one observer of function invocations."""

from __future__ import annotations

from typing import Protocol


class InvocationObserver(Protocol):
    """Sees every invocation of a user's function. Called from several threads; must not block."""

    def executing(self, function: str, invocation_id: str, reason: str) -> None:
        """An invocation begins. ``reason`` is why, in the Functions host's words."""
        ...

    def executed(
        self, function: str, invocation_id: str, duration_s: float, error: str | None
    ) -> None:
        """It has ended; ``error`` is the text of the failure, None after a success."""
        ...
