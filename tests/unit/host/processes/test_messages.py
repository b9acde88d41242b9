"""What a host and its worker processes tell each other."""

from __future__ import annotations

import pytest

from durable_app.host.processes.messages import WorkerOrder

ORDER = WorkerOrder("/app", "orders", "http://localhost:7071", "DTS", code="secret code")


def test_an_order_is_read_as_it_was_given() -> None:
    order = ORDER.at("unix:/run/1.sock", "secret token")
    assert (order.target, order.token) == ("unix:/run/1.sock", "secret token")
    assert WorkerOrder.read(order.line()) == order


def test_what_is_no_order_is_refused() -> None:
    with pytest.raises(ValueError, match="malformed"):
        WorkerOrder.read(b"hello\n")


def test_an_order_shows_no_secret() -> None:
    order = ORDER.at("unix:/run/1.sock", "secret token")
    assert "secret" not in f"{order!r} {order}"
