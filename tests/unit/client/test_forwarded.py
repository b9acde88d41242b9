import pytest

from durable_app.client.forwarded import public_origin

URL = "http://localhost:7071/runtime/webhooks/durabletask/instances/i?x=http://evil/"


def test_untrusted_headers_change_nothing():
    headers = {
        "forwarded": "proto=https;host=evil.example",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "evil.example",
        "x-forwarded-prefix": "/evil",
    }
    assert public_origin(URL, headers, trust_forwarded=False) == "http://localhost:7071"


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({}, "http://localhost:7071"),
        ({"x-forwarded-proto": "https"}, "https://localhost:7071"),
        ({"x-forwarded-proto": "HTTPS, http"}, "https://localhost:7071"),
        ({"x-forwarded-host": "a.example:8443 , b"}, "http://a.example:8443"),
        ({"x-forwarded-host": "[2001:db8::1]:1"}, "http://[2001:db8::1]:1"),
        ({"x-forwarded-prefix": "/durable/v1/"}, "http://localhost:7071/durable/v1"),
        ({"forwarded": "for=10.0.0.1;proto=https;host=a.example"}, "https://a.example"),
        ({"forwarded": 'Host="a.example:1" ; Proto=https, host=b'}, "https://a.example:1"),
        ({"forwarded": 'for="[2001:db8::1]:4711";host="a.example"'}, "http://a.example"),
        ({"forwarded": "for=x;", "x-forwarded-host": "a.example"}, "http://a.example"),
        ({"forwarded": "host=a.example", "x-forwarded-host": "b"}, "http://a.example"),
        ({"forwarded": "host=a.example;host=b.example"}, "http://a.example"),
    ],
)
def test_a_trusted_proxy_says_where_it_is_reached(headers, origin):
    assert public_origin(URL, headers, trust_forwarded=True) == origin


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-proto": "javascript"},
        {"x-forwarded-host": "a/b"},
        {"x-forwarded-host": "user@a"},
        {"x-forwarded-host": "a:x"},
        {"x-forwarded-host": "a\r\nLocation: b"},
        {"x-forwarded-prefix": "durable"},
        {"x-forwarded-prefix": "//evil.example"},
        {"x-forwarded-prefix": "/a/../b"},
        {"x-forwarded-prefix": "/a?b"},
        {"x-forwarded-prefix": "/"},
        {"forwarded": "host"},
        {"forwarded": 'host="a b"'},
    ],
)
def test_what_cannot_be_part_of_a_url_is_ignored(headers):
    assert public_origin(URL, headers, trust_forwarded=True) == "http://localhost:7071"


@pytest.mark.parametrize("url", ["", "/relative", "http://[/x"])
def test_a_url_without_an_origin_has_none(url):
    assert public_origin(url, {"x-forwarded-host": "a"}, trust_forwarded=True) == ""
