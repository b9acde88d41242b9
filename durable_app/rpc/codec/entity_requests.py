"""Requests of clients about entities, and the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from durable_app.ports import CleanedEntities, EntityPage, EntityQuery
from durable_app.rpc.codec.queries import page_size
from durable_app.rpc.codec.state import read_entity, write_entity
from durable_app.rpc.codec.values import (
    read_optional_time,
    read_optional_trace,
    read_text,
    write_time,
    write_trace,
)
from durable_app.rpc.generated import taskhub_pb2 as pb

if TYPE_CHECKING:
    from datetime import datetime

    from durable_app.protocol import EntityMetadata, TraceContext


class Signal(NamedTuple):
    """An operation for an entity.

    Attributes:
        data: its input.
        signal_time: not run earlier; None for "now".
        request_id: of the client's choice; "" where it leaves it to the hub.
        request_time: when the client has sent it, by its own clock.
    """

    instance_id: str
    operation: str
    data: str | None = None
    signal_time: datetime | None = None
    request_id: str = ""
    parent_trace_context: TraceContext | None = None
    request_time: datetime | None = None


def encode_signal(signal: Signal) -> pb.SignalEntityRequest:
    """An operation for an entity."""
    message = pb.SignalEntityRequest()
    message.instanceId = signal.instance_id
    message.name = signal.operation
    if signal.data is not None:
        message.input.value = signal.data
    message.requestId = signal.request_id
    if signal.signal_time is not None:
        write_time(signal.signal_time, message.scheduledTime)
    if signal.parent_trace_context is not None:
        write_trace(signal.parent_trace_context, message.parentTraceContext)
    if signal.request_time is not None:
        write_time(signal.request_time, message.requestTime)
    return message


def decode_signal(message: pb.SignalEntityRequest) -> Signal:
    """An operation for an entity.

    Raises:
        WireFormatError: a time that cannot be.
    """
    return Signal(
        message.instanceId,
        message.name,
        read_text(message, "input"),
        read_optional_time(message, "scheduledTime"),
        message.requestId,
        read_optional_trace(message),
        read_optional_time(message, "requestTime"),
    )


class GetEntity(NamedTuple):
    """Asks for an entity."""

    instance_id: str
    include_state: bool


def encode_get_entity(instance_id: str, *, include_state: bool) -> pb.GetEntityRequest:
    """Asks for an entity."""
    message = pb.GetEntityRequest()
    message.instanceId = instance_id
    message.includeState = include_state
    return message


def decode_get_entity(message: pb.GetEntityRequest) -> GetEntity:
    """Asks for an entity."""
    return GetEntity(message.instanceId, message.includeState)


def encode_entity_response(entity: EntityMetadata | None) -> pb.GetEntityResponse:
    """An entity; None where there is none that a client may see."""
    message = pb.GetEntityResponse()
    if entity is not None:
        message.exists = True
        write_entity(entity, message.entity)
    return message


def decode_entity_response(
    message: pb.GetEntityResponse, *, include_state: bool
) -> EntityMetadata | None:
    """An entity; None where there is none.

    Args:
        include_state: what the request asked for: an entity that came without its state although
            that was asked for has none and is merely locked.

    Raises:
        WireFormatError: a time that cannot be.
    """
    if not message.exists:
        return None
    return read_entity(message.entity, exists=not include_state)


def encode_entity_query(query: EntityQuery) -> pb.QueryEntitiesRequest:
    """Which entities."""
    message = pb.QueryEntitiesRequest()
    into = message.query
    if query.instance_id_prefix is not None:
        into.instanceIdStartsWith.value = query.instance_id_prefix
    if query.modified_from is not None:
        write_time(query.modified_from, into.lastModifiedFrom)
    if query.modified_to is not None:
        write_time(query.modified_to, into.lastModifiedTo)
    into.includeState = query.include_state
    into.includeTransient = query.include_transient
    into.pageSize.value = query.page_size
    if query.continuation_token is not None:
        into.continuationToken.value = query.continuation_token
    return message


def decode_entity_query(message: pb.QueryEntitiesRequest) -> EntityQuery:
    """Which entities; see :func:`durable_app.rpc.codec.queries.page_size`.

    Raises:
        WireFormatError: a time or a size that cannot be.
    """
    query = message.query
    return EntityQuery(
        instance_id_prefix=read_text(query, "instanceIdStartsWith"),
        modified_from=read_optional_time(query, "lastModifiedFrom"),
        modified_to=read_optional_time(query, "lastModifiedTo"),
        include_state=query.includeState,
        include_transient=query.includeTransient,
        page_size=page_size(query.pageSize.value, "pageSize"),
        continuation_token=read_text(query, "continuationToken") or None,
    )


def encode_entity_page(page: EntityPage) -> pb.QueryEntitiesResponse:
    """One page of entities."""
    message = pb.QueryEntitiesResponse()
    for entity in page.items:
        write_entity(entity, message.entities.add())
    if page.continuation_token is not None:
        message.continuationToken.value = page.continuation_token
    return message


def decode_entity_page(message: pb.QueryEntitiesResponse, query: EntityQuery) -> EntityPage:
    """One page of entities, as an answer to that query.

    Entities are known to have a state where the query left out those without one.

    Raises:
        WireFormatError: a time that cannot be.
    """
    exists = not query.include_transient
    entities = tuple([read_entity(entity, exists=exists) for entity in message.entities])
    return EntityPage(entities, read_text(message, "continuationToken") or None)


class Clean(NamedTuple):
    """Cleans up entities."""

    remove_empty: bool
    release_orphaned_locks: bool
    continuation_token: str | None = None


def encode_clean(clean: Clean) -> pb.CleanEntityStorageRequest:
    """Cleans up entities; the token is that of an answer which had not come to the end."""
    message = pb.CleanEntityStorageRequest()
    message.removeEmptyEntities = clean.remove_empty
    message.releaseOrphanedLocks = clean.release_orphaned_locks
    if clean.continuation_token is not None:
        message.continuationToken.value = clean.continuation_token
    return message


def decode_clean(message: pb.CleanEntityStorageRequest) -> Clean:
    """Cleans up entities."""
    return Clean(
        message.removeEmptyEntities,
        message.releaseOrphanedLocks,
        read_text(message, "continuationToken") or None,
    )


class Cleaned(NamedTuple):
    """What a clean-up has done; it goes on with the token, None at the end."""

    done: CleanedEntities
    continuation_token: str | None = None


def encode_cleaned(cleaned: Cleaned) -> pb.CleanEntityStorageResponse:
    """What a clean-up has done."""
    message = pb.CleanEntityStorageResponse()
    message.emptyEntitiesRemoved = cleaned.done.empty_entities_removed
    message.orphanedLocksReleased = cleaned.done.orphaned_locks_released
    if cleaned.continuation_token is not None:
        message.continuationToken.value = cleaned.continuation_token
    return message


def decode_cleaned(message: pb.CleanEntityStorageResponse) -> Cleaned:
    """What a clean-up has done."""
    done = CleanedEntities(message.emptyEntitiesRemoved, message.orphanedLocksReleased)
    return Cleaned(done, read_text(message, "continuationToken") or None)
