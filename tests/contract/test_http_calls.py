"""Durable HTTP calls against a real server: answers, polls, secrets, failures, restarts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.functions.index import index_app
from durable_app.ports import InstanceQuery, StartRequest
from durable_app.protocol import OrchestrationStatus, TaskScheduled
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore
from durable_app.storage.sqlite import SqliteStore
from durable_app.worker.http_caller import HttpCaller
from durable_app.worker.service import Worker, WorkerOptions

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def asks(context):
    """Makes the call that its input describes."""
    response = yield context.call_http(**context.get_input())
    assert isinstance(response, df.DurableHttpResponse)
    assert response["statusCode"] == response.status_code
    return [response.status_code, response.content, response.headers]


@app.orchestration_trigger(context_name="context")
def catches(context):
    retry = df.RetryOptions(1, 2)
    try:
        yield context.call_http(**context.get_input(), retry_options=retry)
    except ConnectionError as error:
        return str(error)


class Site:
    """A server; ``seen`` has the requests that came."""

    def __init__(self) -> None:
        self.origin = ""
        self.seen: list[tuple[str, str, dict[str, str], str]] = []
        self.answers: list[web.Response] = []

    async def _answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.method, request.path_qs, headers, await request.text()))
        return self.answers.pop(0)

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _, _ in self.seen]

    @contextlib.asynccontextmanager
    async def open(self):
        server = web.Application()
        server.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(server)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


@contextlib.asynccontextmanager
async def a_hub(store):
    hub = TaskHub(store, HubOptions(), SystemClock())
    worker = Worker(hub, index_app(app), WorkerOptions(http_poll_s=0.1), SystemClock())
    hub.open()
    worker.start()
    try:
        yield hub
    finally:
        await worker.stop(2.0)
        await hub.stop()


async def finished(hub, instance_id):
    state = await hub.wait_for_completion(instance_id, timeout_s=20)
    assert state is not None, f"{instance_id} is stuck"
    return state


async def run(hub, name, call):
    state = await finished(hub, await hub.start(StartRequest(name, "one", json.dumps(call))))
    assert state.status is OrchestrationStatus.COMPLETED, state.failure
    return json.loads(state.output)


def with_sites(conversation, *answers):
    """Run ``conversation(hub, site, other)``; the first site gives these answers."""

    async def main():
        site, other = Site(), Site()
        site.answers += answers
        async with site.open(), other.open(), a_hub(MemoryStore()) as hub:
            return await conversation(hub, site, other)

    return asyncio.run(main())


def accepted(location: str, **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(status=202, headers={"Location": location, **named})


def moved(status: int, location: str) -> web.Response:
    return web.Response(status=status, headers={"Location": location})


def failing(call, *answers, name="asks"):
    """What a call fails with."""

    async def conversation(hub, site, _other):
        uri = call.get("uri") or f"{site.origin}/a?code=hidden"
        text = json.dumps({"method": "GET", **call, "uri": uri})
        state = await finished(hub, await hub.start(StartRequest(name, "one", text)))
        assert state.failure is not None, state.output
        assert "hidden" not in repr(state.failure)
        return state.failure

    return with_sites(conversation, *answers)


# -- one request ---------------------------------------------------------------------------------


@pytest.mark.parametrize("enable_polling", [True, False])
def test_the_answer_is_what_the_server_says(enable_polling):
    async def conversation(hub, site, _other):
        call = {
            "method": "post",
            "uri": f"{site.origin}/orders?a=b%20c",
            "content": {"item": "Ü"},
            "headers": {"X-Code": "7"},
            "enable_polling": enable_polling,
        }
        status, content, headers = await run(hub, "asks", call)
        assert (status, content, headers["X-Two"]) == (418, "Tür", "1, 2")
        ((method, path, sent, body),) = site.seen
        assert (method, path, body) == ("POST", "/orders?a=b%20c", '{"item":"Ü"}')
        assert (sent["content-type"], sent["x-code"]) == ("application/json", "7")
        assert sent["user-agent"] == "durable-app"

    answer = web.Response(status=418, body="Tür".encode("latin-1"))
    answer.headers["Content-Type"] = "text/plain; charset=latin-1"
    answer.headers.add("X-Two", "1")
    answer.headers.add("X-Two", "2")
    with_sites(conversation, answer)


def test_a_text_is_json_unless_it_is_raw():
    async def conversation(hub, site, _other):
        for number, is_raw in enumerate((False, True)):
            call = {"method": "PUT", "uri": site.origin, "content": "a", "is_raw_str": is_raw}
            request = StartRequest("asks", str(number), json.dumps(call))
            await finished(hub, await hub.start(request))
        return [(sent["content-type"], body) for _, _, sent, body in site.seen]

    sent = with_sites(conversation, web.Response(), web.Response())
    assert sent == [("application/json", '"a"'), ("text/plain; charset=utf-8", "a")]


@pytest.mark.parametrize("charset", ["no-such-charset", "utf-8"])
def test_bytes_that_are_no_text_of_the_charset_are_replaced(charset):
    async def conversation(hub, site, _other):
        return (await run(hub, "asks", {"method": "GET", "uri": site.origin}))[1]

    answer = web.Response(body=b"a\xff")
    answer.headers["Content-Type"] = f"text/plain; charset={charset}"
    assert with_sites(conversation, answer) == "a\ufffd"


def test_cookies_are_not_kept():
    async def conversation(hub, site, _other):
        await run(hub, "asks", {"method": "GET", "uri": site.origin})
        return [sent.get("cookie") for _, _, sent, _ in site.seen]

    answer = moved(302, "/next")
    answer.set_cookie("session", "1")
    assert with_sites(conversation, answer, web.Response()) == [None, None]


# -- polling -------------------------------------------------------------------------------------


def test_202_is_polled_until_there_is_another_status():
    async def conversation(hub, site, _other):
        soon = format_datetime(SystemClock().now(), usegmt=True)
        site.answers += [
            accepted("status/1", Retry_After="0"),
            accepted("/status/2", Retry_After=soon),
            accepted(f"{site.origin}/status/3"),
            web.Response(text="done"),
        ]
        call = {"method": "POST", "uri": f"{site.origin}/jobs/", "content": 1}
        call["headers"] = {"x-functions-key": "k"}
        assert (await run(hub, "asks", call))[:2] == [200, "done"]
        assert site.asked == [
            ("POST", "/jobs/"),
            ("GET", "/jobs/status/1"),
            ("GET", "/status/2"),
            ("GET", "/status/3"),
        ]
        assert [sent["x-functions-key"] for _, _, sent, _ in site.seen] == ["k"] * 4
        assert [sent.get("content-type") for _, _, sent, _ in site.seen[1:]] == [None] * 3
        # However long it polls, its history stays short.
        page = await hub.query(InstanceQuery(page_size=10))
        (child,) = [each.instance_id for each in page.items if each.instance_id != "one"]
        events = await hub.history(child)
        assert len([event for event in events if isinstance(event, TaskScheduled)]) == 1

    with_sites(conversation)


def test_without_polling_202_is_the_answer():
    async def conversation(hub, site, _other):
        call = {"method": "GET", "uri": site.origin, "enable_polling": False}
        return (await run(hub, "asks", call))[0]

    assert with_sites(conversation, accepted("/status")) == 202


def test_202_without_a_location_is_the_answer():
    async def conversation(hub, site, _other):
        return (await run(hub, "asks", {"method": "GET", "uri": site.origin}))[0]

    assert with_sites(conversation, web.Response(status=202)) == 202


def test_a_location_that_is_no_url_of_the_web_fails_the_call():
    failure = failing({}, accepted("ftp://files.example/1"))
    assert "answered 202 with a Location that cannot be polled" in failure.error_message


def test_polling_goes_on_after_a_restart(tmp_path):
    async def main():
        site = Site()
        site.answers += [accepted("/status", Retry_After="1"), web.Response(text="done")]
        async with site.open():
            async with a_hub(SqliteStore(tmp_path / "hub.db", "default")) as hub:
                call = {"method": "POST", "uri": site.origin, "content": {}}
                await hub.start(StartRequest("asks", "one", json.dumps(call)))
                while not site.seen:  # noqa: ASYNC110  the server sets no event
                    await asyncio.sleep(0.01)
            assert site.asked == [("POST", "/")]
            async with a_hub(SqliteStore(tmp_path / "hub.db", "default")) as hub:
                state = await finished(hub, "one")
                assert json.loads(state.output or "")[:2] == [200, "done"]
            assert site.asked == [("POST", "/"), ("GET", "/status")]

    asyncio.run(main())


# -- other origins -------------------------------------------------------------------------------

SECRETS = {
    "Authorization": "Bearer s",
    "Cookie": "s=s",
    "x-functions-key": "s",
    "X-Api-Key": "s",
    "Accept": "text/plain",
}


@pytest.mark.parametrize("status", [202, 302, 307])
def test_secrets_stay_where_they_belong(status):
    async def conversation(hub, site, other):
        # There and back again: what was left behind stays behind.
        site.answers += [moved(status, f"{other.origin}/b"), web.Response(text="back")]
        other.answers += [moved(status, f"{site.origin}/c")]
        call = {"method": "GET", "uri": site.origin, "headers": SECRETS}
        assert (await run(hub, "asks", call))[1] == "back"
        first, back = (sent for _, _, sent, _ in site.seen)
        ((_, _, there, _),) = other.seen
        assert {name.lower() for name in SECRETS} <= set(first)
        for sent in (there, back):
            assert set(sent) == {"accept", "accept-encoding", "host", "user-agent"}
            assert sent["accept"] == "text/plain"
            assert sent["host"] in (other.origin[7:], site.origin[7:])

    with_sites(conversation)


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", ("GET", "")),
        (302, "PUT", ("PUT", '"x"')),
        (303, "PUT", ("GET", "")),
        (303, "HEAD", ("HEAD", "")),
        (307, "POST", ("POST", '"x"')),
    ],
)
def test_redirects_are_followed(status, method, then):
    async def conversation(hub, site, _other):
        content = None if method == "HEAD" else "x"
        call = {"method": method, "uri": f"{site.origin}/a", "content": content}
        await run(hub, "asks", call)
        method_, path, _, body = site.seen[1]
        return (method_, body), path

    found = with_sites(conversation, moved(status, "/b"), web.Response())
    assert found == (then, "/b")


# -- tokens --------------------------------------------------------------------------------------


class Login:
    """Stands for azure-identity."""

    def __init__(self, error: Exception | None = None) -> None:
        self.scopes: list[str] = []
        self.is_closed = False
        self._error = error

    async def get_token(self, *scopes: str) -> Any:
        self.scopes += scopes
        if self._error is not None:
            raise self._error

        class Token:
            token = "top-secret"

        return Token()

    async def close(self) -> None:
        self.is_closed = True


def request_with_token(uri: str, resource: str = "https://api.example") -> dict[str, Any]:
    source = df.ManagedIdentityTokenSource(resource)
    headers = {"authorization": "mine"}
    request = df.DurableHttpRequest("GET", uri, headers=headers, token_source=source)
    return {**request.to_json(), "polls": True}


async def called(login, uri, **request: Any):
    caller = HttpCaller(SystemClock(), credential=lambda: login)
    try:
        return await caller.call(request_with_token(uri, **request))
    finally:
        await caller.close()


def test_a_token_is_sent_and_never_told():
    async def main():
        site, other = Site(), Site()
        login = Login()
        async with site.open(), other.open():
            site.answers += [moved(302, "/b"), moved(302, other.origin)]
            other.answers += [accepted("/c")]
            answer = await called(login, site.origin)
        assert [sent["authorization"] for _, _, sent, _ in site.seen] == ["Bearer top-secret"] * 2
        assert "authorization" not in other.seen[0][2]
        assert login.scopes == ["https://api.example/.default"] * 2
        assert login.is_closed
        assert "top-secret" not in json.dumps(answer)
        assert answer["poll"]["request"]["tokenSource"] is None
        assert answer["poll"]["afterSeconds"] == 30

    asyncio.run(main())


def test_a_scope_is_taken_as_it_is():
    async def main():
        site, login = Site(), Login()
        site.answers.append(web.Response())
        async with site.open():
            await called(login, site.origin, resource="https://api.example/.default")
        assert login.scopes == ["https://api.example/.default"]

    asyncio.run(main())


def test_a_login_that_fails_fails_the_call_in_a_line():
    login = Login(PermissionError("nobody is logged in\nlong explanation"))
    with pytest.raises(ConnectionError) as caught:
        asyncio.run(called(login, "http://h.example/a?sig=hidden"))
    assert str(caught.value) == (
        "GET http://h.example/a: no token for https://api.example:"
        " PermissionError: nobody is logged in"
    )


def test_without_azure_identity_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.identity.aio", None)

    async def main():
        await HttpCaller(SystemClock()).call(request_with_token("http://h.example/a"))

    with pytest.raises(df.NonRetriableError, match=r'pip install "durable-app\[azure\]"'):
        asyncio.run(main())


def test_tokens_come_from_azure_identity():
    pytest.importorskip("azure.identity", reason="an extra")
    from durable_app.worker.http_caller import _default_credential

    async def main():
        credential = _default_credential()
        assert type(credential).__name__ == "DefaultAzureCredential"
        await credential.close()

    asyncio.run(main())


# -- failures ------------------------------------------------------------------------------------


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_server_that_is_not_there_is_a_failed_task():
    uri = f"http://127.0.0.1:{closed_port()}/a?code=hidden"
    failure = failing({"uri": uri})
    inner = failure.inner_failure
    assert inner is not None
    assert inner.error_type == "ConnectionError"
    assert inner.error_message.startswith(f"GET {uri.partition('?')[0]}: no connection (")
    assert len(failure.error_message) < 250


def test_it_is_caught_by_its_type_after_all_attempts():
    async def conversation(hub, _site, _other):
        uri = f"http://127.0.0.1:{closed_port()}/"
        return await run(hub, "catches", {"method": "GET", "uri": uri})

    assert "no connection" in with_sites(conversation)


def test_redirects_without_end_fail_the_call():
    failure = failing({}, *(moved(302, "/a?code=hidden") for _ in range(11)))
    assert "more than 10 redirects" in failure.error_message


async def alone(answer: bytes, **options: Any) -> Any:
    """Call a server that answers these bytes, or nothing at all."""
    over = asyncio.Event()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if not answer:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    caller = HttpCaller(SystemClock(), **options)
    request = df.DurableHttpRequest("GET", f"http://127.0.0.1:{port}/a?code=hidden")
    try:
        return await caller.call(request.to_json())
    finally:
        over.set()
        await caller.close()
        server.close()


@pytest.mark.parametrize(
    ("answer", "options", "kind", "text"),
    [
        (b"nonsense\r\n\r\n", {}, ConnectionError, r"/a: no answer \("),
        (b"", {"timeout_s": 0.1}, TimeoutError, r"/a: no answer within 0\.1 s"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000,
            {"max_body": 2**20},
            df.NonRetriableError,
            "larger than 1 MiB",
        ),
    ],
)
def test_an_answer_that_is_none(answer, options, kind, text):
    with pytest.raises(kind, match=text) as caught:
        asyncio.run(alone(answer, **options))
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_url_that_cannot_be_requested():
    async def main():
        caller = HttpCaller(SystemClock())
        request = df.DurableHttpRequest("GET", "http://h.example").to_json()
        try:
            await caller.call({**request, "uri": "http:///a?code=hidden"})
        finally:
            await caller.close()

    with pytest.raises(df.NonRetriableError, match="cannot be requested") as caught:
        asyncio.run(main())
    assert "hidden" not in str(caught.value)
