"""Who may call the host's own APIs, and functions."""

import pytest

from durable_app.host.state import HostState
from durable_app.host.web.access import Access
from durable_app.host.web.cors import cors_policy
from durable_app.host.web.keys import Keys

HERE = {"host": "localhost:7071"}
LOCAL = Access("127.0.0.1", frozenset({"my-app.example"}))
SHARED = Access("0.0.0.0", cors=cors_policy("https://portal.example"))


@pytest.mark.parametrize(
    ("access", "headers"),
    [
        (LOCAL, {"host": "localhost:7071"}),
        (LOCAL, {"host": "127.0.0.1:7071"}),
        (LOCAL, {"host": "[::1]:7071"}),
        (LOCAL, {"host": "my-app.example"}),
        (SHARED, {"host": "192.0.2.7:7071"}),
        (LOCAL, HERE | {"origin": "http://localhost:7071"}),
        (LOCAL, HERE | {"origin": "http://LOCALHOST:7071", "sec-fetch-site": "same-origin"}),
        (LOCAL, HERE | {"sec-fetch-site": "none"}),
        (SHARED, HERE | {"origin": "https://portal.example", "sec-fetch-site": "cross-site"}),
    ],
)
def test_callers_of_this_machine_reach_its_apis(access, headers):
    assert access.refusal(headers) is None


@pytest.mark.parametrize(
    ("access", "headers", "text"),
    [
        (LOCAL, {"host": "evil.example:7071"}, "Host 'evil.example:7071' is not served here"),
        (LOCAL, {}, "Host '' is not served here"),
        (LOCAL, {"host": "192.0.2.7"}, "Host '192.0.2.7' is not served here"),
        (LOCAL, HERE | {"origin": "http://evil.example"}, "Requests from http://evil.example"),
        (LOCAL, HERE | {"origin": "http://localhost:3000"}, "Name this origin in --cors"),
        (LOCAL, HERE | {"origin": "null"}, "Requests from null are refused"),
        (LOCAL, HERE | {"origin": "http://[x"}, "are refused"),
        (LOCAL, HERE | {"sec-fetch-site": "Cross-Site"}, "Requests from other sites"),
        (SHARED, HERE | {"origin": "https://other.example"}, "Requests from https://other"),
        (SHARED, {"host": "evil.example", "origin": "https://portal.example"}, "Host 'evil"),
    ],
)
def test_pages_of_strangers_do_not(access, headers, text):
    assert text in (access.refusal(headers) or "")


def test_without_keys_everything_is_open():
    assert LOCAL.opens("ADMIN", "f", None)


def test_with_keys_a_level_needs_one():
    state = HostState(None)
    keys = Keys(state)
    access = Access(keys=keys)
    assert not access.opens("FUNCTION", "f", None)
    assert access.opens("FUNCTION", "f", keys.function("f"))
    state.close()
