"""Outcomes reach the hub, however often they have to be sent."""

from __future__ import annotations

import asyncio
import threading

import grpc
import pytest

from durable_app.connection.failures import TokenUnavailableError
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.stub import delivery
from durable_app.rpc.stub.delivery import Delivery
from tests.contract.wire import CLOCK
from tests.unit.rpc.stub.rig import with_calls

Code = grpc.StatusCode
METHOD = "CompleteActivityTask"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(delivery, "_FIRST_PAUSE_S", 0.001)


def sent(*answers, instead=None, repeat_for_s=10.0):
    """How often an outcome was sent to a hub that answers so."""

    async def conversation(calls, server):
        post = Delivery(calls, CLOCK, repeat_for_s)
        post.send(METHOD, pb.ActivityResponse(instanceId="one", completionToken="a"), instead)
        await post.finish(5)
        return server.calls(METHOD)

    return with_calls(conversation, **{METHOD: list(answers)})


@pytest.mark.parametrize(
    "code", [Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.INTERNAL, Code.PERMISSION_DENIED]
)
def test_what_may_pass_is_tried_again(code):
    assert sent(code, code, b"") == 3


@pytest.mark.parametrize("code", [Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.UNIMPLEMENTED])
def test_what_the_hub_refuses_is_told_and_dropped(code, caplog):
    assert sent(code) == 1
    assert "CompleteActivityTask was not taken" in caplog.text


def test_nothing_is_sent_for_ever(caplog):
    assert sent(*[Code.UNAVAILABLE] * 50, repeat_for_s=0.0) == 1
    assert "UNAVAILABLE" in caplog.text


def test_something_else_is_sent_where_the_outcome_is_too_large():
    reasons = []

    def too_large(context):
        context.abort(Code.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)")

    def instead(reason):
        reasons.append(reason)
        return pb.ActivityResponse(instanceId="one")

    assert sent(too_large, too_large, b"", instead=instead) == 3
    assert len(reasons) == 1
    assert "9 vs. 4" in reasons[0]


def test_at_the_end_what_is_late_is_given_up(caplog):
    async def conversation(calls, server):
        post = Delivery(calls, CLOCK)
        post.send(METHOD, pb.ActivityResponse())
        while not server.calls(METHOD):  # noqa: ASYNC110  the server sets no event
            await asyncio.sleep(0.005)
        await post.finish(0.01)

    with_calls(conversation, **{METHOD: [Code.UNAVAILABLE] * 10_000})
    assert "1 outcome(s) could not be brought" in caplog.text


def test_over_a_closed_connection_nothing_is_sent(caplog):
    async def conversation(calls, server):
        post = Delivery(calls, CLOCK)
        await calls.close()
        post.send(METHOD, pb.ActivityResponse())
        await post.finish(5)
        return server.calls(METHOD)

    assert with_calls(conversation) == 0
    assert "is closed" in caplog.text


def test_a_token_that_cannot_be_had_may_be_had_later():
    attempts = []

    async def attempt(method, message, timeout_s):
        attempts.append(method)
        if len(attempts) == 1:
            raise TokenUnavailableError("not signed in")

    async def conversation(calls, _server):
        calls.attempt = attempt
        post = Delivery(calls, CLOCK)
        post.send(METHOD, pb.ActivityResponse())
        await post.finish(5)

    with_calls(conversation)
    assert attempts == [METHOD, METHOD]


# -- batches --------------------------------------------------------------------------------------

BATCH = "CompleteWorkItems"


def batched(conversation, **script):
    """Run ``conversation(delivery, server)`` before a hub that has batches."""

    async def run(calls, server):
        post = Delivery(calls, CLOCK)
        post.has_batches = True
        await conversation(post, server)
        await post.finish(5)
        return server

    return with_calls(run, **script)


def response(number):
    return pb.ActivityResponse(instanceId="one", taskId=number, completionToken=str(number))


def test_what_comes_together_goes_together():
    async def conversation(post, server):
        for number in range(10):
            post.send(METHOD, response(number))

    server = batched(conversation, **{BATCH: [b""]})
    assert (server.calls(BATCH), server.calls(METHOD)) == (1, 0)
    sent_ = pb.OutcomeBatchRequest.FromString(server.requests[BATCH][0]).outcomes
    assert [one.method for one in sent_] == [METHOD] * 10
    assert [pb.ActivityResponse.FromString(one.request) for one in sent_] == [
        response(number) for number in range(10)
    ]


def test_one_is_sent_at_once():
    async def conversation(post, server):
        post.send(METHOD, response(1))
        await post.finish(5)
        post.send(METHOD, response(2))

    assert batched(conversation, **{BATCH: [b"", b""]}).calls(BATCH) == 2


def test_a_batch_has_an_end():
    async def conversation(post, server):
        for number in range(250):
            post.send(METHOD, response(number))

    server = batched(conversation, **{BATCH: [b""] * 3})
    sizes = [len(pb.OutcomeBatchRequest.FromString(r).outcomes) for r in server.requests[BATCH]]
    assert sizes == [100, 100, 50]


def test_what_is_refused_is_sent_alone(caplog):
    async def conversation(post, server):
        for number in range(4):
            post.send(METHOD, response(number))

    refused = pb.OutcomeBatchResponse(refused=[1, -2, 3, 77]).SerializeToString()
    server = batched(conversation, **{BATCH: [refused], METHOD: [Code.INVALID_ARGUMENT, b""]})
    again = [pb.ActivityResponse.FromString(request).taskId for request in server.requests[METHOD]]
    assert sorted(again) == [1, 3]
    assert caplog.text.count("was not taken") == 1


@pytest.mark.parametrize(
    "answer", [Code.UNIMPLEMENTED, Code.INTERNAL, Code.RESOURCE_EXHAUSTED, b"that is no message"]
)
def test_a_batch_that_fails_by_itself_is_sent_one_by_one(answer):
    async def conversation(post, server):
        for number in range(3):
            post.send(METHOD, response(number))

    server = batched(conversation, **{BATCH: [answer], METHOD: [b""] * 3})
    assert (server.calls(BATCH), server.calls(METHOD)) == (1, 3)


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.UNAUTHENTICATED])
def test_a_batch_that_meets_a_bad_connection_is_sent_again(code):
    async def conversation(post, server):
        for number in range(3):
            post.send(METHOD, response(number))

    server = batched(conversation, **{BATCH: [code, code, b""]})
    assert (server.calls(BATCH), server.calls(METHOD)) == (3, 0)
    assert len(set(server.requests[BATCH])) == 1


def test_without_a_token_for_a_while_a_batch_waits():
    attempts = []

    async def attempt(method, message, timeout_s):
        attempts.append(method)
        if len(attempts) == 1:
            raise TokenUnavailableError("not signed in")
        return pb.OutcomeBatchResponse()

    async def conversation(post, server):
        post._calls.attempt = attempt
        post.send(METHOD, response(1))

    batched(conversation)
    assert attempts == [BATCH, BATCH]


def test_a_hub_that_comes_back_without_batches_gets_each_alone():
    async def conversation(post, server):
        for number in range(3):
            post.send(METHOD, response(number))
        while not server.calls(BATCH):  # noqa: ASYNC110  the server sets no event
            await asyncio.sleep(0.001)
        post.has_batches = False

    server = batched(conversation, **{BATCH: [Code.UNAVAILABLE] * 99, METHOD: [b""] * 3})
    assert server.calls(METHOD) == 3


def test_no_batch_is_sent_for_ever(caplog):
    async def conversation(calls, server):
        post = Delivery(calls, CLOCK, 0.0)
        post.has_batches = True
        for number in range(3):
            post.send(METHOD, response(number))
        await post.finish(5)
        return server.calls(BATCH), server.calls(METHOD)

    unavailable = [Code.UNAVAILABLE] * 99
    assert with_calls(conversation, **{BATCH: unavailable, METHOD: unavailable}) == (1, 3)
    assert caplog.text.count("was not taken: ") == 3


def test_what_is_large_goes_alone():
    async def conversation(post, server):
        large = response(1)
        large.result.value = "x" * 70_000
        post.send(METHOD, large)
        post.send(METHOD, response(2))

    server = batched(conversation, **{BATCH: [b""], METHOD: [b""]})
    assert (server.calls(BATCH), server.calls(METHOD)) == (1, 1)


def test_a_full_batch_fits_through_what_has_the_usual_limit_of_grpc():
    async def conversation(post, server):
        for number in range(delivery._MOST + 1):
            largest = response(number)
            largest.result.value = "x" * (delivery._SMALL_BYTES - largest.ByteSize() - 16)
            post.send(METHOD, largest)

    server = batched(conversation, **{BATCH: [b""] * 2})
    assert (server.calls(BATCH), server.calls(METHOD)) == (2, 0)
    assert 3 * 2**20 < max(map(len, server.requests[BATCH])) <= 4 * 2**20


def test_a_call_that_hangs_holds_up_no_other_one(monkeypatch):
    monkeypatch.setattr(delivery, "_PATIENCE_S", 0.01)
    arrived = threading.Event()

    def hanging(context):
        assert arrived.wait(5)
        return b""

    def quick(context):
        arrived.set()
        return b""

    async def conversation(post, server):
        post.send(METHOD, response(1))
        while not server.calls(BATCH):  # noqa: ASYNC110  the server sets no event
            await asyncio.sleep(0.005)
        post.send(METHOD, response(2))

    assert batched(conversation, **{BATCH: [hanging, quick]}).calls(BATCH) == 2


def test_at_the_end_outcomes_are_counted_rather_than_calls(caplog):
    release = threading.Event()

    def hanging(context):
        release.wait(5)
        return b""

    async def conversation(calls, server):
        post = Delivery(calls, CLOCK)
        post.has_batches = True
        for number in range(3):
            post.send(METHOD, response(number))
        while not server.calls(BATCH):  # noqa: ASYNC110  as above
            await asyncio.sleep(0.005)
        post.send(METHOD, response(3))
        await post.finish(0.01)
        release.set()

    with_calls(conversation, **{BATCH: [hanging, hanging]})
    assert "4 outcome(s) could not be brought" in caplog.text
