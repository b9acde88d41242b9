"""`func durable ...` against a host that runs, one that hangs, and none at all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Host, environment, write_app

APP = """
import pathlib

import durable_app as df

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def greet(context):
    name = yield context.wait_for_external_event("Name")
    return (yield context.call_activity(say_hello, name))


@app.orchestration_trigger(context_name="context")
def fragile(context):
    return (yield context.call_activity(needs_file, context.get_input()))


@app.activity_trigger(input_name="name")
def say_hello(name: str) -> str:
    return f"Hello {name}!"


@app.activity_trigger(input_name="path")
def needs_file(path: str) -> str:
    return pathlib.Path(path).read_text()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP)


def func(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run a command in the folder; its output, or what it says on stderr where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "durable_app", *arguments],
        cwd=folder,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


def durable(folder: Path, *arguments: str) -> Any:
    """The JSON result of a `func durable` command."""
    return json.loads(func(folder, "durable", *arguments, "--json"))


def begin(folder: Path, name: str, *more: str) -> str:
    started: str = durable(folder, "start-new", "--function-name", name, *more)["instanceId"]
    return started


def test_an_instance_is_steered_while_the_host_runs(folder, new_host):
    host = new_host(folder).start()
    assert begin(folder, "greet", "--id", "a") == "a"
    durable(folder, "suspend", "--id", "a", "--reason", "wait")
    host.in_status("a", "Suspended")
    durable(folder, "resume", "--id", "a")
    told = func(
        folder,
        *("durable", "raise-event", "--id", "a", "--event-name", "Name"),
        *("--event-data", '"Ada"'),
    )
    assert told == "Raised event 'Name' to instance 'a'.\n"
    assert host.finished("a")["output"] == "Hello Ada!"
    fresh = durable(folder, "restart", "--id", "a")["instanceId"]
    durable(folder, "terminate", "--id", fresh)
    host.in_status(fresh, "Terminated")
    assert durable(folder, "purge-history") == {"instancesDeleted": 2}


def test_a_host_that_keeps_its_hub_in_memory_is_asked(folder, new_host):
    func(folder, "durable", "get-instances", code=1)
    host = new_host(folder, "--store", "memory").start()
    func(folder, "durable", "start-new", "--function-name", "greet", "--id", "one")
    assert host.status("one")["name"] == "greet"
    assert host.stop() == 0
    assert not (folder / ".durable").exists()


def test_answers_are_the_same_with_and_without_a_host(folder, new_host):
    host = new_host(folder).start()
    for number in range(3):
        begin(folder, "greet", "--id", f"i{number}", "--input", f'{{"n": {number}}}')
        host.in_status(f"i{number}", "Running")
    questions = (
        ("get-runtime-status", "--id", "i1", "--show-input", "--show-output"),
        ("get-history", "--id", "i1"),
        ("get-instances", "--top", "2"),
        ("get-instances", "--top", "2", "--runtime-status", "Running", "--json"),
        ("get-instances", "--created-after", "2999-01-01T00:00:00Z"),
    )
    running = [func(folder, "durable", *question) for question in questions]
    assert host.stop() == 0
    stopped = [func(folder, "durable", *question) for question in questions]
    assert running == stopped
    assert "Continuation token for next set of results: '" in running[2]


def test_what_is_stored_without_a_host_goes_on_when_it_starts(folder, new_host):
    assert new_host(folder).start().stop() == 0
    begin(folder, "greet", "--id", "a")
    durable(folder, "raise-event", "--id", "a", "--event-name", "Name", "--event-data", '"Ada"')
    assert durable(folder, "get-runtime-status", "--id", "a")["runtimeStatus"] == "Pending"
    host = new_host(folder).start()
    assert host.finished("a")["output"] == "Hello Ada!"


def test_a_failed_instance_goes_on_after_a_rewind(folder, new_host):
    host = new_host(folder).start()
    wanted = folder / "wanted.txt"
    begin(folder, "fragile", "--id", "a", "--input", json.dumps(str(wanted)))
    assert host.finished("a")["runtimeStatus"] == "Failed"
    wanted.write_text("found")
    told = func(folder, "durable", "rewind", "--id", "a", "--reason", "it is there now")
    assert told.startswith("Rewind message sent to instance 'a'.\nStatus: ")
    assert host.finished("a")["output"] == "found"


def test_keys_are_presented_where_the_host_demands_them(folder, new_host):
    host = new_host(folder, "--enableAuth").start()
    assert host.get("/runtime/webhooks/durabletask/instances").status == 401
    begin(folder, "greet", "--id", "a")
    assert [row["instanceId"] for row in durable(folder, "get-instances")["instances"]] == ["a"]


def test_tls_is_spoken_where_the_host_does(folder, new_host):
    new_host(folder, "--useHttps").start()
    assert begin(folder, "greet", "--id", "a") == "a"


def test_an_unknown_orchestrator_is_named_by_the_host(folder, new_host):
    new_host(folder).start()
    told = func(folder, "durable", "start-new", "--function-name", "great", code=1)
    assert "Did you mean 'greet'?" in told


def test_a_host_that_hangs_is_told_apart(folder, new_host):
    host: Host = new_host(folder).start()
    host.send(signal.SIGSTOP)
    began = time.monotonic()
    told = func(folder, "durable", "get-instances", "--json", code=1)
    assert time.monotonic() - began < 15
    assert f"in use by process {host.pid} (http://localhost:{host.port})" in told
    assert "does not answer" in json.loads(told)["error"]
    host.send(signal.SIGCONT)
    assert durable(folder, "get-instances")["instances"] == []


def test_a_host_that_was_killed_is_not_asked(folder, new_host):
    host = new_host(folder).start()
    begin(folder, "greet", "--id", "a")
    host.kill()
    assert durable(folder, "get-runtime-status", "--id", "a")["name"] == "greet"


def test_a_hub_is_deleted_only_when_nobody_uses_it(folder, new_host):
    host = new_host(folder).start()
    begin(folder, "greet", "--id", "a")
    told = func(folder, "durable", "delete-task-hub", code=1)
    assert f"process {host.pid} (http://localhost:{host.port}). Stop that host first." in told
    assert host.stop() == 0
    func(folder, "durable", "delete-task-hub")
    assert "does not exist" in func(folder, "durable", "get-instances", code=1)
    host.start()
    assert host.every_instance() == []


def test_commands_at_the_same_time_wait_for_each_other(folder, new_host):
    assert new_host(folder).start().stop() == 0
    command = [sys.executable, "-m", "durable_app", "durable", "start-new"]
    several = [
        subprocess.Popen(
            [*command, "--function-name", "greet", "--id", f"i{number}"],
            cwd=folder,
            env=environment({}),
            stdout=subprocess.DEVNULL,
        )
        for number in range(4)
    ]
    assert [process.wait(30) for process in several] == [0] * 4
    assert len(durable(folder, "get-instances")["instances"]) == 4
