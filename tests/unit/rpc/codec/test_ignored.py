"""Every field of the protocol is read and written, or is on the list of those that are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

import msgspec

from durable_app import protocol as p
from durable_app.errors import WireFormatError
from durable_app.rpc.codec.ignored import IGNORED_FIELDS, UNSENT_FIELDS
from durable_app.rpc.generated import taskhub_pb2 as pb
from tests.property.wire_codecs import CODECS, PLAIN
from tests.unit.rpc.codec.filled import filled, name_of, parts

WRITTEN_BUT_NEVER_READ = {"TraceContext.spanID", "PurgeInstancesRequest.isOrchestration"}

#: True is what it has anyway.
TRUE_BY_DEFAULT = {"EntityQuery.include_state"}

#: Travels among the properties.
IN_PROPERTIES = {"FailureDetails.base_types"}

#: A field that made no difference so many times is not read.
ENOUGH = 20

Pair = tuple[Any, Any, Any]


@cache
def exchanges() -> list[Pair]:
    """(codec, message with everything in it, what it was translated to)."""
    return [
        (codec, message, codec.decode(message))
        for codec in CODECS
        for message in filled(codec.message.DESCRIPTOR)
    ]


def all_fields() -> set[str]:
    plain = {message.DESCRIPTOR.name for message in PLAIN}
    return {
        name_of(field)
        for message in pb.DESCRIPTOR.message_types_by_name.values()
        if message.name not in plain
        for field in message.fields
    }


def set_fields(message: Any) -> set[str]:
    return {name_of(field) for part in parts(message) for field, _ in part.ListFields()}


def is_read(codec: Any, message: Any, value: Any, number: int, name: str) -> bool:
    """Whether the translation changes when the part of that number lacks that field."""
    poorer = type(message)()
    poorer.CopyFrom(message)
    next(islice(parts(poorer), number, None)).ClearField(name)
    try:
        return bool(codec.decode(poorer) != value)
    except WireFormatError:
        return True


def test_the_samples_hold_every_field():
    held = set().union(*(set_fields(message) for _, message, _ in exchanges()))
    assert held == all_fields()


def test_every_field_is_read_or_listed():
    read: set[str] = set()
    tries = Counter[str]()
    for codec, message, value in exchanges():
        for number, part in enumerate(parts(message)):
            for field, _ in part.ListFields():
                name = name_of(field)
                if name not in read and tries[name] < ENOUGH:
                    tries[name] += 1
                    if is_read(codec, message, value, number, field.name):
                        read.add(name)
    assert all_fields() - read == set(IGNORED_FIELDS)


def test_every_field_is_written_or_listed():
    written: set[str] = set()
    for codec, _, value in exchanges():
        written |= set_fields(codec.encode(value))
    # By id there is one form for one instance, which the batch covers when it is read.
    written |= {"PurgeInstancesRequest.instanceId"}
    assert written - all_fields() == set()
    assert all_fields() - written == set(IGNORED_FIELDS) - WRITTEN_BUT_NEVER_READ


fields_of = cache(msgspec.structs.fields)


def structs(value: Any) -> Iterator[msgspec.Struct]:
    """A value of ours, and all inside of it."""
    if isinstance(value, msgspec.Struct):
        yield value
        for name in value.__struct_fields__:
            yield from structs(getattr(value, name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from structs(item)


def test_every_field_of_ours_travels_or_is_listed():
    arrived: set[str] = set()
    known: set[str] = set()
    for _, _, value in exchanges():
        for struct in structs(value):
            for field in fields_of(type(struct)):
                name = f"{type(struct).__name__}.{field.name}"
                known.add(name)
                if field.required or getattr(struct, field.name) != field.default:
                    arrived.add(name)
    assert {kind.__name__ for kind in p.HistoryEvent.__args__} <= {
        name.partition(".")[0] for name in known
    }
    assert known - arrived - TRUE_BY_DEFAULT - IN_PROPERTIES == set(UNSENT_FIELDS)


def test_lists_give_reasons():
    assert all(IGNORED_FIELDS.values())
    assert all(UNSENT_FIELDS.values())
