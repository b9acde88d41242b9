"""What the console tells about a connection."""

from __future__ import annotations

import pytest

from durable_app.compose.link_lines import LinkLines, LogLines
from durable_app.connection.endpoint import parse_endpoint
from durable_app.connection.failures import LinkFailure
from durable_app.connection.target import HubTarget
from durable_app.host.console.console import Console, Level

TARGET = HubTarget(parse_endpoint("http://localhost:9", "test", encrypted=False), "orders")
REFUSED = "Hello: UNAVAILABLE: Connection refused."
CUT = "the stream of work: UNAVAILABLE: Stream removed (Socket closed)."


class Lines(Console):
    """Keeps what it is told."""

    def __init__(self):
        self.lines: list[str] = []

    def always(self, text, level=Level.INFORMATION):
        self.lines.append(text)


def test_connections_are_told_and_counted():
    console = Lines()
    link = LinkLines(console, TARGET)
    assert link.problem is not None
    link.disconnected(LinkFailure.TRANSPORT, REFUSED, 0.5)
    link.connected(2)
    assert [link.problem, link.connections] == [None, 1]
    link.disconnected(None, "The hub ended the stream.", 0.1)
    link.connected(3)
    assert console.lines == [
        "No connection to task hub 'orders' at http://localhost:9 (Authentication=None):"
        f" {REFUSED} Nothing listens on localhost:9. Start a hub with `func hub start`."
        " Next attempt in 0.5 s.",
        "Connected to task hub 'orders' at http://localhost:9 (attempt 2).",
        "Connection lost to task hub 'orders' at http://localhost:9 (Authentication=None):"
        " The hub ended the stream. Next attempt in 0.1 s.",
        "Connected again to task hub 'orders' at http://localhost:9.",
    ]


@pytest.mark.parametrize("address", ["http://localhost:9", "https://localhost:9", "http://far:9"])
def test_a_link_that_worked_and_was_cut_needs_no_other_address(address):
    console = Lines()
    link = LinkLines(console, HubTarget(parse_endpoint(address, "test", encrypted=True), "orders"))
    link.connected(1)
    link.disconnected(LinkFailure.TRANSPORT, CUT, 0.1)
    assert link.problem == CUT
    assert console.lines[-1].endswith(f"{CUT} Next attempt in 0.1 s.")
    link.disconnected(LinkFailure.TRANSPORT, "Hello: Connection refused.", 0.1)
    assert "Nothing listens" in console.lines[-1]


def test_the_same_reason_is_told_now_and_then():
    console = Lines()
    link = LinkLines(console, TARGET)
    for _ in range(21):
        link.disconnected(LinkFailure.TRANSPORT, REFUSED, 1)
    assert len(console.lines) == 3
    link.disconnected(LinkFailure.UNAUTHENTICATED, "no", 1)
    assert "(401)" in console.lines[-1]


def test_a_program_finds_the_reason_in_its_log(caplog):
    caplog.set_level("INFO", logger="durable_app")
    link = LinkLines(LogLines(), TARGET, "'orders' there")
    link.disconnected(LinkFailure.TRANSPORT, REFUSED, 0.5)
    link.connected(2)
    told = [(record.levelname, record.message) for record in caplog.records]
    assert told == [
        (
            "WARNING",
            f"No connection to task hub 'orders' there: {REFUSED} Nothing listens on localhost:9."
            " Start a hub with `func hub start`. Next attempt in 0.5 s.",
        ),
        ("INFO", "Connected to task hub 'orders' at http://localhost:9 (attempt 2)."),
    ]
