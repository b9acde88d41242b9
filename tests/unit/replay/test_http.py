"""HTTP requests and responses as values, and the built-in orchestrator that polls."""

from __future__ import annotations

import copy
import json
from datetime import timedelta

import pytest

import durable_app as df
from durable_app.errors import PayloadError
from durable_app.payload import from_text, to_text
from durable_app.protocol import CompleteOrchestration, CreateTimer, FailureDetails, ScheduleTask
from durable_app.replay.http import HTTP_ACTIVITY, poll_http
from tests.unit.replay.world import World, done, failed, fired

URI = "https://h.example/a"
REQUEST = {"method": "GET", "uri": URI}
NEXT = {"method": "GET", "uri": "https://h.example/b"}


# -- requests ------------------------------------------------------------------------------------


def test_a_request_reads_like_those_of_other_libraries():
    source = df.ManagedIdentityTokenSource("https://api.example/")
    request = df.DurableHttpRequest("post", URI, {"a": 1}, {"X-A": "1"}, source)
    assert request.to_json() == {
        "method": "POST",
        "uri": URI,
        "content": '{"a":1}',
        "headers": {"X-A": "1", "Content-Type": "application/json"},
        "tokenSource": {"resource": "https://api.example/", "kind": "AzureManagedIdentity"},
    }
    assert request.token_source is source
    assert isinstance(source, df.TokenSource)
    assert source.resource == "https://api.example/"


@pytest.mark.parametrize(
    ("content", "headers", "body", "content_type"),
    [
        ("a", None, "a", "text/plain; charset=utf-8"),
        (0, None, "0", "application/json"),
        ("<a/>", {"content-type": "text/xml"}, "<a/>", None),
        (None, None, None, None),
    ],
)
def test_a_body_has_a_content_type(content, headers, body, content_type):
    request = df.DurableHttpRequest("PUT", URI, content, headers)
    assert (request.content, request.headers.get("Content-Type")) == (body, content_type)


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (("GET", "/a"), ValueError, "absolute URI"),
        (("GET", "ftp://h/a"), ValueError, "absolute URI"),
        (("GET", "file:///etc/passwd"), ValueError, "absolute URI"),
        (("GET", "http:///a"), ValueError, "absolute URI"),
        (("GET", "http://h/a b"), ValueError, "absolute URI"),
        (("GET", "http://h:port/"), ValueError, "port"),
        (("GET", "http://me:pw@h/"), ValueError, "user name"),
        (("GET", b"http://h/"), TypeError, "text, not bytes"),
        ((1, URI), TypeError, "text, not int"),
        (("GE T", URI), ValueError, "no HTTP method"),
        (("GET", URI, None, [("a", "b")]), TypeError, "are a dict, not list"),
        (("GET", URI, None, {"a": 1}), TypeError, "texts"),
        (("GET", URI, None, {"a": "b\r\nc: d"}), ValueError, "cannot be sent"),
        (("GET", URI, None, {"a:": "b"}), ValueError, "cannot be sent"),
        (("GET", URI, None, None, "token"), TypeError, "a ManagedIdentityTokenSource, not str"),
        (("GET", URI, object()), PayloadError, "object"),
        (("PUT", URI, b"\xff"), TypeError, "a text or JSON, not bytes: it is kept in the history"),
        (("PUT", URI, bytearray()), TypeError, "not bytearray"),
    ],
)
def test_what_cannot_be_requested_is_refused(arguments, kind, text):
    with pytest.raises(kind, match=text):
        df.DurableHttpRequest(*arguments)


@pytest.mark.parametrize(
    ("timeout", "kind", "text"),
    [
        (5, TypeError, "is a timedelta, not 5"),
        (timedelta(0), ValueError, "longer than nothing, not 0:00:00"),
        (timedelta(seconds=-1), ValueError, "longer than nothing"),
    ],
)
def test_a_timeout_is_positive(timeout, kind, text):
    with pytest.raises(kind, match=text):
        df.DurableHttpRequest("GET", URI, timeout=timeout)


def test_a_timeout_is_told_in_seconds():
    request = df.DurableHttpRequest("GET", URI, timeout=timedelta(minutes=3))
    assert request.timeout == timedelta(minutes=3)
    assert request.to_json()["timeoutSeconds"] == 180.0
    assert "timeoutSeconds" not in df.DurableHttpRequest("GET", URI).to_json()


def test_a_token_source_needs_a_resource():
    with pytest.raises(TypeError, match="at least 1 character"):
        df.ManagedIdentityTokenSource("")


# -- responses -----------------------------------------------------------------------------------


def test_a_response_is_also_a_dict():
    response = df.DurableHttpResponse(200, {"A": "b"}, "{}")
    assert (response.status_code, response.headers, response.content) == (200, {"A": "b"}, "{}")
    assert response["statusCode"] == 200
    assert response["headers"]["A"] == "b"
    assert response.get("content") == "{}"
    assert json.loads(json.dumps(response)) == response
    read = from_text(to_text(response), df.DurableHttpResponse)
    assert (type(read), read) == (df.DurableHttpResponse, response)
    assert copy.copy(response) == response
    assert df.DurableHttpResponse(204) == {"statusCode": 204, "headers": {}, "content": None}


# -- polling -------------------------------------------------------------------------------------


def test_an_answer_ends_it():
    world = World(poll_http, REQUEST)
    (call,) = world.actions
    assert isinstance(call, ScheduleTask)
    assert (call.name, json.loads(call.input or "")) == (HTTP_ACTIVITY, REQUEST)
    answer = {"statusCode": 404, "headers": {}, "content": ""}
    world.turn(done(1, answer))
    assert world.output == answer


def test_it_waits_and_starts_over():
    world = World(poll_http, REQUEST, warm=False)
    world.turn(done(1, {"poll": {"request": NEXT, "afterSeconds": 90.5}}))
    (timer,) = world.actions
    assert isinstance(timer, CreateTimer)
    assert timer.fire_at == world.now + timedelta(seconds=90.5)
    world.turn(fired(2))
    (over,) = world.actions
    assert isinstance(over, CompleteOrchestration)
    assert over.status.name == "CONTINUED_AS_NEW"
    assert json.loads(over.result or "") == NEXT


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("ConnectionError", "ConnectionError"),
        ("TimeoutError", "TimeoutError"),
        ("NonRetriableError", "NonRetriableError"),
        ("shop.Odd", "RuntimeError"),
    ],
)
def test_a_failure_is_told_without_the_activity_in_between(given, told):
    world = World(poll_http, REQUEST)
    world.turn(failed(1, FailureDetails(given, "GET h: no")))
    failure = world.failure
    assert (failure.error_type, failure.error_message) == (told, "GET h: no")
    assert failure.inner_failure is None
