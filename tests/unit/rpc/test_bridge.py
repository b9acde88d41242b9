"""Channels for threads in the place of those for event loops."""

from __future__ import annotations

import asyncio
import threading

import grpc
import grpc.aio
import pytest

from durable_app.rpc.bridge import BridgedChannel
from durable_app.rpc.connect import SyncConnection


class Refused(grpc.RpcError):  # type: ignore[misc]  # grpc has no types
    def code(self):
        return grpc.StatusCode.NOT_FOUND

    def details(self):
        return "not here"


class Stream:
    """Answers, then an error if there is one."""

    def __init__(self, answers, error=None):
        self._answers = iter(answers)
        self._error = error
        self.is_cancelled = False

    def __next__(self):
        for answer in self._answers:
            return answer
        if self._error is not None:
            raise self._error
        raise StopIteration

    def cancel(self):
        self.is_cancelled = True


class Connection(SyncConnection):
    """Tells what is done to it."""

    def __init__(self, call=None):
        self.channel = self
        self.done = []
        self._call = call

    def unary_unary(self, path, *codecs):
        return self._call

    unary_stream = unary_unary

    def replace(self):
        self.done.append("replace")
        return True

    def renew_token(self):
        self.done.append("renew")

    def close(self):
        self.done.append("close")


def test_a_call_waits_on_a_thread_and_its_status_is_translated():
    threads = []

    def call(request, timeout):
        threads.append(threading.current_thread())
        if request == "bad":
            raise Refused
        return request, timeout

    async def run():
        begin = BridgedChannel(Connection(call)).unary_unary("/x/y")
        assert await begin("good", timeout=3) == ("good", 3)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await begin("bad")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert caught.value.details() == "not here"

    asyncio.run(run())
    assert threading.main_thread() not in threads


def test_errors_that_are_no_status_stay_what_they_are():
    def call(request, timeout):
        raise ValueError("closed")

    async def run():
        with pytest.raises(ValueError, match="closed"):
            await BridgedChannel(Connection(call)).unary_unary("/x/y")("any")

    asyncio.run(run())


def test_whoever_is_cancelled_does_not_wait():
    go = threading.Event()

    async def run():
        begin = BridgedChannel(Connection(lambda *_, **__: go.wait(10))).unary_unary("/x/y")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await begin("any")
        go.set()
        await asyncio.sleep(0.02)  # the late answer finds nobody

    asyncio.run(run())


def test_streams_bring_answers_and_are_cancelled_at_their_end():
    stream = Stream([1, 2], Refused())

    async def run():
        answers = BridgedChannel(Connection(lambda *_, **__: stream)).unary_stream("/x/y")("any")
        assert [await anext(answers), await anext(answers)] == [1, 2]
        with pytest.raises(grpc.aio.AioRpcError):
            await anext(answers)

    asyncio.run(run())
    assert stream.is_cancelled


def test_the_connection_is_replaced_renewed_and_closed():
    connection = Connection()

    async def run():
        channel = BridgedChannel(connection)
        assert channel.replace()
        await channel.renew_token()
        await channel.close()

    asyncio.run(run())
    assert connection.done == ["replace", "renew", "close"]
