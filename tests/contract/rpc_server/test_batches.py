"""Work items and outcomes in batches, message by message, and hubs that do not have them."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from durable_app.ports import StartRequest
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.methods import METHODS
from durable_app.rpc.server.dispatch import Caller
from durable_app.rpc.server.work import WorkLimits
from tests.contract.faults.own_worker import OwnWorker
from tests.contract.rpc_server.bench import WAIT_S, Desk, Served, ending, scheduling, turn_of

COMPLETED = pb.ORCHESTRATION_STATUS_COMPLETED
FAILED = pb.ORCHESTRATION_STATUS_FAILED


class Batches:
    """A stream of batches."""

    def __init__(self, desk):
        call = desk.channel.unary_stream(METHODS["GetWorkItemBatches"].path)
        self.call = call(pb.GetWorkItemsRequest().SerializeToString(), WAIT_S * 3, desk.metadata)
        self.call.initial_metadata()

    def next(self):
        """The items of the next one."""
        batch = pb.WorkItemBatch.FromString(next(self.call))
        return [pb.WorkItem.FromString(item) for item in batch.items]

    def until(self, count):
        """So many items."""
        found: list[pb.WorkItem] = []
        while len(found) < count:
            found += self.next()
        return found


@pytest.fixture
def batches(desk):
    batches = Batches(desk)
    yield batches
    batches.call.cancel()


def outcome(method, request):
    return pb.Outcome(method=method, request=request.SerializeToString())


def turn(item, *actions):
    return outcome("CompleteOrchestratorTask", turn_of(item, *actions))


def complete(desk, *outcomes):
    """Positions of those that are refused."""
    request = pb.OutcomeBatchRequest(outcomes=outcomes)
    return list(desk.ask("CompleteWorkItems", request).refused)


def hello(desk, data):
    return desk.send("Hello", data)


def test_who_asks_is_told_of_batches(desk):
    asking = pb.HelloRequest(knowsBatches=True).SerializeToString()
    assert pb.HelloResponse.FromString(hello(desk, asking)).hasBatches
    assert hello(desk, b"") == b""


def test_items_and_outcomes_of_all_kinds(desk, batches):
    desk.start("one")
    desk.ask("SignalEntity", pb.SignalEntityRequest(instanceId="@counter@a", name="add"))
    items = {item.WhichOneof("request"): item for item in batches.until(2)}
    entity = pb.EntityBatchResult(
        completionToken=items["entityRequestV2"].completionToken,
        results=[pb.OperationResult(success=pb.OperationResultSuccess())],
    )
    entity.entityState.value = "7"
    refused = complete(
        desk,
        outcome("CompleteEntityTask", entity),
        turn(items["orchestratorRequest"], scheduling(0), scheduling(1)),
    )
    assert refused == []
    first, second = batches.until(2)
    back = pb.AbandonActivityTaskRequest(completionToken=first.completionToken)
    done = pb.ActivityResponse(
        instanceId="one",
        taskId=second.activityRequest.taskId,
        completionToken=second.completionToken,
    )
    outcomes = (outcome("AbandonTaskActivityWorkItem", back), outcome("CompleteActivityTask", done))
    assert complete(desk, *outcomes) == []
    again = batches.until(2)
    kinds = {item.WhichOneof("request"): item for item in again}
    assert kinds["activityRequest"].activityRequest.taskId == first.activityRequest.taskId
    assert complete(desk, turn(kinds["orchestratorRequest"], ending("well"))) == []
    assert desk.finished("one").orchestrationStatus == COMPLETED
    found = desk.ask("GetEntity", pb.GetEntityRequest(instanceId="@counter@a", includeState=True))
    assert found.entity.serializedState.value == "7"


def test_what_is_wrong_with_one_is_nothing_to_the_others(desk, batches):
    for number in range(2):
        desk.start(f"i{number}")
    first, second = batches.until(2)
    broken = pb.OrchestratorAction(id=0)  # of no kind
    refused = complete(
        desk,
        outcome("Hello", pb.HelloRequest()),
        pb.Outcome(method="CompleteActivityTask", request=b"\xff\xff"),
        turn(first, ending("well")),
        turn(second, broken),
        outcome("CompleteWorkItems", pb.OutcomeBatchRequest()),
    )
    assert refused == [0, 1, 3, 4]
    sound, unsound = (item.orchestratorRequest.instanceId for item in (first, second))
    assert desk.finished(sound).orchestrationStatus == COMPLETED
    assert desk.finished(unsound).orchestrationStatus == FAILED


def test_others_are_served_while_somebody_sends_very_many(desk, served):
    outcomes = [outcome("CompleteOrchestratorTask", pb.OrchestratorResponse())] * 1_000
    message = pb.OutcomeBatchRequest(outcomes=outcomes)
    complete_many = served.server._work.calls["CompleteWorkItems"]
    served.hub(desk.name)  # it is made by now

    async def turns_of_the_loop():
        turns = 0
        caller = Caller(served.hubs, desk.name, None, "", None)
        completing = asyncio.create_task(complete_many(caller, message))
        while not completing.done():
            await asyncio.sleep(0)
            turns += 1
        assert list(completing.result().refused) == []
        return turns

    assert served.call(turns_of_the_loop()) >= 10


def test_an_item_arrives_whole_or_fails_however_little_it_is_too_large():
    limit = 2 * 2**20
    served = Served(limits=WorkLimits(own_bytes=limit))
    desk = Desk(served.address, agent="durable-app/1.0")
    desk.channel = grpc.insecure_channel(
        served.address, (("grpc.max_receive_message_length", limit),)
    )
    stream = Batches(desk)
    ids = [desk.start(value="x" * (limit - less)) for less in range(0, 400, 20)]
    last = desk.start("last")
    arrived = set()
    while last not in arrived:
        arrived |= {item.orchestratorRequest.instanceId for item in stream.next()}
    other = Desk(served.address, desk.name)
    states = {one: other.finished(one) for one in ids if one not in arrived}
    desk.close()
    other.close()
    served.close()
    assert 0 < len(states) < len(ids)
    assert {state.orchestrationStatus for state in states.values()} == {FAILED}


def without_batches(served):
    """Let the server be one that has never heard of them."""
    handlers = served.server._service._handlers
    for name in ("GetWorkItemBatches", "CompleteWorkItems"):
        del handlers[METHODS[name].path]

    async def greet(data, context):
        return b""

    handlers[METHODS["Hello"].path] = grpc.unary_unary_rpc_method_handler(greet)
    return served


def calls(served, method):
    return sum(count.calls for (name, _), count in served.server.counts.items() if name == method)


def run_some(served, worker, name):
    hub = served.hub("mixed")
    ids = [served.call(hub.start(StartRequest("steps", f"{name}{n}"))) for n in range(20)]
    states = worker.wait_for(ids).result(20)
    assert {state.status.name for state in states} == {"COMPLETED"}


def test_our_worker_serves_hubs_with_and_without_them():
    served = Served()
    worker = OwnWorker(served.port, "mixed")
    run_some(served, worker, "with")
    assert calls(served, "CompleteActivityTask") == calls(served, "CompleteOrchestratorTask") == 0
    served.stop_server()
    served.start_server()
    without_batches(served)
    run_some(served, worker, "without")
    assert calls(served, "CompleteActivityTask") >= 20 * 6
    served.stop_server()
    served.start_server()
    run_some(served, worker, "again")
    assert calls(served, "CompleteActivityTask") == 0
    assert calls(served, "CompleteWorkItems") > 0
    worker.close()
    served.close()
    assert served.fatal == []
