"""What a parent is told of its child, exactly once per schedule: by the key that it waits with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_app.protocol import (
    CreateSubOrchestration,
    ExecutionRewound,
    ExecutionStarted,
    FailureDetails,
    HistoryEvent,
    OrchestrationStatus,
    ParentInstance,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
)
from durable_app.taskhub.instance import Ids, Instance, Message, MessageId

if TYPE_CHECKING:
    from datetime import datetime


def pending_child(
    instance_id: str,
    execution_id: str,
    asked: CreateSubOrchestration | ExecutionStarted | ExecutionRewound,
    parent: ParentInstance | None,
    now: datetime,
) -> Instance:
    """The row of an orchestration that has been asked for and has not begun."""
    return Instance(
        instance_id,
        execution_id,
        asked.name or "",
        OrchestrationStatus.PENDING,
        now,
        now,
        version=asked.version,
        input=asked.input,
        parent=parent,
        tags=asked.tags,
        parent_trace_context=asked.parent_trace_context,
    )


def notify_parent(instance: Instance, now: datetime, ids: Ids) -> tuple[Message, ...]:
    """The message that tells the parent how its child ended; none for a root."""
    parent = instance.parent
    if parent is None:
        return ()
    event: HistoryEvent
    if instance.status is OrchestrationStatus.COMPLETED:
        event = SubOrchestrationInstanceCompleted(
            -1, now, parent.task_scheduled_id, instance.output
        )
    else:
        failure = instance.failure or FailureDetails(
            "OrchestrationTerminated",
            f"Sub-orchestration '{instance.instance_id}' was {instance.status.title.lower()}.",
        )
        event = SubOrchestrationInstanceFailed(-1, now, parent.task_scheduled_id, failure)
    return (resolve_parent(parent, event, now, ids),)


def resolve_parent(parent: ParentInstance, event: HistoryEvent, now: datetime, ids: Ids) -> Message:
    """A message that resolves the parent's schedule with ``event``."""
    return Message(
        MessageId(ids.next_key()),
        parent.instance.instance_id,
        parent.instance.execution_id,
        event,
        now,
        parent.key,
    )
