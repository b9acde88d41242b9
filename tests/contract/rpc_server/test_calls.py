"""Every call of clients: what it does, and with which status it is refused."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.methods import METHODS
from tests.contract.rpc_server.bench import Desk, Refused, Served, ending, scheduling

NOT_FOUND = grpc.StatusCode.NOT_FOUND
EXISTS = grpc.StatusCode.ALREADY_EXISTS
INVALID = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
RUNNING = pb.ORCHESTRATION_STATUS_RUNNING
COMPLETED = pb.ORCHESTRATION_STATUS_COMPLETED
FAILED = pb.ORCHESTRATION_STATUS_FAILED
TERMINATED = pb.ORCHESTRATION_STATUS_TERMINATED
SUSPENDED = pb.ORCHESTRATION_STATUS_SUSPENDED
PENDING = pb.ORCHESTRATION_STATUS_PENDING


def failing(action_id=99):
    action = ending(action_id=action_id)
    body = action.completeOrchestration
    body.ClearField("result")
    body.orchestrationStatus = FAILED
    body.failureDetails.errorType = "ValueError"
    return action


def waiting(desk, worker, instance_id="waits"):
    """An orchestration that waits for something."""
    desk.start(instance_id)
    worker.decide(worker.turn())
    desk.ask("WaitForInstanceStart", pb.GetInstanceRequest(instanceId=instance_id))
    return instance_id


def ended(desk, worker, instance_id="ended", action=None):
    """An orchestration that has ended."""
    desk.start(instance_id)
    worker.decide(worker.turn(), action or ending(1))
    return desk.finished(instance_id)


def test_every_method_has_an_answer(served):
    assert set(served.server._service._handlers) == {m.path for m in METHODS.values()}


def test_an_unknown_method_is_unimplemented(desk):
    refused = desk.send("/TaskHubSidecarService/Dance", b"")
    assert isinstance(refused, Refused)
    assert refused.code is grpc.StatusCode.UNIMPLEMENTED


def test_hello(desk):
    desk.ask("Hello")


# -- start, get, wait -----------------------------------------------------------------------------


def test_an_id_is_made_up(desk):
    first, second = desk.start(), desk.start()
    assert first
    assert second != first
    assert desk.state(first).orchestrationStatus == PENDING


def test_a_running_id_is_taken(desk):
    desk.start("one")
    refused = desk.refused("StartInstance", pb.CreateInstanceRequest(instanceId="one", name="f"))
    assert refused.code is EXISTS
    assert "one" in refused.details


def test_an_ended_id_is_free_again_unless_the_policy_says_no(desk):
    first = ended(desk, desk.work())
    again = pb.CreateInstanceRequest(instanceId="ended", name="f")
    again.orchestrationIdReusePolicy.SetInParent()
    assert desk.refused("StartInstance", again).code is EXISTS
    desk.start("ended")
    assert desk.state("ended").executionId != first.executionId


def test_a_policy_that_cannot_be(desk):
    request = pb.CreateInstanceRequest(instanceId="one", name="f")
    request.orchestrationIdReusePolicy.replaceableStatus.append(RUNNING)
    refused = desk.refused("StartInstance", request)
    assert refused.code is INVALID
    assert "cannot exclude 'Terminated'" in refused.details


@pytest.mark.parametrize("name", ["WaitForInstanceStart", "WaitForInstanceCompletion"])
def test_waits_end_with_the_deadline_of_the_caller(desk, name):
    request = pb.GetInstanceRequest(instanceId="nobody")
    assert desk.refused(name, request, 0.1).code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_missing_instance_is_no_error(desk):
    assert not desk.ask("GetInstance", pb.GetInstanceRequest(instanceId="nobody")).exists
    assert desk.history("nobody") == []


def test_inputs_and_outputs_come_only_when_asked_for(desk):
    worker = desk.work()
    desk.start("one", value='"in"')
    worker.finish(worker.turn(), "out")
    assert (desk.finished("one").input.value, desk.finished("one").output.value) == (
        '"in"',
        '"out"',
    )
    for name in ("GetInstance", "WaitForInstanceStart", "WaitForInstanceCompletion"):
        state = desk.ask(name, pb.GetInstanceRequest(instanceId="one")).orchestrationState
        assert state.orchestrationStatus == COMPLETED
        assert not state.HasField("input")
        assert not state.HasField("output")


def test_a_history(desk):
    ended(desk, desk.work(), "one")
    kinds = [event.WhichOneof("eventType") for event in desk.history("one")]
    assert kinds == ["orchestratorStarted", "executionStarted", "executionCompleted"]


# -- events and ends ------------------------------------------------------------------------------


CHANGES: dict[str, Any] = {
    "RaiseEvent": pb.RaiseEventRequest(instanceId="nobody", name="go"),
    "SuspendInstance": pb.SuspendRequest(instanceId="nobody"),
    "ResumeInstance": pb.ResumeRequest(instanceId="nobody"),
    "RewindInstance": pb.RewindInstanceRequest(instanceId="nobody"),
    "RestartInstance": pb.RestartInstanceRequest(instanceId="nobody"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_missing_cannot_be_changed(desk, name):
    assert desk.refused(name, CHANGES[name]).code is NOT_FOUND


def test_what_is_missing_may_be_terminated_and_purged(desk):
    desk.ask("TerminateInstance", pb.TerminateRequest(instanceId="nobody"))
    purged = desk.ask("PurgeInstances", pb.PurgeInstancesRequest(instanceId="nobody"))
    assert (purged.deletedInstanceCount, purged.isComplete.value) == (0, True)


def test_what_has_ended_takes_everything_but_a_rewind(desk):
    ended(desk, desk.work(), "one")
    for name in ("RaiseEvent", "SuspendInstance", "ResumeInstance"):
        request = METHODS[name].request.FromString(CHANGES[name].SerializeToString())
        request.instanceId = "one"
        desk.ask(name, request)
    desk.ask("TerminateInstance", pb.TerminateRequest(instanceId="one"))
    assert desk.state("one").orchestrationStatus == COMPLETED
    refused = desk.refused("RewindInstance", pb.RewindInstanceRequest(instanceId="one"))
    assert refused.code is PRECONDITION


def test_an_event_reaches_its_orchestration(desk):
    worker = desk.work()
    waiting(desk, worker)
    event = pb.RaiseEventRequest(instanceId="waits", name="Go")
    event.input.value = "7"
    desk.ask("RaiseEvent", event)
    item = worker.turn()
    raised = item.orchestratorRequest.newEvents[-1].eventRaised
    assert (raised.name, raised.input.value) == ("Go", "7")
    worker.finish(item)
    assert desk.finished("waits").orchestrationStatus == COMPLETED


def test_suspend_resume_terminate(desk):
    waiting(desk, desk.work())
    desk.ask("SuspendInstance", pb.SuspendRequest(instanceId="waits"))
    desk.ask("SuspendInstance", pb.SuspendRequest(instanceId="waits"))
    assert desk.state("waits").orchestrationStatus == SUSPENDED
    desk.ask("ResumeInstance", pb.ResumeRequest(instanceId="waits"))
    desk.ask("ResumeInstance", pb.ResumeRequest(instanceId="waits"))
    assert desk.state("waits").orchestrationStatus == RUNNING
    end = pb.TerminateRequest(instanceId="waits")
    end.output.value = "not even JSON"
    desk.ask("TerminateInstance", end)
    state = desk.finished("waits")
    assert state.orchestrationStatus == TERMINATED
    assert state.output.value == "not even JSON"


def test_a_running_one_is_restarted_under_another_id_only(desk):
    waiting(desk, desk.work())
    same = pb.RestartInstanceRequest(instanceId="waits")
    assert desk.refused("RestartInstance", same).code is PRECONDITION
    other = pb.RestartInstanceRequest(instanceId="waits", restartWithNewInstanceId=True)
    assert desk.ask("RestartInstance", other).instanceId != "waits"


def test_a_failed_one_is_rewound(desk):
    worker = desk.work()
    state = ended(desk, worker, "one", failing())
    assert state.orchestrationStatus == FAILED
    assert state.failureDetails.errorType == "ValueError"
    # The answer comes when the instance has left its status.
    request = pb.RewindInstanceRequest(instanceId="one").SerializeToString()
    path = METHODS["RewindInstance"].path
    rewind = desk.channel.unary_unary(path).future(request, 10, metadata=desk.metadata)
    item = worker.turn()
    kinds = [e.WhichOneof("eventType") for e in item.orchestratorRequest.newEvents]
    assert kinds == ["orchestratorStarted", "executionRewound"]
    action = pb.OrchestratorAction(id=0)
    action.rewindOrchestration.newHistory.extend(item.orchestratorRequest.pastEvents[:2])
    worker.decide(item, action)
    rewind.result()
    worker.finish(worker.turn())
    assert desk.finished("one").orchestrationStatus == COMPLETED


def test_graceless_ends_are_counted(desk):
    waiting(desk, desk.work())
    request = pb.SkipGracefulOrchestrationTerminationsRequest()
    request.instanceBatch.instanceIds.extend(["waits", "nobody"])
    answer = desk.ask("SkipGracefulOrchestrationTerminations", request)
    assert desk.finished("waits").orchestrationStatus == TERMINATED
    assert list(answer.unterminatedInstanceIds) == ["nobody"]


# -- queries and purges ---------------------------------------------------------------------------


def query(desk, **more):
    request = pb.QueryInstancesRequest(query=pb.InstanceQuery(**more))
    return desk.ask("QueryInstances", request)


@pytest.mark.parametrize("size", [0, 1, 2, 2**31 - 1])
def test_queries_come_in_pages(desk, size):
    for number in range(5):
        desk.start(f"one{number}")
    found, token = [], None
    while token != "":
        page = query(desk, maxInstanceCount=size, continuationToken={"value": token or ""})
        assert 0 < len(page.orchestrationState) <= (size or 100)
        found += [state.instanceId for state in page.orchestrationState]
        token = page.continuationToken.value
    assert sorted(found) == [f"one{number}" for number in range(5)]


def test_ids_of_what_has_ended_come_in_pages(desk):
    worker = desk.work()
    for number in range(3):
        ended(desk, worker, f"one{number}")
    request = pb.ListInstanceIdsRequest(pageSize=2)
    page = desk.ask("ListInstanceIds", request)
    assert list(page.instanceIds) == ["one0", "one1"]
    assert "one1" in page.lastInstanceKey.value
    request.lastInstanceKey.value = page.lastInstanceKey.value
    rest = desk.ask("ListInstanceIds", request)
    assert list(rest.instanceIds) == ["one2"]
    assert not rest.HasField("lastInstanceKey")


def test_purges_by_id_batch_and_filter(desk):
    worker = desk.work()
    for number in range(4):
        ended(desk, worker, f"one{number}")
    waiting(desk, worker)

    def purge(**which):
        return desk.ask("PurgeInstances", pb.PurgeInstancesRequest(**which)).deletedInstanceCount

    assert purge(instanceId="one0") == 1
    assert purge(instanceId="waits") == 0
    assert purge(instanceBatch=pb.InstanceBatch(instanceIds=["one1", "one1", "waits"])) == 1
    assert purge(purgeInstanceFilter=pb.PurgeInstanceFilter(runtimeStatus=[FAILED])) == 0
    assert purge(purgeInstanceFilter=pb.PurgeInstanceFilter()) == 2
    assert [state.instanceId for state in query(desk).orchestrationState] == ["waits"]


# -- entities -------------------------------------------------------------------------------------


def test_an_entity_from_signal_to_state(desk):
    worker = desk.work()
    desk.ask("SignalEntity", pb.SignalEntityRequest(instanceId="@counter@a", name="add"))
    item = worker.next("entityRequestV2")
    result = pb.EntityBatchResult(completionToken=item.completionToken)
    result.results.add().success.SetInParent()
    result.entityState.value = "5"
    # A call after the result finds it done, as both are handled in order.
    desk.ask("CompleteEntityTask", result)
    wanted = pb.GetEntityRequest(instanceId="@counter@a", includeState=True)
    found = desk.ask("GetEntity", wanted)
    assert (found.exists, found.entity.serializedState.value) == (True, "5")
    page = desk.ask("QueryEntities", pb.QueryEntitiesRequest())
    assert [entity.instanceId for entity in page.entities] == ["@counter@a"]
    cleaned = desk.ask("CleanEntityStorage", pb.CleanEntityStorageRequest(removeEmptyEntities=True))
    assert (cleaned.emptyEntitiesRemoved, cleaned.orphanedLocksReleased) == (0, 0)
    assert not desk.ask("GetEntity", pb.GetEntityRequest(instanceId="@counter@b")).exists


# -- task hubs ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fixed():
    served = Served(names=("alpha",), is_dynamic=False)
    yield served
    served.close()


def test_a_hub_that_is_not_served(fixed):
    for name in METHODS:
        if name != "CreateTaskHub":
            desk = Desk(fixed.address, "beta")
            refused = desk.send(name, FILLED.get(name, b""))
            desk.close()
            assert isinstance(refused, Refused), name
            assert refused.code is NOT_FOUND, name


def test_hubs_come_and_go(fixed):
    desk = Desk(fixed.address, "gamma")
    desk.ask("CreateTaskHub")
    desk.start("one")
    assert desk.refused("CreateTaskHub", pb.CreateTaskHubRequest()).code is EXISTS
    desk.ask("CreateTaskHub", pb.CreateTaskHubRequest(recreateIfExists=True))
    assert not desk.ask("GetInstance", pb.GetInstanceRequest(instanceId="one")).exists
    desk.ask("DeleteTaskHub")
    assert desk.refused("DeleteTaskHub", pb.DeleteTaskHubRequest()).code is NOT_FOUND
    desk.close()


def test_names_of_hubs(fixed):
    for name, code in (("a b", INVALID), ("x" * 65, INVALID), ("nobodys", NOT_FOUND)):
        desk = Desk(fixed.address, name)
        assert desk.refused("Hello", Empty()).code is code
        desk.close()
    for name in ("ALPHA", "alpha"):
        desk = Desk(fixed.address, name)
        desk.ask("Hello")
        desk.close()


def test_who_names_no_hub_uses_the_default_one(served):
    desk = Desk(served.address, "default")
    nameless = Desk(served.address)
    nameless.metadata = []
    nameless.start("one")
    assert desk.state("one").name == "flow"
    nameless.metadata = [("taskhub", "")]
    assert nameless.state("one").name == "flow"
    nameless.close()
    desk.close()


def test_hubs_do_not_see_each_other(desk, served):
    desk.start("one")
    other = Desk(served.address)
    assert not other.ask("GetInstance", pb.GetInstanceRequest(instanceId="one")).exists
    other.start("one")
    worker = other.work()
    worker.finish(worker.turn())
    assert other.finished("one").orchestrationStatus == COMPLETED
    assert desk.state("one").orchestrationStatus == PENDING
    other.close()


def test_a_bearer_token():
    served = Served(token="right-one")
    desk = Desk(served.address)
    for presented in ("", "right-one", "Bearer wrong", "Bearer ", "Basic right-one"):
        desk.metadata = [("authorization", presented)]
        refused = desk.refused("Hello", Empty())
        assert refused.code is grpc.StatusCode.UNAUTHENTICATED, presented
    desk.metadata = [("authorization", "bearer right-one"), ("odd-bin", b"\xff")]
    desk.ask("Hello")
    desk.close()
    served.close()


#: Requests that get as far as asking for the hub.
_REQUESTS: dict[str, Any] = {
    **CHANGES,
    "StartInstance": pb.CreateInstanceRequest(name="flow"),
    "WaitForInstanceStart": pb.GetInstanceRequest(instanceId="one"),
    "WaitForInstanceCompletion": pb.GetInstanceRequest(instanceId="one"),
    "PurgeInstances": pb.PurgeInstancesRequest(instanceId="one"),
    "SignalEntity": pb.SignalEntityRequest(instanceId="@counter@a", name="add"),
    "GetEntity": pb.GetEntityRequest(instanceId="@counter@a"),
}
FILLED = {name: request.SerializeToString() for name, request in _REQUESTS.items()}


def test_work_of_an_orchestration_with_an_activity(desk):
    worker = desk.work()
    desk.start("one")
    worker.decide(worker.turn(), scheduling(0, "act", '"in"'))
    item = worker.activity()
    assert (item.activityRequest.name, item.activityRequest.input.value) == ("act", '"in"')
    worker.done(item, 7)
    turn = worker.turn()
    assert turn.orchestratorRequest.newEvents[-1].taskCompleted.result.value == "7"
    worker.finish(turn, "done")
    assert desk.finished("one").output.value == '"done"'
