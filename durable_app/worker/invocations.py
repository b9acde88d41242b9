"""What an observer is told of invocations."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from durable_app.replay.failures import failure_text
from durable_app.telemetry import Invocation, current_invocation

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.ports import Clock
    from durable_app.protocol import FailureDetails
from durable_app.telemetry import InvocationObserver

_log = logging.getLogger(__name__)

Begun = tuple[str, float]


class Invocations:
    """Tells an observer; one that fails changes nothing about the outcome of a function."""

    def __init__(self, observer: InvocationObserver | None, clock: Clock) -> None:
        """``observer`` None costs nothing."""
        self._observer = observer
        self._clock = clock

    def begin(self, name: str, is_replaying: Callable[[], bool] | None = None) -> Begun | None:
        """A function is about to run; give what this returns to :meth:`end`.

        What it logs from now on, on this thread or task, belongs to it.

        Args:
            is_replaying: see ``telemetry.Invocation``.
        """
        if self._observer is None:
            return None
        invocation_id = self._clock.new_id()
        current_invocation.set(Invocation(name, invocation_id, is_replaying))
        try:
            self._observer.executing(name, invocation_id, "(null)")
        except Exception:  # noqa: BLE001  the console may be closed; the function runs all the same
            _log.exception("An invocation could not be shown on the console.")
        return invocation_id, self._clock.monotonic()

    def end(self, name: str, begun: Begun | None, failure: FailureDetails | None) -> None:
        """It has run; ``failure`` None where it succeeded."""
        if self._observer is None or begun is None:
            return
        invocation_id, since = begun
        text = None if failure is None else failure_text(failure)
        try:
            self._observer.executed(name, invocation_id, self._clock.monotonic() - since, text)
        except Exception:  # noqa: BLE001  as above
            _log.exception("An invocation could not be shown on the console.")
