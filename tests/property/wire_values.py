"""Strategies for values of ours and for messages, made from their own declarations."""

from __future__ import annotations

import types
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Union, get_args, get_origin

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st
from msgspec.structs import replace

from durable_app import protocol as p
from durable_app.ports import EntityQuery, IdQuery, InstanceQuery, PurgeFilter, StartRequest
from durable_app.rpc.codec.ignored import UNSENT_FIELDS
from durable_app.rpc.codec.work import orchestration_name

INT32 = st.integers(-(2**31), 2**31 - 1)
TEXT = st.text(max_size=8)
TIMES = st.datetimes(timezones=st.just(UTC))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer())
    | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)

_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: INT32,
    bool: st.booleans(),
    datetime: TIMES,
    timedelta: st.timedeltas(timedelta(days=-10_000), timedelta(days=10_000)),
    float: st.integers(0, 10**9).map(float),
    Any: JSON,
    type(None): st.none(),
}


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return st.one_of([of_type(arg) for arg in args])
    if origin is tuple:
        return st.lists(of_type(args[0]), max_size=2).map(tuple)
    if origin is Sequence:
        return st.lists(of_type(args[0]), max_size=2)
    if origin is frozenset:
        return st.frozensets(of_type(args[0]), min_size=1)
    if origin is not None:  # a mapping; an empty one is none at all
        return st.dictionaries(of_type(args[0]), of_type(args[1]), min_size=1, max_size=2)
    if issubclass(kind, msgspec.Struct):
        return st.deferred(lambda: of_struct(kind))
    return st.sampled_from(kind)


_MADE: dict[type, st.SearchStrategy[Any]] = {}


def of_struct(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Values of a class as they come back from the wire."""
    if kind not in _MADE:
        hints = msgspec.structs.fields(kind)
        names = {
            field.name: of_type(field.type)
            for field in hints
            if f"{kind.__name__}.{field.name}" not in UNSENT_FIELDS
        }
        if kind is p.FailureDetails:
            names["inner_failure"] = st.none() | st.just(p.FailureDetails("Inner", "cause"))
        made = st.fixed_dictionaries(names).map(lambda values: kind(**values))
        _MADE[kind] = made.map(_NORMAL[kind]) if kind in _NORMAL else made
    return _MADE[kind]


def _turn(request: p.OrchestratorRequest) -> p.OrchestratorRequest:
    """What only a streamed turn tells by itself is else what its history tells."""
    streamed = request.requires_history_streaming
    past, new = request.past_events, request.new_events
    known = orchestration_name(past) or orchestration_name(new)
    return replace(
        request,
        name=known or (request.name if streamed else ""),
        past_count=len(past) or (request.past_count if streamed else 0),
    )


def _message(action: p.SendEntityMessage) -> p.SendEntityMessage:
    """Messages have the id of their action, and all that the hub needs to deliver them."""
    sent: Any = replace(action.message, event_id=action.id, timestamp=p.EPOCH)
    if isinstance(sent, p.EntityLockRequested):
        sent = replace(sent, lock_set=(*sent.lock_set, "@a@b"), position=len(sent.lock_set))
    else:
        sent = replace(sent, target_instance_id=sent.target_instance_id or "@a@b")
    return replace(action, message=sent)


def _start(request: StartRequest) -> StartRequest:
    given = request.replaceable
    allowed = None if given is None else given | {p.OrchestrationStatus.TERMINATED}
    return replace(request, instance_id=request.instance_id or None, replaceable=allowed)


def _page(query: Any) -> Any:
    return replace(
        query,
        page_size=abs(query.page_size) % 1_000 + 1,
        continuation_token=query.continuation_token or None,
    )


_NORMAL: dict[type, Any] = {
    p.CompletionToken: lambda token: replace(token, nonce=-1),
    p.CreateSubOrchestration: lambda it: replace(it, instance_id=it.instance_id or None),
    p.EntityMetadata: lambda it: replace(it, exists=it.state is not None),
    p.OrchestratorRequest: _turn,
    p.SendEntityMessage: _message,
    StartRequest: _start,
    InstanceQuery: _page,
    IdQuery: _page,
    EntityQuery: _page,
    PurgeFilter: lambda it: it,
}


# ---------------------------------------------------------------------------------------------
# Messages
# ---------------------------------------------------------------------------------------------

_SCALARS = {
    FieldDescriptor.TYPE_STRING: TEXT,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=16),
    FieldDescriptor.TYPE_INT32: INT32,
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1)
    | st.integers(-62_135_596_801, 253_402_300_801),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
    FieldDescriptor.TYPE_ENUM: st.integers(0, 8),
}


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, depth: int = 6) -> Message:
    """Any message, also one that no sender would make: times and statuses that cannot be."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if draw(st.integers(0, 2)) and depth:
            _fill(draw, message, field, depth)
    return message


def is_repeated(message: Any, field: FieldDescriptor) -> bool:
    """Whether a field holds any number of values, in the words of every version of protobuf."""
    value = getattr(message, field.name)
    return hasattr(value, "extend") and not isinstance(value, Message)


def _fill(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        value = inner.fields_by_name["value"]
        for key in draw(st.lists(TEXT, max_size=2)):
            if value.message_type is None:
                getattr(message, field.name)[key] = draw(TEXT)
            else:
                made = draw(messages(value.message_type, depth - 1))
                getattr(message, field.name)[key].CopyFrom(made)
    elif is_repeated(message, field):
        kind = _SCALARS[field.type] if inner is None else messages(inner, depth - 1)
        getattr(message, field.name).extend(draw(st.lists(kind, max_size=2)))
    elif inner is None:
        setattr(message, field.name, draw(_SCALARS[field.type]))
    else:
        getattr(message, field.name).CopyFrom(draw(messages(inner, depth - 1)))
