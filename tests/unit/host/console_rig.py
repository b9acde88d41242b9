"""A console that writes into memory, at one moment."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from durable_app.clock import SystemClock
from durable_app.host.console.console import Console
from durable_app.host.console.log_levels import LogLevels

TIME = "2026-01-02T03:04:05.678Z"


class FixedClock(SystemClock):
    def now(self) -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, 678999, tzinfo=UTC)


class Written(io.StringIO):
    """What was written; a terminal if it is told so."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def lines(self) -> list[str]:
        return self.getvalue().splitlines()

    def messages(self) -> list[str]:
        return [line.removeprefix(f"[{TIME}] ") for line in self.lines()]


def make_console(stream: Written, levels: LogLevels | None = None, **options: Any) -> Console:
    options.setdefault("colour", False)
    return Console(FixedClock(), levels or LogLevels({}), stream=stream, **options)
