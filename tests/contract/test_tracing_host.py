"""Traces of a host: W3C contexts in and out, switches, its restart, and no OpenTelemetry at all."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry import trace

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.errors import ConfigError
from durable_app.protocol import TraceContext
from durable_app.testing import AppRunner
from durable_app.tracing.adapter import OpenTelemetryTracing
from durable_app.worker.http_caller import HttpCaller
from tests.contract.host_app import serving, until, write_app
from tests.contract.span_tree import Spans
from tests.contract.web_site import Site, moved

APP = """
import azure.functions as func
import durable_app as df
from opentelemetry import trace

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def users_span(name):
    return trace.get_tracer_provider().get_tracer("app").start_as_current_span(name)


@app.route(route="start/{name}")
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client):
    with users_span("in function"):
        started = await client.start_new(req.route_params["name"], "one", req.params.get("input"))
    return started


@app.route(route="go")
@app.durable_client_input(client_name="client")
def go(req: func.HttpRequest, client):
    client.raise_event("one", "go", 1)
    client.signal_entity(df.EntityId("counter", "k"), "add", 1)
    return "went"


@app.orchestration_trigger(context_name="context")
def wait(context):
    first = yield context.call_activity("hello", "first")
    yield context.wait_for_external_event("go")
    return [first, (yield context.call_activity("hello", "second"))]


@app.activity_trigger(input_name="name")
def hello(name):
    with users_span("in activity"):
        return name


@app.orchestration_trigger(context_name="context")
def ask(context):
    answer = yield context.call_http("GET", context.get_input())
    return answer["statusCode"]


@app.entity_trigger(context_name="context")
def counter(context):
    context.set_state(context.get_state(lambda: 0) + context.get_input())
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "vendor=1"}
HELLO: Any = ("CLIENT activity:hello", [("SERVER activity:hello", [("INTERNAL in activity", [])])])


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """What the global provider gets, for the time of the test."""
    found = Spans()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: found.provider)
    return found


def host_json(**tracing: Any) -> str:
    return json.dumps({"version": "2.0", "extensions": {"durableTask": {"tracing": tracing}}})


def write_values(folder: Path, **values: str) -> None:
    (folder / "local.settings.json").write_text(json.dumps({"Values": values}))


async def status_of(call: Any) -> Any:
    done = await call.until_done("/runtime/webhooks/durabletask/instances/one")
    return done.json["output"]


def test_a_request_and_what_it_starts_are_one_trace_through_a_restart(
    tmp_path: Path, spans: Spans
) -> None:
    write_app(tmp_path, APP)
    stream = io.StringIO()

    async def begin() -> None:
        async with serving(tmp_path, stream, store=f"sqlite:{tmp_path}/hub.db") as (_, call):
            await call("GET", "/api/start/wait", headers=PARENT)
            await until(lambda: len(spans.named("activity:hello")) == 2)

    async def end() -> Any:
        async with serving(tmp_path, store=f"sqlite:{tmp_path}/hub.db") as (_, call):
            await call("GET", "/api/go")
            return await status_of(call)

    asyncio.run(begin())
    assert asyncio.run(end()) == ["first", "second"]
    assert "Traces go where the app's TracerProvider sends them." in stream.getvalue()
    whole = spans.tree()
    assert (
        "INTERNAL in function",
        [("PRODUCER create_orchestration:wait", [("SERVER orchestration:wait", [HELLO, HELLO])])],
    ) in whole
    assert ("PRODUCER orchestration_event:go", []) in whole
    assert ("PRODUCER entity:counter:add", [("CONSUMER entity:counter:add", [])]) in whole
    (orchestration,) = spans.named("orchestration:wait")
    assert f"{orchestration.context.trace_id:032x}" == TRACE
    assert dict(orchestration.context.trace_state) == {"vendor": "1"}


def test_a_start_and_an_event_over_the_management_api_belong_to_their_requests(
    tmp_path: Path, spans: Spans
) -> None:
    write_app(tmp_path, APP)
    root = "/runtime/webhooks/durabletask"

    async def main() -> None:
        async with serving(tmp_path, store="memory") as (_, call):
            await call("POST", f"{root}/orchestrators/wait/one", headers=PARENT)
            await call("POST", f"{root}/instances/one/raiseEvent/go", json=1, headers=PARENT)
            await status_of(call)

    asyncio.run(main())
    assert {f"{span.context.trace_id:032x}" for span in spans.all} == {TRACE}
    assert len(spans.named("orchestration_event:go")) == 1


def test_an_http_call_carries_the_context_of_its_activity_to_other_origins_too(
    tmp_path: Path, spans: Spans
) -> None:
    write_app(tmp_path, APP)
    site, other = Site(), Site()

    async def main() -> None:
        async with site.open(), other.open(), serving(tmp_path, store="memory") as (_, call):
            site.answers.append(moved(302, other.origin))
            other.answers.append(web.Response(text="fine"))
            await call("GET", f"/api/start/ask?input={site.origin}", headers=PARENT)
            assert await status_of(call) == 200

    asyncio.run(main())
    ids = {f"{s.context.span_id:016x}" for s in spans.all if s.name.startswith("activity:")}
    for sent in (site.seen[0][2], other.seen[0][2]):
        version, trace_id, span_id, flags = sent["traceparent"].split("-")
        assert (version, trace_id, flags) == ("00", TRACE, "01")
        assert span_id in ids
        assert sent["tracestate"] == "vendor=1"


def test_a_trace_parent_of_the_caller_is_sent_as_it_is() -> None:
    site = Site()
    tracing = OpenTelemetryTracing(SystemClock(), Spans().provider)

    async def main() -> None:
        caller = HttpCaller(SystemClock(), tracing=tracing)
        async with site.open():
            site.answers += [web.Response(), web.Response()]
            with tracing.within(TraceContext(PARENT["traceparent"])):
                for headers in ({"Traceparent": "mine"}, {"Tracestate": "of=another"}):
                    request = df.DurableHttpRequest("GET", site.origin, headers=headers)
                    await caller.call(request.to_json())
        await caller.close()

    asyncio.run(main())
    first, second = (sent for _, _, sent, _ in site.seen)
    assert first["traceparent"] == "mine"
    assert second["traceparent"] == PARENT["traceparent"]
    assert "tracestate" not in second


def test_payloads_are_shown_only_where_they_are_asked_for(tmp_path: Path, spans: Spans) -> None:
    write_app(tmp_path, APP, host_json(traceInputsAndOutputs=True))

    async def main() -> None:
        async with serving(tmp_path, store="memory") as (_, call):
            await call("GET", "/api/start/wait?input=secret")
            await call("GET", "/api/go")
            await status_of(call)

    asyncio.run(main())
    (whole,) = spans.named("orchestration:wait")
    assert whole.attributes is not None
    assert whole.attributes["durabletask.task.input"] == '"secret"'
    first = next(s for s in spans.named("activity:hello") if s.kind.name == "SERVER")
    assert first.attributes is not None
    assert first.attributes["durabletask.task.output"] == '"first"'
    (created,) = spans.named("create_orchestration:wait")
    assert created.attributes is not None
    assert created.attributes["durabletask.task.input"] == '"secret"'
    (added,) = [s for s in spans.named("entity:counter:add") if s.kind.name == "CONSUMER"]
    assert added.attributes is not None
    assert added.attributes["durabletask.task.input"] == "1"


def test_host_json_switches_it_off(tmp_path: Path, spans: Spans) -> None:
    write_app(tmp_path, APP, host_json(distributedTracingEnabled=False))

    async def main() -> None:
        async with serving(tmp_path, store="memory") as (_, call):
            await call("GET", "/api/start/wait", headers=PARENT)
            await call("GET", "/api/go")
            await status_of(call)

    asyncio.run(main())
    assert {span.name for span in spans.all} == {"in function", "in activity"}


@pytest.mark.parametrize(
    ("exporter", "line"),
    [
        ("console", "Traces go to the console (service 'shop')."),
        ("zipkin", "OTEL_TRACES_EXPORTER is 'zipkin'; known are otlp, console and none."),
        ("none", None),
    ],
)
def test_the_environment_says_where_traces_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exporter: str, line: str | None
) -> None:
    place: list[Any] = [trace.ProxyTracerProvider()]
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: place[0])
    monkeypatch.setattr(trace, "set_tracer_provider", lambda given: place.__setitem__(0, given))
    folder = tmp_path / "shop"
    folder.mkdir()
    write_app(folder)
    write_values(folder, OTEL_TRACES_EXPORTER=exporter)
    stream = io.StringIO()

    async def main() -> None:
        async with serving(folder, stream, store="memory"):
            pass

    asyncio.run(main())
    if hasattr(place[0], "shutdown"):
        place[0].shutdown()
    if line is None:
        assert "Traces" not in stream.getvalue()
    else:
        assert line in stream.getvalue()


@pytest.mark.parametrize("exporter", ["otlp", "none"])
def test_a_missing_package_is_told_where_traces_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exporter: str
) -> None:
    monkeypatch.setitem(sys.modules, "durable_app.tracing.adapter", None)
    write_app(tmp_path)
    write_values(tmp_path, OTEL_TRACES_EXPORTER=exporter)
    stream = io.StringIO()

    async def main() -> None:
        async with serving(tmp_path, stream, store="memory"):
            pass

    asyncio.run(main())
    assert ("which is not installed: pip install" in stream.getvalue()) is (exporter == "otlp")


def test_a_runner_of_tests_tells_what_its_provider_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "durable_app.tracing.adapter", None)
    with pytest.raises(ConfigError, match="A tracer_provider needs OpenTelemetry: pip install"):
        AppRunner(df.Blueprint(), tracer_provider=Spans().provider)


WITHOUT = """
import asyncio, io, sys
sys.modules["opentelemetry"] = None
import durable_app
from pathlib import Path
from tests.contract.host_app import APP, serving, write_app

async def main():
    stream = io.StringIO()
    write_app(Path(sys.argv[1]))
    async with serving(Path(sys.argv[1]), stream, store="memory") as (_, call):
        started = await call("POST", "/api/start/greet?id=a", json="you")
        done = await call.until_done(started.json["statusQueryGetUri"])
        print(done.json["output"])
    print(stream.getvalue())

asyncio.run(main())
"""


@pytest.mark.parametrize("named", [True, False])
def test_a_host_runs_where_opentelemetry_cannot_be_imported(tmp_path: Path, named: bool) -> None:
    root = str(Path(__file__).resolve().parents[2])
    values = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"} if named else {}
    write_values(tmp_path, **values)
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path)],
        env={"PYTHONPATH": root, "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    assert "Hello you!" in run.stdout
    assert ('pip install "durable-app[otel]"' in run.stdout) is named
