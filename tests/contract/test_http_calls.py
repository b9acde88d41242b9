"""Durable HTTP calls against a real server: answers, polls, secrets, failures, restarts."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
from email.utils import format_datetime

import pytest
from aiohttp import web

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.ports import InstanceQuery, StartRequest
from durable_app.protocol import OrchestrationStatus, TaskScheduled
from durable_app.storage.memory import MemoryStore
from durable_app.storage.sqlite import SqliteStore
from durable_app.worker.service import WorkerOptions
from tests.contract.host_app import serving, write_app
from tests.contract.test_hub_and_worker import World
from tests.contract.web_site import Site, accepted, moved
from tests.contract.wire import OverTheWire

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


@contextlib.asynccontextmanager
async def a_hub(store):
    async with World(store, app, WorkerOptions(http_poll_s=0.1)) as world:
        yield world.hub


async def finished(hub, instance_id):
    state = await hub.wait_for_completion(instance_id, timeout_s=20)
    assert state is not None, f"{instance_id} is stuck"
    return state


async def run(hub, name, call):
    state = await finished(hub, await hub.start(StartRequest(name, "one", json.dumps(call))))
    assert state.status is OrchestrationStatus.COMPLETED, state.failure
    return json.loads(state.output)


@pytest.fixture(params=["memory", "grpc"])
def store(request):
    return MemoryStore() if request.param == "memory" else OverTheWire(MemoryStore())


def with_sites(conversation, *answers, store=None):
    """Run ``conversation(hub, site, other)``; the first site gives these answers."""

    async def main():
        site, other = Site(), Site()
        site.answers += answers
        async with site.open(), other.open(), a_hub(store or MemoryStore()) as hub:
            return await conversation(hub, site, other)

    return asyncio.run(main())


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


def test_202_is_polled_until_there_is_another_status(store):
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

    with_sites(conversation, store=store)


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


def test_it_is_caught_by_its_type_after_all_attempts(store):
    async def conversation(hub, _site, _other):
        uri = f"http://127.0.0.1:{closed_port()}/"
        return await run(hub, "catches", {"method": "GET", "uri": uri})

    assert "no connection" in with_sites(conversation, store=store)


def test_redirects_without_end_fail_the_call():
    failure = failing({}, *(moved(302, "/a?code=hidden") for _ in range(11)))
    assert "more than 10 redirects" in failure.error_message


# -- in the host ---------------------------------------------------------------------------------

HOSTED = """
import durable_app as df

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def fetch(context):
    response = yield context.call_http("GET", context.get_input())
    return response.content
"""


def test_the_host_makes_the_calls_and_lists_no_function_for_them(tmp_path):
    setting = {"defaultAsyncRequestSleepTimeMilliseconds": 100}
    host_json = {"version": "2.0", "extensions": {"durableTask": {"httpSettings": setting}}}
    write_app(tmp_path, HOSTED, json.dumps(host_json))
    stream = io.StringIO()

    async def main():
        site = Site()
        site.answers += [accepted("/status"), web.Response(text="done")]
        async with site.open(), serving(tmp_path, stream) as (host, call):
            start = "/runtime/webhooks/durabletask/orchestrators/fetch/one"
            assert (await call("POST", start, json=site.origin)).status == 202
            state = await finished(host.hub, "one")
            listed = (await call("GET", "/admin/functions")).json
            refused = await call(
                "POST", start.replace("fetch/one", "BuiltIn__HttpPollOrchestrator")
            )
        return state, listed, refused

    state, listed, refused = asyncio.run(main())
    assert (state.output, [each["name"] for each in listed]) == ('"done"', ["fetch"])
    assert "fetch: orchestrationTrigger" in stream.getvalue()
    assert "BuiltIn__HttpActivity: " not in stream.getvalue()
    assert refused.status in (400, 404)
