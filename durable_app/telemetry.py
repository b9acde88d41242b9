"""What the shells tell about their work: an observer of function invocations, and tracing.

``current_invocation`` says for which invocation the running code works, so that what user code
logs or prints can be shown with it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from durable_app.protocol import FailureDetails, TraceContext
    from durable_app.replay.spans import Attributes, Span, SpanKind


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


class LiveSpan(Protocol):
    """A span around code that runs."""

    @property
    def context(self) -> TraceContext | None:
        """What is asked for meanwhile belongs to it; None where there is no trace at all."""
        ...

    def tell(self, attributes: Attributes) -> None:
        """Add attributes."""
        ...

    def fail(self, failure: FailureDetails) -> None:
        """Mark it as failed."""
        ...


class Tracing(Protocol):
    """Where spans go. Called from any thread; nothing here raises or blocks for long.

    Whoever has None in the place of it traces nothing. Ask :func:`tracing_for` for each item of
    work: most processes have OpenTelemetry installed and nothing that takes spans.
    """

    @property
    def shows_payloads(self) -> bool:
        """Spans tell the inputs and outputs of functions."""
        ...

    @property
    def is_on(self) -> bool:
        """Whether anything takes the spans; may change while the process runs."""
        ...

    def samples(self, trace_id: str, name: str) -> bool:
        """Whether a trace that begins with a span of that name is recorded."""
        ...

    def current(self) -> TraceContext | None:
        """The trace context of the running code; None where it has none."""
        ...

    def emit(self, spans: Iterable[Span]) -> None:
        """Take spans that are over."""
        ...

    def live(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        parent: TraceContext | None = None,
    ) -> AbstractContextManager[LiveSpan]:
        """A span around the block, which runs in its context. Whatever is raised is its failure.

        Args:
            parent: None for the context of the running code.
        """
        ...

    def within(self, parent: TraceContext | None) -> AbstractContextManager[None]:
        """Let the block run in a context that came from outside; None changes nothing."""
        ...


def tracing_for(tracing: Tracing | None, parent: TraceContext | None) -> Tracing | None:
    """What traces an item of work; None where nobody would see anything of it.

    An item that belongs to a trace is always traced: without anything that takes spans, its context
    is still handed on. The others cost then what they cost without tracing. Not to be kept from one
    item to the next, since an app may set its provider at any time.

    Args:
        parent: what the item came with, or what the running code belongs to; None for neither.
    """
    if tracing is None or (parent is None and not tracing.is_on):
        return None
    return tracing


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
