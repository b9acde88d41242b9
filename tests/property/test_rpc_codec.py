"""Messages and our own types: translated both ways without a loss, and refused in one way only."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_app import protocol as p
from durable_app.errors import WireFormatError
from durable_app.ports import (
    CleanedEntities,
    EntityPage,
    EntityQuery,
    IdPage,
    IdQuery,
    InstanceQuery,
    Page,
    Purged,
    PurgeFilter,
    StartRequest,
)
from durable_app.rpc.codec.entity_requests import Clean, Cleaned
from durable_app.rpc.codec.queries import PurgeMatching
from durable_app.rpc.codec.work import decode_work_item, encode_work_item
from durable_app.rpc.generated import taskhub_pb2 as pb
from tests.property.wire_codecs import BY_MESSAGE, CODECS, Codec
from tests.property.wire_values import TEXT, messages, of_struct, of_type

TOKEN = TEXT.map(lambda text: text or None)

OURS: dict[type, st.SearchStrategy[Any]] = {
    pb.HistoryChunk: st.lists(of_type(p.HistoryEvent), max_size=3),
    pb.ActivityResponse: of_struct(p.ActivityResponse),
    pb.OrchestratorResponse: of_struct(p.OrchestratorResponse),
    pb.EntityBatchResult: of_struct(p.EntityBatchResult),
    pb.CreateInstanceRequest: of_struct(StartRequest),
    pb.GetInstanceResponse: of_struct(p.OrchestrationState) | st.none(),
    pb.QueryInstancesRequest: of_struct(InstanceQuery),
    pb.QueryInstancesResponse: st.builds(
        Page, st.lists(of_struct(p.OrchestrationState), max_size=2).map(tuple), TOKEN
    ),
    pb.ListInstanceIdsRequest: of_struct(IdQuery),
    pb.ListInstanceIdsResponse: st.builds(IdPage, st.lists(TEXT, max_size=2).map(tuple), TOKEN),
    pb.PurgeInstancesRequest: st.builds(PurgeMatching, of_struct(PurgeFilter), st.booleans()),
    pb.PurgeInstancesResponse: of_struct(Purged),
    pb.GetEntityResponse: of_struct(p.EntityMetadata) | st.none(),
    pb.QueryEntitiesRequest: of_struct(EntityQuery),
    pb.QueryEntitiesResponse: st.builds(
        EntityPage, st.lists(of_struct(p.EntityMetadata), max_size=2).map(tuple), TOKEN
    ),
    pb.CleanEntityStorageRequest: st.builds(Clean, st.booleans(), st.booleans(), TOKEN),
    pb.CleanEntityStorageResponse: st.builds(Cleaned, of_struct(CleanedEntities), TOKEN),
}

WORK_ITEMS = (p.OrchestratorRequest, p.ActivityRequest, p.EntityRequest, p.EntityBatchRequest)


@pytest.mark.parametrize("message", OURS, ids=lambda message: message.__name__)
@settings(max_examples=30)
@given(data=st.data())
def test_what_is_sent_is_what_arrives(message, data):
    value = data.draw(OURS[message])
    codec = BY_MESSAGE[message]
    arrived = message.FromString(codec.encode(value).SerializeToString())
    assert codec.decode(arrived) == value


@pytest.mark.parametrize("kind", WORK_ITEMS, ids=lambda kind: kind.__name__)
@settings(max_examples=30)
@given(data=st.data())
def test_work_items_arrive_as_they_were_sent(kind, data):
    item = data.draw(of_struct(kind))
    arrived = pb.WorkItem.FromString(encode_work_item(item).SerializeToString())
    assert decode_work_item(arrived) == item


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.message.__name__)
@settings(max_examples=30)
@given(data=st.data())
def test_what_can_be_read_can_be_sent_on(codec: Codec, data):
    message: Any = data.draw(messages(codec.message.DESCRIPTOR))
    try:
        value = codec.decode(message)
    except WireFormatError:
        return
    again = codec.encode(value)
    assert codec.decode(again) == value


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.message.__name__)
@settings(max_examples=30)
@given(noise=st.binary(max_size=60))
def test_noise_is_refused_in_one_way_only(codec: Codec, noise):
    try:
        message = codec.message.FromString(noise)
    except DecodeError:
        return
    with suppress(WireFormatError):
        codec.decode(message)
