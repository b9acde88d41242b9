"""Brings the outcomes of work to a remote hub, over as many connections as that takes.

An outcome is matched by its token: the hub takes it once, and drops it where somebody else was
quicker. So it may be sent again whenever nobody knows whether it has arrived.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc.aio

from durable_app.connection.backoff import backoff_s, draw_of
from durable_app.errors import DurableError, SchedulerUnavailableError
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.stub.explain import is_too_large

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from google.protobuf.message import Message

    from durable_app.ports import Clock
    from durable_app.rpc.stub.calls import HubCalls

_log = logging.getLogger(__name__)

#: Of one attempt.
ATTEMPT_S: Final = 30.0
#: Then nobody waits for the outcome any more: the hub has given the item to others long ago.
REPEAT_FOR_S: Final = 300.0
#: What is larger goes alone: it would make the others wait. As many as go together fit into the
#: 4 MiB that gRPC lets through by default: a proxy before the hub may know no other limit.
_SMALL_BYTES: Final = 32 * 2**10
#: Outcomes of one call.
_MOST: Final = 100
#: Then the next batch is sent although nobody knows what has become of the one before: to a hub far
#: away, an outcome shall not travel twice as long.
_PATIENCE_S: Final = 0.01
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 3.0
_GROWTH: Final = 2.0
#: Statuses after which the same message can be taken: of the connection, or the token,
_OF_CONNECTION: Final = frozenset(
    {
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "CANCELLED",
        "ABORTED",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
    }
)
#: or of a hub that is busy, or met an error of its own.
_PASSING: Final = _OF_CONNECTION | {"UNKNOWN", "INTERNAL", "RESOURCE_EXHAUSTED"}


class _Outcome(NamedTuple):
    """A call, and of the reason what to send instead of a message that does not fit."""

    method: str
    message: Message
    instead: Callable[[str], Message] | None


class Delivery:
    """Sends outcomes; belongs to the running event loop.

    Theory of operation. Where the hub takes batches, everything that is here goes out in one call,
    and the next call begins when that one has ended: the busier the worker is, the larger they
    are, and an idle one waits for nothing. A batch that meets a bad connection is sent again as it
    is. What the hub refuses of it, and all of one that failed otherwise, goes on in calls of its
    own, of which each has a status.

    Args:
        repeat_for_s: how long one is sent again and again.

    Attributes:
        has_batches: the hub takes them.
    """

    def __init__(self, calls: HubCalls, clock: Clock, repeat_for_s: float = REPEAT_FOR_S) -> None:
        self.has_batches = False
        self._calls = calls
        self._clock = clock
        self._repeat_for_s = repeat_for_s
        self._waiting: deque[_Outcome] = deque()
        self._emptying: asyncio.Task[None] | None = None
        #: With how many outcomes each brings.
        self._tasks: dict[asyncio.Task[None], int] = {}

    def send(
        self, method: str, message: Message, instead: Callable[[str], Message] | None = None
    ) -> None:
        """Begin to send; returns at once.

        Args:
            instead: of the reason, what to send where the message does not fit through the channel.
        """
        outcome = _Outcome(method, message, instead)
        if not self.has_batches or message.ByteSize() > _SMALL_BYTES:
            self._begin(self._send(outcome, self._clock.monotonic() + self._repeat_for_s), 1)
            return
        self._waiting.append(outcome)
        if self._emptying is None:
            self._emptying = self._begin(self._empty(), 0)

    def _begin(self, sending: Coroutine[Any, Any, None], outcomes: int) -> asyncio.Task[None]:
        task = asyncio.ensure_future(sending)
        self._tasks[task] = outcomes
        task.add_done_callback(self._tasks.pop)
        return task

    async def finish(self, grace_s: float) -> None:
        """Wait until everything was sent, or the time is up; then give up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self._tasks:
                    await asyncio.wait(tuple(self._tasks))
        late = len(self._waiting) + sum(self._tasks.values())
        for task in self._tasks:
            task.cancel()
        if late:
            _log.warning(
                "%d outcome(s) could not be brought to the task hub at %s; the work will be"
                " done again.",
                late,
                self._calls.whom,
            )

    async def _empty(self) -> None:
        """Send whatever waits, batch after batch."""
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST))]
                sending = self._begin(self._send_many(batch), len(batch))
                # Over a dead connection it lasts long, and holds up nothing but itself.
                await asyncio.wait((sending,), timeout=_PATIENCE_S)
        finally:
            self._emptying = None

    async def _send_many(self, batch: Sequence[_Outcome]) -> None:
        request = pb.OutcomeBatchRequest()
        for outcome in batch:
            request.outcomes.add(method=outcome.method, request=outcome.message.SerializeToString())
        until = self._clock.monotonic() + self._repeat_for_s
        attempt, alone = 0, batch
        while True:
            try:
                answer = await self._calls.attempt("CompleteWorkItems", request, ATTEMPT_S)
                alone = [batch[at] for at in answer.refused if 0 <= at < len(batch)]
                break
            except Exception as error:  # noqa: BLE001  whatever it is, all of it is still here
                _log.debug("A batch of %d outcome(s) was not taken: %r", len(batch), error)
                may_pass = self.has_batches and self._may_pass(error, _OF_CONNECTION)
                if not may_pass or self._clock.monotonic() >= until:
                    break
            attempt += 1
            await asyncio.sleep(self._pause_s(attempt))
        for outcome in alone:
            self._begin(self._send(outcome, until), 1)

    def _may_pass(self, error: Exception, passing: frozenset[str]) -> bool:
        """Whether the same message can be taken later, given the statuses after which it can."""
        if self._calls.is_closed:
            return False
        if isinstance(error, grpc.aio.AioRpcError):
            return error.code().name in passing
        # Of the token; a channel that is closed was looked at.
        return isinstance(error, SchedulerUnavailableError)

    async def _send(self, outcome: _Outcome, until: float) -> None:
        method, message, instead = outcome
        attempt = 0
        while True:
            try:
                await self._calls.attempt(method, message, ATTEMPT_S)
            except grpc.aio.AioRpcError as error:
                failure: Exception = self._calls.explained(error, method)
                if instead is not None and is_too_large(error.code().name, error.details() or ""):
                    message, instead = instead(str(failure)), None
                    continue
                may_pass = self._may_pass(error, _PASSING)
            except SchedulerUnavailableError as error:
                failure, may_pass = error, self._may_pass(error, _PASSING)
            else:
                return
            if not may_pass or self._clock.monotonic() >= until:
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
