"""The admin API of a running host, over a real socket."""

import json

import pytest

from tests.contract.host_app import APP, talk, until, write_app

MORE = """
import pathlib

@app.activity_trigger(input_name="text")
def note(text):
    pathlib.Path(__file__).with_name("note.txt").write_text(str(text))


@app.schedule(schedule="0 0 0 1 1 *", arg_name="timer")
def yearly(timer: func.TimerRequest):
    pathlib.Path(__file__).with_name("note.txt").write_text("happy new year")


@app.route(route="hi")
def hi(req: func.HttpRequest):
    return "hi"
"""


@pytest.fixture
def folder(tmp_path):
    return write_app(tmp_path, APP + MORE)


def ask(folder, *requests, **options):
    """Answers of a fresh host to (method, path below /admin, options)."""

    async def conversation(host, call):
        return [
            await call(method, f"/admin/{path}", **(more or [{}])[0])
            for method, path, *more in requests
        ]

    return talk(folder, conversation, **options)


def test_the_status_that_tools_wait_for(folder):
    [answer] = ask(folder, ("GET", "host/status"))
    assert answer.status == 200
    assert answer.json["state"] == "Running"
    assert answer.json["version"].startswith("4.")
    assert answer.json["processUptime"] >= 0
    assert "errors" not in answer.json


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "host/ping", 200),
        ("POST", "host/ping", 200),
        ("GET", "host/processes", 200),
        ("GET", "host/config", 200),
        ("GET", "warmup", 200),
        ("POST", "host/restart", 200),
        ("POST", "host/synctriggers", 200),
        ("POST", "host/drain", 202),
        ("POST", "host/resume", 202),
        ("GET", "host/keys", 200),
        ("GET", "host/functionkeys", 200),
        ("GET", "host/systemkeys", 200),
        ("GET", "functions/hi/keys", 200),
        ("GET", "functions/hi/status", 200),
        ("GET", "functions/nobody", 404),
        ("DELETE", "host/status", 404),
        ("GET", "elsewhere", 404),
    ],
)
def test_routes(folder, method, path, status):
    [answer] = ask(folder, (method, path))
    assert answer.status == status


def test_bodies_of_the_host_routes(folder):
    state, log, nothing, config = ask(
        folder,
        ("PUT", "host/state", {"json": "running"}),
        ("POST", "host/log", {"json": [{"level": "Info", "message": "hello"}]}),
        ("POST", "host/log", {"data": b""}),
        ("GET", "host/config"),
    )
    assert (state.status, log.status, nothing.status) == (202, 200, 400)
    assert config.json["version"] == "2.0"


def test_functions(folder):
    every, one = ask(folder, ("GET", "functions"), ("GET", "functions/Start"))
    names = [function["name"] for function in every.json]
    assert {"start", "greet", "hello", "note", "yearly", "hi"} <= set(names)
    assert one.json["invoke_url_template"].endswith("/api/start/{name}")
    assert one.json["href"].startswith("http://")
    assert one.json["language"] == "python"
    assert any(b["type"] == "httpTrigger" for b in one.json["config"]["bindings"])
    assert (one.json["isDisabled"], one.json["isProxy"]) == (False, False)


@pytest.mark.parametrize(
    ("name", "text", "noted"),
    [("note", "text", "text"), ("note", "[1, 2]", "[1, 2]"), ("yearly", "", "happy new year")],
)
def test_a_function_runs_by_hand(folder, name, text, noted):
    note = folder / "note.txt"

    async def conversation(host, call):
        answer = await call("POST", f"/admin/functions/{name}", json={"input": text})
        await until(lambda: note.exists() and note.read_text() == noted)
        return answer

    answer = talk(folder, conversation)
    assert (answer.status, answer.body) == (202, b"")


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [("note", b"", 400), ("note", b"text", 400), ("nobody", b'{"input": ""}', 404)],
)
def test_what_cannot_be_run_by_hand(folder, name, body, status):
    [answer] = ask(folder, ("POST", f"functions/{name}", {"data": body}))
    assert answer.status == status


def test_keys_open_what_they_are_for(folder):
    async def conversation(host, call):
        keys = "/admin/functions/hi/keys"
        made = await call("PUT", f"{keys}/mine", json={"name": "mine", "value": "V"})
        listed = await call("GET", keys)
        gone = await call("DELETE", f"{keys}/mine")
        return made, listed, gone

    made, listed, gone = talk(folder, conversation)
    assert (made.status, made.json) == (201, {"name": "mine", "value": "V", "links": []})
    assert [key["name"] for key in listed.json["keys"]] == ["default", "mine"]
    assert (gone.status, gone.body) == (204, b"")


def test_the_admin_api_asks_for_the_master_key(folder):
    [refused] = ask(folder, ("GET", "functions"), enable_auth=True)
    assert refused.status == 401


def test_other_sites_are_refused(folder):
    [answer] = ask(folder, ("GET", "functions", {"headers": {"Origin": "https://evil.example"}}))
    assert answer.status == 403


def test_the_answers_are_json(folder):
    [answer] = ask(folder, ("GET", "functions"))
    assert answer.headers["Content-Type"].startswith("application/json")
    assert json.loads(answer.body)
