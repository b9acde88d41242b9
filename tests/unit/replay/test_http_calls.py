"""What ``call_http`` asks the hub for."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

import durable_app as df
from durable_app.errors import OrchestratorError
from durable_app.protocol import CreateSubOrchestration, ScheduleTask
from tests.unit.replay.world import BOOM, World, child_done, child_failed, done, granted

URI = "https://h.example/a"
ANSWER = {"statusCode": 200, "headers": {}, "content": "x"}


def calling(*arguments: Any, **named: Any) -> World:
    def orchestrator(context):
        response = yield context.call_http(*arguments, **named)
        return [type(response).__name__, response.status_code, response["content"]]

    return World(orchestrator)


def refused(*arguments: Any, **named: Any) -> tuple[str, str]:
    failure = calling(*arguments, **named).failure
    return failure.error_type, failure.error_message


def test_it_is_one_sub_orchestration():
    world = calling("get", URI)
    (call,) = world.actions
    assert isinstance(call, CreateSubOrchestration)
    assert call.name == "BuiltIn__HttpPollOrchestrator"
    assert json.loads(call.input or "") == {
        "method": "GET",
        "uri": URI,
        "content": None,
        "headers": {},
        "tokenSource": None,
        "polls": True,
    }
    world.turn(child_done(1, ANSWER))
    assert world.output == ["DurableHttpResponse", 200, "x"]


@pytest.mark.parametrize("enable_polling", [True, False])
@pytest.mark.parametrize("content", [None, "a"])
def test_a_call_may_have_a_timeout(content, enable_polling):
    timeout = timedelta(seconds=1.5)
    world = calling("GET", URI, content, timeout=timeout, enable_polling=enable_polling)
    assert json.loads(world.actions[0].input)["timeoutSeconds"] == 1.5


def test_without_polling_it_is_an_activity():
    world = calling("GET", URI, enable_polling=False)
    (call,) = world.actions
    assert isinstance(call, ScheduleTask)
    assert call.name == "BuiltIn__HttpActivity"
    assert "polls" not in json.loads(call.input or "")
    world.turn(done(1, ANSWER))
    assert world.output == ["DurableHttpResponse", 200, "x"]


@pytest.mark.parametrize(
    ("arguments", "body", "headers"),
    [
        (("POST", URI, {"a": 1}), '{"a":1}', {"Content-Type": "application/json"}),
        (("POST", URI, "a"), '"a"', {"Content-Type": "application/json"}),
        (
            ("POST", URI, "a", None, None, True),
            "a",
            {"Content-Type": "text/plain; charset=utf-8"},
        ),
        (("POST", URI, 0, {"content-type": "a/b"}), "0", {"content-type": "a/b"}),
        (
            (df.DurableHttpRequest("PUT", URI, "<a/>", {"Content-Type": "text/xml"}),),
            "<a/>",
            {"Content-Type": "text/xml"},
        ),
    ],
)
def test_the_body(arguments, body, headers):
    (call,) = calling(*arguments).actions
    request = json.loads(call.input)
    assert (request["content"], request["headers"]) == (body, headers)


@pytest.mark.parametrize(
    ("arguments", "named", "kind", "text"),
    [
        (("GET", "/a"), {}, "ValueError", "absolute URI"),
        (("GET",), {}, "TypeError", "a method and a URI, or a DurableHttpRequest"),
        (("GET", URI, {}), {"is_raw_str": True}, "TypeError", "is_raw_str sends a text"),
        (("GET", URI), {"is_raw_str": True}, "TypeError", "the content is NoneType"),
        (("GET", URI, 1, {1: "a"}), {}, "TypeError", "are texts"),
        (("GET", URI), {"retry_options": 3}, "TypeError", "must be RetryOptions"),
        (("PUT", URI, b"a"), {}, "TypeError", "call an activity that makes the request"),
        (("PUT", URI, b"a"), {"is_raw_str": True}, "TypeError", "a text or JSON, not bytes"),
        (("GET", URI), {"timeout": 5}, "TypeError", "is a timedelta"),
        (
            (df.DurableHttpRequest("GET", URI),),
            {"timeout": timedelta(seconds=1)},
            "TypeError",
            "describes the whole request",
        ),
        (
            (df.DurableHttpRequest("GET", URI), URI),
            {},
            "TypeError",
            "describes the whole request",
        ),
    ],
)
def test_what_it_does_not_take(arguments, named, kind, text):
    error_type, message = refused(*arguments, **named)
    assert error_type == kind
    assert text in message


def test_it_is_tried_again_where_a_policy_says_so():
    world = calling("GET", URI, retry_options=df.RetryOptions(1000, 2))
    world.turn(child_failed(1, BOOM))
    assert [type(action).__name__ for action in world.actions] == ["CreateTimer"]


@pytest.mark.parametrize("enable_polling", [True, False])
def test_a_critical_section_allows_requests_that_do_not_poll(enable_polling):
    def orchestrator(context):
        with (yield context.lock_entities([df.EntityId("account", "a")])):
            try:
                context.call_http("GET", URI, enable_polling=enable_polling)
            except OrchestratorError as error:
                return str(error)
        return "called"

    world = World(orchestrator)
    world.turn(granted(world.actions[0]))
    text = "call_http with enable_polling=True: not within" if enable_polling else "called"
    assert world.output.startswith(text)
