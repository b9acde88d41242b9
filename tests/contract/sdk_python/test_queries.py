"""Queries of clients of the official SDK for Python."""

from __future__ import annotations

import itertools

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
import pytest
from durabletask.client import OrchestrationQuery, OrchestrationStatus
from google.protobuf import wrappers_pb2

from tests.contract.sdk_python.test_lives import gate, refused, running

COMPLETED = OrchestrationStatus.COMPLETED


def echo(context, value):
    return value


@pytest.fixture
def five(hub):
    """A hub with the finished instances i0 to i4, and one that runs."""
    hub.work(echo, gate)
    for number in range(5):
        hub.output(hub.start(echo, number, instance_id=f"i{number}"))
    running(hub)
    return hub


def ids(hub, **query):
    states = hub.client.get_all_orchestration_states(OrchestrationQuery(**query))
    return [state.instance_id for state in states]


def test_everything_in_a_stable_order(five):
    assert ids(five) == ids(five)
    assert set(ids(five)) == {"i0", "i1", "i2", "i3", "i4", "one"}


def test_by_status_prefix_and_time(five):
    between = five.now()
    five.start(echo, 5, instance_id="i5")
    five.output("i5")

    assert set(ids(five, runtime_status=[OrchestrationStatus.RUNNING])) == {"one"}
    assert set(ids(five, instance_id_prefix="i")) == {f"i{n}" for n in range(6)}
    assert ids(five, created_time_from=between) == ["i5"]
    assert set(ids(five, created_time_to=between, instance_id_prefix="i")) == {
        f"i{n}" for n in range(5)
    }


def test_inputs_and_outputs_only_when_asked(five):
    query = OrchestrationQuery(instance_id_prefix="i3")
    (without,) = five.client.get_all_orchestration_states(query)
    query = OrchestrationQuery(instance_id_prefix="i3", fetch_inputs_and_outputs=True)
    (full,) = five.client.get_all_orchestration_states(query)

    assert (without.serialized_input, without.serialized_output) == (None, None)
    assert (full.get_input(), full.get_output()) == (3, 3)


def test_pages_are_as_small_as_asked(five):
    token, pages = None, []
    while True:
        query = pb.InstanceQuery(
            maxInstanceCount=2, instanceIdPrefix=_text("i"), continuationToken=token
        )
        page = five.client._stub.QueryInstances(pb.QueryInstancesRequest(query=query))
        pages.append([state.instanceId for state in page.orchestrationState])
        if not page.continuationToken.value:
            break
        token = page.continuationToken

    assert [len(page) for page in pages] == [2, 2, 1]
    every = list(itertools.chain(*pages))
    assert sorted(every) == [f"i{n}" for n in range(5)]
    assert ids(five, max_instance_count=2, instance_id_prefix="i") == every


def test_pages_are_no_larger_than_the_client_can_receive(hub):
    def large(context, number):
        return "x" * 200_000

    hub.work(large)
    started = [hub.start(large, number) for number in range(30)]
    for instance_id in started:
        hub.output(instance_id)
    query = OrchestrationQuery(fetch_inputs_and_outputs=True)
    states = hub.client.get_all_orchestration_states(query)

    assert {state.instance_id for state in states} == set(started)
    assert {len(state.get_output()) for state in states} == {200_000}


def test_ids_of_finished_instances_by_the_time_of_their_end(five):
    pages, token = [], None
    while True:
        page = five.client.list_instance_ids([COMPLETED], page_size=2, continuation_token=token)
        pages.append(page.items)
        token = page.continuation_token
        if token is None:
            break
        assert page.items[-1] in token

    assert pages == [["i0", "i1"], ["i2", "i3"], ["i4"]]


def test_ids_between_two_times(five):
    last = five.state("i4").last_updated_at

    assert five.client.list_instance_ids(completed_time_from=last).items == ["i4"]
    assert five.client.list_instance_ids(completed_time_to=last).items == ["i0", "i1", "i2", "i3"]


def test_a_token_that_is_none_is_refused(five):
    query = pb.InstanceQuery(continuationToken=_text("made up"))
    request = pb.QueryInstancesRequest(query=query)

    error = refused(five.client._stub.QueryInstances, request)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_unknown_instance_has_no_state(hub):
    assert hub.client.get_orchestration_state("nobody") is None


def _text(value):
    return wrappers_pb2.StringValue(value=value)
