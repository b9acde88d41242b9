"""What functions return, as responses."""

import json

import azure.functions as func
import pytest

from durable_app.host.web.results import encode


def test_nothing_is_204():
    assert encode(None).status == 204


@pytest.mark.parametrize(
    "text", ["plain", "", "[1]", '{"a": 1}', "{not json", '{"nested": {"body": 1}}', "{" * 5000]
)
def test_text_is_sent_as_text(text):
    response = encode(text)
    assert (response.status, response.body) == (200, text.encode())
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("described", "status", "body", "kind"),
    [
        ({"status": 201}, 201, b"", None),
        ({"statusCode": "404", "body": "gone"}, 404, b"gone", "text/plain; charset=utf-8"),
        ({"Status": 202, "Body": {"a": "ä"}}, 202, '{"a": "ä"}'.encode(), "application/json"),
        ({"body": [1]}, 200, b"[1]", "application/json"),
        ({"body": 5}, 200, b"5", "application/json"),
        ({"body": None}, 200, b"", None),
        ({"body": "<b>", "headers": {"content-type": "text/html"}}, 200, b"<b>", "text/html"),
        ({"body": "x", "isRaw": True}, 200, b"x", None),
        ({"body": "x", "headers": "none"}, 200, b"x", "text/plain"),
    ],
)
def test_a_json_object_may_describe_a_response(described, status, body, kind):
    response = encode("  " + json.dumps(described))
    assert (response.status, response.body) == (status, body)
    assert (response.headers.get("Content-Type") or "").startswith(kind or "")
    assert ("Content-Type" in response.headers) is (kind is not None)


def test_headers_of_a_description_are_sent():
    response = encode(json.dumps({"status": 200, "headers": {"X-N": 5, "Connection": "x"}}))
    assert response.headers["X-N"] == "5"
    assert "Connection" not in response.headers


def test_a_response_of_azure_is_sent_as_it_is():
    answer = func.HttpResponse(
        "grüße",
        status_code=201,
        headers={"X-A": "1", "Content-Length": "99"},
        mimetype="text/html",
        charset="latin-1",
    )
    response = encode(answer)
    assert (response.status, response.body) == (201, "grüße".encode("latin-1"))
    assert response.headers["Content-Type"] == "text/html; charset=latin-1"
    assert response.headers["X-A"] == "1"
    assert "Content-Length" not in response.headers


def test_every_cookie_is_sent():
    answer = func.HttpResponse()
    answer.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
    answer.headers.add("Set-Cookie", "b=2")
    found = encode(answer).headers.getall("Set-Cookie")
    assert found == ["a=1; HttpOnly; Path=/", "b=2"]


class StreamingResponse:
    body_iterator = ()


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (b"raw", "returns a str or an azure.functions.HttpResponse, not bytes"),
        ({"a": 1}, "not dict; for JSON, HttpResponse"),
        (StreamingResponse(), r"does not send streaming responses \(StreamingResponse\)"),
    ],
)
def test_what_azure_does_not_send_is_refused(result, text):
    with pytest.raises(TypeError, match=text):
        encode(result)


@pytest.mark.parametrize(
    "result",
    [
        func.HttpResponse(status_code=99),
        func.HttpResponse(status_code=101),
        func.HttpResponse(status_code=700),
        '{"status": "soon"}',
        '{"status": null}',
        '{"status": 200, "headers": {"X": "a\\r\\nSet-Cookie: b=1"}}',
        '{"status": 200, "headers": {"X Y": "a"}}',
        '{"status": 200, "headers": {"": "a"}}',
        '{"status": 200, "headers": {"X": "\\ud800"}}',
    ],
)
def test_what_cannot_be_sent_is_refused(result):
    with pytest.raises(ValueError, match=r"is no status|has a character"):
        encode(result)
