"""Requests that cannot be: each has its status, and the work beside it goes on."""

from __future__ import annotations

from datetime import UTC, datetime

import grpc
import pytest

from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.methods import METHODS
from durable_app.rpc.server.work import WorkLimits
from tests.contract.rpc_server.bench import Desk, Records, Served, ending, scheduling, turn_of

INVALID = grpc.StatusCode.INVALID_ARGUMENT
COMPLETED = pb.ORCHESTRATION_STATUS_COMPLETED
FAILED = pb.ORCHESTRATION_STATUS_FAILED
RUNNING = pb.ORCHESTRATION_STATUS_RUNNING
LARGE = "x" * 5_000_000


@pytest.fixture
def desk(served):
    """A task hub with an orchestration that is in the midst of its work, and goes on with it."""
    desk = Desk(served.address)
    filters = pb.WorkItemFilters()
    filters.orchestrations.add(name="healthy")
    filters.activities.add(name="healthy")
    worker = desk.work(workItemFilters=filters)
    desk.start("healthy", "healthy")
    worker.decide(worker.turn(), scheduling(0, "healthy"))
    item = worker.activity()
    yield desk
    worker.done(item, 1)
    worker.finish(worker.turn(), "well")
    assert desk.finished("healthy").output.value == '"well"'
    desk.close()
    assert served.fatal == []


# -- bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_bytes_that_are_no_message(desk, name):
    refused = desk.send(name, b"\xff\xff\xff")
    assert refused.code is INVALID
    assert name in refused.details


def test_text_that_is_no_unicode(desk):
    assert desk.send("GetInstance", b"\x0a\x02\xff\xfe").code is INVALID


# -- ids and names --------------------------------------------------------------------------------


def with_id(instance_id):
    get = pb.GetInstanceRequest(instanceId=instance_id)
    return [
        ("StartInstance", pb.CreateInstanceRequest(instanceId=instance_id, name="f")),
        ("WaitForInstanceStart", get),
        ("WaitForInstanceCompletion", get),
        ("SignalEntity", pb.SignalEntityRequest(instanceId=instance_id, name="add")),
    ]


@pytest.mark.parametrize(("name", "request_"), with_id("x" * 101))
def test_an_id_of_101_characters(desk, name, request_):
    refused = desk.refused(name, request_)
    assert refused.code is INVALID
    assert "length" in refused.details


@pytest.mark.parametrize(("name", "request_"), with_id("")[1:])
def test_an_empty_id(desk, name, request_):
    assert desk.refused(name, request_).code is INVALID


@pytest.mark.parametrize("instance_id", ["x" * 100, "é" * 100, "\U0001f600", "a b"])
def test_ids_that_may_be(desk, instance_id):
    assert desk.start(instance_id) == instance_id
    assert desk.state(instance_id).instanceId == instance_id


@pytest.mark.parametrize("instance_id", ["@entity@key", "a/b", "a\\b", "a#b", "a?b", "a\x01b"])
def test_ids_that_no_orchestration_may_have(desk, instance_id):
    request = pb.CreateInstanceRequest(instanceId=instance_id, name="f")
    assert desk.refused("StartInstance", request).code is INVALID


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("StartInstance", pb.CreateInstanceRequest()),
        ("RaiseEvent", pb.RaiseEventRequest(instanceId="healthy")),
        ("SignalEntity", pb.SignalEntityRequest(instanceId="@a@b")),
    ],
)
def test_an_empty_name(desk, name, request_):
    assert desk.refused(name, request_).code is INVALID


@pytest.mark.parametrize("entity_id", ["a", "@", "@@", "@a", "@@b"])
@pytest.mark.parametrize("name", ["SignalEntity", "GetEntity"])
def test_entity_ids_that_are_none(desk, name, entity_id):
    request = METHODS[name].request(instanceId=entity_id)
    if name == "SignalEntity":
        request.name = "add"
    assert desk.refused(name, request).code is INVALID


# -- times, sizes, statuses, tokens ---------------------------------------------------------------

WRONG_TIMES = [
    {"seconds": 10**14},
    {"seconds": -(10**14)},
    {"seconds": 2**63 - 1},
    {"nanos": -1},
    {"nanos": 10**9},
]


@pytest.mark.parametrize("time", WRONG_TIMES)
def test_times_that_cannot_be(desk, time):
    for name, request in (
        ("StartInstance", pb.CreateInstanceRequest(name="f", scheduledStartTimestamp=time)),
        ("QueryInstances", pb.QueryInstancesRequest(query={"createdTimeFrom": time})),
        ("ListInstanceIds", pb.ListInstanceIdsRequest(completedTimeTo=time)),
        ("PurgeInstances", pb.PurgeInstancesRequest(purgeInstanceFilter={"createdTimeTo": time})),
        ("QueryEntities", pb.QueryEntitiesRequest(query={"lastModifiedFrom": time})),
        (
            "SignalEntity",
            pb.SignalEntityRequest(instanceId="@a@b", name="add", scheduledTime=time),
        ),
    ):
        assert desk.refused(name, request).code is INVALID, name


def test_times_at_the_edge_of_the_calendar(desk):
    for moment in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)):
        time = {"seconds": int(moment.timestamp())}
        start = pb.CreateInstanceRequest(name="f", scheduledStartTimestamp=time)
        assert desk.ask("StartInstance", start).instanceId
        desk.ask("QueryInstances", pb.QueryInstancesRequest(query={"createdTimeTo": time}))


def test_pages_of_fewer_than_no_rows(desk):
    for name, request in (
        ("QueryInstances", pb.QueryInstancesRequest(query={"maxInstanceCount": -1})),
        ("ListInstanceIds", pb.ListInstanceIdsRequest(pageSize=-1)),
        ("QueryEntities", pb.QueryEntitiesRequest(query={"pageSize": {"value": -(2**31)}})),
        ("GetWorkItems", pb.GetWorkItemsRequest(maxConcurrentActivityWorkItems=-1)),
    ):
        assert desk.refused(name, request).code is INVALID, name


@pytest.mark.parametrize("token", ["x", "0", "-1", "é\x00", "9" * 5_000, "e30="])
def test_continuation_tokens_that_nobody_gave(desk, token):
    for name, request in (
        ("QueryInstances", pb.QueryInstancesRequest(query={"continuationToken": {"value": token}})),
        ("ListInstanceIds", pb.ListInstanceIdsRequest(lastInstanceKey={"value": token})),
    ):
        assert desk.refused(name, request).code is INVALID, name


def test_pages_of_entities_go_on_after_an_id(desk):
    request = pb.QueryEntitiesRequest(query={"continuationToken": {"value": "\x00 no id at all"}})
    assert list(desk.ask("QueryEntities", request).entities) == []


@pytest.mark.parametrize("status", [8, -1, 2**31 - 1])
def test_statuses_that_are_none(desk, status):
    start = pb.CreateInstanceRequest(name="f")
    start.orchestrationIdReusePolicy.replaceableStatus.append(status)
    which = pb.PurgeInstanceFilter(runtimeStatus=[status])
    for name, request in (
        ("StartInstance", start),
        ("QueryInstances", pb.QueryInstancesRequest(query={"runtimeStatus": [status]})),
        ("ListInstanceIds", pb.ListInstanceIdsRequest(runtimeStatus=[status])),
        (
            "PurgeInstances",
            pb.PurgeInstancesRequest(purgeInstanceFilter=which),
        ),
    ):
        assert desk.refused(name, request).code is INVALID, name


def test_a_purge_of_everything_by_accident(desk):
    assert desk.refused("PurgeInstances", pb.PurgeInstancesRequest()).code is INVALID


def test_batches_have_500_ids_at_most(desk):
    many = [f"one{number}" for number in range(501)]
    purge = pb.PurgeInstancesRequest(instanceBatch={"instanceIds": many})
    skip = pb.SkipGracefulOrchestrationTerminationsRequest(instanceBatch={"instanceIds": many})
    assert desk.refused("PurgeInstances", purge).code is INVALID
    assert desk.refused("SkipGracefulOrchestrationTerminations", skip).code is INVALID
    del purge.instanceBatch.instanceIds[-1], skip.instanceBatch.instanceIds[-1]
    desk.ask("PurgeInstances", purge)
    desk.ask("SkipGracefulOrchestrationTerminations", skip)


# -- answers of workers ---------------------------------------------------------------------------

TOKENS = ["", "x", ":t:1", "0:o:1", "é", "9" * 10_000]


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_that_nobody_gave_change_nothing(desk, token):
    for name in (
        "CompleteActivityTask",
        "CompleteOrchestratorTask",
        "CompleteEntityTask",
        "AbandonTaskActivityWorkItem",
        "AbandonTaskOrchestratorWorkItem",
        "AbandonTaskEntityWorkItem",
    ):
        desk.ask(name, METHODS[name].request(completionToken=token))


def test_a_token_of_another_hub_changes_nothing(desk, served):
    worker = desk.work()
    desk.start("one")
    item = worker.turn()
    other = Desk(served.address)
    other.ask("CompleteOrchestratorTask", turn_of(item, ending("wrong")))
    other.ask(
        "AbandonTaskOrchestratorWorkItem",
        pb.AbandonOrchestrationTaskRequest(completionToken=item.completionToken),
    )
    other.close()
    worker.finish(item, "right")
    assert desk.finished("one").output.value == '"right"'


def test_a_token_counts_once(desk):
    worker = desk.work()
    desk.start("one")
    item = worker.turn()
    worker.decide(item, scheduling(0))
    worker.finish(item, "again")
    activity = worker.activity()
    worker.done(activity, 1)
    worker.done(activity, 2)
    turn = worker.turn()
    assert turn.orchestratorRequest.newEvents[-1].taskCompleted.result.value == "1"
    worker.finish(turn, "right")
    assert desk.finished("one").output.value == '"right"'


def test_an_answer_of_the_wrong_kind_changes_nothing(desk):
    worker = desk.work()
    desk.start("one")
    turn = worker.turn()
    desk.ask("CompleteActivityTask", pb.ActivityResponse(completionToken=turn.completionToken))
    desk.ask("CompleteEntityTask", pb.EntityBatchResult(completionToken=turn.completionToken))
    worker.decide(turn, scheduling(0))
    activity = worker.activity()
    wrong = pb.OrchestratorResponse(completionToken=activity.completionToken, actions=[ending(0)])
    desk.ask("CompleteOrchestratorTask", wrong)
    desk.ask("CompleteEntityTask", pb.EntityBatchResult(completionToken=activity.completionToken))
    worker.done(activity)
    worker.finish(worker.turn(), "right")
    assert desk.finished("one").output.value == '"right"'


def test_the_token_decides_and_not_the_instance_that_an_answer_names(desk):
    worker = desk.work()
    desk.start("one")
    item = worker.turn()
    answer = turn_of(item, ending("right"))
    answer.instanceId = "healthy"
    desk.ask("CompleteOrchestratorTask", answer)
    assert desk.finished("one").output.value == '"right"'
    assert desk.state("healthy").orchestrationStatus == RUNNING


def unknown_action():
    # Field 99, which nobody has declared.
    return pb.OrchestratorAction.FromString(b"\x08\x01" + b"\x9a\x06\x01x")


def late_timer():
    action = pb.OrchestratorAction(id=1)
    action.createTimer.fireAt.seconds = 10**14
    return action


@pytest.mark.parametrize("action", [unknown_action(), late_timer()], ids=["unknown", "time"])
def test_a_turn_that_cannot_be_read_fails_its_instance(desk, action):
    worker = desk.work()
    desk.start("one")
    refused = desk.refused("CompleteOrchestratorTask", turn_of(worker.turn(), action))
    assert refused.code is INVALID
    state = desk.finished("one")
    assert state.orchestrationStatus == FAILED
    assert state.failureDetails.errorMessage in refused.details


def test_an_entity_result_that_cannot_be_read_is_tried_again(desk):
    worker = desk.work()
    desk.ask("SignalEntity", pb.SignalEntityRequest(instanceId="@counter@a", name="add"))
    item = worker.next("entityRequestV2")
    result = pb.EntityBatchResult(completionToken=item.completionToken)
    result.results.add()
    assert desk.refused("CompleteEntityTask", result).code is INVALID
    again = worker.next("entityRequestV2")
    assert again.entityRequest == item.entityRequest
    assert again.completionToken != item.completionToken


def test_an_answer_in_parts_that_never_ends_holds_up_nobody_else(desk):
    worker = desk.work()
    desk.start("one")
    item = worker.turn()
    for number in range(50):
        part = turn_of(item, scheduling(number), isPartial=True)
        desk.ask("CompleteOrchestratorTask", part)
    desk.start("two")
    worker.finish(worker.turn(), "right")
    assert desk.finished("two").output.value == '"right"'
    assert desk.state("one").orchestrationStatus == pb.ORCHESTRATION_STATUS_PENDING
    worker.decide(item)
    assert worker.activity().activityRequest.name == "act"


def test_an_answer_without_its_first_part_is_asked_for_again(desk):
    worker = desk.work()
    desk.start("one")
    item = worker.turn()
    rest = turn_of(item, ending("half"), chunkIndex={"value": 1})
    refused = desk.refused("CompleteOrchestratorTask", rest)
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    worker.finish(worker.turn(), "whole")
    assert desk.finished("one").output.value == '"whole"'


# -- sizes ----------------------------------------------------------------------------------------


def test_a_turn_that_its_worker_cannot_receive_fails(desk):
    worker = desk.work()
    desk.start("one", value=LARGE)
    state = desk.finished("one")
    assert state.orchestrationStatus == FAILED
    assert state.failureDetails.errorType == "MessageTooLargeError"
    assert len(state.input.value) == len(LARGE)
    desk.start("two")
    worker.finish(worker.turn())


def test_an_activity_that_its_worker_cannot_receive_fails(desk):
    worker = desk.work()
    desk.start("one")
    worker.decide(worker.turn(), scheduling(0, value=LARGE))
    desk.state("one")
    # The turn after it does not hold the input again, but its past does.
    assert desk.finished("one").failureDetails.errorType == "MessageTooLargeError"
    kinds = [event.WhichOneof("eventType") for event in desk.history("one")]
    assert "taskFailed" in kinds


def test_an_operation_that_its_worker_cannot_receive_fails(desk):
    worker = desk.work()
    signal = pb.SignalEntityRequest(instanceId="@counter@a", name="add", input={"value": LARGE})
    desk.ask("SignalEntity", signal)
    signal.input.value = "1"
    desk.ask("SignalEntity", signal)
    item = worker.next("entityRequestV2")
    asked = item.entityRequestV2.operationRequests
    assert [event.entityOperationSignaled.input.value for event in asked] == ["1"]


@pytest.mark.parametrize("agent", ["durabletask-js/0.4.0 (DurableTaskWorker)", "durable-app/1"])
def test_workers_without_a_limit_get_everything(desk, agent):
    unlimited = Desk(desk.address, desk.name, agent)
    worker = unlimited.work()
    desk.start("one", value=LARGE)
    item = worker.turn()
    assert len(item.orchestratorRequest.newEvents[1].executionStarted.input.value) == len(LARGE)
    worker.finish(item)
    assert desk.finished("one").orchestrationStatus == COMPLETED
    unlimited.close()


@pytest.mark.parametrize(("own_bytes", "fits"), [(10_000, False), (None, True)])
def test_a_worker_of_this_package_gets_what_it_receives(own_bytes, fits):
    served = Served(limits=WorkLimits(own_bytes=own_bytes))
    desk = Desk(served.address, agent="durable-app/1")
    worker = desk.work()
    desk.start("one", value="x" * 10_000)
    if fits:
        worker.finish(worker.turn())
    assert desk.finished("one").orchestrationStatus == (COMPLETED if fits else FAILED)
    # The others get their turns in either case.
    desk.start("two", value="x")
    worker.finish(worker.turn())
    assert desk.finished("two").orchestrationStatus == COMPLETED
    desk.close()
    served.close()


def test_nothing_of_a_request_is_logged(desk, caplog):
    records = Records()
    desk.refused("StartInstance", pb.CreateInstanceRequest(instanceId="secret" * 20, name="f"))
    assert records.records == []
    assert "secret" not in caplog.text
