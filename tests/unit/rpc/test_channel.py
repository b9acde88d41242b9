"""Channels that are replaced under their callers, over a real server."""

from __future__ import annotations

import asyncio
import threading

import grpc
import grpc.aio
import pytest

from durable_app.clock import SystemClock
from durable_app.connection.endpoint import parse_endpoint
from durable_app.connection.options import GrpcChannelOptions
from durable_app.rpc.async_channel import AsyncReplaceableChannel
from durable_app.rpc.call_headers import CallHeaders
from durable_app.rpc.channel import (
    ChannelOwnership,
    channel_arguments,
    make_async_channel,
    make_channel,
)
from durable_app.rpc.interceptors import CallRules
from durable_app.rpc.sync_channel import ReplaceableChannel
from durable_app.rpc.token_cache import AsyncTokenCache
from tests.unit.rpc.hub_server import PREFIX, hub_server

OWNED, BORROWED = ChannelOwnership.OWNED, ChannelOwnership.BORROWED


def endpoint(hub):
    return parse_endpoint(f"127.0.0.1:{hub.port}", "test", encrypted=False)


class Factory:
    """Makes channels to a hub and counts those that were closed."""

    def __init__(self, hub, make=make_channel):
        self.made = []
        self.closed = []
        self.changed = threading.Condition()
        self._endpoint = endpoint(hub)
        self._make = make

    def __call__(self):
        channel = self._make(self._endpoint)
        close = channel.close

        def closing(*args):
            with self.changed:
                self.closed.append(channel)
                self.changed.notify_all()
            return close(*args)

        channel.close = closing
        self.made.append(channel)
        return channel

    def wait_until_closed(self, channels):
        with self.changed:
            return self.changed.wait_for(lambda: set(self.closed) >= set(channels), timeout=5)


def retired_threads():
    return [thread for thread in threading.enumerate() if thread.name == "retired-channel"]


def test_arguments_of_channels() -> None:
    plain = dict(channel_arguments(None))
    assert plain["grpc.max_receive_message_length"] == 64 * 1024 * 1024
    assert plain["grpc.keepalive_time_ms"] == 120_000
    assert plain["grpc.http2.ping_timeout_ms"] == plain["grpc.keepalive_timeout_ms"] == 20_000
    assert plain["grpc.min_reconnect_backoff_ms"] == 5_000
    assert plain["grpc.keepalive_permit_without_calls"] == 0
    assert plain["grpc.enable_retries"] == 0
    assert plain["grpc.max_reconnect_backoff_ms"] == 5_000
    near = dict(channel_arguments(None, is_local=True))
    assert dict(near.items() - plain.items()) == {
        "grpc.max_reconnect_backoff_ms": 1_000,
        "grpc.enable_http_proxy": 0,
    }
    chosen = dict(
        channel_arguments(
            GrpcChannelOptions(
                max_send_message_length=-1,
                keepalive_timeout_ms=5,
                keepalive_permit_without_calls=True,
                raw_options=[("grpc.enable_retries", 1), ("x", "y")],
            )
        )
    )
    assert chosen["grpc.max_send_message_length"] == -1
    assert chosen["grpc.http2.ping_timeout_ms"] == chosen["grpc.keepalive_timeout_ms"] == 5
    assert chosen["grpc.keepalive_permit_without_calls"] == 1
    assert (chosen["grpc.enable_retries"], chosen["x"]) == (1, "y")


def test_all_ways_to_call_over_a_replaceable_channel() -> None:
    with hub_server() as hub, ReplaceableChannel(Factory(hub), OWNED) as channel:
        get = channel.unary_unary(PREFIX + "GetInstance")
        assert get(b"a", timeout=5) == b"a"
        answer, call = get.with_call(b"b", timeout=5)
        assert (answer, call.code()) == (b"b", grpc.StatusCode.OK)
        assert get.future(b"c", timeout=5).result() == b"c"
        history = channel.unary_stream(PREFIX + "StreamInstanceHistory")
        assert list(history(b"d", timeout=5)) == [b"d"]


def test_the_rest_of_the_interface_is_the_present_channels() -> None:
    with hub_server() as hub, ReplaceableChannel(Factory(hub), OWNED) as channel:
        ready = threading.Event()

        def watch(state):
            if state is grpc.ChannelConnectivity.READY:
                ready.set()

        channel.subscribe(watch, try_to_connect=True)
        assert ready.wait(5)
        channel.unsubscribe(watch)
        for make in (channel.stream_unary, channel.stream_stream):
            assert make(PREFIX + "GetInstance") is not None


def test_calls_go_on_over_the_next_channel_and_an_idle_one_is_closed_at_once() -> None:
    with hub_server() as hub:
        factory = Factory(hub)
        channel = ReplaceableChannel(factory, OWNED)
        get = channel.unary_unary(PREFIX + "GetInstance")
        for _ in range(3):
            assert get(b"a", timeout=5) == b"a"
            assert channel.replace()
        assert factory.wait_until_closed(factory.made[:3])
        assert factory.made[3] not in factory.closed
        channel.close()
        channel.close()
        assert set(factory.closed) == set(factory.made)
        assert not channel.replace()
        assert factory.wait_until_closed(factory.made)
        with pytest.raises(ValueError, match="closed channel"):
            get(b"a")


@pytest.mark.parametrize("kind", ["stream", "future"])
def test_a_retired_channel_is_closed_when_its_last_call_has_ended(kind) -> None:
    with hub_server() as hub:
        hub.script["GetInstance"] = [lambda _: hub.release.wait(10) and b"done"]
        factory = Factory(hub)
        with ReplaceableChannel(factory, OWNED) as channel:
            if kind == "stream":
                call = channel.unary_stream(PREFIX + "StreamInstanceHistory")(b"stay", timeout=9)
                assert next(call) == b"stay"
            else:
                call = channel.unary_unary(PREFIX + "GetInstance").future(b"", timeout=9)
            assert channel.replace()
            assert factory.closed == []
            hub.release.set()
            assert list(call) == [b"end"] if kind == "stream" else call.result() == b"done"
            assert factory.wait_until_closed(factory.made[:1])
        assert retired_threads() == []


def test_a_retired_channel_waits_for_all_of_its_calls() -> None:
    with hub_server() as hub:
        factory = Factory(hub)
        with ReplaceableChannel(factory, OWNED) as channel:
            history = channel.unary_stream(PREFIX + "StreamInstanceHistory")
            call = history(b"stay", timeout=9)
            assert next(call) == b"stay"
            channel.replace()
            assert list(history(b"b", timeout=9)) == [b"b"]
            present = channel.enter()
            assert channel.unary_unary(PREFIX + "GetInstance")(b"a", timeout=5) == b"a"
            assert not present.is_idle()
            present.leave()
            hub.release.set()
            assert list(call) == [b"end"]


def test_a_call_that_has_ended_already_holds_nothing() -> None:
    class Ended:
        def add_callback(self, callback):
            return False

    class Channel:
        def __init__(self):
            self.closed = threading.Event()

        def unary_stream(self, *_):
            return lambda _: Ended()

        def close(self):
            self.closed.set()

    first = Channel()
    made = [Channel(), first]
    with ReplaceableChannel(made.pop, OWNED) as channel:
        channel.unary_stream("m")(b"")
        channel.replace()
        assert first.closed.wait(5)


def test_a_retired_channel_is_closed_after_the_grace_period() -> None:
    with hub_server() as hub:
        factory = Factory(hub)
        with ReplaceableChannel(factory, OWNED, grace_s=0.05) as channel:
            call = channel.unary_stream(PREFIX + "StreamInstanceHistory")(b"stay", timeout=9)
            assert next(call) == b"stay"
            channel.replace()
            with pytest.raises(grpc.RpcError) as caught:
                next(call)
            assert caught.value.code() is grpc.StatusCode.CANCELLED


def test_closing_does_not_wait_for_retired_channels() -> None:
    with hub_server() as hub:
        factory = Factory(hub)
        channel = ReplaceableChannel(factory, OWNED, grace_s=1000)
        call = channel.unary_stream(PREFIX + "StreamInstanceHistory")(b"stay", timeout=9)
        assert next(call) == b"stay"
        channel.replace()
        channel.close()
        assert set(factory.closed) == set(factory.made)
        assert retired_threads() == []


def test_a_borrowed_channel_is_neither_replaced_nor_closed() -> None:
    with hub_server() as hub:
        factory = Factory(hub)
        given = factory()
        channel = ReplaceableChannel(lambda: given, BORROWED)
        assert not channel.replace()
        channel.close()
        assert factory.closed == []
        assert given.unary_unary(PREFIX + "GetInstance")(b"a", timeout=5) == b"a"
        given.close()


def test_a_call_that_cannot_begin_holds_nothing() -> None:
    with hub_server() as hub:
        factory = Factory(hub)
        with ReplaceableChannel(factory, OWNED) as channel:
            stream = channel.unary_stream(PREFIX + "StreamInstanceHistory", str.encode)
            for call in (stream, channel.unary_unary(PREFIX + "GetInstance").future):
                with pytest.raises(TypeError):
                    call(b"x", nonsense=1)
            channel.replace()
            assert factory.wait_until_closed(factory.made[:1])


# ---------------------------------------------------------------------------------------------
# The same on an event loop
# ---------------------------------------------------------------------------------------------


def async_channel(make, ownership=OWNED, **options):
    rules: CallRules[AsyncTokenCache] = CallRules(CallHeaders("hub", "test"), SystemClock())
    return AsyncReplaceableChannel(make, ownership, lambda _: rules, **options)


def test_async_calls_go_on_over_the_next_channel() -> None:
    async def main(hub):
        factory = Factory(hub, make_async_channel)
        channel = async_channel(factory)
        get = channel.unary_unary(PREFIX + "GetInstance")
        for _ in range(3):
            assert await get(b"a", timeout=5) == b"a"
            assert channel.replace()
        history = channel.unary_stream(PREFIX + "StreamInstanceHistory")
        assert [item async for item in history(b"d", timeout=5)] == [b"d"]
        await channel.renew_token()
        await channel.close()
        await channel.close()
        assert len(factory.closed) == 4
        assert not channel.replace()
        with pytest.raises(ValueError, match="closed channel"):
            await get(b"a")
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "retired-channel"]

    with hub_server() as hub:
        asyncio.run(main(hub))


@pytest.mark.parametrize("how", ["ends", "grace", "close"])
def test_an_async_retired_channel_is_closed_when(how) -> None:
    async def main(hub):
        factory = Factory(hub, make_async_channel)
        channel = async_channel(factory, grace_s=0.05 if how == "grace" else 1000)
        call = channel.unary_stream(PREFIX + "StreamInstanceHistory")(b"stay", timeout=9)
        assert await anext(call) == b"stay"
        channel.replace()
        await asyncio.sleep(0.02)
        assert factory.closed == []
        if how == "close":
            await channel.close()
        if how == "ends":
            hub.release.set()
            assert [item async for item in call] == [b"end"]
        else:
            with pytest.raises(grpc.aio.AioRpcError, match="CANCELLED"):
                await anext(call)
        await channel.close()
        assert set(factory.closed) == set(factory.made)
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "retired-channel"]

    with hub_server() as hub:
        asyncio.run(main(hub))


def test_an_async_borrowed_channel_is_neither_replaced_nor_closed() -> None:
    async def main(hub):
        factory = Factory(hub, make_async_channel)
        given = factory()
        channel = async_channel(lambda: given, BORROWED)
        assert not channel.replace()
        await channel.close()
        assert factory.closed == []
        assert await given.unary_unary(PREFIX + "GetInstance")(b"a", timeout=5) == b"a"
        await given.close()

    with hub_server() as hub:
        asyncio.run(main(hub))


def test_an_async_call_that_cannot_begin_holds_nothing() -> None:
    async def main(hub):
        factory = Factory(hub, make_async_channel)
        channel = async_channel(factory)
        with pytest.raises(TypeError):
            await channel.unary_unary(PREFIX + "GetInstance")(b"x", metadata=5)
        first, second = channel.enter(), channel.enter()
        first.leave()
        assert not second.is_idle()
        second.leave()
        assert second.is_idle()
        await channel.close()

    with hub_server() as hub:
        asyncio.run(main(hub))
