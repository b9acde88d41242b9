"""Which instances: queries, lists of ids and purges of clients, and the answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.errors import WireFormatError
from durable_app.ports import IdPage, IdQuery, InstanceQuery, Page, Purged, PurgeFilter
from durable_app.protocol import OrchestrationStatus
from durable_app.rpc.codec.state import read_state, write_state
from durable_app.rpc.codec.values import (
    read_duration,
    read_optional_time,
    read_statuses,
    read_text,
    write_duration,
    write_optional_time,
)
from durable_app.rpc.generated import taskhub_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PAGE_SIZE: Final = 1_000
"""Rows of a page at most; clients that ask for more go on with the token."""

_DEFAULT_PAGE_SIZE: Final = 100


def page_size(number: int, field: str) -> int:
    """Rows of a page: 100 where 0 leaves it open, never more than ``MAX_PAGE_SIZE``.

    Raises:
        WireFormatError: the number is negative.
    """
    if number < 0:
        raise WireFormatError(f"A page of {number} rows cannot be.", field)
    return min(number, MAX_PAGE_SIZE) or _DEFAULT_PAGE_SIZE


def _numbers(statuses: frozenset[OrchestrationStatus] | None) -> Sequence[int]:
    """Statuses in a list whose emptiness means "any".

    An empty set, which nothing matches, becomes a status that no stored instance has: read as
    "any" it would purge everything.
    """
    if statuses is None:
        return ()
    return sorted(statuses) or (OrchestrationStatus.CONTINUED_AS_NEW,)


# ---------------------------------------------------------------------------------------------
# Queries
# ---------------------------------------------------------------------------------------------


def encode_query(query: InstanceQuery) -> pb.QueryInstancesRequest:
    """Which instances."""
    message = pb.QueryInstancesRequest()
    into = message.query
    into.runtimeStatus.extend(_numbers(query.statuses))
    write_optional_time(query.created_from, into.createdTimeFrom)
    write_optional_time(query.created_to, into.createdTimeTo)
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
    write_optional_time(query.completed_from, message.completedTimeFrom)
    write_optional_time(query.completed_to, message.completedTimeTo)
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
    write_optional_time(which.created_from, into.createdTimeFrom)
    write_optional_time(which.created_to, into.createdTimeTo)
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
