"""Rows of the SQLite store, to and from the hub's types."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from durable_app.protocol import (
    EPOCH,
    FailureDetails,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestrationTraceContext,
    ParentInstance,
    TraceContext,
)
from durable_app.taskhub.instance import (
    ActivityTask,
    EntityRow,
    Instance,
    LockHolder,
    Message,
    MessageId,
    TaskKey,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Payloads of more characters live outside of the instance's row, which every turn rewrites.
SPILL_LENGTH: Final = 2_000
SPILLED_INPUT: Final = 1
SPILLED_OUTPUT: Final = 2

_MICROSECOND: Final = timedelta(microseconds=1)


class _Details(msgspec.Struct, frozen=True, array_like=True):
    """What of an instance changes rarely and is never searched for."""

    scheduled_start: datetime | None
    parent: ParentInstance | None
    tags: dict[str, str] | None
    failure: FailureDetails | None
    parent_trace_context: TraceContext | None


class _TaskBody(msgspec.Struct, frozen=True, array_like=True):
    instance: OrchestrationInstance
    task_id: int
    name: str
    version: str | None
    input: str | None
    tags: dict[str, str] | None
    parent_trace_context: TraceContext | None


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_details: Final = msgspec.msgpack.Decoder(_Details).decode
_decode_task: Final = msgspec.msgpack.Decoder(_TaskBody).decode
_decode_event: Final = msgspec.msgpack.Decoder[HistoryEvent](HistoryEvent).decode
_decode_lock: Final = msgspec.msgpack.Decoder[LockHolder | None](LockHolder | None).decode
_decode_trace: Final = msgspec.msgpack.Decoder(OrchestrationTraceContext).decode


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // _MICROSECOND


def optional_micros(moment: datetime | None) -> int | None:
    """The same; None stays None."""
    return None if moment is None else micros(moment)


def moment_of(value: int) -> datetime:
    """Inverse of :func:`micros`."""
    return EPOCH + timedelta(microseconds=value)


def optional_moment_of(value: int | None) -> datetime | None:
    """Inverse of :func:`optional_micros`."""
    return None if value is None else moment_of(value)


def spilled(instance: Instance) -> list[tuple[int, str]]:
    """(kind, value) of the payloads that do not fit into the row."""
    found = []
    if instance.input is not None and len(instance.input) > SPILL_LENGTH:
        found.append((SPILLED_INPUT, instance.input))
    if instance.output is not None and len(instance.output) > SPILL_LENGTH:
        found.append((SPILLED_OUTPUT, instance.output))
    return found


def instance_row(hub: int, instance: Instance) -> tuple[Any, ...]:
    """All columns, in the order of ``sql.INSTANCE_COLUMNS``."""
    parent = instance.parent
    kinds = [kind for kind, _ in spilled(instance)]
    details = _Details(
        instance.scheduled_start,
        parent,
        instance.tags,
        instance.failure,
        instance.parent_trace_context,
    )
    return (
        hub,
        instance.instance_id,
        instance.execution_id,
        instance.name,
        instance.version,
        int(instance.status),
        micros(instance.created_at),
        micros(instance.updated_at),
        optional_micros(instance.completed_at),
        parent.instance.instance_id if parent else None,
        instance.custom_status,
        instance.history_count,
        instance.revision,
        instance.attempts,
        optional_micros(instance.not_before),
        instance.unsuspended_status,
        _encode(instance.trace_context) if instance.trace_context else None,
        _encode(details),
        None if SPILLED_INPUT in kinds else instance.input,
        None if SPILLED_OUTPUT in kinds else instance.output,
        sum(kinds),
        *_entity_columns(instance),
    )


def _entity_columns(instance: Instance) -> tuple[bytes | None, str | None]:
    entity = instance.entity
    return (None, None) if entity is None else (_encode(entity.lock), entity.state)


def touch_row(hub: int, instance: Instance, expected_revision: int) -> tuple[Any, ...]:
    """Parameters of ``sql.TOUCH_INSTANCE``."""
    return (
        int(instance.status),
        micros(instance.updated_at),
        instance.custom_status,
        instance.history_count,
        instance.revision,
        instance.attempts,
        optional_micros(instance.not_before),
        instance.unsuspended_status,
        _encode(instance.trace_context) if instance.trace_context else None,
        hub,
        instance.instance_id,
        expected_revision,
    )


def touch_entity_row(hub: int, instance: Instance, expected_revision: int) -> tuple[Any, ...]:
    """Parameters of ``sql.TOUCH_ENTITY``."""
    return (
        micros(instance.updated_at),
        instance.revision,
        instance.attempts,
        optional_micros(instance.not_before),
        *_entity_columns(instance),
        hub,
        instance.instance_id,
        expected_revision,
    )


def instance_of(row: Sequence[Any]) -> tuple[Instance, int]:
    """The instance and its ``spilled`` column, from all columns but the hub."""
    details = _decode_details(row[16])
    instance = Instance(
        row[0],
        row[1],
        row[2],
        OrchestrationStatus(row[4]),
        moment_of(row[5]),
        moment_of(row[6]),
        version=row[3],
        scheduled_start=details.scheduled_start,
        completed_at=optional_moment_of(row[7]),
        input=row[17],
        output=row[18],
        custom_status=row[9],
        failure=details.failure,
        parent=details.parent,
        tags=details.tags,
        trace_context=_decode_trace(row[15]) if row[15] else None,
        parent_trace_context=details.parent_trace_context,
        history_count=row[10],
        revision=row[11],
        attempts=row[12],
        not_before=optional_moment_of(row[13]),
        unsuspended_status=None if row[14] is None else OrchestrationStatus(row[14]),
        entity=None if row[20] is None else EntityRow(row[21], _decode_lock(row[20])),
    )
    return instance, row[19]


def message_row(hub: int, message: Message) -> tuple[Any, ...]:
    """Parameters of ``sql.INSERT_MESSAGE``."""
    return (
        hub,
        message.id,
        message.instance_id,
        message.execution_id,
        micros(message.visible_at),
        message.key,
        _encode(message.event),
    )


def message_of(row: Sequence[Any]) -> Message:
    """From (id, instance_id, execution_id, visible_at, key, event)."""
    return Message(
        MessageId(row[0]), row[1], row[2], _decode_event(row[5]), moment_of(row[3]), row[4]
    )


def task_row(hub: int, task: ActivityTask) -> tuple[Any, ...]:
    """Parameters of ``sql.INSERT_TASK``."""
    body = _TaskBody(
        task.instance,
        task.task_id,
        task.name,
        task.version,
        task.input,
        task.tags,
        task.parent_trace_context,
    )
    return (hub, task.key, task.attempts, micros(task.not_before), _encode(body))


def task_of(row: Sequence[Any]) -> ActivityTask:
    """From (key, attempts, not_before, body)."""
    body = _decode_task(row[3])
    return ActivityTask(
        TaskKey(row[0]),
        body.instance,
        body.task_id,
        body.name,
        body.version,
        body.input,
        body.tags,
        body.parent_trace_context,
        row[1],
        moment_of(row[2]),
    )
