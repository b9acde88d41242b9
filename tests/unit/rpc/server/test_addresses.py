"""What a server can listen on."""

from __future__ import annotations

import socket

from durable_app.rpc.server.addresses import has_ipv6_address


def test_an_address_of_nobody_is_none_of_this_machine():
    # Of the range that is reserved for documentation.
    assert not has_ipv6_address("2001:db8::7")


def test_a_machine_without_the_protocol_has_none(monkeypatch):
    def refuse(*_args: object) -> None:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    assert not has_ipv6_address("::1")
