"""How work reaches remote workers, and how its results come back.

One stream per worker carries work items; results are calls of their own, on whatever connection the
worker has by then. So a result is matched by its completion token alone, and one that comes after
its stream has ended is still welcome. Our own workers take and send both in batches.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc
import msgspec

from durable_app.connection.options import MAX_RECEIVE_BYTES
from durable_app.errors import SchedulerUnavailableError, WireFormatError
from durable_app.ports import Capacity, WorkFilter
from durable_app.protocol import (
    ActivityRequest,
    ActivityResponse,
    CompleteOrchestration,
    EntityBatchResult,
    FailureDetails,
    OperationFailure,
    OrchestrationStatus,
    OrchestratorRequest,
    OrchestratorResponse,
)
from durable_app.rpc.codec.entity_work import decode_entity_result
from durable_app.rpc.codec.streams import HISTORY_STREAMING, decode_subscription
from durable_app.rpc.codec.tokens import HubTokens
from durable_app.rpc.codec.work import (
    decode_activity_response,
    decode_orchestrator_response,
    encode_work_item,
    failed_turn,
)
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.methods import METHODS
from durable_app.rpc.server.outlet import Outlet
from durable_app.rpc.server.packing import IN_BATCHES, ONE_BY_ONE, Packing
from durable_app.rpc.server.parts import Parts
from durable_app.rpc.server.refusals import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from google.protobuf.message import Message

    from durable_app.ports import Clock, ServedHub, WorkResult
    from durable_app.protocol import WorkItem
    from durable_app.rpc.server.dispatch import Caller, Stream, Unary

_log = logging.getLogger(__name__)

#: Most items of a kind that one worker holds, whatever it asks for.
MOST_ITEMS: Final = 1_000
#: Outcomes of a batch that are taken in one go.
_AT_A_TIME: Final = 100
#: What gRPC receives where nobody has set a limit. SDKs which lift it say who they are.
_RECEIVE_LIMIT: Final = 4 * 2**20
_UNLIMITED_AGENTS: Final = ("durabletask-js/", "durabletask-dotnet/")
_OWN_AGENT: Final = "durable-app/"


class WorkLimits(NamedTuple):
    """When the stream of a worker is dead.

    Attributes:
        ping_s: after so long without work a health ping is sent; SDKs take a stream for dead after
            120 s of silence.
        send_timeout_s: a worker that does not read one message for so long is given up, and its
            items go to others.
        keepalive_s: a connection on which nothing comes for so long is probed.
        keepalive_timeout_s: a probe that is not answered for so long ends the connection: a peer
            that vanished without a word is noticed after the two together.
        own_bytes: what a worker of this package receives in one message; None for no limit.
    """

    ping_s: float = 30.0
    send_timeout_s: float = 30.0
    keepalive_s: float = 20.0
    keepalive_timeout_s: float = 10.0
    own_bytes: int | None = MAX_RECEIVE_BYTES

    def bytes_for(self, agent: str) -> int | None:
        """The largest message for a worker that calls itself so; None for no limit."""
        if agent.startswith(_OWN_AGENT):
            return self.own_bytes
        return None if agent.startswith(_UNLIMITED_AGENTS) else _RECEIVE_LIMIT


USUAL_LIMITS: Final = WorkLimits()


class WorkCalls:
    """The calls of workers, for all task hubs of a server."""

    def __init__(self, clock: Clock, limits: WorkLimits = USUAL_LIMITS) -> None:
        """Nobody is connected."""
        self._clock = clock
        self._limits = limits
        self._tokens: dict[str, HubTokens] = {}
        # With the key of the hub that each belongs to.
        self._outlets: dict[Outlet, str] = {}
        self._parts = Parts()
        self._is_closing = False
        self._outcomes: dict[str, Unary] = {
            "CompleteActivityTask": self._complete_activity,
            "CompleteOrchestratorTask": self._complete_turn,
            "CompleteEntityTask": self._complete_batch,
            "AbandonTaskActivityWorkItem": self._abandon_activity,
            "AbandonTaskOrchestratorWorkItem": self._abandon_turn,
            "AbandonTaskEntityWorkItem": self._abandon_batch,
        }

    @property
    def calls(self) -> dict[str, Unary]:
        """Handlers of single calls."""
        return {**self._outcomes, "CompleteWorkItems": self._complete_many}

    @property
    def streams(self) -> dict[str, Stream]:
        """Handlers of streams."""
        return {
            "GetWorkItems": partial(self._get_work_items, ONE_BY_ONE),
            "GetWorkItemBatches": partial(self._get_work_items, IN_BATCHES),
        }

    @property
    def connected(self) -> int:
        """Workers that have a stream open."""
        return len(self._outlets)

    def close(self) -> None:
        """End all streams; their workers are told to come back later."""
        self._is_closing = True
        for outlet in self._outlets:
            outlet.close()

    def ends_streams(self, handle: Unary) -> Unary:
        """A handler that removes a task hub, and lets its workers look for another one."""

        async def call(caller: Caller, message: Message) -> Message:
            answer = await handle(caller, message)
            # A hub of the same name counts its items from 1 again.
            self._tokens.pop(caller.key, None)
            for outlet, key in self._outlets.items():
                if key == caller.key:
                    outlet.close()
            return answer

        return call

    def _tokens_of(self, key: str) -> HubTokens:
        """Tokens of a hub that is served: nothing is kept of names that are none."""
        tokens = self._tokens.get(key)
        if tokens is None:
            tokens = self._tokens[key] = HubTokens(self._clock.new_id()[:12])
        return tokens

    # -- to workers --------------------------------------------------------------------------

    async def _get_work_items(
        self, packing: Packing, caller: Caller, message: pb.GetWorkItemsRequest
    ) -> None:
        subscription = decode_subscription(message)
        hub = await caller.hub()
        if self._is_closing:
            raise SchedulerUnavailableError("The task hub is about to stop.")
        only = subscription.only or WorkFilter()
        only = msgspec.structs.replace(
            only,
            orchestration_versions=subscription.orchestration_versions,
            activity_versions=subscription.activity_versions,
        )
        outlet = Outlet()
        self._outlets[outlet] = caller.key
        # The worker's code may be old: what it needs of a turn's past is sent along.
        whole_history = HISTORY_STREAMING not in subscription.capabilities
        capacity = _bounded(subscription.capacity)
        stream = hub.connect(outlet, capacity, only, whole_history=whole_history)
        try:
            # The worker knows by it that it is connected, long before there is work.
            await caller.context.send_initial_metadata(())
            await self._send_all(caller, hub, outlet, packing)
        finally:
            stream.close()
            del self._outlets[outlet]
        raise SchedulerUnavailableError("The task hub is about to stop, or was removed.")

    async def _send_all(
        self, caller: Caller, hub: ServedHub, outlet: Outlet, packing: Packing
    ) -> None:
        tokens = self._tokens_of(caller.key)
        limit = self._limits.bytes_for(caller.user_agent)
        if limit is not None:
            limit -= packing.overhead

        def encoded(items: Iterable[WorkItem]) -> Iterator[bytes]:
            for item in items:
                data = _encoded(item, tokens, limit)
                if isinstance(data, FailureDetails):
                    # Sent all the same it would end the stream, come again with the next one, and
                    # end that, too.
                    hub.complete((_failed(item, data, self._clock.now()),))
                else:
                    yield data

        while not outlet.is_closing:
            items = await outlet.take(self._limits.ping_s)
            if not items and not outlet.is_closing:
                await self._write(caller, packing.ping)
            for data in packing.messages(encoded(items)):
                await self._write(caller, data)

    async def _write(self, caller: Caller, data: bytes) -> None:
        """Send one message; the status of a worker that is given up waits until it reads on."""
        timeout_s = self._limits.send_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await caller.context.write(data)
        except TimeoutError as error:
            text = f"The worker has read nothing for {timeout_s:.0f} s."
            raise RefusedError(grpc.StatusCode.DEADLINE_EXCEEDED, text) from error

    # -- from workers ------------------------------------------------------------------------

    async def _complete_many(
        self, caller: Caller, message: pb.OutcomeBatchRequest
    ) -> pb.OutcomeBatchResponse:
        await caller.hub()  # where there is none, all of it is refused
        answer = pb.OutcomeBatchResponse()
        for position, outcome in enumerate(message.outcomes):
            if position and position % _AT_A_TIME == 0:
                await asyncio.sleep(0)  # however many somebody sends, others are served meanwhile
            try:
                handle = self._outcomes[outcome.method]
                await handle(caller, METHODS[outcome.method].request.FromString(outcome.request))
            except Exception as error:  # noqa: BLE001  it is this outcome's, and not the others'
                _log.debug("An outcome is refused: %r", error)
                answer.refused.append(position)
        return answer

    async def _complete_activity(
        self, caller: Caller, message: pb.ActivityResponse
    ) -> pb.CompleteTaskResponse:
        hub = await caller.hub()
        hub.complete((decode_activity_response(message, self._tokens_of(caller.key)),))
        return pb.CompleteTaskResponse()

    async def _complete_turn(
        self, caller: Caller, message: pb.OrchestratorResponse
    ) -> pb.CompleteTaskResponse:
        hub = await caller.hub()
        tokens = self._tokens_of(caller.key)
        token = tokens.token(message.completionToken)
        try:
            whole = self._parts.join((caller.key, token), message)
        except RefusedError:
            hub.put_back(token)
            raise
        if whole is None:
            return pb.CompleteTaskResponse()
        try:
            hub.complete((decode_orchestrator_response(whole, tokens),))
        except WireFormatError as error:
            _log.warning("A turn of instance %a cannot be read: %s", whole.instanceId, error)
            hub.complete((failed_turn(whole, error, tokens),))
            raise
        return pb.CompleteTaskResponse()

    async def _complete_batch(
        self, caller: Caller, message: pb.EntityBatchResult
    ) -> pb.CompleteTaskResponse:
        hub = await caller.hub()
        tokens = self._tokens_of(caller.key)
        try:
            hub.complete((decode_entity_result(message, tokens),))
        except WireFormatError as error:
            hub.abandon(tokens.token(message.completionToken), str(error))
            raise
        return pb.CompleteTaskResponse()

    async def _abandon_activity(
        self, caller: Caller, message: pb.AbandonActivityTaskRequest
    ) -> pb.AbandonActivityTaskResponse:
        await self._abandon(caller, message.completionToken)
        return pb.AbandonActivityTaskResponse()

    async def _abandon_turn(
        self, caller: Caller, message: pb.AbandonOrchestrationTaskRequest
    ) -> pb.AbandonOrchestrationTaskResponse:
        await self._abandon(caller, message.completionToken)
        return pb.AbandonOrchestrationTaskResponse()

    async def _abandon_batch(
        self, caller: Caller, message: pb.AbandonEntityTaskRequest
    ) -> pb.AbandonEntityTaskResponse:
        await self._abandon(caller, message.completionToken)
        return pb.AbandonEntityTaskResponse()

    async def _abandon(self, caller: Caller, token: str) -> None:
        hub = await caller.hub()
        hub.put_back(self._tokens_of(caller.key).token(token))


def _bounded(asked: Capacity) -> Capacity:
    return Capacity(
        min(asked.orchestrations, MOST_ITEMS),
        min(asked.activities, MOST_ITEMS),
        min(asked.entities, MOST_ITEMS),
    )


def _encoded(item: WorkItem, tokens: HubTokens, limit: int | None) -> bytes | FailureDetails:
    """The message of an item, or why its worker cannot have it."""
    try:
        data: bytes = encode_work_item(item, tokens).SerializeToString()
    except Exception as error:  # noqa: BLE001  it is the item's, and not the stream's
        _log.exception("A work item cannot be sent: %s", type(error).__name__)
        text = f"The work item cannot be sent: {error}"
        return FailureDetails("MessageNotSentError", text, is_non_retriable=True)
    if limit is None or len(data) <= limit:
        return data
    return FailureDetails(
        "MessageTooLargeError",
        f"The work item has {len(data):,} bytes; this worker receives {limit:,} at most. Keep"
        " large values elsewhere and pass references, or split the work by sub-orchestrations or"
        " continue-as-new.",
        is_non_retriable=True,
    )


def _failed(item: WorkItem, failure: FailureDetails, now: datetime) -> WorkResult:
    """The outcome of an item that its worker cannot have."""
    if isinstance(item, ActivityRequest):
        return ActivityResponse(
            item.instance.instance_id, item.task_id, item.token, failure=failure
        )
    if isinstance(item, OrchestratorRequest):
        failed = CompleteOrchestration(-1, OrchestrationStatus.FAILED, failure=failure)
        return OrchestratorResponse(item.instance_id, item.token, [failed])
    # One operation has failed; the others come again, in a smaller batch.
    outcome = OperationFailure(failure, now, now)
    return EntityBatchResult(item.token, (outcome,), (), item.entity_state)
