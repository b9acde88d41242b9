"""Start, console and end of the process, as somebody at a terminal sees them."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import WEBHOOK, Host, eventually, write_app

TIME = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\]"
ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

SLOW_APP = """
import asyncio
import durable_app as df

app = df.DFApp()

@app.route(route="start", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req, client):
    return await client.start_new("slow_chain", "slow-1")

@app.orchestration_trigger(context_name="context")
def slow_chain(context):
    first = yield context.call_activity(slow, 1)
    second = yield context.call_activity(slow, 2)
    return [first, second]

@app.activity_trigger(input_name="number")
async def slow(number: int) -> int:
    await asyncio.sleep(1.0)
    return number

@app.orchestration_trigger(context_name="context")
def divides(context):
    return (yield context.call_activity(divide, 1))

@app.activity_trigger(input_name="number")
def divide(number: int) -> int:
    return number // 0

@app.route(route="broken_page")
def broken_page(req):
    raise RuntimeError("no page today")
"""


def test_the_start_lists_the_functions(host: Host) -> None:
    output = host.output()

    origin = f"http://localhost:{host.port}/api"
    http, others = output.split("Functions:\n")[1].split("\tbuild_report:")
    assert f"\n\tstart_orchestrator: [POST] {origin}/orchestrators/{{function_name}}\n" in http
    assert f"\n\treport_status: [GET] {origin}/reports/{{report_id}}\n" in http
    assert "Trigger" not in http
    assert others.startswith(" orchestrationTrigger\n\n\twrite_page: activityTrigger\n")
    assert "\nFor detailed output, run func with --verbose flag.\n" in others


def test_the_start_names_hub_store_and_reason(host: Host) -> None:
    first = host.output().split("Functions:\n")[0]

    assert "default" in first
    assert str(host.folder / ".durable" / "default.db") in first
    assert "nothing listens on http://localhost:" in first
    assert (host.folder / ".durable" / "default.db").is_file()


def test_invocations_are_shown(app_host: Host) -> None:
    app_host.run("hello_cities")

    # One of the starter, four turns, three activities.
    eventually(lambda: app_host.output().count("Executed 'Functions.") == 8, "all lines")
    output = app_host.output()
    started = re.search(
        rf"{TIME} Executing 'Functions\.start_orchestrator' \(Reason='This function was"
        rf" programmatically called via the host APIs\.', Id=({ID})\)\n",
        output,
    )
    assert started is not None
    assert re.search(
        rf"{TIME} Executed 'Functions\.start_orchestrator' \(Succeeded, Id={started[1]},"
        r" Duration=\d+ms\)\n",
        output,
    )
    for name in ("hello_cities", "say_hello"):
        assert re.search(
            rf"{TIME} Executing 'Functions\.{name}' \(Reason='\(null\)', Id={ID}\)\n", output
        )


def test_a_failed_function_shows_its_own_traceback(
    tmp_path: Path, new_host: Callable[..., Host]
) -> None:
    host = new_host(write_app(tmp_path / "app", SLOW_APP)).start()

    reply = host.get("/api/broken_page")

    assert (reply.status, reply.body) == (500, b"")
    output = host.wait_for_output("no page today")
    assert re.search(r"Executed 'Functions\.broken_page' \(Failed, Id=.*, Duration=\d+ms\)", output)
    assert "function_app.py" in output
    assert "durable_app/" not in output.split("Exception while executing function")[1]


def test_a_failed_activity_shows_where_it_failed(
    tmp_path: Path, new_host: Callable[..., Host]
) -> None:
    host = new_host(write_app(tmp_path / "app", SLOW_APP)).start()

    host.post(f"{WEBHOOK}/orchestrators/divides")

    output = host.wait_for_output("Exception while executing function: Functions.divides")
    of_activity = output.split("executing function: Functions.divide\n")[1]
    assert of_activity.startswith("Traceback (most recent call last):\n")
    assert "in divide\n    return number // 0" in of_activity
    assert "ZeroDivisionError" in of_activity
    assert "Activity function 'divide' failed: ZeroDivisionError" in output
    assert "durable_app/" not in output.split("Exception while executing function")[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_the_work_goes_on_later(
    number: signal.Signals, tmp_path: Path, new_host: Callable[..., Host]
) -> None:
    host = new_host(write_app(tmp_path / "app", SLOW_APP)).start()
    assert host.post("/api/start").text == "slow-1"
    host.wait_for_output("Executing 'Functions.slow'")

    assert host.stop(number) == 0

    output = host.output()
    assert output.count("Executed 'Functions.slow' (Succeeded") == 1
    assert "Traceback" not in output
    host.start()
    assert host.finished("slow-1")["output"] == [1, 2]
    assert host.output().count("Executing 'Functions.slow'") == 1
    assert host.stop() == 0


def test_ctrl_c_while_the_app_is_being_loaded(
    tmp_path: Path, new_host: Callable[..., Host]
) -> None:
    code = "import time\nprint('loading', flush=True)\ntime.sleep(30)\n"
    host = new_host(write_app(tmp_path / "app", code))
    host.launch()
    host.wait_for_output("loading")

    assert host.stop(signal.SIGINT) == 0

    assert host.output() == "loading\n"


def test_a_second_host_on_the_same_database_is_refused(
    host: Host, new_host: Callable[..., Host]
) -> None:
    second = new_host(host.folder)
    second.launch()

    assert second.wait() == 1

    assert f"is in use by process {host.pid}" in second.output()
    assert "Traceback" not in second.output()
    assert host.run("hello_cities")[0] == "Hello Tokyo!"


def test_a_taken_port_is_named(app: Path, new_host: Callable[..., Host]) -> None:
    host = new_host(app)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", host.port))
        taken.listen()
        host.launch()

        assert host.wait() == 1

    assert host.output().strip() == (
        f"Port {host.port} is unavailable. Close the process using that port, or specify another"
        " port using --port [-p]."
    )


def test_memory_store_leaves_no_file(app: Path, new_host: Callable[..., Host]) -> None:
    host = new_host(app, "--store", "memory").start()

    assert host.run("hello_cities")[2] == "Hello London!"

    assert host.stop() == 0
    assert not (app / ".durable").exists()
