"""Instances and entities as clients see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_app.protocol import EntityMetadata, OrchestrationState
from durable_app.rpc.codec.values import (
    read_optional_failure,
    read_optional_time,
    read_status,
    read_tags,
    read_text,
    read_time,
    status_number,
    write_failure,
    write_time,
)

if TYPE_CHECKING:
    from durable_app.rpc.generated import taskhub_pb2 as pb


def write_state(state: OrchestrationState, into: pb.OrchestrationState) -> None:
    """Set the state of an instance."""
    into.instanceId = state.instance_id
    into.name = state.name
    into.orchestrationStatus = status_number(state.status)
    write_time(state.created_at, into.createdTimestamp)
    write_time(state.last_updated_at, into.lastUpdatedTimestamp)
    for moment, stamp in (
        (state.scheduled_start, into.scheduledStartTimestamp),
        (state.completed_at, into.completedTimestamp),
    ):
        if moment is not None:
            write_time(moment, stamp)
    for text, wrapper in (
        (state.version, into.version),
        (state.input, into.input),
        (state.output, into.output),
        (state.custom_status, into.customStatus),
        (state.execution_id, into.executionId),
        (state.parent_instance_id, into.parentInstanceId),
    ):
        if text is not None:
            wrapper.value = text
    if state.failure is not None:
        write_failure(state.failure, into.failureDetails)
    if state.tags:
        into.tags.update(state.tags)


def read_state(message: pb.OrchestrationState) -> OrchestrationState:
    """State of an instance.

    Raises:
        WireFormatError: a time or a status that cannot be.
    """
    return OrchestrationState(
        instance_id=message.instanceId,
        name=message.name,
        status=read_status(message.orchestrationStatus),
        created_at=read_time(message.createdTimestamp, "createdTimestamp"),
        last_updated_at=read_time(message.lastUpdatedTimestamp, "lastUpdatedTimestamp"),
        version=read_text(message, "version"),
        scheduled_start=read_optional_time(message, "scheduledStartTimestamp"),
        completed_at=read_optional_time(message, "completedTimestamp"),
        execution_id=read_text(message, "executionId"),
        parent_instance_id=read_text(message, "parentInstanceId"),
        tags=read_tags(message),
        input=read_text(message, "input"),
        output=read_text(message, "output"),
        custom_status=read_text(message, "customStatus"),
        failure=read_optional_failure(message),
    )


def write_entity(entity: EntityMetadata, into: pb.EntityMetadata) -> None:
    """Set what is known of an entity."""
    into.instanceId = entity.instance_id
    write_time(entity.last_modified, into.lastModifiedTime)
    into.backlogQueueSize = entity.backlog
    if entity.locked_by is not None:
        into.lockedBy.value = entity.locked_by
    if entity.state is not None:
        into.serializedState.value = entity.state


def read_entity(message: pb.EntityMetadata, *, exists: bool = False) -> EntityMetadata:
    """What is known of an entity.

    Args:
        exists: it is known to have a state; one whose state came along has one anyway.

    Raises:
        WireFormatError: a time that cannot be.
    """
    state = read_text(message, "serializedState")
    return EntityMetadata(
        message.instanceId,
        read_time(message.lastModifiedTime, "lastModifiedTime"),
        message.backlogQueueSize,
        read_text(message, "lockedBy"),
        state,
        exists or state is not None,
    )
