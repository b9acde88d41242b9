"""The task hub as clients use it, over the wire.

Where ``durable_app.ports`` promises more than the service tells, the state is asked for first: the
service accepts events and terminations for instances that have finished, and drops them. Between
the question and the request the instance may finish; then the request is dropped, as it would have
been had it come a moment later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from durable_app.errors import (
    DurableError,
    InstanceExistsError,
    InstanceNotFoundError,
    WrongStatusError,
)
from durable_app.protocol import OrchestrationStatus
from durable_app.rpc.codec import queries, requests
from durable_app.rpc.codec.events import read_events
from durable_app.rpc.codec.streams import HistoryQuery, encode_history_query
from durable_app.rpc.connect import HubAccess, connect_async
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.stub.calls import CALL_TIMEOUT_S, LONG_CALL_TIMEOUT_S, HubCalls
from durable_app.rpc.stub.entities import RemoteEntities
from durable_app.rpc.stub.explain import CallRefusedError, hub_not_found
from durable_app.rpc.stub.waits import PATIENCE_S, Waits

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from durable_app.ports import (
        Clock,
        IdPage,
        IdQuery,
        InstanceQuery,
        Page,
        Purged,
        PurgeFilter,
        StartRequest,
    )
    from durable_app.protocol import HistoryEvent, OrchestrationState


class RemoteOrchestrations:
    """Orchestrations of a remote hub. Implements ``ports.Orchestrations``."""

    def __init__(self, calls: HubCalls, clock: Clock, patience_s: float = PATIENCE_S) -> None:
        """Nothing is sent yet."""
        self._calls = calls
        self._clock = clock
        self._waits = Waits(calls, clock, patience_s)

    async def hello(self, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """Ask whether the hub is there. Raises as all calls do."""
        await self._read("Hello", pb.HelloRequest(), timeout_s)

    def end_waits(self) -> None:
        """Whoever waits for an instance gets None, and so does whoever comes later."""
        self._waits.end()

    # -- reading and waiting -----------------------------------------------------------------

    async def get(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """See ``Orchestrations.get``."""
        request = requests.encode_get(instance_id, fetch_payloads=fetch_payloads)
        return requests.decode_state_response(await self._read("GetInstance", request))

    async def wait_for_start(
        self, instance_id: str, *, timeout_s: float | None = None
    ) -> OrchestrationState | None:
        """See ``Orchestrations.wait_for_start``. A restart of the hub is waited out."""
        return await self._waits.wait(
            "WaitForInstanceStart",
            instance_id,
            timeout_s,
            lambda state: state.status is not OrchestrationStatus.PENDING,
        )

    async def wait_for_completion(
        self, instance_id: str, *, timeout_s: float | None = None
    ) -> OrchestrationState | None:
        """See ``Orchestrations.wait_for_completion``. A restart of the hub is waited out."""
        return await self._waits.wait(
            "WaitForInstanceCompletion",
            instance_id,
            timeout_s,
            lambda state: state.status.is_terminal,
        )

    async def query(self, query: InstanceQuery) -> Page:
        """See ``Orchestrations.query``."""
        return queries.decode_page(await self._read("QueryInstances", queries.encode_query(query)))

    async def list_ids(self, query: IdQuery) -> IdPage:
        """See ``Orchestrations.list_ids``."""
        request = queries.encode_id_query(query)
        return queries.decode_id_page(await self._read("ListInstanceIds", request))

    async def history(
        self, instance_id: str, execution_id: str | None = None
    ) -> list[HistoryEvent] | None:
        """See ``Orchestrations.history``."""
        query = HistoryQuery(instance_id, execution_id, for_work_item=False)
        try:
            chunks = await self._calls.collect("StreamInstanceHistory", encode_history_query(query))
        except CallRefusedError as refused:
            if refused.status != "NOT_FOUND":
                raise
            chunks = []
        if not chunks and await self.get(instance_id, fetch_payloads=False) is None:
            return None
        return [event for chunk in chunks for event in read_events(chunk.events)]

    # -- changing ----------------------------------------------------------------------------

    async def start(self, request: StartRequest) -> str:
        """See ``Orchestrations.start``."""
        instance_id = request.instance_id or self._clock.new_id()
        message = requests.encode_start(request)
        message.instanceId = instance_id
        try:
            answer = await self._calls.call("StartInstance", message)
        except CallRefusedError as refused:
            raise await self._not_started(instance_id, refused) from refused
        return str(answer.instanceId)

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """See ``Orchestrations.raise_event``."""
        await self._check_runs(instance_id, "receive events")
        request = requests.encode_raise_event(instance_id, name, data)
        await self._change("RaiseEvent", request, instance_id, "receive events")

    async def terminate(
        self, instance_id: str, output: str | None, *, recursive: bool = True
    ) -> None:
        """See ``Orchestrations.terminate``."""
        await self._check_runs(instance_id, "be terminated")
        request = requests.encode_terminate(instance_id, output, recursive=recursive)
        await self._change("TerminateInstance", request, instance_id, "be terminated")

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """See ``Orchestrations.suspend``."""
        await self._check_runs(instance_id, "be suspended")
        request = requests.encode_suspend(instance_id, reason)
        await self._change("SuspendInstance", request, instance_id, "be suspended")

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """See ``Orchestrations.resume``."""
        await self._check_runs(instance_id, "be resumed")
        request = requests.encode_resume(instance_id, reason)
        await self._change("ResumeInstance", request, instance_id, "be resumed")

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """See ``Orchestrations.rewind``."""
        request = requests.encode_rewind(instance_id, reason)
        await self._change("RewindInstance", request, instance_id, "be rewound")

    async def restart(self, instance_id: str, *, new_instance_id: bool = True) -> str:
        """See ``Orchestrations.restart``."""
        request = requests.encode_restart(instance_id, new_instance_id=new_instance_id)
        verb = "be restarted under the same id; terminate it first or take a new id"
        answer = await self._change("RestartInstance", request, instance_id, verb)
        return str(answer.instanceId)

    async def purge(self, instance_id: str, *, recursive: bool = True) -> int:
        """See ``Orchestrations.purge``."""
        request = queries.encode_purge(instance_id, recursive=recursive)
        try:
            answer = await self._calls.call("PurgeInstances", request, LONG_CALL_TIMEOUT_S)
        except CallRefusedError as refused:
            # Of an instance that is missing, or has not finished.
            await self._check_hub(refused)
            return 0
        return queries.decode_purged(answer).count

    async def purge_by(self, which: PurgeFilter) -> Purged:
        """See ``Orchestrations.purge_by``."""
        timeout_s = CALL_TIMEOUT_S + (which.timeout_s or LONG_CALL_TIMEOUT_S)
        request = queries.encode_purge_by(which)
        return queries.decode_purged(await self._read("PurgeInstances", request, timeout_s))

    # -- inside ------------------------------------------------------------------------------

    async def _read(self, name: str, request: Message, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Make a call that is about no instance in particular, or about one that may be missing."""
        try:
            return await self._calls.call(name, request, timeout_s)
        except CallRefusedError as refused:
            raise _of_hub(refused) from refused

    async def _change(self, name: str, request: Message, instance_id: str, verb: str) -> Any:
        """Make a call about an instance, which has to exist."""
        try:
            return await self._calls.call(name, request)
        except CallRefusedError as refused:
            # NOT_FOUND may also mean the task hub: then this raises.
            state = await self.get(instance_id, fetch_payloads=False)
            if state is None:
                raise InstanceNotFoundError(instance_id) from refused
            raise WrongStatusError(instance_id, state.status, verb) from refused

    async def _check_runs(self, instance_id: str, verb: str) -> None:
        state = await self.get(instance_id, fetch_payloads=False)
        if state is None:
            raise InstanceNotFoundError(instance_id)
        if state.status.is_terminal:
            raise WrongStatusError(instance_id, state.status, verb)

    async def _not_started(self, instance_id: str, refused: CallRefusedError) -> DurableError:
        if refused.status != "ALREADY_EXISTS":
            return _of_hub(refused)
        state = await self.get(instance_id, fetch_payloads=False)
        # Purged in between, it had some status all the same.
        status = OrchestrationStatus.RUNNING if state is None else state.status
        return InstanceExistsError(instance_id, status)

    async def _check_hub(self, refused: CallRefusedError) -> None:
        if refused.status == "NOT_FOUND":
            await self.hello()


class RemoteHub(RemoteOrchestrations, RemoteEntities):
    """A task hub behind a channel. Implements ``ports.Orchestrations`` and ``ports.Entities``.

    Usable from any event loop while the one that it was opened on runs.
    """

    @classmethod
    def open(cls, access: HubAccess, clock: Clock, *, patience_s: float = PATIENCE_S) -> Self:
        """Over a channel of its own, for the running event loop; nothing is sent yet.

        Args:
            patience_s: how long the hub may be away before those who wait for instances are told.

        Raises:
            ConfigError: a credential that does not fit, or a token that would travel in the clear.
        """
        channel = connect_async(access, clock)
        return cls(HubCalls(channel, access.endpoint.authority), clock, patience_s)

    async def close(self) -> None:
        """End all calls and close the channel, unless it is borrowed. Idempotent."""
        await self._calls.close()


def _of_hub(refused: CallRefusedError) -> DurableError:
    return hub_not_found(refused) if refused.status == "NOT_FOUND" else refused
