"""Messages in which every field is set, in as many variants as there are alternatives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.property.wire_values import is_repeated

PACKAGE = "durable_app.taskhub.v1."

#: Where the protocol would allow more than makes sense: the alternatives that do.
SENSIBLE = {
    "CompleteOrchestrationAction.carryoverEvents": {"eventRaised"},
    "EntityRequest.operationRequests": {"entityOperationCalled", "entityOperationSignaled"},
}

_SCALARS: dict[int, Any] = {
    FieldDescriptor.TYPE_STRING: "@text@1",
    FieldDescriptor.TYPE_INT32: 2,
    FieldDescriptor.TYPE_INT64: 1_000,
    FieldDescriptor.TYPE_BOOL: True,
    FieldDescriptor.TYPE_DOUBLE: 1.5,
    FieldDescriptor.TYPE_ENUM: 3,
}


#: Where any value would not do.
_SPECIAL: dict[str, Any] = {
    "BoolValue.value": False,
    "EntityLockRequestedEvent.position": 1,
    "TraceContext.traceParent": f"00-{'1' * 32}-{'2' * 16}-01",
}


def name_of(field: FieldDescriptor) -> str:
    return f"{field.containing_type.name}.{field.name}"


def filled(
    descriptor: Descriptor, within: tuple[str, ...] = (), only: set[str] | None = None
) -> list[Message]:
    """All variants; a message within one of its own kind is left out after the second."""
    if within.count(descriptor.full_name) > 1:
        return []
    within = (*within, descriptor.full_name)
    always = [field for field in descriptor.fields if field.containing_oneof is None]
    oneof = [field for field in descriptor.fields if field.containing_oneof is not None]
    if only is not None:
        oneof = [field for field in oneof if field.name in only]
    found = []
    for choice in oneof or [None]:
        fields = [*always, choice] if choice is not None else always
        parts = {field.name: parts_of(field, within) for field in fields}
        for number in range(max([len(part) for part in parts.values()], default=1) or 1):
            message = GetMessageClass(descriptor)()
            for field in fields:
                part = parts[field.name]
                if part:
                    put(message, field, part, number)
            found.append(message)
    return found


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def parts_of(field: FieldDescriptor, within: tuple[str, ...]) -> list[Any]:
    """What a field of one value is set to, one after the other."""
    if field.message_type is None:
        return [_SPECIAL.get(name_of(field), _SCALARS[field.type])]
    if is_map(field):
        entry: Any = filled(field.message_type, within)[0]
        return [entry.value]
    if field.message_type.full_name == "google.protobuf.Value":
        return [GetMessageClass(field.message_type)(number_value=1.5)]
    return filled(field.message_type, within, SENSIBLE.get(name_of(field)))


def put(message: Any, field: FieldDescriptor, parts: list[Any], number: int) -> None:
    target = getattr(message, field.name)
    if is_map(field):
        if isinstance(parts[0], Message):
            target["key"].CopyFrom(parts[0])
        else:
            target["key"] = parts[0]
    elif is_repeated(message, field):
        target.extend(parts * 2)
    elif field.message_type is None:
        setattr(message, field.name, parts[0])
    else:
        target.CopyFrom(parts[number % len(parts)])
        target.SetInParent()


def parts(message: Any) -> Iterator[Any]:
    """A message and all messages of the protocol inside of it."""
    if not message.DESCRIPTOR.full_name.startswith(PACKAGE):
        return
    yield message
    for field, value in message.ListFields():
        if field.message_type is None or is_map(field):
            continue
        for inner in value if is_repeated(message, field) else [value]:
            yield from parts(inner)
