"""Answers to work items, sound and unsound ones."""

from __future__ import annotations

import pytest

from durable_app.protocol import (
    ActivityResponse,
    EntityBatchRequest,
    EntityBatchResult,
    OperationRequest,
    OrchestrationInstance,
)
from durable_app.rpc.codec.work import encode_work_item, health_ping
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.stub.outcomes import (
    Unreadable,
    completed,
    failed,
    given_back,
    read_item,
    refused,
)
from tests.unit.rpc.stub.items import activity, batch, called, token, turn
from tests.unit.taskhub.builders import NOW


def test_what_the_stream_brings():
    assert read_item(health_ping().SerializeToString()) is None
    assert read_item(encode_work_item(activity("a")).SerializeToString()) == activity("a")
    garbage = read_item(b"\xff\xff")
    assert isinstance(garbage, Unreadable)
    assert "DecodeError" in garbage.reason


def unsound_turn():
    message = encode_work_item(turn("a"))
    message.orchestratorRequest.newEvents[0].timestamp.seconds = 2**60
    return message


def unsound_batch():
    message = encode_work_item(batch("a", "1"))
    message.entityRequestV2.operationRequests[0].timestamp.seconds = 2**60
    return message


@pytest.mark.parametrize(
    ("message", "method"),
    [
        (unsound_turn(), "CompleteOrchestratorTask"),
        (unsound_batch(), "AbandonTaskEntityWorkItem"),
    ],
)
def test_an_item_that_makes_no_sense_is_answered(message, method):
    item = read_item(message.SerializeToString())
    assert isinstance(item, Unreadable)
    answer = refused(item)
    assert answer is not None
    assert (answer.method, answer.message.completionToken) == (method, "a")


def test_an_activity_that_makes_no_sense_fails_with_the_reason():
    answer = refused(Unreadable(encode_work_item(activity("a")), "too new"))
    assert answer is not None
    assert answer.method == "CompleteActivityTask"
    assert answer.message.failureDetails.errorMessage == "too new"
    assert answer.message.failureDetails.isNonRetriable
    assert (answer.message.instanceId, answer.message.taskId) == ("one", 1)


def test_an_item_of_an_unknown_kind_has_no_answer():
    assert refused(Unreadable(pb.WorkItem(completionToken="a"), "?")) is None


@pytest.mark.parametrize(
    ("item", "method"),
    [
        (activity("a"), "AbandonTaskActivityWorkItem"),
        (turn("a"), "AbandonTaskOrchestratorWorkItem"),
        (batch("a", "1"), "AbandonTaskEntityWorkItem"),
    ],
)
def test_each_kind_is_given_back_in_its_way(item, method):
    answer = given_back(item, token("b"))
    assert (answer.method, answer.message.completionToken) == (method, "b")


@pytest.mark.parametrize("item", [activity("a"), turn("a"), batch("a", "1", "2")])
def test_each_kind_can_fail(item):
    answer = completed(failed(item, "too large", NOW), token("b"))
    assert answer.message.completionToken == "b"
    assert "too large" in str(answer.message)


@pytest.mark.parametrize(
    ("parent", "destination"), [("one", OrchestrationInstance("one", "p")), (None, None)]
)
def test_who_has_called_an_entity_hears_of_the_failure(parent, destination):
    result = failed(called("a", parent), "too large", NOW)
    assert isinstance(result, EntityBatchResult)
    (info,) = result.operation_infos
    assert (info.request_id, info.response_destination) == ("r", destination)
    assert (len(result.results), result.entity_state) == (1, "1")


def test_a_batch_in_the_older_form_fails_its_first_operation():
    operations = (OperationRequest("add", "1"), OperationRequest("add", "2"))
    result = failed(EntityBatchRequest("@counter@a", "1", operations, token("a")), "odd", NOW)
    assert isinstance(result, EntityBatchResult)
    assert (len(result.results), result.operation_infos) == (1, ())


def test_a_text_that_is_no_unicode_is_not_sent():
    with pytest.raises(ValueError, match="surrogate"):
        completed(ActivityResponse("one", 1, token("a"), "\ud800"), token("a"))
