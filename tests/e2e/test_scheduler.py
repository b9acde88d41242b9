"""Hub, worker and host as processes of their own, which are killed and begun again."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import durable_app as df
from tests.e2e.harness import Host, eventually

CODE = """
import os, time
import azure.functions as func
import durable_app as df

app = df.DFApp()
EFFECTS = os.environ["EFFECTS"]


@app.route(route="begin/{count}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def begin(req: func.HttpRequest, client) -> func.HttpResponse:
    instance_id = await client.start_new("fan_out", None, int(req.route_params["count"]))
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def fan_out(context):
    count = context.get_input()
    results = yield context.task_all([context.call_activity("slow", n) for n in range(count)])
    later = yield context.call_activity("nested", len(results))
    return [sum(results), later]


@app.activity_trigger(input_name="number")
def slow(number: int) -> int:
    with open(EFFECTS, "a") as effects:
        effects.write(f"{number}\\\\n")
    time.sleep(0.1)
    return number


@app.activity_trigger(input_name="number")
@app.durable_client_input(client_name="client")
def nested(number: int, client) -> str:
    instance_id = client.start_new("leaf", None, number)
    return client.wait_for_orchestration_completion(instance_id, timeout=30).serialized_output


@app.orchestration_trigger(context_name="context")
def leaf(context):
    return context.get_input() * 2


@app.orchestration_trigger(context_name="context")
def rest(context):
    return (yield context.call_activity("nap", context.get_input()))


@app.activity_trigger(input_name="seconds")
def nap(seconds: float) -> None:
    with open(EFFECTS, "a", buffering=1) as effects:
        effects.write("asleep\\n")
        time.sleep(seconds)
        effects.write("awake\\n")
""".replace("\\\\n", "\\n")
HOST_JSON = {
    "version": "2.0",
    "extensions": {"durableTask": {"storageProvider": {"type": "azureManaged"}}},
}
COUNT = 60
# A signal that comes so long after the first one is meant.
ECHO_S = 0.4
# Pauses that grow without a bound would be longer than 6 s by then.
LATE_S = 8.0
EXPECTED = [sum(range(COUNT)), str(COUNT * 2)]


class Hub(Host):
    """One `func hub start`."""

    ready = "Press Ctrl+C to stop."

    def command(self) -> list[str]:
        store = self.folder / "hub.db"
        ports = ["--port", str(self.port), "--health-port", "0"]
        return ["hub", "start", *ports, "--store", f"sqlite:{store}"]

    @property
    def text(self) -> str:
        """Its connection string."""
        return f"Endpoint=http://localhost:{self.port};TaskHub=default;Authentication=None"


class Worker(Host):
    """One `func worker`."""

    ready = "Connected to task hub 'default' at http://localhost:"

    def command(self) -> list[str]:
        return ["worker", "--health-port", str(self.port)]


class Stage:
    """A hub, and what works for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "function_app.py").write_text(CODE, encoding="utf-8")
        (folder / "host.json").write_text(json.dumps(HOST_JSON), encoding="utf-8")
        self.effects = folder.parent / "effects.txt"
        self.effects.touch()
        self.hub = Hub(folder.parent)
        self.made: list[Host] = [self.hub]

    @property
    def env(self) -> Mapping[str, str]:
        """Of workers and hosts."""
        return {
            "DURABLE_TASK_SCHEDULER_CONNECTION_STRING": self.hub.text,
            "EFFECTS": str(self.effects),
        }

    def worker(self) -> Worker:
        """Another worker, connected."""
        self.made.append(worker := Worker(self.folder, env=self.env))
        return worker.start()

    def host(self, *arguments: str) -> Host:
        """A `func start` that uses the hub."""
        self.made.append(host := Host(self.folder, *arguments, env=self.env))
        return host.start()

    def has_run(self, count: int) -> Callable[[], bool]:
        """Whether so many activities have begun."""
        return lambda: len(self.effects.read_text().splitlines()) >= count


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    (tmp_path / "app").mkdir()
    stage = Stage(tmp_path / "app")
    stage.hub.start()
    yield stage
    for process in stage.made:
        process.kill()


def test_a_killed_worker_is_replaced_by_another(stage: Stage) -> None:
    first = stage.worker()
    with df.DurableTaskSchedulerClient.from_connection_string(stage.hub.text) as client:
        instance_id = client.schedule_new_orchestration("fan_out", input=COUNT)
        eventually(stage.has_run(10), "ten activities")
        first.kill()
        second = stage.worker()
        state = client.wait_for_orchestration_completion(instance_id, timeout=30)
    assert state is not None
    assert state.get_output() == EXPECTED
    assert second.stop() == 0


def test_a_signal_that_comes_twice_at_once_lets_what_runs_end(stage: Stage) -> None:
    # So does `timeout`: it tells the process, and then its group, which the process belongs to.
    worker = stage.worker()
    with df.DurableTaskSchedulerClient.from_connection_string(stage.hub.text) as client:
        client.schedule_new_orchestration("rest", input=1.0)
        eventually(stage.has_run(1), "the nap")
        worker.send()
        time.sleep(ECHO_S / 8)  # without it the system may deliver both as one
        worker.send()
        assert worker.wait() == 0
    assert stage.effects.read_text().split() == ["asleep", "awake"]


def test_a_second_signal_ends_a_worker_at_once(stage: Stage) -> None:
    worker = stage.worker()
    with df.DurableTaskSchedulerClient.from_connection_string(stage.hub.text) as client:
        client.schedule_new_orchestration("rest", input=30.0)
        eventually(stage.has_run(1), "the nap")
        worker.send()
        worker.wait_for_output("Stopping")
        time.sleep(ECHO_S)
        worker.send()
        assert worker.wait(2) == 128 + signal.SIGTERM
    assert stage.effects.read_text().split() == ["asleep"]


def test_a_killed_hub_comes_back_on_its_port(stage: Stage) -> None:
    worker = stage.worker()
    assert worker.get("/healthz").status == 204
    with df.DurableTaskSchedulerClient.from_connection_string(stage.hub.text) as client:
        instance_id = client.schedule_new_orchestration("fan_out", input=COUNT)
        eventually(stage.has_run(10), "ten activities")
        stage.hub.kill()
        worker.wait_for_output("func hub start", 30)
        assert worker.get("/healthz").status == 503
        stage.hub.start()
        worker.wait_for_output("Connected again to task hub 'default'", 60)
        state = client.wait_for_orchestration_completion(instance_id, timeout=60)
    assert state is not None
    assert state.get_output() == EXPECTED


def test_a_host_serves_http_for_a_hub_elsewhere(stage: Stage) -> None:
    host = stage.host()
    line = f"Task hub 'default' at http://localhost:{stage.hub.port} (Authentication=None): remote"
    assert line in host.output()
    begun = host.post("/api/begin/5")
    assert begun.status == 202
    instance_id = begun.json["id"]
    assert host.finished(instance_id)["output"] == [10, "10"]
    waiting = host.post(
        "/runtime/webhooks/durabletask/orchestrators/leaf?timeout=20&pollingInterval=1", 4
    )
    assert (waiting.status, waiting.json) == (200, 8)
    assert host.stop() == 0
    # What it has done is in the hub, which goes on.
    with df.DurableTaskSchedulerClient.from_connection_string(stage.hub.text) as client:
        state = client.get_orchestration_state(instance_id)
    assert state is not None
    assert state.get_output() == [10, "10"]


def test_a_hub_that_is_not_there_is_no_local_one_in_its_place(stage: Stage) -> None:
    stage.hub.kill()
    lost = Host(stage.folder, "--hub", "remote", env=stage.env)
    stage.made.append(lost)
    lost.start()
    lost.wait_for_output("No connection to task hub 'default'")
    assert "func hub start" in lost.output()
    assert not (stage.folder / ".durable" / "default.db").exists()
    assert lost.stop() == 0


def test_what_answers_is_no_hub(stage: Stage, tmp_path: Path) -> None:
    other = stage.host("--hub", "embedded")
    text = f"Endpoint=http://localhost:{other.port};TaskHub=default;Authentication=None"
    wrong = Host(stage.folder, env={**stage.env, "DURABLE_TASK_SCHEDULER_CONNECTION_STRING": text})
    stage.made.append(wrong)
    wrong.launch()
    assert wrong.wait() == 1
    assert "it is no task hub" in wrong.output()


def test_a_worker_without_a_scheduler_says_so(stage: Stage) -> None:
    for text, reason in {
        "": "No scheduler is named",
        "Endpoint=http://localhost:8082;Authentication=None": "the port of the dashboard",
        "Endpoint=https://x.durabletask.io;Authentication=None": "Azure lets nobody in",
        "Endpoint=https://x.durabletask.io;Authentication=DefaultAzure": "No task hub is named",
    }.items():
        env = {**stage.env, "DURABLE_TASK_SCHEDULER_CONNECTION_STRING": text}
        stage.made.append(worker := Worker(stage.folder, env=env))
        worker.launch()
        assert worker.wait() == 1
        assert reason in worker.output()


def test_a_worker_waits_for_its_hub(stage: Stage) -> None:
    late = Hub(stage.folder.parent / "late")
    late.folder.mkdir()
    worker = Worker(stage.folder, "--connection-string", late.text, env=stage.env)
    stage.made += (late, worker)
    worker.launch()
    worker.wait_for_output("No connection to task hub 'default'")
    assert "func hub start" in worker.output()
    time.sleep(LATE_S)
    late.start()
    # However long it has waited: on this machine it asks every three seconds at least.
    worker.wait_for_output("Connected to task hub 'default'", 6)
    assert worker.stop() == 0
