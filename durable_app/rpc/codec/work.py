"""Work items, and what workers answer: turns of orchestrations, and activities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from durable_app import protocol as p
from durable_app.errors import WireFormatError
from durable_app.rpc.codec.actions import read_action, write_action
from durable_app.rpc.codec.entity_work import (
    read_entity_batch,
    read_entity_request,
    write_entity_batch,
    write_entity_request,
)
from durable_app.rpc.codec.events import read_events, unknown_fields, write_event
from durable_app.rpc.codec.tokens import OPAQUE, Tokens
from durable_app.rpc.codec.values import (
    read_duration,
    read_instance,
    read_optional_failure,
    read_optional_span,
    read_optional_trace,
    read_tags,
    read_text,
    read_values,
    write_duration,
    write_failure,
    write_instance,
    write_span,
    write_trace,
    write_value,
)
from durable_app.rpc.generated import taskhub_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# A turn without its history tells neither the orchestration's name nor how long the history is.
# Our own workers need both to go on with a suspended execution; others ignore these properties.
NAME_PROPERTY: Final = "durable_app.name"
PAST_COUNT_PROPERTY: Final = "durable_app.pastCount"
#: Length of a history that nobody tells: no suspended execution fits.
UNKNOWN_COUNT: Final = -1


# ---------------------------------------------------------------------------------------------
# Work items
# ---------------------------------------------------------------------------------------------


def encode_work_item(item: p.WorkItem, tokens: Tokens = OPAQUE) -> pb.WorkItem:
    """A work item as a hub sends it."""
    message = pb.WorkItem()
    message.completionToken = tokens.text(item.token)
    _WRITERS[type(item)](item, message)
    return message


def health_ping() -> pb.WorkItem:
    """What a hub sends from time to time, so that a worker knows that its stream lives."""
    message = pb.WorkItem()
    message.healthPing.SetInParent()
    return message


def decode_work_item(message: pb.WorkItem, tokens: Tokens = OPAQUE) -> p.WorkItem | None:
    """A work item as a worker gets it; None for a health ping.

    Raises:
        WireFormatError: a kind of item that this version does not know, or a value that cannot be.
    """
    kind = message.WhichOneof("request")
    if kind == "healthPing":
        return None
    if kind is None:
        raise WireFormatError(
            f"A work item of an unknown kind (fields: {unknown_fields(message)}).", "request"
        )
    token = tokens.token(message.completionToken)
    item: p.WorkItem = _READERS[kind](getattr(message, kind), token)
    return item


def _write_activity(request: p.ActivityRequest, into: pb.WorkItem) -> None:
    body = into.activityRequest
    body.name = request.name
    if request.version is not None:
        body.version.value = request.version
    if request.input is not None:
        body.input.value = request.input
    write_instance(request.instance, body.orchestrationInstance)
    body.taskId = request.task_id
    if request.parent_trace_context is not None:
        write_trace(request.parent_trace_context, body.parentTraceContext)
    if request.tags:
        body.tags.update(request.tags)


def _read_activity(body: pb.ActivityRequest, token: p.CompletionToken) -> p.ActivityRequest:
    return p.ActivityRequest(
        body.name,
        body.version.value if body.HasField("version") else None,
        body.input.value if body.HasField("input") else None,
        read_instance(body.orchestrationInstance),
        body.taskId,
        token,
        read_optional_trace(body),
        read_tags(body),
    )


def _write_turn(request: p.OrchestratorRequest, into: pb.WorkItem) -> None:
    body = into.orchestratorRequest
    body.instanceId = request.instance_id
    body.executionId.value = request.execution_id
    for event in request.past_events:
        write_event(event, body.pastEvents.add())
    for event in request.new_events:
        write_event(event, body.newEvents.add())
    if request.entity_reorder_window is not None:
        write_duration(
            request.entity_reorder_window, body.entityParameters.entityMessageReorderWindow
        )
    for key, value in (request.properties or {}).items():
        write_value(value, body.properties[key])
    if request.requires_history_streaming:
        body.requiresHistoryStreaming = True
        body.properties[NAME_PROPERTY].string_value = request.name
        body.properties[PAST_COUNT_PROPERTY].number_value = request.past_count
    if request.trace_context is not None:
        write_span(request.trace_context, body.orchestrationTraceContext)


def _read_turn(body: pb.OrchestratorRequest, token: p.CompletionToken) -> p.OrchestratorRequest:
    past, new = read_events(body.pastEvents), read_events(body.newEvents)
    properties = read_values(body.properties)
    name, count = properties.pop(NAME_PROPERTY, ""), properties.pop(PAST_COUNT_PROPERTY, 0)
    window = None
    if body.HasField("entityParameters"):
        window = read_duration(
            body.entityParameters.entityMessageReorderWindow, "entityMessageReorderWindow"
        )
    return p.OrchestratorRequest(
        body.instanceId,
        read_text(body, "executionId") or "",
        orchestration_name(past) or orchestration_name(new) or str(name),
        past,
        new,
        token,
        len(past) or (count if isinstance(count, int) else 0),
        body.requiresHistoryStreaming,
        window,
        properties or None,
        read_optional_span(body),
    )


def orchestration_name(history: Iterable[p.HistoryEvent]) -> str:
    """Name of the orchestration that a history is of; "" where its start is not part of it."""
    for event in history:
        if type(event) is p.ExecutionStarted:
            return event.name
    return ""


_WRITERS: Final[dict[type[p.WorkItem], Callable[[Any, pb.WorkItem], None]]] = {
    p.ActivityRequest: _write_activity,
    p.OrchestratorRequest: _write_turn,
    p.EntityRequest: lambda item, into: write_entity_request(item, into.entityRequestV2),
    p.EntityBatchRequest: lambda item, into: write_entity_batch(item, into.entityRequest),
}

_READERS: Final[dict[str, Callable[[Any, p.CompletionToken], p.WorkItem]]] = {
    "activityRequest": _read_activity,
    "orchestratorRequest": _read_turn,
    "entityRequestV2": read_entity_request,
    "entityRequest": read_entity_batch,
}


# ---------------------------------------------------------------------------------------------
# Results
# ---------------------------------------------------------------------------------------------


def encode_activity_response(
    response: p.ActivityResponse, tokens: Tokens = OPAQUE
) -> pb.ActivityResponse:
    """Outcome of an activity as a worker sends it."""
    message = pb.ActivityResponse()
    message.instanceId = response.instance_id
    message.taskId = response.task_id
    message.completionToken = tokens.text(response.token)
    if response.failure is not None:
        write_failure(response.failure, message.failureDetails)
    if response.result is not None:
        message.result.value = response.result
    return message


def decode_activity_response(
    message: pb.ActivityResponse, tokens: Tokens = OPAQUE
) -> p.ActivityResponse:
    """Outcome of an activity as a hub gets it: with failure details, empty ones too, a failure."""
    return p.ActivityResponse(
        message.instanceId,
        message.taskId,
        tokens.token(message.completionToken),
        message.result.value if message.HasField("result") else None,
        read_optional_failure(message),
    )


def encode_orchestrator_response(
    response: p.OrchestratorResponse, tokens: Tokens = OPAQUE
) -> pb.OrchestratorResponse:
    """What a turn decided, as a worker sends it."""
    message = pb.OrchestratorResponse()
    message.instanceId = response.instance_id
    message.completionToken = tokens.text(response.token)
    for action in response.actions:
        write_action(action, message.actions.add())
    if response.custom_status is not None:
        message.customStatus.value = response.custom_status
    if response.num_events_processed is not None:
        message.numEventsProcessed.value = response.num_events_processed
    if response.trace_context is not None:
        write_span(response.trace_context, message.orchestrationTraceContext)
    if response.requires_history:
        message.requiresHistory = True
    return message


def decode_orchestrator_response(
    message: pb.OrchestratorResponse, tokens: Tokens = OPAQUE
) -> p.OrchestratorResponse:
    """What a turn decided, as a hub gets it.

    Raises:
        UnknownActionError: an action that this version does not know.
        WireFormatError: a value that cannot be. See :func:`failed_turn` for both.
    """
    return p.OrchestratorResponse(
        message.instanceId,
        tokens.token(message.completionToken),
        [read_action(action) for action in message.actions],
        read_text(message, "customStatus"),
        message.numEventsProcessed.value if message.HasField("numEventsProcessed") else None,
        read_optional_span(message),
        message.requiresHistory,
    )


def failed_turn(
    message: pb.OrchestratorResponse, error: WireFormatError, tokens: Tokens = OPAQUE
) -> p.OrchestratorResponse:
    """What a hub makes of a turn that it cannot read: the instance fails and says why.

    Without an answer the same turn would be dispatched, and refused, for ever.
    """
    failure = p.FailureDetails(type(error).__name__, str(error), is_non_retriable=True)
    failed = p.CompleteOrchestration(-1, p.OrchestrationStatus.FAILED, failure=failure)
    return p.OrchestratorResponse(
        message.instanceId, tokens.token(message.completionToken), [failed]
    )
