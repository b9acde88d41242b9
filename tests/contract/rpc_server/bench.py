"""A server of task hubs on an event loop of its own, with what speaks to it message by message."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import grpc

from durable_app.clock import SystemClock
from durable_app.compose.hubs import Hubs
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.methods import METHODS
from durable_app.rpc.server.server import HubServer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from pathlib import Path

    from durable_app.scheduler.service import TaskHub

WAIT_S = 10.0
#: Nothing is too large for these clients but what a test says.
_UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_numbers = itertools.count()

T = TypeVar("T")


class Served:
    """Task hubs behind a port of this machine; they are made when they are used.

    Attributes:
        port: stays the same when the server is started again.
        fatal: errors that ended a hub.
    """

    def __init__(
        self,
        path: Path | None = None,
        names: Sequence[str] = (),
        *,
        is_dynamic: bool = True,
        **options: Any,
    ) -> None:
        self.fatal: list[BaseException] = []
        self.port = 0
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="served")
        self._thread.start()
        clock = SystemClock()
        self.hubs = Hubs(path, names, clock, self.fatal.append, is_dynamic=is_dynamic)
        self.call(self._open())

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def _open(self) -> None:
        await self.hubs.open()
        await self._serve()

    async def _serve(self) -> None:
        self.server = HubServer(self.hubs, SystemClock(), **self._options)
        self.port = await self.server.start(self.address)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def do(self, function: Callable[[], T]) -> T:
        """Call something on the server's loop."""

        async def call() -> T:
            return function()

        return self.call(call())

    def tasks(self) -> int:
        """Tasks of the server's loop, but for the one that counts."""
        return self.do(lambda: len(asyncio.all_tasks(self._loop))) - 1

    def hub(self, name: str) -> TaskHub:
        """A hub as it is inside."""
        return self.call(self.hubs.find(name))

    def stop_server(self, grace_s: float = 0) -> None:
        """Close the port; the hubs live on."""
        self.call(self.server.stop(grace_s))

    def start_server(self) -> None:
        """Serve on the same port again."""
        self.call(self._serve())

    def close(self) -> None:
        """Stop everything."""
        self.stop_server()
        self.call(self.hubs.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Refused(NamedTuple):
    """How a call was refused."""

    code: grpc.StatusCode
    details: str


class Desk:
    """One task hub, call by call. Each has a hub of its own, unless it is named."""

    def __init__(self, address: str, hub: str | None = None, agent: str = "") -> None:
        self.name = hub or f"hub{next(_numbers)}"
        self.address = address
        self.channel = grpc.insecure_channel(address, _UNLIMITED)
        self.metadata: list[tuple[str, str | bytes]] = [("taskhub", self.name)]
        if agent:
            self.metadata.append(("x-user-agent", agent))
        self._streams: list[Any] = []

    def send(self, name: str, data: bytes, timeout_s: float | None = WAIT_S) -> bytes | Refused:
        """Make a call with these bytes."""
        path = METHODS[name].path if name in METHODS else name
        try:
            if name in METHODS and METHODS[name].is_stream:
                call = self.channel.unary_stream(path)(data, timeout_s, self.metadata)
                return b"".join(call)
            answer: bytes = self.channel.unary_unary(path)(data, timeout_s, self.metadata)
        except grpc.RpcError as error:
            return Refused(error.code(), error.details() or "")
        return answer

    def ask(self, name: str, message: Any = None, timeout_s: float | None = WAIT_S) -> Any:
        """The answer of a call."""
        method = METHODS[name]
        request = method.request() if message is None else message
        answer = self.send(name, request.SerializeToString(), timeout_s)
        assert isinstance(answer, bytes), answer
        return method.response.FromString(answer)

    def refused(self, name: str, message: Any, timeout_s: float | None = WAIT_S) -> Refused:
        """How a call is refused."""
        answer = self.send(name, message.SerializeToString(), timeout_s)
        assert isinstance(answer, Refused), f"{name} was accepted"
        return answer

    def start(self, instance_id: str = "", name: str = "flow", value: str | None = None) -> str:
        """Start an orchestration."""
        request = pb.CreateInstanceRequest(instanceId=instance_id, name=name)
        if value is not None:
            request.input.value = value
        return str(self.ask("StartInstance", request).instanceId)

    def state(self, instance_id: str) -> pb.OrchestrationState:
        """An orchestration as it is now."""
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        found: pb.OrchestrationState = self.ask("GetInstance", request).orchestrationState
        return found

    def finished(self, instance_id: str) -> pb.OrchestrationState:
        """An orchestration when it has ended."""
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        answer = self.ask("WaitForInstanceCompletion", request)
        found: pb.OrchestrationState = answer.orchestrationState
        return found

    def history(self, instance_id: str) -> list[pb.HistoryEvent]:
        """All that has happened to an orchestration."""
        request = pb.StreamInstanceHistoryRequest(instanceId=instance_id)
        return list(self.ask("StreamInstanceHistory", request).events)

    def work(self, **options: Any) -> RawWorker:
        """Open a stream of work items; without options it takes everything."""
        worker = RawWorker(self, pb.GetWorkItemsRequest(**options))
        self._streams.append(worker)
        return worker

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
        self.channel.close()


class RawWorker:
    """A stream of work items, and answers to them."""

    def __init__(self, desk: Desk, request: pb.GetWorkItemsRequest) -> None:
        self.desk = desk
        call = desk.channel.unary_stream(METHODS["GetWorkItems"].path)
        self.call = call(request.SerializeToString(), WAIT_S * 3, desk.metadata)
        self.call.initial_metadata()  # It is connected.

    def __iter__(self) -> Iterator[pb.WorkItem]:
        for data in self.call:
            yield pb.WorkItem.FromString(data)

    def next(self, kind: str = "") -> pb.WorkItem:
        """The next item, pings aside; of this kind."""
        for item in self:
            if item.WhichOneof("request") != "healthPing" or kind == "healthPing":
                assert kind in {"", item.WhichOneof("request")}, item
                return item
        raise AssertionError("the stream has ended")

    def turn(self) -> pb.WorkItem:
        """The next item, a turn of an orchestration."""
        return self.next("orchestratorRequest")

    def activity(self) -> pb.WorkItem:
        """The next item, an activity."""
        return self.next("activityRequest")

    def ended(self) -> Refused:
        """How the stream ends."""
        try:
            for _ in self:
                pass
        except grpc.RpcError as error:
            return Refused(error.code(), error.details() or "")
        return Refused(grpc.StatusCode.OK, "")

    def close(self) -> None:
        self.call.cancel()

    # -- answers -----------------------------------------------------------------------------

    def decide(self, item: pb.WorkItem, *actions: pb.OrchestratorAction, **more: Any) -> None:
        """A turn has these actions."""
        self.desk.ask("CompleteOrchestratorTask", turn_of(item, *actions, **more))

    def finish(self, item: pb.WorkItem, value: Any = None) -> None:
        """A turn ends its orchestration."""
        self.decide(item, ending(value))

    def done(self, item: pb.WorkItem, value: Any = None) -> None:
        """An activity has returned."""
        answer = pb.ActivityResponse(
            instanceId=item.activityRequest.orchestrationInstance.instanceId,
            taskId=item.activityRequest.taskId,
            completionToken=item.completionToken,
        )
        answer.result.value = json.dumps(value)
        self.desk.ask("CompleteActivityTask", answer)


def turn_of(
    item: pb.WorkItem, *actions: pb.OrchestratorAction, **more: Any
) -> pb.OrchestratorResponse:
    """The answer to a turn."""
    return pb.OrchestratorResponse(
        instanceId=item.orchestratorRequest.instanceId,
        completionToken=item.completionToken,
        actions=actions,
        **more,
    )


def ending(value: Any = None, action_id: int = 99) -> pb.OrchestratorAction:
    """Completes the orchestration."""
    action = pb.OrchestratorAction(id=action_id)
    action.completeOrchestration.orchestrationStatus = pb.ORCHESTRATION_STATUS_COMPLETED
    action.completeOrchestration.result.value = json.dumps(value)
    return action


def scheduling(action_id: int, name: str = "act", value: str | None = None) -> Any:
    """Schedules an activity."""
    action = pb.OrchestratorAction(id=action_id)
    action.scheduleTask.name = name
    if value is not None:
        action.scheduleTask.input.value = value
    return action


class Records(logging.Handler):
    """What is logged at least as a warning."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
