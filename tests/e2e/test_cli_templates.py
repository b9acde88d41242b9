"""An app of `func init` and `func new` alone, with every template in it, at work."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Host, environment, eventually

TEMPLATES = (
    "HTTP trigger",
    "Timer trigger",
    "Queue trigger",
    "Function chaining",
    "Fan-out/fan-in",
    "Async HTTP API",
    "Monitor",
    "Human interaction",
    "Saga",
    "Sub-orchestrations",
    "Eternal orchestration",
    "Agent pipeline",
)


def func(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "durable_app", *arguments],
        cwd=folder,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def name_of(template: str) -> str:
    return re.sub("[^a-z]+", "_", template.lower())


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The app, running."""
    root = tmp_path_factory.mktemp("templates")
    func(root, "init", "shop")
    folder = root / "shop"
    for number, template in enumerate(TEMPLATES):
        # Some to the app's own file, some to a blueprint.
        place = ("--file", "more.py") if number % 2 else ()
        func(folder, "new", "--template", template, "--name", name_of(template), *place)
    host = Host(folder)
    try:
        yield host.start()
    finally:
        host.kill()


def output_of(host: Host, links: dict[str, str]) -> Any:
    status = host.finished(links["id"])
    assert status["runtimeStatus"] == "Completed", status
    return status["output"]


def test_the_list_of_templates_is_complete(tmp_path: Path) -> None:
    told = func(tmp_path, "templates", "list")
    assert [line[2:26].strip() for line in told.splitlines()[1:]] == list(TEMPLATES)


def test_http_trigger(host: Host) -> None:
    assert host.get("/api/http_trigger?name=Ada").text == "Hello, Ada."
    assert host.post("/api/http_trigger", {"name": "Grace"}).text == "Hello, Grace."
    assert host.request("POST", "/api/http_trigger", "{").status == 400
    assert host.get("/api/http_trigger").text == "Hello, stranger."


def test_timer_trigger(host: Host) -> None:
    assert host.request("POST", "/admin/functions/timer_trigger", "{}").status == 202
    host.wait_for_output("timer_trigger has run.")


def test_queue_trigger(host: Host) -> None:
    assert "queue_trigger: queueTrigger" in host.output()


def test_function_chaining(host: Host) -> None:
    output = output_of(host, host.post("/api/function_chaining").json)
    assert output == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


def test_fan_out(host: Host) -> None:
    assert output_of(host, host.post("/api/fan_out_fan_in").json) == 6
    assert output_of(host, host.post("/api/fan_out_fan_in", ["a b c"]).json) == 3
    assert host.request("POST", "/api/fan_out_fan_in", "{").status == 400


def test_async_http_api(host: Host) -> None:
    ordered = host.post("/api/async_http_api", {"pages": 2})
    assert ordered.status == 202
    where = ordered.headers["location"]
    pages = eventually(
        lambda: reply.json if (reply := host.get(where)).status == 200 else None, "the pages"
    )
    assert pages == ["page 1", "page 2"]
    assert host.get("/api/async_http_api/unknown").status == 404
    assert host.post("/api/async_http_api", {"pages": "x"}).status == 400


def test_monitor(host: Host) -> None:
    links = host.post("/api/monitor?every_s=0.1").json
    assert output_of(host, links) == "done at look 3"


@pytest.mark.parametrize(("answer", "outcome"), [(True, "approved"), (False, "rejected")])
def test_human_interaction(host: Host, answer: bool, outcome: str) -> None:
    links = host.post("/api/human_interaction?what=desk").json
    host.post(links["sendEventPostUri"].replace("{eventName}", "Approval"), answer)
    assert output_of(host, links) == outcome


@pytest.mark.parametrize(("order", "outcome"), [("A", "parcel of A"), ("lost", "lost was undone")])
def test_saga(host: Host, order: str, outcome: str) -> None:
    assert output_of(host, host.post(f"/api/saga?order={order}").json) == outcome


def test_sub_orchestrations(host: Host) -> None:
    links = host.post("/api/sub_orchestrations?orders=A,B").json
    assert output_of(host, links) == ["parcel with goods of A", "parcel with goods of B"]


def test_eternal_orchestration(host: Host) -> None:
    links = host.post("/api/eternal_orchestration").json
    again = host.post("/api/eternal_orchestration").json
    assert links["id"] == again["id"] == "eternal_orchestration"
    eventually(
        lambda: (host.status(links["id"])["customStatus"] or {}).get("removed") == 5, "a round"
    )
    assert host.post(links["terminatePostUri"].replace("{text}", "enough")).status == 202
    host.in_status(links["id"], "Terminated")


@pytest.mark.parametrize(("decision", "outcome"), [("approve", "published"), ("reject", "reject")])
def test_agent_pipeline(host: Host, decision: str, outcome: str) -> None:
    links = host.post("/api/agent_pipeline?question=fast+and+safe").json
    eventually(lambda: "waiting for" in (host.status(links["id"])["customStatus"] or ""), "a draft")
    assert host.post(f"/api/agent_pipeline/{links['id']}/forget").status == 404
    assert host.post(f"/api/agent_pipeline/{links['id']}/{decision}").status == 202
    output = output_of(host, links)
    assert output.startswith(outcome)
    if outcome == "published":
        draft = "article: research: fast; research: safe; Name your sources."
        assert output.endswith(f": {draft}")
    assert host.post(f"/api/agent_pipeline/{links['id']}/{decision}").status == 409


def test_the_app_is_packed(host: Host, tmp_path: Path) -> None:
    func(host.folder, "pack", "--no-build", "--output", str(tmp_path / "app.zip"))
    with zipfile.ZipFile(tmp_path / "app.zip") as archive:
        names = set(archive.namelist())
        settings = json.loads(archive.read("host.json"))
    assert names == {"function_app.py", "more.py", "host.json", "requirements.txt"}
    assert settings["version"] == "2.0"
