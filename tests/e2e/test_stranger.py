"""The app of a stranger: plain azure-functions, nothing durable, no local settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.e2e.harness import Host

CODE = """
import logging
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
bp = func.Blueprint()

@app.route(route="hello", methods=["GET", "POST"])
def hello(req: func.HttpRequest) -> func.HttpResponse:
    name = req.params.get("name") or (req.get_json() if req.get_body() else {}).get("name")
    if not name:
        return func.HttpResponse("Pass a name", status_code=400)
    logging.info("greeting %s", name)
    return func.HttpResponse(f"Hello, {name}.")

@bp.route(route="echo/{*rest}")
async def echo(req: func.HttpRequest) -> str:
    print("echoing")
    return req.route_params.get("rest", "")

@app.timer_trigger(schedule="*/1 * * * * *", arg_name="timer")
def tick(timer: func.TimerRequest) -> None:
    logging.info("tick, late: %s", timer.past_due)

@app.queue_trigger(arg_name="message", queue_name="orders", connection="NowhereStorage")
def take(message: func.QueueMessage) -> None:
    raise AssertionError

app.register_functions(bp)
"""


def test_a_plain_functions_app_runs(tmp_path: Path, new_host: Callable[..., Host]) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "function_app.py").write_text(CODE)
    (folder / "host.json").write_text('{"version": "2.0"}')
    host = new_host(folder).start()

    assert host.get("/api/hello?name=Ada").text == "Hello, Ada."
    assert host.post("/api/hello", {"name": "Bob"}).text == "Hello, Bob."
    assert host.get("/api/hello").status == 400
    assert host.get("/api/echo/a/b").text == "a/b"
    host.wait_for_output("tick, late: False")
    output = host.wait_for_output("echoing")
    assert "greeting Ada" in output
    assert "\thello: [GET,POST] " in output
    assert "\ttick: timerTrigger" in output
    assert "'take'" in output
    assert host.stop() == 0
