"""Start, console and end of the process, as somebody at a terminal sees them."""

from __future__ import annotations

import json
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
    assert re.search(rf"{TIME} Host lock lease acquired by instance ID '[0-9a-f]{{32}}'\.", others)


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
    of_activity = output.split("executing function: Functions.divide. Result: Failure\n")[1]
    assert of_activity.startswith("Traceback (most recent call last):\n")
    assert "in divide\n    return number // 0" in of_activity
    assert "ZeroDivisionError" in of_activity
    assert "Activity function 'divide' failed: ZeroDivisionError" in output
    assert "durable_app/" not in output.split("Exception while executing function")[1]


TALKATIVE_APP = """
import logging
import threading
import durable_app as df

print("imported")
app = df.DFApp()
log = logging.getLogger("app.orders")

@app.orchestration_trigger(context_name="context")
def order(context):
    log.info("order begins")
    print("order printed")
    yield context.call_activity(step, 1)
    log.warning("order waits")
    yield context.wait_for_external_event("go")
    print("order goes on")
    yield context.call_activity(step, 2)
    log.info("order ends")

@app.activity_trigger(input_name="number")
def step(number: int) -> None:
    logging.debug("debugged")
    print("half", end=" ")
    print(f"a line {number}")
    thread = threading.Thread(target=print, args=(f"of a thread {number}",))
    thread.start()
    thread.join()

@app.orchestration_trigger(context_name="context")
def wrong(context):
    try:
        context.call_activity(step, object())
    except Exception as error:
        raise RuntimeError("not today") from error
    yield
"""


@pytest.fixture
def talkative(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", TALKATIVE_APP)


@pytest.mark.parametrize("shows_replays", [False, True])
def test_what_an_orchestrator_says_is_shown_once(
    shows_replays: bool, talkative: Path, new_host: Callable[..., Host]
) -> None:
    host = new_host(talkative, env={"DURABLE_APP_LOG_REPLAY": "1" if shows_replays else "0"})
    host.start().post(f"{WEBHOOK}/orchestrators/order/order-1")
    before = host.wait_for_output("order waits")
    host.kill()  # afterwards nothing is warm: all is replayed
    host.start().post(f"{WEBHOOK}/instances/order-1/raiseEvent/go", "1")
    host.finished("order-1")
    after = host.wait_for_output("order ends")

    def times(text: str, output: str) -> int:
        return len(re.findall(rf"^{TIME} {text}$", output, re.MULTILINE))

    once = ("imported", "order begins", "order printed", "half a line 1", "of a thread 1")
    assert [times(text, before) for text in once] == [1] * 5
    assert times("order goes on", after) >= 1
    again = [times(text, after) for text in ("order begins", "order printed", "order waits")]
    assert (min(again) > 0) if shows_replays else (again == [0, 0, 0])
    if not shows_replays:
        assert times("order goes on", after) == times("order ends", after) == 1
    assert "debugged" not in before + after


def test_verbose_names_functions_and_the_users_level_shows_more(
    talkative: Path, new_host: Callable[..., Host]
) -> None:
    host = new_host(talkative, "--verbose", "--user-log-level", "Debug").start()
    host.post(f"{WEBHOOK}/orchestrators/order")

    output = host.wait_for_output("order waits")

    step = re.search(rf"Executing 'Functions\.step' \(Reason='\(null\)', Id=({ID})\)", output)
    assert step is not None
    assert f"[step {step[1][:8]}] debugged\n" in output
    assert f"[step {step[1][:8]}] half a line 1\n" in output


def test_json_goes_to_the_terminal_and_to_the_file(
    talkative: Path, new_host: Callable[..., Host]
) -> None:
    path = talkative.parent / "console.json"
    host = new_host(talkative, "--enable-json-output", "--json-output-file", str(path)).start()
    host.post(f"{WEBHOOK}/orchestrators/order")
    host.wait_for_output("order waits")
    assert host.stop() == 0

    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert host.output().splitlines() == path.read_text().splitlines()
    [waits] = [event for event in events if event["message"] == "order waits"]
    assert re.fullmatch(TIME, f"[{waits.pop('time')}]")
    identity = waits.pop("invocationId")
    assert waits == {
        "level": "Warning",
        "category": "Function.order.User",
        "message": "order waits",
        "function": "order",
    }
    begun = f"Executing 'Functions.order' (Reason='(null)', Id={identity})"
    assert begun in {event["message"] for event in events}


def test_a_wrong_call_is_shown_at_its_own_line(
    talkative: Path, new_host: Callable[..., Host]
) -> None:
    host = new_host(talkative).start()
    host.post(f"{WEBHOOK}/orchestrators/wrong")

    output = host.wait_for_output("RuntimeError: not today")

    shown = output.split("Exception while executing function: Functions.wrong. Result: Failure\n")[
        1
    ]
    assert "durable_app/" not in shown
    cause, error = shown.split("The above exception was the direct cause")
    assert "in wrong\n    context.call_activity(step, object())\n" in cause
    assert "in wrong\n    raise RuntimeError" in error


def test_colours_can_be_asked_for(app: Path, new_host: Callable[..., Host]) -> None:
    host = new_host(app, env={"FORCE_COLOR": "1"}).start()
    assert "\x1b[33mFunctions:\x1b[0m\n" in host.output()
    assert f"\x1b[32mhttp://localhost:{host.port}/api/" in host.output()


def test_a_slow_start_says_what_it_waits_for(tmp_path: Path, new_host: Callable[..., Host]) -> None:
    code = f"import time\ntime.sleep(1.5)\n{SLOW_APP}"
    host = new_host(write_app(tmp_path / "app", code)).start()
    assert re.search(r"^Starting\.\.\. \(importing .*\)$", host.output(), re.MULTILINE)


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

    assert re.match(rf"{TIME} loading\n", host.output())
    assert "Traceback" not in host.output()


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
