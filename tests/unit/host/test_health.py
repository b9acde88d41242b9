"""The port for those who watch over a process."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Any

import aiohttp
import pytest

from durable_app.errors import ConfigError
from durable_app.host.health import HealthServer, Metric, Sample, as_text


def ask(path: str, problem: str | None = None) -> tuple[int, str, str]:
    """Status, content type and text of the answer."""

    async def play() -> tuple[int, str, str]:
        metrics = [Metric("up", "gauge", "It is up.", [Sample(1)])]
        server = HealthServer(lambda: problem, lambda: metrics)
        port = await server.start("127.0.0.1", 0)
        try:
            url = f"http://127.0.0.1:{port}{path}"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status, answer.headers.get("Content-Type", ""), await answer.text()
        finally:
            await server.stop()
            await server.stop()

    return asyncio.run(play())


def test_a_healthy_process_says_so_without_a_word():
    assert ask("/healthz")[::2] == (204, "")


def test_an_unhealthy_one_says_why():
    assert ask("/healthz", "the disk is gone")[::2] == (503, "the disk is gone")


def test_metrics_are_in_the_format_of_prometheus():
    status, kind, text = ask("/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert text == "# HELP up It is up.\n# TYPE up gauge\nup{} 1\n"


def test_nothing_else_is_there():
    assert ask("/")[0] == 404


def test_who_speaks_something_else_is_answered_without_a_word_in_the_log(caplog):
    async def play() -> bytes:
        server = HealthServer(lambda: None, list)
        port = await server.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
        answer = await reader.readline()
        writer.close()
        await server.stop()
        return answer

    assert b"400" in asyncio.run(play())
    assert caplog.records == []


def test_labels_are_escaped():
    samples = [Sample(0.5, {"hub": 'a"b\\c\nd', "kind": "x"}), Sample(12345678)]
    text = as_text([Metric("n", "counter", "h", samples)])
    assert text.splitlines()[2:] == ['n{hub="a\\"b\\\\c\\nd",kind="x"} 0.5', "n{} 12345678"]


def test_a_port_that_is_taken_is_named():
    async def play() -> Any:
        first = HealthServer(lambda: None, list)
        port = await first.start("127.0.0.1", 0)
        try:
            text = f"127.0.0.1:{port}: {os.strerror(errno.EADDRINUSE)}. .*--health-port"
            with pytest.raises(ConfigError, match=text):
                await HealthServer(lambda: None, list).start("127.0.0.1", port)
        finally:
            await first.stop()

    asyncio.run(play())
