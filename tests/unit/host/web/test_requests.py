"""What is read of a request before its body."""

import pytest
from aiohttp import HttpVersion
from aiohttp.test_utils import make_mocked_request

from durable_app.host.web.requests import RefusedError, receive


def request(path="/api/x", minor=1, **headers):
    return make_mocked_request("GET", path, headers, version=HttpVersion(1, minor))


def test_a_request_of_http_1_1_needs_a_host():
    with pytest.raises(RefusedError) as refused:
        receive(request(), "http", "127.0.0.1:7071")
    assert (refused.value.status, refused.value.text) == (
        400,
        "A request of HTTP/1.1 needs a Host header.",
    )


def test_an_older_one_is_taken_to_be_for_the_address():
    found = receive(request(minor=0), "https", "127.0.0.1:7071")
    assert found.url == "https://127.0.0.1:7071/api/x"


def test_a_fragment_is_no_part_of_the_path():
    found = receive(request("/api/x?a=1#b", Host="h"), "http", "")
    assert (found.url, found.path, found.parts) == ("http://h/api/x?a=1", "/api/x", ["api", "x"])
