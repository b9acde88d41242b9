"""Messages that answer work items, and what answers an item that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from durable_app import protocol as p
from durable_app.errors import WireFormatError
from durable_app.rpc.codec.entity_work import encode_entity_result
from durable_app.rpc.codec.tokens import OPAQUE
from durable_app.rpc.codec.work import (
    decode_work_item,
    encode_activity_response,
    encode_orchestrator_response,
)
from durable_app.rpc.generated import taskhub_pb2 as pb

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.message import Message

    from durable_app.ports import WorkResult

ITEM_ERROR: Final = "WorkItemError"
"""Error type of the failure that answers an item which could not be dealt with."""


class Unreadable(NamedTuple):
    """A work item that makes no sense.

    Attributes:
        message: as far as it could be read.
        reason: what is wrong.
    """

    message: pb.WorkItem
    reason: str


class Answer(NamedTuple):
    """A call that hands an item in."""

    method: str
    message: Message


def read_item(data: bytes) -> p.WorkItem | Unreadable | None:
    """The item; None for a health ping. Raises nothing: an error would end the stream."""
    message = pb.WorkItem()
    try:
        message.ParseFromString(data)
        return decode_work_item(message)
    except WireFormatError as error:
        return Unreadable(message, str(error))
    except Exception as error:  # noqa: BLE001  protobuf's DecodeError, or an error of our own
        return Unreadable(message, f"{type(error).__name__}: {error}")


def completed(result: WorkResult, token: p.CompletionToken) -> Answer:
    """Hands a result in, under that token.

    Raises:
        ValueError: it holds a text that cannot be sent.
    """
    result = msgspec.structs.replace(result, token=token)
    if isinstance(result, p.ActivityResponse):
        return Answer("CompleteActivityTask", encode_activity_response(result))
    if isinstance(result, p.OrchestratorResponse):
        return Answer("CompleteOrchestratorTask", encode_orchestrator_response(result))
    return Answer("CompleteEntityTask", encode_entity_result(result))


def given_back(item: p.WorkItem, token: p.CompletionToken) -> Answer:
    """Gives an item back without a result."""
    text = OPAQUE.text(token)
    if isinstance(item, p.ActivityRequest):
        request: Any = pb.AbandonActivityTaskRequest(completionToken=text)
        return Answer("AbandonTaskActivityWorkItem", request)
    if isinstance(item, p.OrchestratorRequest):
        request = pb.AbandonOrchestrationTaskRequest(completionToken=text)
        return Answer("AbandonTaskOrchestratorWorkItem", request)
    return Answer("AbandonTaskEntityWorkItem", pb.AbandonEntityTaskRequest(completionToken=text))


def failed(item: p.WorkItem, reason: str, now: datetime) -> WorkResult:
    """The outcome of an item whose result cannot be brought to the hub.

    Without one the item would be run, and its result refused, for ever.
    """
    failure = p.FailureDetails(ITEM_ERROR, reason, is_non_retriable=True)
    if isinstance(item, p.ActivityRequest):
        instance_id = item.instance.instance_id
        return p.ActivityResponse(instance_id, item.task_id, item.token, failure=failure)
    if isinstance(item, p.OrchestratorRequest):
        return _failed_turn(item.instance_id, item.token, failure)
    # One operation has failed; the hub sends the others again.
    outcome = p.OperationFailure(failure, now, now)
    first = item.operations[0]
    infos: tuple[p.OperationInfo, ...] = ()
    if isinstance(item, p.EntityRequest):
        destination = None
        if isinstance(first, p.EntityOperationCalled) and first.parent_instance_id is not None:
            destination = p.OrchestrationInstance(
                first.parent_instance_id, first.parent_execution_id or ""
            )
        infos = (p.OperationInfo(first.request_id, destination),)
    return p.EntityBatchResult(item.token, (outcome,), (), item.entity_state, operation_infos=infos)


def refused(unreadable: Unreadable) -> Answer | None:
    """Answers an item that makes no sense; None where it is of an unknown kind.

    A turn and an activity fail. A batch of an entity is given back: some of its operations may be
    sound, and a worker of another version may read all of them.
    """
    message, reason = unreadable
    token = OPAQUE.token(message.completionToken)
    failure = p.FailureDetails(ITEM_ERROR, reason, is_non_retriable=True)
    kind = message.WhichOneof("request")
    if kind == "activityRequest":
        activity = message.activityRequest
        instance_id = activity.orchestrationInstance.instanceId
        result = p.ActivityResponse(instance_id, activity.taskId, token, failure=failure)
        return completed(result, token)
    if kind == "orchestratorRequest":
        instance_id = message.orchestratorRequest.instanceId
        return completed(_failed_turn(instance_id, token, failure), token)
    if kind in {"entityRequest", "entityRequestV2"}:
        request = pb.AbandonEntityTaskRequest(completionToken=message.completionToken)
        return Answer("AbandonTaskEntityWorkItem", request)
    return None


def _failed_turn(
    instance_id: str, token: p.CompletionToken, failure: p.FailureDetails
) -> p.OrchestratorResponse:
    action = p.CompleteOrchestration(-1, p.OrchestrationStatus.FAILED, failure=failure)
    return p.OrchestratorResponse(instance_id, token, (action,))
