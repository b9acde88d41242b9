"""Answers on their way from the owner's thread to event loops."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from durable_app.errors import SchedulerUnavailableError

_log = logging.getLogger(__name__)

Settled = list[tuple["asyncio.Future[Any]", Any, Exception | None]]


class Outbox:
    """Answers on their way to event loops: one call per loop and drain, not one per answer.

    Used by the owner's thread, but for ``awaited``: everybody who waits for an answer, so that
    nobody does for ever, however the hub ends.
    """

    def __init__(self) -> None:
        self._settled: dict[asyncio.AbstractEventLoop, Settled] = {}
        self.awaited: set[asyncio.Future[Any]] = set()
        self.is_closed = False

    def close(self) -> None:
        """Nobody will be answered any more: tell them."""
        # First of all: who comes later looks at this, and is not in the set.
        self.is_closed = True
        for future in list(self.awaited):
            self.add(future, None, stopped())
        self.flush()

    def add(self, future: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
        """Answer with a value, or an error; it leaves with the next flush."""
        self._settled.setdefault(future.get_loop(), []).append((future, value, error))

    def flush(self) -> None:
        """Send what was added."""
        if not self._settled:
            return
        settled, self._settled = self._settled, {}
        for loop, answers in settled.items():
            try:
                loop.call_soon_threadsafe(settle, answers)
            except RuntimeError:
                # The loop is closed: nobody is left to be told.
                _log.debug("%d answer(s) had nobody left to hear them.", len(answers))


def stopped() -> SchedulerUnavailableError:
    """What those are told who wait for a hub that has ended."""
    return SchedulerUnavailableError("The task hub has stopped.")


def settle(answers: Settled) -> None:
    """Give the answers, on the event loop of those who wait for them."""
    for future, value, error in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


class FutureReply:
    """Answers an asyncio future from the owner's thread."""

    __slots__ = ("_outbox", "future", "is_answered")

    def __init__(self, outbox: Outbox) -> None:
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._outbox = outbox
        self.is_answered = False

    def resolve(self, value: Any) -> None:
        """See ``Reply.resolve``."""
        self.is_answered = True
        self._outbox.add(self.future, value, None)

    def reject(self, error: Exception) -> None:
        """See ``Reply.reject``."""
        self.is_answered = True
        self._outbox.add(self.future, None, error)
