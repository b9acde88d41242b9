"""Addresses of hubs."""

from __future__ import annotations

import pytest

from durable_app.connection.endpoint import connection_hint, is_loopback, parse_endpoint
from durable_app.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "encrypted", "target", "is_encrypted"),
    [
        ("https://x.io", False, "x.io:443", True),
        ("http://x.io/", True, "x.io:80", False),
        ("GRPCS://X.io:1", False, "x.io:1", True),
        ("grpc://x.io", True, "x.io:80", False),
        ("x.io:5", True, "x.io:5", True),
        ("x.io", True, "x.io:443", True),
        (" x.io ", False, "x.io:80", False),
        ("[::1]:8080", False, "[::1]:8080", False),
        ("::1", True, "[::1]:443", True),
        ("http://[::1]", True, "[::1]:80", False),
        ("unix:/run/hub.sock", True, "unix:/run/hub.sock", False),
        ("unix:///run/hub.sock", False, "unix:///run/hub.sock", False),
    ],
)
def test_addresses(text, encrypted, target, is_encrypted) -> None:
    endpoint = parse_endpoint(text, "host_address", encrypted=encrypted)
    assert (endpoint.target, endpoint.is_encrypted) == (target, is_encrypted)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no host"),
        ("http://", "names no host"),
        ("http://x:99999", "a port is a number between 1 and 65535"),
        ("http://x:0", "0 is no port"),
        ("http://x:y", "Invalid endpoint URL"),
        ("http://[", "Invalid endpoint URL"),
        ("amqp://x", "scheme 'amqp' is not known"),
        ("http://u:p@x", "user name or password"),
        ("https://dashboard.durabletask.io/subscriptions/1", "not the address of a page"),
        ("http://x?y", "not the address of a page"),
        ("a b", "no spaces"),
        ("a\nb", "no spaces"),
        ("unix:", "names no socket"),
        ("unix://", "names no socket"),
    ],
)
def test_what_is_no_address(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match="host_address: ") as caught:
        parse_endpoint(text, "host_address", encrypted=False)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "local", "authority"),
    [
        ("http://localhost:1", True, "http://localhost:1"),
        ("https://127.0.0.1", True, "https://127.0.0.1:443"),
        ("unix:/x", True, "unix:/x"),
        ("https://x.westus2.durabletask.io", False, "https://x.westus2.durabletask.io:443"),
    ],
)
def test_what_is_local(text: str, local: bool, authority: str) -> None:
    endpoint = parse_endpoint(text, "e", encrypted=False)
    assert endpoint.is_local is local
    assert endpoint.authority == authority
    assert endpoint.is_azure is not local


@pytest.mark.parametrize("host", ["localhost", "a.LOCALHOST", "127.3.2.1", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "localhost.example", "hub"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("https://localhost:8080", "speak no TLS: use http://localhost:8080."),
        ("http://localhost:8082", "8082 is the port of the dashboard"),
        ("http://x.westus2.durabletask.io", "use https://x.westus2.durabletask.io."),
        ("http://localhost:8080", ""),
        ("https://x.westus2.durabletask.io", ""),
    ],
)
def test_what_may_be_the_matter(text: str, hint: str) -> None:
    found = connection_hint(parse_endpoint(text, "e", encrypted=False))
    assert hint in found
    assert bool(hint) is bool(found)
