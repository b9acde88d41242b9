"""Outcomes reach the hub, however often they have to be sent."""

from __future__ import annotations

import asyncio

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
