"""The driver of the reconnect machine, over a link that follows a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from durable_app.clock import SystemClock
from durable_app.connection.failures import LinkError, LinkFailure
from durable_app.connection.options import GrpcWorkerResiliencyOptions
from durable_app.worker.session import Phase, Session
from durable_app.worker.stream_consumer import StreamConsumer

QUICK = GrpcWorkerResiliencyOptions(
    hello_timeout_seconds=0.2,
    silent_disconnect_timeout_seconds=0.2,
    reconnect_backoff_base_seconds=0.001,
    reconnect_backoff_cap_seconds=0.001,
    min_recreate_interval_seconds=0,
)
FOREVER = object()


class Log(list[str]):
    """Tells that something was added."""

    def __init__(self):
        super().__init__()
        self.news = asyncio.Event()

    def append(self, entry):
        super().append(entry)
        self.news.set()


class Link:
    """Each Hello and each stream follows the next script; the last one stays open."""

    def __init__(self, *, hellos=(), streams=()):
        self.hellos = list(hellos)
        self.streams = list(streams)
        self.log = Log()
        self.open_streams = 0

    async def hello(self, timeout_s: float) -> None:
        self.log.append("hello")
        await self._follow(self.hellos.pop(0) if self.hellos else None)

    async def stream(self) -> AsyncGenerator[str | None, None]:
        assert not self.open_streams
        self.open_streams += 1
        self.log.append("stream")
        try:
            for step in self.streams.pop(0) if self.streams else [FOREVER]:
                if isinstance(step, str) or step is None:
                    yield step
                else:
                    await self._follow(step)
        finally:
            self.open_streams -= 1

    async def _follow(self, step: object) -> None:
        if step is FOREVER:
            await asyncio.Event().wait()
        elif isinstance(step, Exception):
            raise step

    async def replace_channel(self) -> None:
        self.log.append("replace")

    async def renew_token(self) -> None:
        self.log.append("renew")


def broken(failure=LinkFailure.TRANSPORT):
    return LinkError(failure, "it broke")


def consume(link, enough, options=QUICK):
    """Run until ``enough(items, link)``, then stop; gives the items."""
    items: list[str] = []

    def take(item):
        items.append(item)
        link.log.news.set()

    async def main():
        consumer = StreamConsumer(link, Session(options), take, SystemClock())
        running = asyncio.create_task(consumer.run())
        running.add_done_callback(lambda _: link.log.news.set())
        async with asyncio.timeout(10):
            while not enough(items, link) and not running.done():
                await link.log.news.wait()
                link.log.news.clear()
            consumer.stop()
            if not running.done():
                await consumer.closed.wait()
                assert consumer.phase is Phase.DRAINING
                assert not link.open_streams
            consumer.drained()
            await running

    asyncio.run(main())
    return items


def test_items_arrive_and_pings_do_not() -> None:
    link = Link(streams=[["a", None, "b", FOREVER]])
    assert consume(link, lambda items, _: len(items) == 2) == ["a", "b"]
    assert link.log == ["hello", "stream"]


def test_it_comes_back_after_every_way_to_end() -> None:
    link = Link(
        hellos=[broken(), ValueError("a credential of the user's")],
        streams=[["a"], ["b", broken()], ["c", RuntimeError("not decoded")], ["d", FOREVER]],
    )
    assert consume(link, lambda items, _: len(items) == 4) == ["a", "b", "c", "d"]
    assert link.log == ["hello"] * 3 + ["stream", "hello"] * 3 + ["stream"]


def test_a_hello_that_hangs_is_given_up() -> None:
    link = Link(hellos=[FOREVER], streams=[["a", FOREVER]])
    assert consume(link, lambda items, _: items == ["a"]) == ["a"]


def test_silence_is_noticed_and_the_channel_replaced() -> None:
    link = Link(streams=[["a", FOREVER], ["b", FOREVER]])
    assert consume(link, lambda items, _: len(items) == 2) == ["a", "b"]
    assert link.log == ["hello", "stream", "replace", "hello", "stream"]


def test_a_refused_token_is_renewed() -> None:
    link = Link(streams=[[broken(LinkFailure.UNAUTHENTICATED)], ["a", FOREVER]])
    assert consume(link, lambda items, _: items == ["a"]) == ["a"]
    assert link.log == ["hello", "stream", "renew", "hello", "stream"]


def test_what_is_no_hub_ends_it() -> None:
    link = Link(hellos=[broken(LinkFailure.NOT_A_HUB)])
    with pytest.raises(LinkError, match="it broke"):
        consume(link, lambda *_: False)


def test_the_log_tells_why_it_was_disconnected(caplog) -> None:
    link = Link(
        hellos=[broken()],
        streams=[["a"], ["b", FOREVER], ["c", RuntimeError("odd")], ["d", FOREVER]],
    )
    with caplog.at_level("INFO"):
        consume(link, lambda items, _: len(items) == 4)
    told = [record for record in caplog.records if record.message == "hub_disconnected"]
    assert [vars(record)["reason"] for record in told] == [
        "it broke",
        "The hub ended the stream.",
        "The stream brought nothing, no health ping either.",
        "RuntimeError: odd",
    ]
    assert sum(record.message == "hub_connected" for record in caplog.records) == 4


def test_stop_during_a_hello() -> None:
    link = Link(hellos=[FOREVER])
    assert consume(link, lambda _, link: link.log == ["hello"]) == []


def test_cancelling_leaves_nothing_behind() -> None:
    async def main():
        link = Link()
        consumer = StreamConsumer(link, Session(QUICK), print, SystemClock())
        running = asyncio.create_task(consumer.run())
        while "stream" not in link.log:
            await link.log.news.wait()
            link.log.news.clear()
        running.cancel()
        await asyncio.wait([running])
        assert consumer.closed.is_set()
        return link.open_streams, len(asyncio.all_tasks())

    assert asyncio.run(main()) == (0, 1)
