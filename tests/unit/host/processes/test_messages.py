"""What a host and its worker processes tell each other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from durable_app.host.console.console import Level, Origin
from durable_app.host.console.json_lines import json_line
from durable_app.host.processes.messages import (
    GO,
    ConsoleLine,
    Word,
    WorkerOrder,
    drain_line,
    read_command,
    read_report,
)

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


def test_commands_are_read_as_they_were_given() -> None:
    assert read_command(GO) is None
    assert read_command(drain_line(2.5)) == 2.5


@pytest.mark.parametrize("word", Word)
def test_words_are_read_as_they_were_said(word: Word) -> None:
    assert read_report(word.line().encode(), 1) is word


def test_a_line_of_the_console_keeps_all_that_it_has() -> None:
    stamp = "2026-05-04T10:00:00.250Z"
    line = json_line(
        stamp,
        Level.ERROR,
        "Function.work",
        "it failed",
        function="work",
        invocation_id="17",
        exception="a traceback",
    )

    found = read_report(line.encode(), 2)

    assert isinstance(found, ConsoleLine)
    assert found.time == datetime(2026, 5, 4, 10, 0, 0, 250_000, tzinfo=UTC)
    assert (found.level, found.text) == (Level.ERROR, "it failed")
    assert found.origin == Origin("Function.work", "work", "17", "a traceback", 2)


def test_a_line_may_have_no_time() -> None:
    found = read_report(json_line(None, Level.WARNING, "Host", "beware").encode(), 1)
    assert isinstance(found, ConsoleLine)
    assert (found.time, found.level) == (None, Level.WARNING)


@pytest.mark.parametrize("line", [b"", b"half of", b"[]", b"{}", b'{"said": "more"}'])
def test_what_is_no_report_is_refused(line: bytes) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        read_report(line, 1)
