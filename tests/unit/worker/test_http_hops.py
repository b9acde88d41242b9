"""Where an HTTP call goes next, when, and with what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from durable_app.errors import NonRetriableError
from durable_app.worker.http_hops import pause_s, redirected, shown, to_poll

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
AT_NOON = "Mon, 04 May 2026 12:00:00 GMT"
A_MINUTE_LATER = "Mon, 04 May 2026 12:01:00 GMT"


def a_request(uri: str = "https://h.example/a", method: str = "POST") -> dict[str, Any]:
    return {
        "method": method,
        "uri": uri,
        "content": "x",
        "headers": {"Authorization": "s", "Content-Type": "a/b", "Prefer": "fast"},
        "tokenSource": {"resource": "r"},
        "polls": True,
    }


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 30),
        ({"Retry-After": "5"}, 5),
        ({"retry-after": " 7 "}, 7),
        ({"Retry-After": "0"}, 0.1),
        ({"Retry-After": "-5"}, 30),
        ({"Retry-After": "1.5"}, 30),
        ({"Retry-After": "²"}, 30),
        ({"Retry-After": "soon"}, 30),
        ({"Retry-After": "9" * 9}, 30 * 86_400),
        ({"Retry-After": "9" * 5000}, 30 * 86_400),
        ({"Retry-After": A_MINUTE_LATER}, 60),
        ({"Retry-After": A_MINUTE_LATER.replace("GMT", "-0000")}, 60),
        ({"Retry-After": AT_NOON}, 0.1),
        ({"Retry-After": "Mon, 99 May 2026 12:00:00 GMT"}, 30),
        # The server's clock is an hour ahead.
        (
            {
                "Retry-After": A_MINUTE_LATER.replace("12:", "13:"),
                "Date": AT_NOON.replace("12:", "13:"),
            },
            60,
        ),
        ({"Retry-After": A_MINUTE_LATER, "Date": "today"}, 60),
    ],
)
def test_the_pause_between_polls(headers, seconds):
    assert pause_s(headers, NOON, 30.0) == seconds


@pytest.mark.parametrize(
    ("location", "uri"),
    [
        ("b", "https://h.example/x/b"),
        ("/b?c=d#e", "https://h.example/b?c=d"),
        ("?c=d", "https://h.example/x/a?c=d"),
        ("//h.example/b", "https://h.example/b"),
        ("https://me:pw@h.example:443/b", "https://h.example:443/b"),
    ],
)
def test_a_location_of_the_same_origin_keeps_everything(location, uri):
    request = a_request("https://h.example/x/a")
    target = to_poll(request, 202, {"location": location})
    assert target == {
        **request,
        "uri": uri,
        "method": "GET",
        "content": None,
        "headers": {"Authorization": "s", "Prefer": "fast"},
    }


@pytest.mark.parametrize(
    "location",
    ["https://h.example:444/b", "https://sub.h.example/b", "https://h.example.evil.example/b"],
)
def test_another_origin_gets_no_secret(location):
    target = redirected(a_request(), 307, {"Location": location})
    assert target is not None
    assert (target["method"], target["content"], target["tokenSource"]) == ("POST", "x", None)
    assert target["headers"] == {"Content-Type": "a/b", "Prefer": "fast"}


@pytest.mark.parametrize(
    "location",
    ["http://h.example/b", "ftp://h.example/b", "data:text/plain,a", "https://h:port/", "http://["],
)
def test_what_is_not_followed(location):
    assert redirected(a_request(), 302, {"Location": location}) is None
    with pytest.raises(NonRetriableError, match="cannot be polled"):
        to_poll(a_request(), 202, {"Location": location})


@pytest.mark.parametrize("status", [200, 300, 304, 202])
def test_other_answers_are_no_redirects(status):
    assert redirected(a_request(), status, {"Location": "/b"}) is None
    assert redirected(a_request(), 302, {}) is None


def test_only_202_with_a_location_is_polled():
    assert to_poll(a_request(), 202, {}) is None
    assert to_poll(a_request(), 201, {"Location": "/b"}) is None


def test_a_request_is_shown_without_its_secrets():
    assert shown(a_request("https://me:pw@h.example:8443/a?code=s#f")) == (
        "POST https://h.example:8443/a"
    )
