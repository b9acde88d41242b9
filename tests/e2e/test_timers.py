"""Timer and queue functions of a plain app, on real hosts and, of necessity, on the real clock."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

from tests.e2e.harness import Host, eventually, free_port, write_app

TICKING = """
import logging

import azure.functions as func

app = func.FunctionApp()


@app.timer_trigger(arg_name="timer", schedule="%PACE%", run_on_startup=False)
def tick(timer: func.TimerRequest) -> None:
    logging.info("tick past_due=%s next=%s", timer.past_due, "Next" in timer.schedule_status)


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
async def greet(timer) -> None:
    logging.info("greeted %s", timer.schedule["AdjustForDST"])
"""

BROKEN = """
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.timer_trigger(arg_name="timer", schedule="0 61 * * * *")
def never(timer: func.TimerRequest) -> None:
    pass


@app.route(route="ping")
def ping(req: func.HttpRequest) -> str:
    return "pong"
"""

QUEUE = """
import azure.functions as func

app = func.FunctionApp()


@app.queue_trigger(arg_name="message", queue_name="orders", connection="Shop")
def work(message: func.QueueMessage) -> None:
    pass
"""

NewHost = Callable[..., Host]


def test_timers_run_and_say_why(tmp_path: Path, new_host: NewHost) -> None:
    app = write_app(tmp_path / "app", TICKING)
    host = new_host(app, env={"PACE": "* * * * * *"}).start()

    output = host.wait_for_output("tick past_due=False next=False")
    output = host.wait_for_output("greeted True")
    assert re.search(r"Executing 'Functions\.tick' \(Reason='Timer fired at 20\d\d-", output)
    assert "Trigger Details: UnscheduledInvocationReason: RunOnStartup" in output
    eventually(lambda: host.output().count("Executed 'Functions.tick' (Succeeded") >= 3, "ticks")
    assert host.stop() == 0


def test_the_next_occurrences_are_shown_under_verbose(tmp_path: Path, new_host: NewHost) -> None:
    app = write_app(tmp_path / "app", TICKING)
    host = new_host(
        app, "--verbose", env={"PACE": "0 0 * * * *", "WEBSITE_TIME_ZONE": "Asia/Kolkata"}
    )
    output = host.start().wait_for_output("schedule (Cron: '0 0 0 1 1 *') will be:")
    assert "The next 5 occurrences of the 'tick' schedule (Cron: '0 0 * * * *') will be:" in output
    assert ":00:00+05:30 (" in output


def test_a_run_that_was_missed_is_made_up_for(tmp_path: Path, new_host: NewHost) -> None:
    # given a host that was stopped, and whose timer should have run meanwhile
    app = write_app(tmp_path / "app", TICKING)
    host = new_host(app, env={"PACE": "01:00:00"}).start()
    host.stop()
    with sqlite3.connect(app / ".durable" / "host.db") as state:
        (text,) = state.execute("SELECT value FROM facts WHERE name = 'tick'").fetchone()
        back = re.sub(r'"20\d\d-', '"2024-', text)
        state.execute("UPDATE facts SET value = ? WHERE name = 'tick'", (back,))
    state.close()

    # when it starts again
    host.start()

    # then it runs at once, and says that it is late
    output = host.wait_for_output("tick past_due=True next=True")
    assert "UnscheduledInvocationReason: IsPastDue, OriginalSchedule: 2024-" in output


def test_a_bad_schedule_leaves_the_others_alone(tmp_path: Path, new_host: NewHost) -> None:
    host = new_host(write_app(tmp_path / "app", BROKEN)).start()
    output = host.wait_for_output("the minute field '61' is invalid")
    assert "never" in output
    assert host.get("/api/ping").text == "pong"


def test_an_unknown_time_zone_is_refused(tmp_path: Path, new_host: NewHost) -> None:
    app = write_app(tmp_path / "app", TICKING)
    host = new_host(app, env={"PACE": "* * * * * *", "WEBSITE_TIME_ZONE": "Asia/Kolkatta"})
    assert "Write a name such as 'Asia/Kolkata'." in host.refusal()


def test_a_queue_without_a_service_is_not_run(tmp_path: Path, new_host: NewHost) -> None:
    app = write_app(tmp_path / "app", QUEUE)
    port = free_port()
    account = (
        "DefaultEndpointsProtocol=http;AccountName=shop;AccountKey=a2V5;"
        f"QueueEndpoint=http://127.0.0.1:{port}/shop;"
    )
    host = new_host(app, env={"Shop": account}).start()
    output = host.wait_for_output(f"nothing answers at 127.0.0.1:{port}")
    assert "Function 'work' is not run locally" in output
    assert host.stop() == 0
