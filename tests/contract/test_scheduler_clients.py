"""Clients and workers of programs that are no Functions app, and `func worker`, on a served hub."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import durable_app as df
from durable_app.compose.background import BackgroundLoop
from durable_app.compose.hub_service import HubServiceOptions, run_hub_service
from durable_app.compose.management import locate_hub, open_management
from durable_app.compose.remote import is_hub, open_client
from durable_app.compose.scheduler_target import target_of_address
from durable_app.compose.worker_plan import WorkerOptions
from durable_app.compose.worker_process import run_worker_process
from durable_app.errors import UnsupportedOnHostError
from durable_app.rpc.generated import taskhub_pb2 as pb
from tests.contract.host_app import serving, write_app
from tests.contract.wire import CLOCK
from tests.unit.rpc.hub_server import hub_server


def double(ctx: df.ActivityContext, number: int) -> int:
    return number * 2


def chain(ctx: df.OrchestrationContext, number: int) -> Any:
    once = yield ctx.call_activity(double, input=number)
    return (yield ctx.call_activity("double", input=once))


class Counter(df.DurableEntity):
    def add(self, amount: int) -> int:
        total = self.get_state(int, 0) + amount
        self.set_state(total)
        return total


def count_twice(ctx: df.OrchestrationContext, key: str) -> Any:
    counter = df.EntityInstanceId("counter", key)
    yield ctx.call_entity(counter, "add", 1)
    return (yield ctx.call_entity(counter, "add", 2))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Of hubs that are served on a thread, until the tests are over."""
    ready = threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        options = HubServiceOptions(None, port=0, health_port=0, is_dynamic=True)
        async with run_hub_service(options) as hubs:
            found.update(hubs=hubs, loop=asyncio.get_running_loop())
            ready.set()
            await hubs.stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    yield found["hubs"].endpoint
    found["loop"].call_soon_threadsafe(found["hubs"].stop.request)
    thread.join()


def text_of(endpoint: str, hub: str) -> str:
    return f"Endpoint={endpoint};TaskHub={hub};Authentication=None"


@contextlib.contextmanager
def working(endpoint: str, hub: str, **options: Any) -> Iterator[df.DurableTaskSchedulerWorker]:
    with df.DurableTaskSchedulerWorker(host_address=endpoint, taskhub=hub, **options) as worker:
        for orchestrator in (chain, count_twice):
            worker.add_orchestrator(orchestrator)
        worker.add_activity(double)
        worker.add_entity(Counter)
        worker.start()
        yield worker


def result(client: df.DurableTaskSchedulerClient, name: Any, value: Any) -> Any:
    instance_id = client.schedule_new_orchestration(name, input=value)
    state = client.wait_for_orchestration_completion(instance_id, timeout=20)
    assert state is not None
    state.raise_if_failed()
    return state.get_output()


def test_a_program_runs_orchestrations_and_entities(endpoint):
    with (
        working(endpoint, "one"),
        df.DurableTaskSchedulerClient.from_connection_string(text_of(endpoint, "one")) as client,
    ):
        assert result(client, chain, 3) == 12
        assert result(client, "count_twice", "a") == 3
        entity = client.get_entity(df.EntityInstanceId("counter", "a"))
        assert entity is not None
        assert entity.get_state(int) == 3
        with pytest.raises(UnsupportedOnHostError, match="which HTTP host"):
            client.create_http_management_payload(instance_id="x")
        request: Any = Request()
        payload = client.create_http_management_payload(request, "x")
        assert payload["statusQueryGetUri"].startswith("https://shop.example/runtime/webhooks/")
    client.close()


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("instance_id", lambda c: c.schedule_new_orchestration("chain", instance_id="x" * 101)),
        ("instance_id", lambda c: c.wait_for_orchestration_completion("", timeout=5)),
        ("entity_id", lambda c: c.signal_entity(df.EntityInstanceId("counter", "x" * 101), "add")),
    ],
)
def test_an_id_that_the_hub_does_not_take_is_a_wrong_value(endpoint, argument, call):
    with (
        df.DurableTaskSchedulerClient.from_connection_string(text_of(endpoint, "ids")) as client,
        pytest.raises(ValueError, match=f"^{argument}: The ") as caught,
    ):
        call(client)
    assert type(caught.value) is ValueError


class Request:
    def __init__(self) -> None:
        self.url = "https://shop.example/api/start"
        self.headers: dict[str, str] = {}


def test_from_an_event_loop_or_from_any(endpoint):
    text = text_of(endpoint, "two")
    outside = df.AsyncDurableTaskSchedulerClient.from_connection_string(text)

    async def run(client: df.AsyncDurableTaskSchedulerClient) -> Any:
        async with client:
            instance_id = await client.schedule_new_orchestration(chain, input=1)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
            assert state is not None
            return state.get_output()

    async def inside() -> Any:
        return await run(df.AsyncDurableTaskSchedulerClient.from_connection_string(text))

    with working(endpoint, "two"):
        assert asyncio.run(inside()) == 4
        assert asyncio.run(run(outside)) == 4


class Watching(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # grpc has no types
    def __init__(self) -> None:
        self.methods: list[str] = []

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self.methods.append(details.method.rpartition("/")[2])
        return continuation(details, request)


def test_channels_and_interceptors_of_the_program(endpoint):
    watching = Watching()
    target = endpoint.removeprefix("http://")
    with (
        grpc.insecure_channel(target) as channel,
        working(endpoint, "three", channel=channel),
        df.DurableTaskSchedulerClient(taskhub="three", channel=channel) as borrowed,
        df.DurableTaskSchedulerClient(
            host_address=endpoint, taskhub="three", interceptors=[watching]
        ) as watched,
    ):
        assert result(borrowed, chain, 2) == 8
        assert result(watched, chain, 2) == 8
        (only,) = {state.instance_id for state in watched.get_all_orchestration_states()} - {
            borrowed.get_all_orchestration_states()[0].instance_id
        }
        assert watched.get_orchestration_history(only)
        assert borrowed.get_orchestration_state("missing") is None
    assert "StartInstance" in watching.methods


def test_interceptors_are_of_one_kind(endpoint):
    class Other(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # grpc has no types
        async def intercept_unary_unary(self, continuation: Any, *given: Any) -> Any:
            return await continuation(*given)

    with pytest.raises(df.ConfigError, match="pass those of one kind"):
        df.DurableTaskSchedulerClient(taskhub="x", interceptors=[Watching(), Other()])
    with df.DurableTaskSchedulerClient(
        host_address=endpoint, taskhub="four", interceptors=[Other()]
    ) as client:
        assert client.get_orchestration_state("missing") is None


def test_work_is_left_to_those_who_have_the_functions(endpoint):
    def other(ctx: df.OrchestrationContext, _: Any) -> str:
        return "other"

    with df.DurableTaskSchedulerWorker(host_address=endpoint, taskhub="five") as first:
        first.add_orchestrator(chain)
        first.add_activity(double)
        first.configure_scheduled_tasks()
        first.use_versioning(df.VersioningOptions(version="1"))
        first.use_work_item_filters()
        first.start()
        for change in (
            lambda: first.add_activity(double),
            lambda: first.use_versioning(df.VersioningOptions()),
            first.use_work_item_filters,
            first.start,
        ):
            with pytest.raises(RuntimeError, match="already running"):
                change()
        text = text_of(endpoint, "five")
        with df.DurableTaskSchedulerClient.from_connection_string(text) as client:
            waiting = client.schedule_new_orchestration("other")
            assert result(client, chain, 1) == 4
            state = client.get_orchestration_state(waiting)
            assert state is not None
            assert state.runtime_status is df.OrchestrationStatus.PENDING
            with df.DurableTaskSchedulerWorker.from_connection_string(text) as second:
                second.add_orchestrator(other)
                second.use_work_item_filters(
                    df.WorkItemFilters([df.OrchestrationWorkItemFilter("other")])
                )
                second.start()
                state = client.wait_for_orchestration_completion(waiting, timeout=20)
                assert state is not None
                assert state.get_output() == "other"


SCHEDULES = """
import durable_app as df

app = df.DFApp()
app.configure_scheduled_tasks()


@app.orchestration_trigger(context_name="context")
def report(context):
    return context.get_input()
"""


def report(ctx: df.OrchestrationContext, value: Any) -> Any:
    return value


@contextlib.contextmanager
def worker_with_schedules(text: str, _folder: Path) -> Iterator[None]:
    with df.DurableTaskSchedulerWorker.from_connection_string(text) as worker:
        worker.add_orchestrator(report)
        worker.configure_scheduled_tasks()
        worker.start()
        yield


@contextlib.contextmanager
def func_worker_with_schedules(text: str, folder: Path) -> Iterator[None]:
    write_app(folder, SCHEDULES)
    background = BackgroundLoop("func-worker")
    options = WorkerOptions(folder, connection=text)
    running = run_worker_process(options, environ={}, stream=io.StringIO())
    background.run(running.__aenter__())
    try:
        yield
    finally:
        background.run(running.__aexit__(None, None, None))
        background.close()


@pytest.fixture(params=[worker_with_schedules, func_worker_with_schedules])
def with_schedules(request):
    return request.param


def test_schedules_run_on_workers_of_both_kinds(endpoint, tmp_path, with_schedules):
    text = text_of(endpoint, with_schedules.__name__)
    options = df.ScheduleCreationOptions(
        "nightly",
        "report",
        timedelta(hours=1),
        orchestration_input="sales",
        start_at=CLOCK.now() + timedelta(hours=1),
    )
    with (
        with_schedules(text, tmp_path),
        df.DurableTaskSchedulerClient.from_connection_string(text) as client,
    ):
        schedule = df.ScheduledTaskClient(client).create_schedule(options)
        run_id = schedule.trigger()
        assert run_id is not None
        run = client.wait_for_orchestration_completion(run_id, timeout=20)
        assert run is not None
        assert (run.name, run.get_output()) == ("report", "sales")
        schedule.delete()


def capabilities(text_to: Any, folder: Path, worker: Any) -> list[int]:
    """What a worker says when it asks for work, which it does not get."""
    asked = threading.Event()

    def answer(_context: Any) -> bytes:
        asked.set()
        return b""

    with hub_server(GetWorkItems=[answer]) as hub:
        with worker(text_to(hub.port), folder):
            assert asked.wait(10)
        return list(pb.GetWorkItemsRequest.FromString(hub.requests["GetWorkItems"][0]).capabilities)


def test_workers_say_whether_they_run_schedules(tmp_path, with_schedules):
    def text_to(port: int) -> str:
        return text_of(f"http://localhost:{port}", "x")

    @contextlib.contextmanager
    def without(text: str, _folder: Path) -> Iterator[None]:
        with df.DurableTaskSchedulerWorker.from_connection_string(text) as worker:
            worker.start()
            yield

    assert pb.WORKER_CAPABILITY_SCHEDULED_TASKS in capabilities(text_to, tmp_path, with_schedules)
    assert pb.WORKER_CAPABILITY_SCHEDULED_TASKS not in capabilities(text_to, tmp_path, without)


def test_func_worker_runs_an_app_and_tells_how_it_is(endpoint, tmp_path):
    app = write_app(tmp_path)
    stream = io.StringIO()

    async def run() -> Any:
        options = WorkerOptions(app, connection=text_of(endpoint, "six"), health_port=0)
        async with run_worker_process(options, environ={}, stream=stream) as running:
            url = f"http://127.0.0.1:{running.health_port}"
            async with aiohttp.ClientSession() as session:
                async with asyncio.timeout(10):
                    while (await session.get(f"{url}/healthz")).status != 204:  # noqa: ASYNC110  told over HTTP only
                        await asyncio.sleep(0.01)
                metrics = await (await session.get(f"{url}/metrics")).text()
            client = df.AsyncDurableTaskSchedulerClient.from_connection_string(
                text_of(endpoint, "six")
            )
            async with client:
                instance_id = await client.schedule_new_orchestration("greet", input="x")
                state = await client.wait_for_orchestration_completion(instance_id, timeout=20)
        return metrics, state

    metrics, state = asyncio.run(run())
    assert "durable_app_worker_connections_total{} 1" in metrics
    assert state is not None
    assert state.runtime_status is df.OrchestrationStatus.COMPLETED
    output = stream.getvalue()
    assert "Worker of task hub 'six'" in output
    assert "Connected to task hub 'six'" in output
    assert "Left to a host with HTTP and other triggers:" in output


def test_func_start_uses_it_and_ends_waits_at_its_end(endpoint, tmp_path):
    host_json = """{"version": "2.0", "extensions": {"durableTask": {"storageProvider":
        {"type": "azureManaged"}}}}"""
    app = write_app(tmp_path, host_json=host_json)
    text = text_of(endpoint, "seven")
    (app / "local.settings.json").write_text(
        json.dumps({"Values": {"DURABLE_TASK_SCHEDULER_CONNECTION_STRING": text}})
    )

    async def run() -> Any:
        async with serving(app, hub="auto", store=None) as (host, _):
            instance_id = await host.client.start_new("greet", client_input="x")
            done = await host.hub.wait_for_completion(instance_id, timeout_s=20)
            waits = await host.client.start_new("wait")
            waiting = asyncio.create_task(host.hub.wait_for_completion(waits, timeout_s=60))
            await asyncio.sleep(0.1)  # it is on its way
        return done, await asyncio.wait_for(waiting, 5)

    done, waited = asyncio.run(run())
    assert done is not None
    assert waited is None


def test_a_hub_is_told_from_what_is_none(endpoint):
    found = target_of_address(endpoint, "x", {}, None, {})
    assert is_hub(found, CLOCK, {})
    nobody = target_of_address("http://localhost:9", "x", {}, None, {})
    assert not is_hub(nobody, CLOCK, {})

    async def ended() -> Any:
        hub = open_client(found, CLOCK, {})
        hub.end_waits()
        try:
            return await hub.wait_for_start("missing", timeout_s=60)
        finally:
            await hub.close()

    assert asyncio.run(ended()) is None


def test_func_durable_asks_the_hub_itself(endpoint, tmp_path):
    app = write_app(tmp_path)
    environ = {
        "DURABLE_APP_HUB": "remote",
        "DURABLE_TASK_SCHEDULER_CONNECTION_STRING": text_of(endpoint, "eight"),
    }

    async def run() -> Any:
        async with open_management(locate_hub(app, environ)) as call:
            begun = await call("POST", ("orchestrators", "greet", "one"), body=b'"x"')
            status = await call("GET", ("instances", "one"))
            return call.host, begun.status, json.loads(status.body or "")["runtimeStatus"]

    assert asyncio.run(run()) == (endpoint, 202, "Pending")


def test_what_answers_is_no_hub_and_ends_the_worker(tmp_path):
    async def run() -> Any:
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        text = text_of(f"http://127.0.0.1:{port}", "x")
        options = WorkerOptions(write_app(tmp_path), connection=text, health_port=0)
        async with run_worker_process(options, environ={}, stream=io.StringIO()) as running:
            await asyncio.wait_for(running.stop.wait(), 10)
            url = f"http://127.0.0.1:{running.health_port}/healthz"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                status = answer.status
        await server.stop(None)
        return running.stop.error, status

    error, status = asyncio.run(run())
    assert "no task hub" in str(error)
    assert status == 503


@pytest.mark.parametrize("emits", [True, False])
def test_a_program_that_traces_gets_one_trace_per_instance(endpoint, monkeypatch, emits):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: provider)

    with working(endpoint, "traced", emit_trace_spans=emits):
        client = df.DurableTaskSchedulerClient(
            host_address=endpoint, taskhub="traced", emit_trace_spans=emits
        )
        with client:
            assert result(client, chain, 3) == 12

    spans = exporter.get_finished_spans()
    names = {span.name for span in spans}
    wanted = {"create_orchestration:chain", "orchestration:chain", "activity:double"}
    assert names == (wanted if emits else set())
    assert len({span.context.trace_id for span in spans}) == emits
