"""A worker's stream of work over a real channel: the machine, its driver and the link together."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from durable_app.clock import SystemClock
from durable_app.connection.endpoint import parse_endpoint
from durable_app.connection.failures import LinkError, LinkFailure
from durable_app.connection.options import GrpcWorkerResiliencyOptions
from durable_app.rpc.call_headers import CallHeaders
from durable_app.rpc.connect import HubAccess, connect_async
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.work_link import GrpcWorkLink
from durable_app.worker.session import Session
from durable_app.worker.stream_consumer import StreamConsumer
from tests.unit.rpc.hub_server import PREFIX

QUICK = GrpcWorkerResiliencyOptions(
    hello_timeout_seconds=2,
    silent_disconnect_timeout_seconds=0.3,
    reconnect_backoff_base_seconds=0.001,
    reconnect_backoff_cap_seconds=0.001,
    min_recreate_interval_seconds=0,
)
PING = b"ping"
CLOCK = SystemClock()
WITH_BATCHES = pb.HelloResponse(hasBatches=True).SerializeToString()


class Hub(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Each stream sends the next script: bytes, a status to end with, or ``...`` to stay open.

    ``hellos`` are statuses and answers; after them it repeats what it is told.
    """

    def __init__(self, *streams: list[Any], hellos: tuple[grpc.StatusCode | bytes, ...] = ()):
        self.streams = list(streams)
        self.hellos = list(hellos)
        self.asked: list[str] = []
        self.open = 0
        self.most_open = 0
        self.opened = 0

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method == PREFIX + "Hello":
            return grpc.unary_unary_rpc_method_handler(self.hello)
        self.asked.append(handler_call_details.method.rpartition("/")[2])
        return grpc.unary_stream_rpc_method_handler(self.work)

    async def hello(self, request: bytes, context: Any) -> bytes:
        answer = self.hellos.pop(0) if self.hellos else request
        if isinstance(answer, grpc.StatusCode):
            await context.abort(answer, "as the script says")
        return answer

    async def work(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.open += 1
        self.opened += 1
        self.most_open = max(self.most_open, self.open)
        try:
            for step in self.streams.pop(0) if self.streams else [...]:
                if isinstance(step, bytes):
                    yield step
                elif isinstance(step, grpc.StatusCode):
                    await context.abort(step, "as the script says")
                else:
                    await asyncio.Event().wait()
        finally:
            self.open -= 1

    async def serve(self, port: int = 0) -> tuple[Any, int]:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((self,))
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        return server, port


class Worker:
    """What a worker does with its connection; an async context manager."""

    def __init__(self, port: int, options: GrpcWorkerResiliencyOptions = QUICK) -> None:
        endpoint = parse_endpoint(f"127.0.0.1:{port}", "test", encrypted=False)
        self.channel = connect_async(HubAccess(endpoint, CallHeaders("hub", "test"), "s"), CLOCK)
        self.items: list[bytes] = []
        self.news = asyncio.Event()
        link = GrpcWorkLink(self.channel, b"filter", lambda data: None if data == PING else data)
        self.consumer = StreamConsumer(link, Session(options), self.take, CLOCK)
        self.running = asyncio.create_task(self.consumer.run())

    def take(self, item: bytes) -> None:
        self.items.append(item)
        self.news.set()

    async def until(self, count: int) -> list[bytes]:
        async with asyncio.timeout(15):
            while len(self.items) < count:
                await self.news.wait()
                self.news.clear()
        return self.items

    async def __aenter__(self) -> Worker:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.consumer.stop()
        self.consumer.drained()
        try:
            async with asyncio.timeout(10):
                await self.running
        finally:
            await self.channel.close()


def test_items_arrive_and_the_stream_comes_back_after_every_end() -> None:
    code = grpc.StatusCode

    async def main():
        hub = Hub(
            [b"a", PING],
            [b"b", code.UNAVAILABLE],
            [b"c", code.INTERNAL],
            [b"d", code.UNAUTHENTICATED],
            [b"e", ...],  # falls silent
            [b"f", ...],
            hellos=(code.PERMISSION_DENIED,),
        )
        server, port = await hub.serve()
        async with Worker(port) as worker:
            assert await worker.until(6) == [b"a", b"b", b"c", b"d", b"e", b"f"]
        await server.stop(None)
        assert hub.most_open == 1
        async with asyncio.timeout(5):
            while hub.open:  # noqa: ASYNC110  gRPC ends the generator of a cut stream by and by
                await asyncio.sleep(0.001)

    asyncio.run(main())


@pytest.mark.parametrize("answer", [b"", b"\xff\xff", b"\x0a\x03abc"])
def test_who_does_not_tell_of_batches_is_asked_for_single_items(answer) -> None:
    async def main():
        hub = Hub([b"a", ...], hellos=(answer,))
        server, port = await hub.serve()
        async with Worker(port) as worker:
            assert await worker.until(1) == [b"a"]
        await server.stop(None)
        assert hub.asked == ["GetWorkItems"]

    asyncio.run(main())


def test_batches_give_their_items_one_by_one() -> None:
    async def main():
        batches = [[], [b"a", b"b"], [b"c"]]
        sent = [pb.WorkItemBatch(items=items).SerializeToString() for items in batches]
        hub = Hub([*sent, ...], hellos=(WITH_BATCHES,))
        server, port = await hub.serve()
        async with Worker(port) as worker:
            assert await worker.until(3) == [b"a", b"b", b"c"]
        await server.stop(None)
        assert hub.asked == ["GetWorkItemBatches"]

    asyncio.run(main())


def test_after_a_batch_that_cannot_be_read_another_stream_follows() -> None:
    async def main():
        batch = pb.WorkItemBatch(items=[b"a"]).SerializeToString()
        hub = Hub([batch, b"no batch", ...], [batch, ...], hellos=(WITH_BATCHES,) * 2)
        server, port = await hub.serve()
        async with Worker(port) as worker:
            assert await worker.until(2) == [b"a", b"a"]
        await server.stop(None)
        assert hub.most_open == 1

    asyncio.run(main())


def test_each_greeting_asks_anew() -> None:
    async def main():
        batch = pb.WorkItemBatch(items=[b"a"]).SerializeToString()
        code = grpc.StatusCode
        hub = Hub(
            [batch, code.UNAVAILABLE],
            [b"b", code.UNAVAILABLE],
            [code.UNIMPLEMENTED],  # behind one address are hubs of several versions
            [batch, ...],
            hellos=(WITH_BATCHES, b"", WITH_BATCHES, WITH_BATCHES),
        )
        server, port = await hub.serve()
        async with Worker(port) as worker:
            assert await worker.until(3) == [b"a", b"b", b"a"]
        await server.stop(None)
        batches, single = "GetWorkItemBatches", "GetWorkItems"
        assert hub.asked == [batches, single, batches, batches]

    asyncio.run(main())


def test_a_server_that_comes_back_on_its_port_is_found_again() -> None:
    async def main():
        first, second = Hub([b"a", ...]), Hub([b"b", ...])
        server, port = await first.serve()
        async with Worker(port) as worker:
            await worker.until(1)
            await server.stop(None)
            server, _ = await second.serve(port)
            assert await worker.until(2) == [b"a", b"b"]
        await server.stop(None)

    asyncio.run(main())


def test_what_is_no_hub_is_told() -> None:
    async def main():
        server, port = await Hub(hellos=(grpc.StatusCode.UNIMPLEMENTED,)).serve()
        with pytest.raises(LinkError, match=r"Hello: UNIMPLEMENTED: .*no task hub") as caught:
            async with Worker(port) as worker:
                await worker.running
        assert caught.value.failure is LinkFailure.NOT_A_HUB
        await server.stop(None)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Hello: UNAVAILABLE: as the script says. Try http."),
        (grpc.StatusCode.NOT_FOUND, "Hello: NOT_FOUND: as the script says."),
    ],
)
def test_only_who_is_not_answered_gets_a_hint(code, text) -> None:
    async def main():
        server, port = await Hub(hellos=(code,) * 9).serve()
        endpoint = parse_endpoint(f"127.0.0.1:{port}", "test", encrypted=False)
        channel = connect_async(HubAccess(endpoint, CallHeaders("hub", "test"), "s"), CLOCK)
        link = GrpcWorkLink(channel, b"", bytes, " Try http.")
        with pytest.raises(LinkError) as caught:
            await link.hello(5)
        assert str(caught.value) == text
        await channel.close()
        await server.stop(None)

    asyncio.run(main())


def test_a_channel_that_is_closed_under_a_stream_ends_it_with_a_failure() -> None:
    async def main():
        server, port = await Hub([b"a", ...]).serve()
        endpoint = parse_endpoint(f"127.0.0.1:{port}", "test", encrypted=False)
        channel = connect_async(HubAccess(endpoint, CallHeaders("hub", "test"), "s"), CLOCK)
        stream = GrpcWorkLink(channel, b"", bytes).stream()
        assert await anext(stream) == b"a"
        await channel.close()
        with pytest.raises(LinkError, match="The channel was closed") as caught:
            await anext(stream)
        assert caught.value.failure is LinkFailure.TRANSPORT
        await server.stop(None)

    asyncio.run(main())


class Proxy:
    """Passes bytes on; ``black_hole`` swallows what comes over the connections of now."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._swallows: list[asyncio.Event] = []
        self._pumps: set[asyncio.Task[None]] = set()
        self.connections = 0

    async def serve(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def black_hole(self) -> None:
        for swallow in self._swallows:
            swallow.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        swallow = asyncio.Event()
        self._swallows.append(swallow)
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._port)
        for source, target in ((reader, there_writer), (there_reader, writer)):
            pump = asyncio.create_task(self._pump(source, target, swallow))
            self._pumps.add(pump)

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, swallow: asyncio.Event
    ) -> None:
        try:
            while data := await source.read(65536):
                if not swallow.is_set():
                    target.write(data)
                    await target.drain()
        except OSError:
            return
        finally:
            target.close()

    async def close(self) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.wait(self._pumps)


def test_a_silent_black_hole_is_noticed_and_left_by_another_connection() -> None:
    async def main():
        hub = Hub([b"a", ...], [b"b", ...])
        server, port = await hub.serve()
        proxy = Proxy(port)
        async with Worker(await proxy.serve()) as worker:
            await worker.until(1)
            proxy.black_hole()
            async with asyncio.timeout(5):
                assert await worker.until(2) == [b"a", b"b"]
            assert proxy.connections == 2
        await proxy.close()
        await server.stop(None)

    asyncio.run(main())


@pytest.mark.chaos
def test_reconnects_leave_nothing_behind(chaos_scale) -> None:
    """Every other one with another channel; neither threads nor tasks nor channels pile up."""
    rounds = 30 * chaos_scale

    async def main():
        hub = Hub(*[[b"x", grpc.StatusCode.UNAVAILABLE]] * rounds)
        server, port = await hub.serve()
        async with Worker(port) as worker:
            await worker.until(2)
            tasks, threads = len(asyncio.all_tasks()), threading.active_count()
            while len(worker.items) < rounds:
                await worker.until(len(worker.items) + 1)
                worker.channel.replace()
            assert len(asyncio.all_tasks()) <= tasks + 4
            assert threading.active_count() <= threads + 2
        await server.stop(None)
        assert hub.most_open == 1

    asyncio.run(main())
    gc.collect()
    assert sum(isinstance(thing, grpc.aio.Channel) for thing in gc.get_objects()) <= 2
