"""Requests of clients about instances, and the answers.

A decoded request is a tuple in the order of the port's parameters.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from durable_app.errors import WireFormatError
from durable_app.ports import (
    IdPage,
    IdQuery,
    InstanceQuery,
    Page,
    Purged,
    PurgeFilter,
    StartRequest,
)
from durable_app.protocol import OrchestrationState, OrchestrationStatus
from durable_app.rpc.codec.state import read_state, write_state
from durable_app.rpc.codec.values import (
    read_duration,
    read_optional_time,
    read_optional_trace,
    read_statuses,
    read_tags,
    read_text,
    write_duration,
    write_time,
    write_trace,
)
from durable_app.rpc.generated import taskhub_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

MAX_PAGE_SIZE: Final = 1_000
"""Rows of a page at most; clients that ask for more go on with the token."""

_DEFAULT_PAGE_SIZE: Final = 100

_Reasoned = TypeVar("_Reasoned", pb.SuspendRequest, pb.ResumeRequest, pb.RewindInstanceRequest)

_LIVE: Final = frozenset(
    {OrchestrationStatus.RUNNING, OrchestrationStatus.PENDING, OrchestrationStatus.SUSPENDED}
)


def page_size(number: int, field: str) -> int:
    """Rows of a page: 100 where 0 leaves it open, never more than ``MAX_PAGE_SIZE``.

    Raises:
        WireFormatError: the number is negative.
    """
    if number < 0:
        raise WireFormatError(f"A page of {number} rows cannot be.", field)
    return min(number, MAX_PAGE_SIZE) or _DEFAULT_PAGE_SIZE


def _write_optional_time(value: datetime | None, into: Timestamp) -> None:
    if value is not None:
        write_time(value, into)


def _numbers(statuses: frozenset[OrchestrationStatus] | None) -> Sequence[int]:
    """Statuses in a list whose emptiness means "any".

    An empty set, which nothing matches, becomes a status that no stored instance has: read as
    "any" it would purge everything.
    """
    if statuses is None:
        return ()
    return sorted(statuses) or (OrchestrationStatus.CONTINUED_AS_NEW,)


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
    _write_optional_time(request.start_at, message.scheduledStartTimestamp)
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


# ---------------------------------------------------------------------------------------------
# Queries
# ---------------------------------------------------------------------------------------------


def encode_query(query: InstanceQuery) -> pb.QueryInstancesRequest:
    """Which instances."""
    message = pb.QueryInstancesRequest()
    into = message.query
    into.runtimeStatus.extend(_numbers(query.statuses))
    _write_optional_time(query.created_from, into.createdTimeFrom)
    _write_optional_time(query.created_to, into.createdTimeTo)
    into.maxInstanceCount = query.page_size
    if query.continuation_token is not None:
        into.continuationToken.value = query.continuation_token
    if query.instance_id_prefix is not None:
        into.instanceIdPrefix.value = query.instance_id_prefix
    into.fetchInputsAndOutputs = query.fetch_payloads
    return message


def decode_query(message: pb.QueryInstancesRequest) -> InstanceQuery:
    """Which instances; see :func:`page_size`.

    Raises:
        WireFormatError: a time, a status or a size that cannot be.
    """
    query = message.query
    return InstanceQuery(
        statuses=read_statuses(query.runtimeStatus, "runtimeStatus") or None,
        created_from=read_optional_time(query, "createdTimeFrom"),
        created_to=read_optional_time(query, "createdTimeTo"),
        instance_id_prefix=read_text(query, "instanceIdPrefix"),
        page_size=page_size(query.maxInstanceCount, "maxInstanceCount"),
        continuation_token=read_text(query, "continuationToken") or None,
        fetch_payloads=query.fetchInputsAndOutputs,
    )


def encode_page(page: Page) -> pb.QueryInstancesResponse:
    """One page of instances."""
    message = pb.QueryInstancesResponse()
    for state in page.items:
        write_state(state, message.orchestrationState.add())
    if page.continuation_token is not None:
        message.continuationToken.value = page.continuation_token
    return message


def decode_page(message: pb.QueryInstancesResponse) -> Page:
    """One page of instances; an empty token means that it is the last.

    Raises:
        WireFormatError: a time or a status that cannot be.
    """
    states = tuple([read_state(state) for state in message.orchestrationState])
    return Page(states, read_text(message, "continuationToken") or None)


def encode_id_query(query: IdQuery) -> pb.ListInstanceIdsRequest:
    """Which ids."""
    message = pb.ListInstanceIdsRequest()
    message.runtimeStatus.extend(_numbers(query.statuses))
    _write_optional_time(query.completed_from, message.completedTimeFrom)
    _write_optional_time(query.completed_to, message.completedTimeTo)
    message.pageSize = query.page_size
    if query.continuation_token is not None:
        message.lastInstanceKey.value = query.continuation_token
    return message


def decode_id_query(message: pb.ListInstanceIdsRequest) -> IdQuery:
    """Which ids. Raises as :func:`decode_query`."""
    return IdQuery(
        statuses=read_statuses(message.runtimeStatus, "runtimeStatus") or None,
        completed_from=read_optional_time(message, "completedTimeFrom"),
        completed_to=read_optional_time(message, "completedTimeTo"),
        page_size=page_size(message.pageSize, "pageSize"),
        continuation_token=read_text(message, "lastInstanceKey") or None,
    )


def encode_id_page(page: IdPage) -> pb.ListInstanceIdsResponse:
    """One page of ids."""
    message = pb.ListInstanceIdsResponse()
    message.instanceIds.extend(page.items)
    if page.continuation_token is not None:
        message.lastInstanceKey.value = page.continuation_token
    return message


def decode_id_page(message: pb.ListInstanceIdsResponse) -> IdPage:
    """One page of ids; an empty token means that it is the last."""
    return IdPage(tuple(message.instanceIds), read_text(message, "lastInstanceKey") or None)


# ---------------------------------------------------------------------------------------------
# Purges
# ---------------------------------------------------------------------------------------------


class PurgeIds(NamedTuple):
    """Removes these instances, where they have finished."""

    instance_ids: tuple[str, ...]
    recursive: bool


class PurgeMatching(NamedTuple):
    """Removes finished instances that match."""

    which: PurgeFilter
    recursive: bool


def encode_purge(instance_id: str, *, recursive: bool) -> pb.PurgeInstancesRequest:
    """Removes one instance."""
    message = pb.PurgeInstancesRequest()
    message.instanceId = instance_id
    message.recursive = recursive
    message.isOrchestration = True
    return message


def encode_purge_batch(instance_ids: Sequence[str], *, recursive: bool) -> pb.PurgeInstancesRequest:
    """Removes some instances; a hub takes 500 at most."""
    message = pb.PurgeInstancesRequest()
    message.instanceBatch.SetInParent()
    message.instanceBatch.instanceIds.extend(instance_ids)
    message.recursive = recursive
    message.isOrchestration = True
    return message


def encode_purge_by(which: PurgeFilter, *, recursive: bool = False) -> pb.PurgeInstancesRequest:
    """Removes instances that match."""
    message = pb.PurgeInstancesRequest()
    into = message.purgeInstanceFilter
    into.SetInParent()
    _write_optional_time(which.created_from, into.createdTimeFrom)
    _write_optional_time(which.created_to, into.createdTimeTo)
    into.runtimeStatus.extend(_numbers(which.statuses))
    if which.timeout_s is not None:
        write_duration(timedelta(seconds=which.timeout_s), into.timeout)
    message.recursive = recursive
    message.isOrchestration = True
    return message


def decode_purge(message: pb.PurgeInstancesRequest) -> PurgeIds | PurgeMatching:
    """What to remove.

    Raises:
        WireFormatError: it names neither ids nor a filter, or has a value that cannot be.
    """
    kind = message.WhichOneof("request")
    if kind == "instanceId":
        return PurgeIds((message.instanceId,), message.recursive)
    if kind == "instanceBatch":
        return PurgeIds(tuple(message.instanceBatch.instanceIds), message.recursive)
    if kind == "purgeInstanceFilter":
        return PurgeMatching(_read_filter(message.purgeInstanceFilter), message.recursive)
    # Read as an empty filter it would remove everything.
    raise WireFormatError("A purge names an instance, several ones, or a filter.", "request")


def _read_filter(message: pb.PurgeInstanceFilter) -> PurgeFilter:
    timeout_s = None
    if message.HasField("timeout"):
        timeout_s = read_duration(message.timeout, "timeout").total_seconds()
    return PurgeFilter(
        read_optional_time(message, "createdTimeFrom"),
        read_optional_time(message, "createdTimeTo"),
        read_statuses(message.runtimeStatus, "runtimeStatus") or None,
        timeout_s,
    )


def encode_purged(purged: Purged) -> pb.PurgeInstancesResponse:
    """What a purge has done."""
    message = pb.PurgeInstancesResponse()
    message.deletedInstanceCount = purged.count
    message.isComplete.value = purged.is_complete
    return message


def decode_purged(message: pb.PurgeInstancesResponse) -> Purged:
    """What a purge has done; a hub that does not say whether it is complete has completed it."""
    complete = message.isComplete.value if message.HasField("isComplete") else True
    return Purged(message.deletedInstanceCount, complete)
