"""Requests of clients: what is not said by fields alone."""

from __future__ import annotations

import pytest

from durable_app.errors import WireFormatError
from durable_app.ports import Capacity, InstanceQuery, PurgeFilter, StartRequest, WorkFilter
from durable_app.protocol import EPOCH, EntityMetadata, OrchestrationStatus
from durable_app.rpc.codec.entity_requests import (
    decode_entity_response,
    encode_entity_response,
)
from durable_app.rpc.codec.queries import (
    PurgeIds,
    PurgeMatching,
    decode_page,
    decode_purge,
    decode_purged,
    decode_query,
    encode_purge,
    encode_purge_by,
    encode_query,
)
from durable_app.rpc.codec.requests import decode_start, encode_start
from durable_app.rpc.codec.streams import (
    UNLIMITED,
    Subscription,
    decode_subscription,
    encode_subscription,
)
from durable_app.rpc.generated import taskhub_pb2 as pb

NOBODY = frozenset({OrchestrationStatus.CONTINUED_AS_NEW})


def test_no_policy_and_an_empty_policy_differ():
    for replaceable in (None, frozenset[OrchestrationStatus]()):
        request = StartRequest("order", replaceable=replaceable)
        assert decode_start(encode_start(request)) == request


def test_a_policy_that_replaces_the_running_replaces_the_terminated():
    message = pb.CreateInstanceRequest(name="order")
    message.orchestrationIdReusePolicy.replaceableStatus.append(OrchestrationStatus.RUNNING)
    with pytest.raises(WireFormatError, match="cannot exclude 'Terminated'") as caught:
        decode_start(message)
    assert caught.value.reason.startswith("Invalid reusable statuses:")


@pytest.mark.parametrize(("asked", "rows"), [(0, 100), (5, 5), (2**31 - 1, 1_000)])
def test_pages_are_bounded(asked, rows):
    message = pb.QueryInstancesRequest(query=pb.InstanceQuery(maxInstanceCount=asked))
    assert decode_query(message).page_size == rows


def test_a_negative_page_is_refused():
    message = pb.QueryInstancesRequest(query=pb.InstanceQuery(maxInstanceCount=-1))
    with pytest.raises(WireFormatError, match="maxInstanceCount: A page of -1 rows"):
        decode_query(message)


def test_an_empty_token_is_none():
    response = pb.QueryInstancesResponse()
    response.continuationToken.value = ""
    assert decode_page(response).continuation_token is None


def test_no_status_at_all_never_becomes_any_status():
    query = encode_query(InstanceQuery(statuses=frozenset()))
    assert decode_query(query).statuses == NOBODY
    purge = decode_purge(encode_purge_by(PurgeFilter(statuses=frozenset())))
    assert isinstance(purge, PurgeMatching)
    assert purge.which.statuses == NOBODY


def test_a_purge_of_one_instance():
    assert decode_purge(encode_purge("a", recursive=True)) == PurgeIds(("a",), recursive=True)


def test_a_purge_of_nothing_in_particular_is_refused():
    with pytest.raises(WireFormatError, match="names an instance"):
        decode_purge(pb.PurgeInstancesRequest(recursive=True))


def test_a_purge_that_tells_no_end_is_complete():
    assert decode_purged(pb.PurgeInstancesResponse(deletedInstanceCount=1)).is_complete


def test_an_entity_whose_state_was_not_asked_for_may_have_one():
    locked = EntityMetadata("@a@1", EPOCH, locked_by="id")
    message = encode_entity_response(locked)
    with_state = decode_entity_response(message, include_state=False)
    without = decode_entity_response(message, include_state=True)
    assert with_state is not None
    assert without is not None
    assert (with_state.exists, without.exists) == (True, False)


def test_a_worker_without_numbers_takes_any_number_of_everything():
    subscription = decode_subscription(pb.GetWorkItemsRequest())
    assert subscription == Subscription(Capacity(UNLIMITED, UNLIMITED, UNLIMITED))


def test_a_negative_number_of_items_is_refused():
    with pytest.raises(WireFormatError, match="maxConcurrentEntityWorkItems: A worker cannot hold"):
        decode_subscription(pb.GetWorkItemsRequest(maxConcurrentEntityWorkItems=-1))


def test_present_filters_allow_what_they_name_and_nothing_else():
    message = pb.GetWorkItemsRequest()
    message.workItemFilters.SetInParent()
    message.workItemFilters.orchestrations.add(name="order", versions=["1"])
    message.workItemFilters.orchestrations.add(name="order", versions=["2"])
    message.workItemFilters.orchestrations.add(name="ship", versions=["1"])
    message.workItemFilters.orchestrations.add(name="ship")
    found = decode_subscription(message)
    assert found.only == WorkFilter(frozenset({"order", "ship"}), frozenset(), frozenset())
    assert found.orchestration_versions == {"order": {"1", "2"}}


def test_filters_travel():
    subscription = Subscription(
        Capacity(1, 2, 3),
        WorkFilter(frozenset({"a", "b"}), frozenset({"c"}), frozenset({"d"})),
        {"a": frozenset({"", "1"})},
        {"c": frozenset({"2"})},
        frozenset({1, 99}),
    )
    assert decode_subscription(encode_subscription(subscription)) == subscription


def test_a_filter_of_a_remote_worker_leaves_no_kind_open():
    with pytest.raises(ValueError, match="names its functions of all kinds"):
        encode_subscription(Subscription(Capacity(1, 1), WorkFilter(frozenset({"a"}))))
