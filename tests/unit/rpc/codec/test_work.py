"""Work items and results: what is not said by fields alone."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from durable_app import protocol as p
from durable_app.errors import UnknownActionError, WireFormatError
from durable_app.rpc.codec.entity_work import decode_entity_result
from durable_app.rpc.codec.events import encode_history, read_event, read_events
from durable_app.rpc.codec.tokens import HubTokens, OpaqueTokens
from durable_app.rpc.codec.work import (
    decode_activity_response,
    decode_orchestrator_response,
    decode_work_item,
    encode_orchestrator_response,
    encode_work_item,
    failed_turn,
    health_ping,
)
from durable_app.rpc.generated import taskhub_pb2 as pb

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = p.CompletionToken("i", 7)
STARTED = p.ExecutionStarted(0, NOW, "order")


def with_unknown(message, number: int):
    """The same message from a sender who knows a field more: an empty message inside."""
    tag = number << 3 | 2
    key = bytes([tag]) if tag < 0x80 else bytes([tag & 0x7F | 0x80, tag >> 7])
    return type(message).FromString(message.SerializeToString() + key + b"\x00")


def test_a_hub_knows_its_own_tokens_again():
    tokens = HubTokens("5f0c")
    assert tokens.text(TOKEN) == "5f0c:i:7"
    assert tokens.token("5f0c:i:7") == TOKEN


@pytest.mark.parametrize(
    "text", ["", "0000:i:7", "5f0c:i:", "5f0c:i:-7", "5f0c:i:\u0667", "5f0c:i:" + "9" * 5_000]
)
def test_any_other_text_is_a_token_that_nobody_holds(text):
    assert HubTokens("5f0c").token(text) == p.CompletionToken(text, -1)


def test_a_worker_hands_tokens_back_as_they_came():
    tokens = OpaqueTokens()
    assert tokens.text(tokens.token("any:text")) == "any:text"


def test_a_health_ping_is_no_item():
    assert decode_work_item(health_ping()) is None


def test_an_item_of_a_later_kind_is_refused():
    with pytest.raises(WireFormatError, match=r"unknown kind \(fields: \[9\]\)"):
        decode_work_item(with_unknown(pb.WorkItem(), 9))


def test_a_turn_is_named_by_its_history():
    item = p.OrchestratorRequest(
        "id", "x", "", [p.OrchestratorStarted(-1, NOW), STARTED], [p.OrchestratorStarted()], TOKEN
    )
    arrived = decode_work_item(encode_work_item(item))
    assert isinstance(arrived, p.OrchestratorRequest)
    assert (arrived.name, arrived.past_count) == ("order", 2)


def test_a_turn_without_its_history_tells_what_a_warm_worker_needs():
    item = p.OrchestratorRequest("id", "x", "order", (), [p.OrchestratorStarted()], TOKEN, 12, True)
    message = encode_work_item(item)
    arrived = decode_work_item(message)
    assert isinstance(arrived, p.OrchestratorRequest)
    assert (arrived.name, arrived.past_count, arrived.properties) == ("order", 12, None)

    message.orchestratorRequest.properties["durable_app.pastCount"].string_value = "many"
    strange = decode_work_item(message)
    assert isinstance(strange, p.OrchestratorRequest)
    assert strange.past_count == 0


def test_an_empty_failure_is_a_failure():
    message = pb.ActivityResponse(instanceId="id", taskId=1)
    assert decode_activity_response(message).failure is None
    message.failureDetails.SetInParent()
    assert decode_activity_response(message).failure == p.FailureDetails("", "")


def test_an_event_of_a_later_version_is_a_note(caplog):
    message = with_unknown(pb.HistoryEvent(eventId=4), 31)
    with caplog.at_level(logging.WARNING, "durable_app.rpc"):
        assert read_event(message) == p.GenericEvent(4, p.EPOCH)
    assert caplog.messages == ["unknown_history_event"]
    assert vars(caplog.records[0])["fields"] == [31]


def test_an_action_of_a_later_version_fails_its_turn():
    message = pb.OrchestratorResponse(instanceId="id", completionToken="run:i:7")
    message.actions.append(with_unknown(pb.OrchestratorAction(id=3), 31))
    tokens = HubTokens("run")
    with pytest.raises(UnknownActionError, match=r"Action 3 .* \(fields: 31\)") as caught:
        decode_orchestrator_response(message, tokens)

    response = failed_turn(message, caught.value, tokens)

    assert (response.instance_id, response.token) == ("id", TOKEN)
    [action] = response.actions
    assert isinstance(action, p.CompleteOrchestration)
    assert action.status is p.OrchestrationStatus.FAILED
    assert action.failure is not None
    assert action.failure.error_type == "UnknownActionError"


def refused(**parts) -> str:
    message = pb.OrchestratorResponse()
    message.actions.add(id=1, **parts)
    with pytest.raises(WireFormatError) as caught:
        decode_orchestrator_response(message)
    return caught.value.field


def test_messages_for_entities_can_be_delivered():
    signal = pb.EntityOperationSignaledEvent(operation="add")
    assert refused(sendEntityMessage={"entityOperationSignaled": signal}) == "targetInstanceId"
    lock = pb.EntityLockRequestedEvent(lockSet=["@a@1"], position=1)
    assert refused(sendEntityMessage={"entityLockRequested": lock}) == "position"
    assert refused(sendEntityMessage={}) == "sendEntityMessage"


def test_what_an_orchestration_completes_with_is_checked():
    assert refused(completeOrchestration={"orchestrationStatus": 99}) == "orchestrationStatus"
    other = [pb.HistoryEvent(taskCompleted={})]
    assert refused(completeOrchestration={"carryoverEvents": other}) == "carryoverEvents"


@pytest.mark.parametrize("part", ["results", "actions"])
def test_results_of_entities_are_checked(part):
    message = pb.EntityBatchResult()
    getattr(message, part).add()
    with pytest.raises(WireFormatError) as caught:
        decode_entity_result(message)
    assert caught.value.field == part


def test_an_entity_is_asked_for_operations_alone():
    message = pb.WorkItem()
    message.entityRequestV2.operationRequests.add().orchestratorStarted.SetInParent()
    with pytest.raises(WireFormatError, match="Entities run calls and signals, not Orchestrator"):
        decode_work_item(message)


def test_hub_only_keys_never_leave():
    event = p.TaskScheduled(1, NOW, "charge", key=42)
    [chunk] = encode_history([event])
    assert read_events(chunk.events) == [p.TaskScheduled(1, NOW, "charge")]


@pytest.mark.parametrize("kind", p.HistoryEvent.__args__, ids=lambda kind: kind.__name__)
def test_an_event_without_details_is_still_that_event(kind):
    [chunk] = encode_history([kind(3, NOW)])
    assert read_events(chunk.events) == [kind(3, NOW)]


BARE_ACTIONS = (
    p.ScheduleTask(1, "charge"),
    p.CreateSubOrchestration(1, None, "ship"),
    p.SendEvent(1, p.OrchestrationInstance("id"), "e"),
    p.CompleteOrchestration(-1, p.OrchestrationStatus.COMPLETED),
    p.TerminateOrchestration(1, "id"),
    p.SendEntityMessage(1, p.EntityUnlockSent(1, p.EPOCH, "cs", None, "@a@1")),
    p.RewindOrchestration(1, ()),
)


@pytest.mark.parametrize("action", BARE_ACTIONS, ids=lambda action: type(action).__name__)
def test_an_action_without_details_is_still_that_action(action):
    message = encode_orchestrator_response(p.OrchestratorResponse("id", TOKEN, [action]))
    assert decode_orchestrator_response(message).actions == [action]


def test_a_history_is_cut_into_chunks_of_one_event_at_least():
    events = [p.EventRaised(-1, NOW, "e", "x" * size) for size in (10, 10, 500, 10)]
    chunks = list(encode_history(events, chunk_bytes=100))
    assert [len(chunk.events) for chunk in chunks] == [2, 1, 1]
    assert [event for chunk in chunks for event in read_events(chunk.events)] == events
    assert list(encode_history([])) == []
