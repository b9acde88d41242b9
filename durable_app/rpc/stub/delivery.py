"""Brings the outcomes of work to a remote hub, over as many connections as that takes.

An outcome is matched by its token: the hub takes it once, and drops it where somebody else was
quicker. So it may be sent again whenever nobody knows whether it has arrived.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

import grpc.aio

from durable_app.connection.backoff import backoff_s, draw_of
from durable_app.errors import DurableError, SchedulerUnavailableError
from durable_app.rpc.stub.explain import is_too_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from durable_app.ports import Clock
    from durable_app.rpc.stub.calls import HubCalls

_log = logging.getLogger(__name__)

#: Of one attempt.
ATTEMPT_S: Final = 30.0
#: Then nobody waits for the outcome any more: the hub has given the item to others long ago.
REPEAT_FOR_S: Final = 300.0
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 3.0
_GROWTH: Final = 2.0
#: Statuses after which the same message can be taken: the connection, the token, a hub that is
#: busy, or met an error of its own.
_PASSING: Final = frozenset(
    {
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "CANCELLED",
        "ABORTED",
        "UNKNOWN",
        "INTERNAL",
        "RESOURCE_EXHAUSTED",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
    }
)


class Delivery:
    """Sends outcomes, each on its own; belongs to the running event loop.

    Args:
        repeat_for_s: how long one is sent again and again.
    """

    def __init__(self, calls: HubCalls, clock: Clock, repeat_for_s: float = REPEAT_FOR_S) -> None:
        self._calls = calls
        self._clock = clock
        self._repeat_for_s = repeat_for_s
        self._tasks: set[asyncio.Task[None]] = set()

    def send(
        self, method: str, message: Message, instead: Callable[[str], Message] | None = None
    ) -> None:
        """Begin to send; returns at once.

        Args:
            instead: of the reason, what to send where the message does not fit through the channel.
        """
        task = asyncio.ensure_future(self._send(method, message, instead))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, grace_s: float) -> None:
        """Wait until everything was sent, or the time is up; then give up."""
        tasks = set(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            if late:
                _log.warning(
                    "%d outcome(s) could not be brought to the task hub at %s; the work will be"
                    " done again.",
                    len(late),
                    self._calls.whom,
                )

    async def _send(
        self, method: str, message: Message, instead: Callable[[str], Message] | None
    ) -> None:
        until = self._clock.monotonic() + self._repeat_for_s
        attempt = 0
        while True:
            try:
                await self._calls.attempt(method, message, ATTEMPT_S)
            except grpc.aio.AioRpcError as error:
                status, details = error.code().name, error.details() or ""
                failure: Exception = self._calls.explained(error, method)
                if instead is not None and is_too_large(status, details):
                    message, instead = instead(str(failure)), None
                    continue
                is_passing = status in _PASSING and not self._calls.is_closed
            except (
                SchedulerUnavailableError
            ) as error:  # of the token, or of a channel that is closed
                failure, is_passing = error, not self._calls.is_closed
            else:
                return
            if not is_passing or self._clock.monotonic() >= until:
                _tell(method, failure)
                return
            attempt += 1
            await asyncio.sleep(self._pause_s(attempt))

    def _pause_s(self, attempt: int) -> float:
        return backoff_s(
            attempt,
            first_s=_FIRST_PAUSE_S,
            cap_s=_LONGEST_PAUSE_S,
            factor=_GROWTH,
            draw=0.5 + draw_of(self._clock.new_id()) / 2,
        )


def _tell(method: str, failure: Any) -> None:
    reason = str(failure) if isinstance(failure, DurableError) else repr(failure)
    _log.warning("%s was not taken: %s The hub will have the work done again.", method, reason)
