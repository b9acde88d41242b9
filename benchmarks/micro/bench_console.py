"""Lines of the console: the whole cost, of callers and of the thread that writes."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator
from functools import partial
from time import process_time

from durable_app.clock import SystemClock
from durable_app.host.console.console import Console
from durable_app.host.console.log_levels import LogLevels
from durable_app.host.console.user_output import Capture
from durable_app.telemetry import Invocation, current_invocation

LINES = 20_000
_IDS = [f"{number:032x}" for number in range(1_000)]
_log = logging.getLogger("app.orders")


class Nowhere(io.StringIO):
    """Takes text and forgets it."""

    def write(self, text: str) -> int:
        return len(text)


@contextlib.contextmanager
def _capturing(console: Console) -> Iterator[None]:
    replaying = Invocation("say_hello", _IDS[0], lambda: False)
    with Capture(console):
        token = current_invocation.set(replaying)
        try:
            yield
        finally:
            current_invocation.reset(token)


def _pairs(console: Console) -> None:
    for number in range(LINES):
        invocation_id = _IDS[number % 1_000]
        console.executing("say_hello", invocation_id, "(null)")
        console.executed("say_hello", invocation_id, 0.0123, None)


def _prints(console: Console) -> None:
    with _capturing(console):
        for _ in range(LINES):
            print("Hello, Tokyo!")


def _records(console: Console) -> None:
    with _capturing(console):
        for number in range(LINES):
            _log.info("Hello, %d", number)


def _replayed(console: Console) -> None:
    with _capturing(console):
        current_invocation.set(Invocation("say_hello", _IDS[0], lambda: True))
        for number in range(LINES):
            _log.info("Hello, %d", number)


def _cost(name: str, run: Callable[[Console], None]) -> dict[str, float]:
    console = Console(SystemClock(), LogLevels({}), stream=Nowhere(), colour=False)
    began = process_time()
    run(console)
    console.flush()
    spent = process_time() - began
    console.close()
    return {name: spent / LINES}


CASES = [
    partial(_cost, "an invocation: its two lines", _pairs),
    partial(_cost, "a print of user code", _prints),
    partial(_cost, "a log record of user code", _records),
    partial(_cost, "a log record that is a replay", _replayed),
]
