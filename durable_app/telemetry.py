"""What the shells tell about their work: one observer of function invocations.

``current_invocation`` says for which invocation the running code works, so that what user code
logs or prints can be shown with it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.protocol import TraceContext


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


class Invocation(NamedTuple):
    """A call of a user's function that is going on.

    Attributes:
        function: its name.
        invocation_id: 32 hex digits, as the observer was told.
        is_replaying: for an orchestrator, whether its code runs once more over recorded steps:
            what it logs then was shown before. None for other functions.
        trace_context: of the request that led here; what the function starts belongs to it.
    """

    function: str
    invocation_id: str
    is_replaying: Callable[[], bool] | None = None
    trace_context: TraceContext | None = None


#: The invocation that the running thread or task works for; None outside of functions.
current_invocation: Final[ContextVar[Invocation | None]] = ContextVar(
    "current_invocation", default=None
)
