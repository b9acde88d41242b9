"""The table of calls."""

from __future__ import annotations

import pytest

from durable_app.rpc.call_kinds import CallKind, kind_of
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.methods import METHODS, SERVICE


def test_a_call_goes_to_the_service_that_every_sdk_knows():
    assert METHODS["StartInstance"].path == "/TaskHubSidecarService/StartInstance"


def test_three_calls_are_streams():
    streams = {method.name: method.response for method in METHODS.values() if method.is_stream}
    assert streams == {
        "GetWorkItems": pb.WorkItem,
        "StreamInstanceHistory": pb.HistoryChunk,
        "GetWorkItemBatches": pb.WorkItemBatch,
    }


def test_what_the_protocol_does_not_have_is_no_part_of_its_service():
    ours = {method.path for method in METHODS.values() if method.service != SERVICE}
    prefix = "/durable_app.taskhub.v1.Batches/"
    assert ours == {prefix + "GetWorkItemBatches", prefix + "CompleteWorkItems"}
    assert len(METHODS) == 29 + len(ours)


@pytest.mark.parametrize("name", METHODS)
def test_the_kind_of_a_call_agrees_with_the_table(name):
    method = METHODS[name]
    assert (kind_of(method.path) is CallKind.LONG_POLL) is method.is_long_poll


def test_calls_that_wait_for_something_are_long_polls():
    assert {method.name for method in METHODS.values() if method.is_long_poll} == {
        "GetWorkItems",
        "GetWorkItemBatches",
        "WaitForInstanceStart",
        "WaitForInstanceCompletion",
    }


def test_every_request_and_response_of_the_protocol_belongs_to_a_call():
    used = {kind.DESCRIPTOR.name for method in METHODS.values() for kind in method[1:3]}
    ours = set(pb.DESCRIPTOR.message_types_by_name)
    # What workers answer is a request of theirs; these two are parts of a work item.
    parts = {"ActivityRequest", "OrchestratorRequest", "EntityBatchRequest", "EntityRequest"}
    parts |= {"OperationRequest"}
    assert {name for name in ours if name.endswith(("Request", "Response"))} - used == parts
