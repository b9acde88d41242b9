"""Requests of clients about instances, and the answers.

A decoded request is a tuple in the order of the port's parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from durable_app.errors import WireFormatError
from durable_app.ports import StartRequest
from durable_app.protocol import OrchestrationState, OrchestrationStatus
from durable_app.rpc.codec.state import read_state, write_state
from durable_app.rpc.codec.values import (
    read_optional_time,
    read_optional_trace,
    read_statuses,
    read_tags,
    read_text,
    write_optional_time,
    write_trace,
)
from durable_app.rpc.generated import taskhub_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Sequence

_Reasoned = TypeVar("_Reasoned", pb.SuspendRequest, pb.ResumeRequest, pb.RewindInstanceRequest)

_LIVE: Final = frozenset(
    {OrchestrationStatus.RUNNING, OrchestrationStatus.PENDING, OrchestrationStatus.SUSPENDED}
)


# ---------------------------------------------------------------------------------------------
# Start, get
# ---------------------------------------------------------------------------------------------


def encode_start(request: StartRequest) -> pb.CreateInstanceRequest:
    """A new instance."""
    message = pb.CreateInstanceRequest()
    message.instanceId = request.instance_id or ""
    message.name = request.name
    if request.version is not None:
        message.version.value = request.version
    if request.input is not None:
        message.input.value = request.input
    write_optional_time(request.start_at, message.scheduledStartTimestamp)
    if request.replaceable is not None:
        message.orchestrationIdReusePolicy.SetInParent()
        message.orchestrationIdReusePolicy.replaceableStatus.extend(sorted(request.replaceable))
    if request.tags:
        message.tags.update(request.tags)
    if request.parent_trace_context is not None:
        write_trace(request.parent_trace_context, message.parentTraceContext)
    return message


def decode_start(message: pb.CreateInstanceRequest) -> StartRequest:
    """A new instance. A time in the past means "now": some SDKs always send 1970.

    Raises:
        WireFormatError: a time or a status that cannot be, or a policy that replaces running
            instances but not the terminated ones that they are first turned into.
    """
    return StartRequest(
        name=message.name,
        instance_id=message.instanceId or None,
        input=read_text(message, "input"),
        version=read_text(message, "version"),
        start_at=read_optional_time(message, "scheduledStartTimestamp"),
        tags=read_tags(message),
        replaceable=_read_replaceable(message),
        parent_trace_context=read_optional_trace(message),
    )


def _read_replaceable(
    message: pb.CreateInstanceRequest,
) -> frozenset[OrchestrationStatus] | None:
    if not message.HasField("orchestrationIdReusePolicy"):
        return None
    found = read_statuses(message.orchestrationIdReusePolicy.replaceableStatus, "replaceableStatus")
    if found & _LIVE and OrchestrationStatus.TERMINATED not in found:
        # Clients show this text to people who know it from other hubs.
        raise WireFormatError(
            "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of"
            " running instances",
            "replaceableStatus",
        )
    return found


def encode_get(instance_id: str, *, fetch_payloads: bool) -> pb.GetInstanceRequest:
    """Asks for an instance, now or when it has started or ended."""
    message = pb.GetInstanceRequest()
    message.instanceId = instance_id
    message.getInputsAndOutputs = fetch_payloads
    return message


class Get(NamedTuple):
    """Asks for an instance."""

    instance_id: str
    fetch_payloads: bool


def decode_get(message: pb.GetInstanceRequest) -> Get:
    """Asks for an instance."""
    return Get(message.instanceId, message.getInputsAndOutputs)


def encode_state_response(state: OrchestrationState | None) -> pb.GetInstanceResponse:
    """An instance; None where there is none."""
    message = pb.GetInstanceResponse()
    if state is not None:
        message.exists = True
        write_state(state, message.orchestrationState)
    return message


def decode_state_response(message: pb.GetInstanceResponse) -> OrchestrationState | None:
    """An instance; None where there is none.

    Raises:
        WireFormatError: a time or a status that cannot be.
    """
    return read_state(message.orchestrationState) if message.exists else None


# ---------------------------------------------------------------------------------------------
# Requests with one text beside the id
# ---------------------------------------------------------------------------------------------


class RaiseEvent(NamedTuple):
    """An external event."""

    instance_id: str
    name: str
    data: str | None


class Terminate(NamedTuple):
    """Ends an instance."""

    instance_id: str
    output: str | None
    recursive: bool


class WithReason(NamedTuple):
    """Suspends, resumes or rewinds an instance."""

    instance_id: str
    reason: str | None


class Restart(NamedTuple):
    """Starts an instance again."""

    instance_id: str
    new_instance_id: bool


def encode_raise_event(instance_id: str, name: str, data: str | None) -> pb.RaiseEventRequest:
    """An external event."""
    message = pb.RaiseEventRequest()
    message.instanceId = instance_id
    message.name = name
    if data is not None:
        message.input.value = data
    return message


def decode_raise_event(message: pb.RaiseEventRequest) -> RaiseEvent:
    """An external event."""
    return RaiseEvent(message.instanceId, message.name, read_text(message, "input"))


def encode_terminate(
    instance_id: str, output: str | None, *, recursive: bool
) -> pb.TerminateRequest:
    """Ends an instance."""
    message = pb.TerminateRequest()
    message.instanceId = instance_id
    message.recursive = recursive
    if output is not None:
        message.output.value = output
    return message


def decode_terminate(message: pb.TerminateRequest) -> Terminate:
    """Ends an instance."""
    return Terminate(message.instanceId, read_text(message, "output"), message.recursive)


def encode_suspend(instance_id: str, reason: str | None) -> pb.SuspendRequest:
    """Suspends an instance."""
    return _with_reason(pb.SuspendRequest(), instance_id, reason)


def encode_resume(instance_id: str, reason: str | None) -> pb.ResumeRequest:
    """Resumes an instance."""
    return _with_reason(pb.ResumeRequest(), instance_id, reason)


def encode_rewind(instance_id: str, reason: str | None) -> pb.RewindInstanceRequest:
    """Rewinds an instance."""
    return _with_reason(pb.RewindInstanceRequest(), instance_id, reason)


def _with_reason(message: _Reasoned, instance_id: str, reason: str | None) -> _Reasoned:
    message.instanceId = instance_id
    if reason is not None:
        message.reason.value = reason
    return message


def decode_reason(
    message: pb.SuspendRequest | pb.ResumeRequest | pb.RewindInstanceRequest,
) -> WithReason:
    """A request that has no more than a reason."""
    return WithReason(message.instanceId, read_text(message, "reason"))


def encode_restart(instance_id: str, *, new_instance_id: bool) -> pb.RestartInstanceRequest:
    """Starts an instance again."""
    message = pb.RestartInstanceRequest()
    message.instanceId = instance_id
    message.restartWithNewInstanceId = new_instance_id
    return message


def decode_restart(message: pb.RestartInstanceRequest) -> Restart:
    """Starts an instance again."""
    return Restart(message.instanceId, message.restartWithNewInstanceId)


class Skip(NamedTuple):
    """Ends instances at once."""

    instance_ids: tuple[str, ...]
    reason: str | None


def encode_skip(
    instance_ids: Sequence[str], reason: str | None
) -> pb.SkipGracefulOrchestrationTerminationsRequest:
    """Ends instances at once."""
    message = pb.SkipGracefulOrchestrationTerminationsRequest()
    message.instanceBatch.instanceIds.extend(instance_ids)
    if reason is not None:
        message.reason.value = reason
    return message


def decode_skip(message: pb.SkipGracefulOrchestrationTerminationsRequest) -> Skip:
    """Ends instances at once."""
    return Skip(tuple(message.instanceBatch.instanceIds), read_text(message, "reason"))
