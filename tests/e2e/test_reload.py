"""`func start --watch`: a saved file is the app a moment later, a broken one changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import Host, eventually, write_app

CODE = """
import azure.functions as func
import durable_app as df
import words

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="orchestrators/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client) -> func.HttpResponse:
    instance_id = await client.start_new(req.route_params["name"])
    return client.create_check_status_response(req, instance_id)

@app.route(route="word", methods=["GET"])
def word(req: func.HttpRequest) -> str:
    return words.WORD

@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.wait_for_external_event("go")
    answer = yield context.call_activity("say", None)
    return answer

@app.activity_trigger(input_name="nothing")
def say(nothing):
    return words.WORD
"""
# The goal is one second; a loaded machine gets more.
SOON_S = 10.0


@pytest.fixture
def watching(tmp_path: Path, new_host: Callable[..., Host]) -> Host:
    folder = write_app(tmp_path / "app", CODE)
    (folder / "words.py").write_text("WORD = 'one'\n")
    return new_host(folder, "--watch").start()


def save_until(host: Host, word: str) -> None:
    """Save the module until the app says its word: the watch may not have begun yet."""
    number = 0

    def look() -> bool:
        nonlocal number
        if number % 40 == 0:
            (host.folder / "words.py").write_text(f"WORD = '{word}'  # {number}\n")
        number += 1
        return host.get("/api/word").text == word

    eventually(look, f"the app says {word}", SOON_S)


def test_a_saved_module_is_at_work_and_instances_in_flight_go_on(watching):
    links = watching.begin("waits")
    watching.in_status(links["id"], "Running")
    save_until(watching, "two")
    watching.post(links["sendEventPostUri"].replace("{eventName}", "go"), None)
    assert watching.finished(links["id"])["output"] == "two"
    assert "The app was loaded again." in watching.output()


def test_a_broken_save_keeps_the_app_serving_and_a_mended_one_takes_over(watching):
    save_until(watching, "two")
    (watching.folder / "function_app.py").write_text(CODE + "\nthis is no Python\n")
    output = watching.wait_for_output("The app was not loaded again", SOON_S)
    assert "this is no Python" in output
    assert "durable_app/" not in output
    assert watching.get("/api/word").text == "two"
    (watching.folder / "function_app.py").write_text(CODE.replace('route="word"', 'route="term"'))
    eventually(lambda: watching.get("/api/term").status == 200, "the new route", SOON_S)
    assert watching.get("/api/word").status == 404
    assert watching.stop() == 0


def test_a_new_setting_asks_for_a_restart(watching):
    save_until(watching, "two")
    text = (watching.folder / "host.json").read_text()
    (watching.folder / "host.json").write_text(text + " ")
    watching.wait_for_output("stop the host and start it again to apply them", SOON_S)


def test_the_admin_api_loads_the_app_again(watching):
    (watching.folder / "words.py").write_text("WORD = 'three'\n")
    assert watching.post("/admin/host/restart").status == 200
    assert watching.get("/api/word").text == "three"
