"""Batches of operations for entities, in both forms, and their results."""

from __future__ import annotations

from typing import Final

from durable_app import protocol as p
from durable_app.errors import WireFormatError
from durable_app.rpc.codec.actions import read_operation_action, write_operation_action
from durable_app.rpc.codec.events import read_event, write_event
from durable_app.rpc.codec.tokens import OPAQUE, Tokens
from durable_app.rpc.codec.values import (
    read_failure,
    read_instance,
    read_optional_failure,
    read_optional_trace,
    read_text,
    read_time,
    read_values,
    write_failure,
    write_instance,
    write_time,
    write_trace,
    write_value,
)
from durable_app.rpc.generated import taskhub_pb2 as pb

_OPERATIONS: Final = (p.EntityOperationSignaled, p.EntityOperationCalled)


def write_entity_request(request: p.EntityRequest, into: pb.EntityRequest) -> None:
    """Set a batch in the newer form."""
    into.instanceId = request.instance_id
    into.executionId = request.execution_id
    if request.entity_state is not None:
        into.entityState.value = request.entity_state
    for event in request.operations:
        write_event(event, into.operationRequests.add())


def read_entity_request(body: pb.EntityRequest, token: p.CompletionToken) -> p.EntityRequest:
    """A batch in the newer form.

    Raises:
        WireFormatError: one of the events is no operation, or a value cannot be.
    """
    return p.EntityRequest(
        body.instanceId,
        body.executionId,
        read_text(body, "entityState"),
        tuple([_operation(event) for event in body.operationRequests]),
        token,
    )


def _operation(
    message: pb.HistoryEvent,
) -> p.EntityOperationSignaled | p.EntityOperationCalled:
    event = read_event(message)
    if isinstance(event, _OPERATIONS):
        return event
    raise WireFormatError(
        f"Entities run calls and signals, not {type(event).__name__}.", "operationRequests"
    )


def write_entity_batch(request: p.EntityBatchRequest, into: pb.EntityBatchRequest) -> None:
    """Set a batch in the older form."""
    into.instanceId = request.instance_id
    if request.entity_state is not None:
        into.entityState.value = request.entity_state
    for operation in request.operations:
        asked = into.operations.add()
        asked.operation = operation.operation
        asked.requestId = operation.request_id
        if operation.input is not None:
            asked.input.value = operation.input
        if operation.trace_context is not None:
            write_trace(operation.trace_context, asked.traceContext)
    for key, value in (request.properties or {}).items():
        write_value(value, into.properties[key])


def read_entity_batch(
    body: pb.EntityBatchRequest, token: p.CompletionToken
) -> p.EntityBatchRequest:
    """A batch in the older form."""
    return p.EntityBatchRequest(
        body.instanceId,
        read_text(body, "entityState"),
        tuple(
            [
                p.OperationRequest(
                    operation.operation,
                    operation.requestId,
                    read_text(operation, "input"),
                    read_optional_trace(operation, "traceContext"),
                )
                for operation in body.operations
            ]
        ),
        token,
        read_values(body.properties) or None,
    )


def encode_entity_result(
    result: p.EntityBatchResult, tokens: Tokens = OPAQUE
) -> pb.EntityBatchResult:
    """Outcome of a batch as a worker sends it."""
    message = pb.EntityBatchResult()
    message.completionToken = tokens.text(result.token)
    for outcome in result.results:
        _write_outcome(outcome, message.results.add())
    for action in result.actions:
        write_operation_action(action, message.actions.add())
    if result.entity_state is not None:
        message.entityState.value = result.entity_state
    if result.failure is not None:
        write_failure(result.failure, message.failureDetails)
    for info in result.operation_infos:
        told = message.operationInfos.add()
        told.requestId = info.request_id
        if info.response_destination is not None:
            write_instance(info.response_destination, told.responseDestination)
    if result.requires_state:
        message.requiresState = True
    return message


def decode_entity_result(
    message: pb.EntityBatchResult, tokens: Tokens = OPAQUE
) -> p.EntityBatchResult:
    """Outcome of a batch as a hub gets it.

    Raises:
        UnknownActionError: an action that this version does not know.
        WireFormatError: a result of unknown kind, or a value that cannot be.
    """
    return p.EntityBatchResult(
        tokens.token(message.completionToken),
        tuple([_read_outcome(outcome) for outcome in message.results]),
        tuple([read_operation_action(action) for action in message.actions]),
        read_text(message, "entityState"),
        read_optional_failure(message),
        tuple([_read_info(info) for info in message.operationInfos]),
        message.requiresState,
    )


def _write_outcome(
    outcome: p.OperationSuccess | p.OperationFailure, into: pb.OperationResult
) -> None:
    body: pb.OperationResultSuccess | pb.OperationResultFailure
    if isinstance(outcome, p.OperationSuccess):
        body = into.success
        if outcome.result is not None:
            into.success.result.value = outcome.result
    else:
        body = into.failure
        write_failure(outcome.failure, into.failure.failureDetails)
    write_time(outcome.started_at, body.startTimeUtc)
    write_time(outcome.ended_at, body.endTimeUtc)


def _read_outcome(message: pb.OperationResult) -> p.OperationSuccess | p.OperationFailure:
    kind = message.WhichOneof("resultType")
    if kind is None:
        raise WireFormatError("A result is a success or a failure.", "results")
    body = message.success if kind == "success" else message.failure
    started = read_time(body.startTimeUtc, "startTimeUtc")
    ended = read_time(body.endTimeUtc, "endTimeUtc")
    if kind == "success":
        return p.OperationSuccess(read_text(message.success, "result"), started, ended)
    return p.OperationFailure(read_failure(message.failure.failureDetails), started, ended)


def _read_info(message: pb.OperationInfo) -> p.OperationInfo:
    destination = None
    if message.HasField("responseDestination"):
        destination = read_instance(message.responseDestination)
    return p.OperationInfo(message.requestId, destination)
