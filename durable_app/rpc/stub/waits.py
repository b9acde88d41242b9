"""Waiting for an instance: long polls, begun again whenever somebody on the way ends them."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc.aio

from durable_app.rpc.codec.requests import decode_state_response, encode_get

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.ports import Clock
    from durable_app.protocol import OrchestrationState
    from durable_app.rpc.stub.calls import HubCalls

#: Of one poll: proxies drop connections that are quiet for long, some without a word.
POLL_S: Final = 60.0
#: How long a hub may be away, restarting for instance, before those who wait are told.
PATIENCE_S: Final = 30.0
#: Between two polls, where the first brought nothing.
_PAUSE_S: Final = 0.25
#: Statuses of a poll that was cut off; its time being up is not one of them.
_CUT_OFF: Final = frozenset({"UNAVAILABLE", "CANCELLED", "ABORTED", "UNKNOWN", "INTERNAL"})
_TIME_IS_UP: Final = "DEADLINE_EXCEEDED"


class _Away(NamedTuple):
    """Since when a hub does not answer, in monotonic seconds, and how that showed."""

    since: float
    error: grpc.aio.AioRpcError


class Waits:
    """Waits for instances.

    Args:
        patience_s: see ``PATIENCE_S``.
    """

    def __init__(self, calls: HubCalls, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        self._calls = calls
        self._clock = clock
        self._patience_s = patience_s
        # Each with its event loop: sync functions wait on loops of their own.
        self._limits: set[tuple[asyncio.AbstractEventLoop, asyncio.Timeout]] = set()
        self._is_over = False

    def end(self) -> None:
        """Everybody who waits gets None, and so does whoever comes later. Any thread."""
        self._is_over = True
        for loop, limit in tuple(self._limits):
            with suppress(RuntimeError):  # a loop that was closed
                loop.call_soon_threadsafe(_expire, limit)

    async def wait(
        self,
        method: str,
        instance_id: str,
        timeout_s: float | None,
        is_done: Callable[[OrchestrationState], bool],
    ) -> OrchestrationState | None:
        """The state once ``is_done`` holds for it; None when the time is up, or the waits end.

        Args:
            method: the call to make again and again.

        Raises:
            SchedulerUnavailableError: the hub is away for too long, or when the time is up.
        """
        if self._is_over:
            return None
        mine = (asyncio.get_running_loop(), asyncio.timeout(None))
        self._limits.add(mine)
        try:
            async with mine[1]:
                return await self._poll(method, instance_id, timeout_s, is_done)
        except TimeoutError:  # the waits have ended
            return None
        finally:
            self._limits.discard(mine)

    async def _poll(
        self,
        method: str,
        instance_id: str,
        timeout_s: float | None,
        is_done: Callable[[OrchestrationState], bool],
    ) -> OrchestrationState | None:
        request = encode_get(instance_id, fetch_payloads=True)
        now = self._clock.monotonic
        until = math.inf if timeout_s is None else now() + timeout_s
        away: _Away | None = None
        while (left := until - now()) > 0:
            began = now()
            try:
                answer = await self._calls.attempt(method, request, min(left, POLL_S))
            except grpc.aio.AioRpcError as error:
                away = self._after(error, method, began, away)
            else:
                away = None
                state = decode_state_response(answer)
                if state is not None and is_done(state):
                    return state
            await asyncio.sleep(max(0.0, min(_PAUSE_S, until - now())))
        if away is not None:
            raise self._calls.explained(away.error, method) from away.error
        return None

    def _after(
        self, error: grpc.aio.AioRpcError, method: str, began: float, away: _Away | None
    ) -> _Away | None:
        """Whether the hub is away after a poll that failed; raises where that is too long."""
        status, now = error.code().name, self._clock.monotonic()
        if status == _TIME_IS_UP and not self._calls.is_closed:
            # A poll that was short has not shown that the hub is back.
            return None if now - began > _PAUSE_S else away
        if away is None or now - began > self._patience_s:
            away = _Away(now, error)
        is_lost = now - away.since >= self._patience_s
        if is_lost or status not in _CUT_OFF or self._calls.is_closed:
            raise self._calls.explained(error, method) from error
        return away


def _expire(limit: asyncio.Timeout) -> None:
    # Whoever has waited may have come to an end meanwhile.
    with suppress(RuntimeError):
        limit.reschedule(asyncio.get_running_loop().time())
