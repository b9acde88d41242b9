"""Values that many messages hold: times, durations, JSON values, failures, trace contexts."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from durable_app.errors import WireFormatError
from durable_app.protocol import (
    EPOCH,
    FailureDetails,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestrationTraceContext,
    ParentInstance,
    TraceContext,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.message import Message
    from google.protobuf.struct_pb2 import Value
    from google.protobuf.timestamp_pb2 import Timestamp

    from durable_app.rpc.generated import taskhub_pb2 as pb

# A parser of protobuf refuses more than 100 levels of messages. Of those a cause takes one and a
# JSON value three (the value, its object, the entry of the object's map).
MAX_CAUSES: Final = 24
MAX_VALUE_LEVELS: Final = 16

# The protocol has no field for the classes that an error's class derives from; `except` needs them.
BASE_TYPES_PROPERTY: Final = "durable_app.baseTypes"

_LARGEST_EXACT_INT: Final = 2**53
_MICROSECOND: Final = timedelta(microseconds=1)
_NANOS_PER_S: Final = 1_000_000_000
_MAX_DURATION_S: Final = 315_576_000_000
_STATUSES: Final = {int(status): status for status in OrchestrationStatus}


class _Tagged(Protocol):
    """A message with tags."""

    @property
    def tags(self) -> Any:
        """Its map of texts."""
        ...


def read_text(message: Message, field: str) -> str | None:
    """Text of a StringValue; None where it is unset, "" where it is set and empty."""
    return getattr(message, field).value if message.HasField(field) else None


def read_tags(message: _Tagged) -> dict[str, str] | None:
    """Tags; None where there are none."""
    return dict(message.tags) if message.tags else None


def read_status(number: int, field: str = "orchestrationStatus") -> OrchestrationStatus:
    """Status of a number.

    Raises:
        WireFormatError: the number is none of a status.
    """
    status = _STATUSES.get(number)
    if status is None:
        raise WireFormatError(f"There is no orchestration status {number}.", field)
    return status


def status_number(status: OrchestrationStatus) -> Any:
    """The status for a message: numbers agree, but messages declare an enumeration of their own."""
    return status


def read_statuses(numbers: Iterable[int], field: str) -> frozenset[OrchestrationStatus]:
    """Statuses of some numbers. Raises as :func:`read_status`."""
    return frozenset([read_status(number, field) for number in numbers])


# ---------------------------------------------------------------------------------------------
# Times
# ---------------------------------------------------------------------------------------------


def write_time(value: datetime, into: Timestamp) -> None:
    """Set a timestamp to an aware time."""
    since = value - EPOCH
    into.seconds = since.days * 86_400 + since.seconds
    into.nanos = since.microseconds * 1_000


def write_optional_time(value: datetime | None, into: Timestamp) -> None:
    """Set a timestamp where there is a time."""
    if value is not None:
        write_time(value, into)


def read_time(message: Timestamp, field: str) -> datetime:
    """Aware UTC time of a timestamp.

    Raises:
        WireFormatError: it is before the year 1 or after the year 9999, or its nanoseconds are no
            part of a second.
    """
    nanos = message.nanos
    if not 0 <= nanos < _NANOS_PER_S:
        raise WireFormatError(f"{nanos} nanoseconds are no part of a second.", field)
    try:
        return EPOCH + timedelta(0, message.seconds, nanos // 1_000)
    except OverflowError as error:
        raise WireFormatError(
            f"{message.seconds} s after 1970 is outside of the years 1 to 9999.", field
        ) from error


def read_optional_time(message: Message, field: str) -> datetime | None:
    """Time of a field, None where it is unset. Raises as :func:`read_time`."""
    return read_time(getattr(message, field), field) if message.HasField(field) else None


def write_duration(value: timedelta, into: Duration) -> None:
    """Set a duration. Seconds and nanoseconds have the same sign, as its definition wants."""
    micros = abs(value) // _MICROSECOND
    seconds, rest = divmod(micros, 1_000_000)
    sign = -1 if value < timedelta(0) else 1
    into.seconds = sign * seconds
    into.nanos = sign * rest * 1_000


def read_duration(message: Duration, field: str) -> timedelta:
    """Length of a duration, cut off to microseconds.

    Raises:
        WireFormatError: it is longer than 10,000 years, or its parts contradict each other.
    """
    seconds, nanos = message.seconds, message.nanos
    if abs(seconds) > _MAX_DURATION_S or abs(nanos) >= _NANOS_PER_S or seconds * nanos < 0:
        raise WireFormatError(f"{seconds} s and {nanos} ns are no duration.", field)
    micros = abs(nanos) // 1_000
    return timedelta(0, seconds, micros if nanos >= 0 else -micros)


# ---------------------------------------------------------------------------------------------
# JSON values
# ---------------------------------------------------------------------------------------------


def write_value(value: object, into: Value, level: int = 1) -> None:
    """Set a Value to something JSON-ready.

    A Value knows one kind of number, a double: an integer that is none stays exact as a text. So
    does what JSON lacks (NaN, infinities, other types) or is nested too deeply for a parser.
    """
    match value:
        case None:
            into.null_value = 0
        case bool():
            into.bool_value = value
        case int() if abs(value) <= _LARGEST_EXACT_INT:
            into.number_value = value
        case float() if math.isfinite(value):
            into.number_value = value
        case dict() if level < MAX_VALUE_LEVELS:
            into.struct_value.SetInParent()
            for key, item in value.items():
                write_value(item, into.struct_value.fields[encodable(str(key))], level + 1)
        case list() | tuple() if level < MAX_VALUE_LEVELS:
            into.list_value.SetInParent()
            for item in value:
                write_value(item, into.list_value.values.add(), level + 1)
        case _:
            into.string_value = encodable(str(value))


def read_value(message: Value) -> object:
    """What a Value holds, JSON-ready: integral numbers as int, NaN and infinities as texts."""
    kind = message.WhichOneof("kind")
    if kind == "struct_value":
        return read_values(message.struct_value.fields)
    if kind == "list_value":
        return [read_value(item) for item in message.list_value.values]
    if kind == "number_value":
        return _number(message.number_value)
    if kind in ("string_value", "bool_value"):
        found: object = getattr(message, kind)
        return found
    return None


def _number(value: float) -> float | int | str:
    if not math.isfinite(value):
        return str(value)
    if value.is_integer() and abs(value) <= _LARGEST_EXACT_INT:
        return int(value)
    return value


def read_values(fields: Mapping[str, Value]) -> dict[str, Any]:
    """What a map of Values holds."""
    return {key: read_value(item) for key, item in fields.items()}


# ---------------------------------------------------------------------------------------------
# Failures
# ---------------------------------------------------------------------------------------------


def encodable(text: str) -> str:
    """The text, with a question mark for what UTF-8 cannot express.

    Names of files that are no UTF-8 hold such characters, and errors tell names of files.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def write_failure(failure: FailureDetails, into: pb.TaskFailureDetails) -> None:
    """Set failure details; the chain of causes ends after ``MAX_CAUSES``."""
    at: FailureDetails | None = failure
    for _ in range(MAX_CAUSES):
        if at is None:
            return
        into.errorType = encodable(at.error_type)
        into.errorMessage = encodable(at.error_message)
        if at.stack_trace is not None:
            into.stackTrace.value = encodable(at.stack_trace)
        into.isNonRetriable = at.is_non_retriable
        for key, value in (at.properties or {}).items():
            write_value(value, into.properties[encodable(key)])
        if at.base_types:
            write_value(at.base_types, into.properties[BASE_TYPES_PROPERTY])
        at, into = at.inner_failure, into.innerFailure


def read_failure(message: pb.TaskFailureDetails) -> FailureDetails:
    """Failure details with all their causes."""
    properties = read_values(message.properties)
    bases = properties.pop(BASE_TYPES_PROPERTY, ())
    return FailureDetails(
        message.errorType,
        message.errorMessage,
        message.stackTrace.value if message.HasField("stackTrace") else None,
        read_failure(message.innerFailure) if message.HasField("innerFailure") else None,
        message.isNonRetriable,
        properties or None,
        tuple([str(name) for name in bases]) if isinstance(bases, list) else (),
    )


def read_optional_failure(message: Message, field: str = "failureDetails") -> FailureDetails | None:
    """Failure details of a field; None where it is unset, which is how a success looks."""
    return read_failure(getattr(message, field)) if message.HasField(field) else None


# ---------------------------------------------------------------------------------------------
# Whose execution, and its traces
# ---------------------------------------------------------------------------------------------


def write_instance(instance: OrchestrationInstance, into: pb.OrchestrationInstance) -> None:
    """Set the ids of an execution."""
    into.instanceId = instance.instance_id
    if instance.execution_id is not None:
        into.executionId.value = instance.execution_id


def read_instance(message: pb.OrchestrationInstance) -> OrchestrationInstance:
    """Ids of an execution."""
    return OrchestrationInstance(
        message.instanceId,
        message.executionId.value if message.HasField("executionId") else None,
    )


def write_parent(parent: ParentInstance, into: pb.ParentInstanceInfo) -> None:
    """Set the parent of an orchestration."""
    into.taskScheduledId = parent.task_scheduled_id
    write_instance(parent.instance, into.orchestrationInstance)
    if parent.name is not None:
        into.name.value = parent.name
    if parent.version is not None:
        into.version.value = parent.version


def read_optional_parent(message: Message) -> ParentInstance | None:
    """The field ``parentInstance``, None where it is unset."""
    if not message.HasField("parentInstance"):
        return None
    parent: pb.ParentInstanceInfo = message.parentInstance
    return ParentInstance(
        parent.taskScheduledId,
        read_instance(parent.orchestrationInstance),
        read_text(parent, "name"),
        read_text(parent, "version"),
    )


def write_trace(context: TraceContext, into: pb.TraceContext) -> None:
    """Set a trace context, with the span's id once more for SDKs that look for it apart."""
    into.traceParent = context.trace_parent
    into.spanID = context.trace_parent[36:52]
    if context.trace_state is not None:
        into.traceState.value = context.trace_state


def read_optional_trace(message: Message, field: str = "parentTraceContext") -> TraceContext | None:
    """Trace context of a field, None where it is unset."""
    if not message.HasField(field):
        return None
    context: pb.TraceContext = getattr(message, field)
    return TraceContext(context.traceParent, read_text(context, "traceState"))


def write_span(span: OrchestrationTraceContext, into: pb.OrchestrationTraceContext) -> None:
    """Set the span of an execution."""
    into.SetInParent()
    if span.span_id is not None:
        into.spanID.value = span.span_id
    if span.span_start_time is not None:
        write_time(span.span_start_time, into.spanStartTime)


def read_optional_span(message: Message) -> OrchestrationTraceContext | None:
    """The field ``orchestrationTraceContext``, None where it is unset."""
    if not message.HasField("orchestrationTraceContext"):
        return None
    span: pb.OrchestrationTraceContext = message.orchestrationTraceContext
    return OrchestrationTraceContext(
        read_text(span, "spanID"), read_optional_time(span, "spanStartTime")
    )
