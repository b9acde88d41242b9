"""Connections as a whole: headers, tokens, repetitions and replacement, over a real server."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest

from durable_app.clock import SystemClock
from durable_app.connection.authentication import Authentication, AuthenticationKind
from durable_app.connection.endpoint import parse_endpoint
from durable_app.connection.failures import TokenUnavailableError
from durable_app.connection.options import (
    GrpcChannelOptions,
    GrpcClientResiliencyOptions,
    GrpcRetryPolicyOptions,
)
from durable_app.errors import ConfigError
from durable_app.host.web.tls import ssl_context
from durable_app.rpc.call_headers import CallHeaders, new_worker_id, user_agent
from durable_app.rpc.connect import HubAccess, connect, connect_async
from durable_app.rpc.interceptors import CallDetails, CallInterceptor, CallRules
from durable_app.rpc.resilience import FailureTracker
from tests.unit.rpc.hub_server import PREFIX, AsyncCredential, Credential, hub_server

CODE = grpc.StatusCode
HEADERS = CallHeaders("orders", user_agent("1.2", "DurableTaskClient"), "host:1:x")
CLOCK = SystemClock()


class SyncCaller:
    """Calls of a synchronous connection."""

    def __init__(self, access, clock=CLOCK):
        self.connection = connect(access, clock)

    def call(self, name, request=b"x", **options):
        options = {"timeout": 9, **options}
        return self.connection.channel.unary_unary(PREFIX + name)(request, **options)

    def stream(self, name, request=b"x"):
        return list(self.connection.channel.unary_stream(PREFIX + name)(request, timeout=9))

    def close(self):
        self.connection.close()


class AsyncCaller:
    """Calls of an asynchronous connection, each waited for."""

    def __init__(self, access, clock=CLOCK):
        self._runner = asyncio.Runner()
        self.connection = self._runner.run(self._connect(access, clock))

    async def _connect(self, access, clock):
        if callable(access.channel):
            access = access._replace(channel=access.channel())
        return connect_async(access, clock)

    def call(self, name, request=b"x", **options):
        async def main():
            given = {"timeout": 9, **options}
            return await self.connection.unary_unary(PREFIX + name)(request, **given)

        return self._runner.run(main())

    def stream(self, name, request=b"x"):
        async def main():
            stream = self.connection.unary_stream(PREFIX + name)
            return [item async for item in stream(request, timeout=9)]

        return self._runner.run(main())

    def close(self):
        self._runner.run(self.connection.close())
        self._runner.close()


@pytest.fixture(params=[SyncCaller, AsyncCaller])
def caller(request):
    """Makes callers of both kinds and closes them."""
    made = []

    def make(hub, clock=CLOCK, **access):
        scheme = "https" if "root_certificates" in access else "http"
        endpoint = parse_endpoint(f"{scheme}://localhost:{hub.port}", "test", encrypted=False)
        caller = request.param(HubAccess(endpoint, HEADERS, "scope", **access), clock)
        made.append(caller)
        return caller

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    ssl_context(None, None, folder, CLOCK)
    pem = (folder / ".durable" / "localhost.pem").read_bytes()
    begin = pem.index(b"-----BEGIN CERTIFICATE")
    return pem, pem[begin:]


@pytest.fixture
def tls(certificate):
    """Starts hubs with TLS; gives the hub and what a caller needs for it."""
    key_and_chain, roots = certificate
    return (key_and_chain, roots), {"root_certificates": roots}


def test_every_call_carries_the_headers(caller) -> None:
    with hub_server() as hub:
        made = caller(hub)
        assert made.call("GetInstance", b"x", metadata=[("TaskHub", "mine"), ("a", "b")]) == b"x"
        assert made.stream("StreamInstanceHistory") == [b"x"]
        first, second = hub.seen["GetInstance"][0], hub.seen["StreamInstanceHistory"][0]
        assert (first["taskhub"], first["a"]) == ("mine", "b")
        assert second["taskhub"] == "orders"
        assert second["x-user-agent"] == "durable-app/1.2 (DurableTaskClient)"
        assert second["workerid"] == "host:1:x"
        assert "authorization" not in second


def test_a_token_goes_along_over_tls_and_is_renewed_once(caller, tls) -> None:
    server, access = tls
    with hub_server(server, StartInstance=[CODE.UNAUTHENTICATED]) as hub:
        made = caller(hub, credential=Credential(), **access)
        assert made.call("StartInstance") == b"x"
        assert made.stream("StreamInstanceHistory") == [b"x"]
        sent = [call["authorization"] for calls in hub.seen.values() for call in calls]
        assert sent == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]
        hub.script["StartInstance"] = [CODE.UNAUTHENTICATED] * 2
        with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
            made.call("StartInstance")
        assert hub.calls("StartInstance") == 4


def test_a_stream_of_answers_begins_anew_with_another_token(caller, tls) -> None:
    server, access = tls
    refused = [CODE.UNAUTHENTICATED]
    with hub_server(server, StreamInstanceHistory=refused * 1) as hub:
        made = caller(hub, credential=Credential(), **access)
        assert made.stream("StreamInstanceHistory") == [b"x"]
        hub.script["StreamInstanceHistory"] = refused * 2
        with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
            made.stream("StreamInstanceHistory")
        # Once only, and that of a worker is renewed by its session.
        assert hub.calls("StreamInstanceHistory") == 4
        hub.script["GetWorkItems"] = refused * 1
        with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
            made.stream("GetWorkItems")
        hub.script["StreamInstanceHistory"] = [CODE.INTERNAL]
        with pytest.raises(grpc.RpcError, match="INTERNAL"):
            made.stream("StreamInstanceHistory")


def test_a_stream_that_has_begun_is_not_begun_anew(caller, tls) -> None:
    def break_off(context):
        context.abort(CODE.UNAUTHENTICATED, "not any more")

    server, access = tls
    with hub_server(server) as hub:
        hub.ends = {"StreamInstanceHistory": break_off}
        made = caller(hub, credential=Credential(), **access)
        with pytest.raises(grpc.RpcError, match="not any more"):
            made.stream("StreamInstanceHistory")
        assert hub.calls("StreamInstanceHistory") == 1


class Stuck:
    """Never gives a token."""

    def __init__(self):
        self.released = threading.Event()

    def get_token(self, *_):
        self.released.wait(9)
        raise ValueError("too late")


def test_a_deadline_counts_for_the_token_too(caller, tls) -> None:
    server, access = tls
    stuck = Stuck()
    with hub_server(server) as hub:
        made = caller(hub, credential=stuck, **access)
        for _ in range(2):
            with pytest.raises(grpc.RpcError, match="no access token in time") as caught:
                made.call("GetInstance", timeout=0.05)
            assert caught.value.code() is CODE.DEADLINE_EXCEEDED
        stuck.released.set()
        assert hub.seen == {}


def test_a_stream_that_is_cancelled_while_a_token_is_fetched_ends(tls) -> None:
    class Slow(Credential):
        def get_token(self, *scopes: str, **_: Any) -> Any:
            if self.scopes:
                fetching.set()
                go_on.wait(9)
            return super().get_token(*scopes)

    fetching, go_on = threading.Event(), threading.Event()
    server, access = tls
    with hub_server(server, StreamInstanceHistory=[CODE.UNAUTHENTICATED]) as hub:
        endpoint = parse_endpoint(f"https://localhost:{hub.port}", "test", encrypted=True)
        made = SyncCaller(HubAccess(endpoint, HEADERS, "s", credential=Slow(), **access))
        call = made.connection.channel.unary_stream(PREFIX + "StreamInstanceHistory")
        answers = call(b"stay", timeout=9)

        def cancel():
            fetching.wait(9)
            answers.cancel()
            go_on.set()

        thread = threading.Thread(target=cancel)
        thread.start()
        with pytest.raises(grpc.RpcError) as caught:
            list(answers)
        thread.join()
        assert caught.value.code() is answers.code() is CODE.CANCELLED
        made.close()


def test_an_asynchronous_credential(tls) -> None:
    server, access = tls
    with hub_server(server) as hub:
        endpoint = parse_endpoint(f"https://localhost:{hub.port}", "test", encrypted=True)
        made = AsyncCaller(
            HubAccess(endpoint, HEADERS, "scope", credential=AsyncCredential(), **access)
        )
        assert made.call("Hello") == b"x"
        made._runner.run(made.connection.renew_token())
        assert made.call("Hello") == b"x"
        assert hub.seen["Hello"][1]["authorization"] == "Bearer token-2"
        made.close()


def test_no_token_no_call(caller, tls) -> None:
    server, access = tls
    with hub_server(server) as hub:
        made = caller(hub, credential=Credential(fails=True), **access)
        for call in (made.call, made.stream):
            with pytest.raises(TokenUnavailableError, match="not signed in"):
                call("GetInstance")
        assert hub.seen == {}


@pytest.mark.parametrize("make", [connect, connect_async])
def test_no_token_travels_in_the_clear(make) -> None:
    endpoint = parse_endpoint("http://localhost:1", "test", encrypted=False)
    with pytest.raises(ConfigError, match="sent in the clear"):
        make(HubAccess(endpoint, HEADERS, "scope", credential=Credential()), CLOCK)
    signed_in = Authentication(AuthenticationKind.AZURE_CLI)
    with pytest.raises(ConfigError, match="sent in the clear"):
        make(HubAccess(endpoint, HEADERS, "scope", signed_in), CLOCK)


def borrowed(hub, made, roots=None):
    """A channel of the caller's, in the form that the caller needs."""
    if made is SyncCaller:
        if roots is None:
            return grpc.insecure_channel(f"localhost:{hub.port}")
        return grpc.secure_channel(f"localhost:{hub.port}", grpc.ssl_channel_credentials(roots))
    if roots is None:
        return lambda: grpc.aio.insecure_channel(f"localhost:{hub.port}")
    return lambda: grpc.aio.secure_channel(
        f"localhost:{hub.port}", grpc.ssl_channel_credentials(roots)
    )


@pytest.mark.parametrize("kind", [SyncCaller, AsyncCaller])
def test_over_a_borrowed_channel_only_tls_carries_a_token(kind, tls) -> None:
    server, access = tls
    endpoint = parse_endpoint("http://localhost:1", "test", encrypted=False)
    with hub_server(server) as hub:
        channel = borrowed(hub, kind, access["root_certificates"])
        made = kind(HubAccess(endpoint, HEADERS, "s", credential=Credential(), channel=channel))
        assert made.call("GetInstance") == b"x"
        assert hub.seen["GetInstance"][0]["authorization"] == "Bearer token-1"
        made.close()
    with hub_server() as hub:
        channel = borrowed(hub, kind)
        made = kind(HubAccess(endpoint, HEADERS, "s", credential=Credential(), channel=channel))
        with pytest.raises((grpc.RpcError, grpc.aio.UsageError)):
            made.call("GetInstance")
        assert hub.seen == {}
        made.close()


def test_reads_are_repeated_and_changes_are_not(caller) -> None:
    down = [CODE.UNAVAILABLE] * 3
    with hub_server(GetInstance=[*down], StartInstance=[*down]) as hub:
        made = caller(hub)
        assert made.call("GetInstance") == b"x"
        with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
            made.call("StartInstance")
        assert (hub.calls("GetInstance"), hub.calls("StartInstance")) == (4, 1)


def test_the_deadline_is_one_for_all_attempts(caller) -> None:
    retry = GrpcRetryPolicyOptions(initial_backoff_seconds=60, max_backoff_seconds=60)
    with hub_server(GetInstance=[CODE.UNAVAILABLE]) as hub:
        options = GrpcChannelOptions(retry_policy=retry)
        made = caller(hub, _Far(threading.Event()), channel_options=options)
        with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
            made.call("GetInstance", timeout=30)
        hub.script["GetInstance"] = [lambda _: hub.release.wait(5)]
        with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
            made.call("GetInstance", timeout=0.1)


def test_without_a_deadline_too(caller) -> None:
    with hub_server(GetInstance=[CODE.UNAVAILABLE]) as hub:
        assert caller(hub).call("GetInstance", timeout=None) == b"x"


def remember_peers(hub):
    """Where calls of RaiseEvent come from: each connection has a port of its own."""
    peers = []

    def answer(context):
        peers.append(context.peer())
        return b"y"

    hub.script["RaiseEvent"] = [answer] * 2
    return peers


ONCE = GrpcClientResiliencyOptions(channel_recreate_failure_threshold=2)


def test_a_dead_channel_is_replaced(caller) -> None:
    with hub_server(StartInstance=[CODE.UNAVAILABLE] * 2) as hub:
        peers = remember_peers(hub)
        made = caller(hub, resiliency=ONCE)
        assert made.call("RaiseEvent") == b"y"
        for _ in range(2):
            with pytest.raises(grpc.RpcError):
                made.call("StartInstance")
        assert made.call("RaiseEvent") == b"y"
        assert peers[0] != peers[1]


@pytest.mark.parametrize("kind", [SyncCaller, AsyncCaller])
def test_a_borrowed_channel_is_not_replaced(kind) -> None:
    endpoint = parse_endpoint("http://localhost:1", "test", encrypted=False)
    with hub_server(StartInstance=[CODE.UNAVAILABLE] * 4) as hub:
        peers = remember_peers(hub)
        made = kind(HubAccess(endpoint, HEADERS, "s", channel=borrowed(hub, kind), resiliency=ONCE))
        made.call("RaiseEvent")
        for _ in range(4):
            with pytest.raises(grpc.RpcError):
                made.call("StartInstance")
        made.call("RaiseEvent")
        assert peers[0] == peers[1]
        made.close()


def test_streams_tell_how_they_ended(caller) -> None:
    with hub_server(StreamInstanceHistory=[CODE.UNAVAILABLE] * 2) as hub:
        peers = remember_peers(hub)
        made = caller(hub, resiliency=ONCE)
        made.call("RaiseEvent")
        for _ in range(2):
            with pytest.raises(grpc.RpcError):
                made.stream("StreamInstanceHistory")
        made.call("RaiseEvent")
        assert peers[0] != peers[1]


def test_a_stream_that_has_ended_already_is_told_of_at_once() -> None:
    class Ended:
        def add_callback(self, callback):
            return False

        def code(self):
            return CODE.UNAVAILABLE

    replaced = []
    options = GrpcClientResiliencyOptions(channel_recreate_failure_threshold=1)
    tracker = FailureTracker(options, CLOCK, lambda: replaced.append(1))
    interceptor = CallInterceptor(CallRules(HEADERS, CLOCK, tracker=tracker))
    details = CallDetails(PREFIX + "StreamInstanceHistory", None, None, None, None)
    interceptor.intercept_unary_stream(lambda *_: Ended(), details, b"")
    assert replaced == [1]


def test_closing_ends_a_pause_between_attempts() -> None:
    retry = GrpcRetryPolicyOptions(initial_backoff_seconds=60, max_backoff_seconds=60)
    with hub_server(GetInstance=[CODE.UNAVAILABLE]) as hub:
        asked = threading.Event()
        endpoint = parse_endpoint(f"localhost:{hub.port}", "test", encrypted=False)
        access = HubAccess(
            endpoint,
            HEADERS,
            "s",
            channel_options=GrpcChannelOptions(retry_policy=retry),
        )
        made = SyncCaller(access, _Far(asked))
        closing = threading.Thread(target=lambda: (asked.wait(9), made.close()))
        closing.start()
        with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
            made.call("GetInstance", timeout=None)
        closing.join()


class _Far(SystemClock):
    """Draws the longest pause, and tells that it was asked to."""

    def __init__(self, asked):
        self._asked = asked

    def new_id(self):
        self._asked.set()
        return "f" * 32


def test_a_caller_that_is_cancelled_cancels_its_call() -> None:
    async def main(hub):
        endpoint = parse_endpoint(f"localhost:{hub.port}", "test", encrypted=False)
        connection = connect_async(HubAccess(endpoint, HEADERS, "s"), CLOCK)
        calling = asyncio.create_task(connection.unary_unary(PREFIX + "GetInstance")(b"x"))
        await asyncio.to_thread(asked.wait, 9)
        calling.cancel()
        await asyncio.wait([calling])
        assert calling.cancelled()
        await asyncio.to_thread(ended.wait, 9)
        cut = asyncio.create_task(connection.unary_unary(PREFIX + "RaiseEvent")(b"x"))
        await asyncio.to_thread(asked_again.wait, 9)
        await connection.close()
        with pytest.raises(grpc.aio.AioRpcError, match="The channel was closed"):
            await cut

    asked, ended, asked_again = threading.Event(), threading.Event(), threading.Event()

    def stays(context):
        context.add_callback(ended.set)
        asked.set()
        return b"late" if ended.wait(9) else b"never"

    def stays_again(_):
        asked_again.set()
        hub.release.wait(9)
        return b"late"

    with hub_server(GetInstance=[stays], RaiseEvent=[stays_again]) as hub:
        asyncio.run(main(hub))


def test_names_of_workers() -> None:
    first, second = new_worker_id(CLOCK), new_worker_id(CLOCK)
    assert first != second
    assert first.count(":") >= 2
    with pytest.raises(ConfigError, match="taskhub must be"):
        CallHeaders("a\nb", "agent")
    assert dict(CallHeaders("h", "agent").merged(None, None)) == {
        "taskhub": "h",
        "x-user-agent": "agent",
    }


def test_a_connection_for_threads_is_replaced_and_its_token_renewed():
    tokens: list[str] = []

    class Credential:
        def get_token(self, *_scopes, **_options):
            tokens.append(f"token {len(tokens)}")
            expires_on = CLOCK.now().timestamp() + 3600
            return SimpleNamespace(token=tokens[-1], expires_on=expires_on)

    endpoint = parse_endpoint("https://localhost:1", "test", encrypted=True)
    headers = CallHeaders("orders", "test")
    connection = connect(HubAccess(endpoint, headers, "scope", credential=Credential()), CLOCK)
    connection.renew_token()
    assert tokens == ["token 0"]
    assert connection.replace()
    connection.close()
    anonymous = connect(HubAccess(endpoint, headers, "scope"), CLOCK)
    anonymous.renew_token()
    anonymous.close()


def test_details_of_a_call_show_no_token() -> None:
    details = CallDetails("/a", None, [("authorization", "Bearer secret")], None, None)
    assert "secret" not in repr(details)
