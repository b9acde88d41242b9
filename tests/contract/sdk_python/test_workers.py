"""Workers of the official SDK for Python: several, stopped in the middle, of several hubs."""

from __future__ import annotations

import asyncio
import itertools

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
import pytest
from durabletask import task
from durabletask.azuremanaged.client import AsyncDurableTaskSchedulerClient
from durabletask.client import TaskHubGrpcClient
from durabletask.worker import ConcurrencyOptions, TaskHubGrpcWorker

from tests.contract.sdk_python.test_lives import gate, refused


def echo(context, value):
    return value


def calling(context, value):
    return (yield context.call_activity("record", input=value))


def test_several_workers_share_the_work(hub):
    taken: dict[str, list[int]] = {}

    def recorder(name):
        def record(_, value):
            assert together.wait(20)
            taken.setdefault(name, []).append(value)
            return value

        return record

    together = hub.new_signal()
    two = ConcurrencyOptions(maximum_concurrent_activity_work_items=2)
    for name in ("left", "right", "middle"):
        hub.work(calling, recorder(name), slots=two)
    ids = [hub.start(calling, number) for number in range(6)]
    for instance_id in ids:
        hub.started(instance_id)
    together.set()

    assert [hub.output(i) for i in ids] == list(range(6))
    assert sorted(taken) == ["left", "middle", "right"]
    assert sorted(itertools.chain(*taken.values())) == list(range(6))


def test_a_result_that_comes_after_its_workers_end_counts(hub):
    begun, released, calls = hub.new_signal(), hub.new_signal(), []

    def record(_, value):
        calls.append(value)
        begun.set()
        assert released.wait(20)
        return value

    leaving = hub.work(calling, record)
    instance_id = hub.start(calling, 1)
    assert begun.wait(20)
    stopping = hub.in_background(leaving.stop)
    hub.until(leaving._shutdown.is_set)
    released.set()
    stopping.result(20)
    hub.work(calling, record)

    assert hub.output(instance_id) == 1
    assert calls == [1]


def test_what_a_worker_leaves_behind_goes_to_another_one(hub):
    hub.work(gate).stop()
    instance_id = hub.start(gate)
    first = hub.work(gate)
    hub.started(instance_id)
    first.stop()
    hub.client.raise_orchestration_event(instance_id, "go", data=1)
    hub.work(gate)

    assert hub.output(instance_id) == 1


def test_task_hubs_know_nothing_of_each_other(hub):
    other = hub.new_client(f"{hub.name}-other")
    hub.work(echo)
    other.schedule_new_orchestration(echo, input="theirs", instance_id="same id")
    hub.start(echo, "ours", instance_id="same id")

    assert hub.output("same id") == "ours"
    with pytest.raises(TimeoutError):
        other.wait_for_orchestration_completion("same id", timeout=0.2)
    assert len(hub.client.get_all_orchestration_states()) == 1
    hub.work(echo, name=f"{hub.name}-other")
    theirs = other.wait_for_orchestration_completion("same id", timeout=20)
    assert theirs.get_output() == "theirs"
    other.close()


def test_plain_clients_and_workers_use_the_default_task_hub(served):
    worker = TaskHubGrpcWorker(host_address=served.address)
    worker.add_orchestrator(echo)
    with worker, TaskHubGrpcClient(host_address=served.address) as client:
        worker.start()
        instance_id = client.schedule_new_orchestration(echo, input=1)
        state = client.wait_for_orchestration_completion(instance_id, timeout=20)

    assert state is not None
    assert state.get_output() == 1


def test_the_asynchronous_client_sees_the_same(hub):
    async def see():
        client = AsyncDurableTaskSchedulerClient(
            host_address=hub.address,
            taskhub=hub.name,
            token_credential=None,
            secure_channel=False,
        )
        started = await asyncio.gather(
            *(client.schedule_new_orchestration(echo, input=n) for n in range(10))
        )
        states = await asyncio.gather(
            *(client.wait_for_orchestration_completion(i, timeout=20) for i in started)
        )
        await client.close()
        return [state.get_output() for state in states if state is not None]

    hub.work(echo)

    assert asyncio.run(see()) == list(range(10))


def test_hundreds_of_children_of_one_parent(hub):
    def family(context, count):
        tasks = [context.call_sub_orchestrator(echo, input=n) for n in range(count)]
        return sum((yield task.when_all(tasks)))

    hub.work(family, echo)

    assert hub.run(family, 200) == sum(range(200))


def test_results_with_tokens_that_stand_for_nothing_are_ignored(hub):
    stub = hub.client._stub
    stub.CompleteActivityTask(pb.ActivityResponse(instanceId="x", completionToken="made up"))
    stub.CompleteOrchestratorTask(pb.OrchestratorResponse(instanceId="x", completionToken="i.1"))
    stub.CompleteEntityTask(pb.EntityBatchResult(completionToken=""))
    stub.AbandonTaskActivityWorkItem(pb.AbandonActivityTaskRequest(completionToken="made up"))
    hub.work(echo)

    assert hub.run(echo, 1) == 1


@pytest.mark.parametrize(
    ("method", "request_of"),
    [
        ("StartInstance", pb.CreateInstanceRequest(instanceId="x")),
        ("SignalEntity", pb.SignalEntityRequest(instanceId="@c@" + "k" * 100, name="op")),
        ("SignalEntity", pb.SignalEntityRequest(instanceId="no entity", name="op")),
        ("SignalEntity", pb.SignalEntityRequest(instanceId="@c@k")),
        ("WaitForInstanceStart", pb.GetInstanceRequest()),
        ("RaiseEvent", pb.RaiseEventRequest(instanceId="x")),
    ],
)
def test_malformed_requests_are_refused(hub, method, request_of):
    error = refused(getattr(hub.client._stub, method), request_of)

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details()


def test_task_hubs_can_be_made_and_removed(hub):
    client = hub.new_client(f"{hub.name}-made")
    client._stub.CreateTaskHub(pb.CreateTaskHubRequest())
    error = refused(client._stub.CreateTaskHub, pb.CreateTaskHubRequest())
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS

    client.schedule_new_orchestration(echo, instance_id="one")
    client._stub.DeleteTaskHub(pb.DeleteTaskHubRequest())
    client._stub.CreateTaskHub(pb.CreateTaskHubRequest())
    assert client.get_orchestration_state("one") is None
    client.close()
