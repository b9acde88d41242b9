"""Tells on the console, or in a log, how the connection to a remote hub fares, and why not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

from durable_app.connection.failures import LinkFailure
from durable_app.connection.target import advice
from durable_app.host.console.log_levels import Level

if TYPE_CHECKING:
    from durable_app.connection.target import HubTarget

_log = logging.getLogger(__name__)
#: The same reason is told again after so many attempts; what is going on stays visible.
_REPEAT_AFTER: Final = 10


class LineSink(Protocol):
    """Where lines go: a console, or a log."""

    def always(self, text: str, level: Level = ...) -> None:
        """Take a line."""
        ...


class LogLines:
    """Writes lines to the log of this module: ``INFO``, and ``WARNING`` for what goes wrong."""

    def always(self, text: str, level: Level = Level.INFORMATION) -> None:
        """See ``LineSink``."""
        _log.log(logging.WARNING if level >= Level.WARNING else logging.INFO, "%s", text)


class LinkLines:
    """Writes a line when something changes. Implements ``stream_consumer.LinkListener``.

    Args:
        sink: where the lines go.
        target: the hub.
        shown: what to call the hub where no connection is; None for the target with its way to
            sign in.

    Attributes:
        problem: why there is no connection; None while there is one.
        connections: how many there have been.
    """

    def __init__(self, sink: LineSink, target: HubTarget, shown: str | None = None) -> None:
        self._sink = sink
        self._target = target
        self._shown = str(target) if shown is None else shown
        self._repeated = 0
        self._told = ""
        self.problem: str | None = "No connection to the task hub has been made yet."
        self.connections = 0

    def connected(self, attempt: int) -> None:
        """See ``LinkListener``."""
        where = f"task hub '{self._target.task_hub}' at {self._target.endpoint.authority}"
        again = "again " if self.connections else ""
        suffix = f" (attempt {attempt})" if attempt > 1 and not self.connections else ""
        self.problem = None
        self.connections += 1
        self._told = ""
        self._sink.always(f"Connected {again}to {where}{suffix}.")

    def disconnected(self, failure: LinkFailure | None, reason: str, retry_in_s: float) -> None:
        """See ``LinkListener``."""
        was_connected = self.problem is None
        # A link that worked has proved address and encryption: it was cut, and that is all.
        is_cut = was_connected and failure is LinkFailure.TRANSPORT
        hint = "" if failure is None or is_cut else advice(self._target, failure, reason)
        self.problem = f"{reason} {hint}".strip()
        key = hint or reason
        self._repeated = self._repeated + 1 if key == self._told else 0
        if self._repeated % _REPEAT_AFTER:
            return
        self._told = key
        what = "Connection lost to" if was_connected else "No connection to"
        self._sink.always(
            f"{what} task hub {self._shown}: {self.problem} Next attempt in {retry_in_s:.1f} s.",
            Level.WARNING,
        )
