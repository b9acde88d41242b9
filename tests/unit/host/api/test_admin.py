"""The admin API: requests and answers without sockets."""

import asyncio
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from durable_app.errors import DefinitionError
from durable_app.functions.app import DFApp
from durable_app.functions.index import index_app
from durable_app.host.api.admin import AdminApi, HostFacts
from durable_app.host.api.exchange import Answer, ApiRequest
from durable_app.host.app.roster import HostedApp, HostedFunction
from durable_app.host.calls.invoke import FunctionFailedError
from durable_app.host.state import HostState
from durable_app.host.web.keys import Keys


class VirtualClock:
    """Time that stands still until it is moved."""

    def __init__(self):
        self.seconds = 100.0

    def now(self):
        return datetime(2026, 1, 2, tzinfo=UTC)

    def monotonic(self):
        return self.seconds

    def new_id(self):
        return "0" * 32


def functions():
    app = DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="hi/{name}", methods=["GET"])
    def hi(req):
        return "hi"

    @app.orchestration_trigger(context_name="context")
    def chain(context):
        return 1

    @app.schedule(schedule="0 0 * * * *", arg_name="timer")
    def Off(timer):  # noqa: N802  the case of a name does not matter
        return None

    @app.activity_trigger(input_name="value")
    def broken(value):
        return value

    return index_app(app)


INDEX = functions()


def hosted():
    off: dict[str, dict[str, Any]] = {
        "Off": {"is_disabled": True},
        "broken": {"error": "'%X%' does not resolve."},
    }
    every = tuple(HostedFunction(f, **off.get(f.name, {})) for f in INDEX.functions)
    return HostedApp("function_app.py", every, INDEX)


class Rig:
    """An admin API with everything that it was given, for one conversation."""

    def __init__(self, **facts):
        self.clock = VirtualClock()
        self.triggered = []
        self.restarts = 0
        self.loads = True
        self.error = None
        self.go = asyncio.Event()
        self.go.set()
        self.state = HostState(None)
        self.keys = Keys(self.state)
        about = HostFacts("machine", "1.2.3", Path("/app"), **facts)
        self.api = AdminApi(
            hosted, about, self.keys, self.clock, trigger=self.trigger, restart=self.restart
        )

    async def trigger(self, function, text):
        await self.go.wait()
        self.triggered.append((function.facts.name, text))
        if self.error is not None:
            raise self.error

    async def restart(self):
        self.restarts += 1
        if self.error is not None:
            raise self.error
        return self.loads

    async def ask(self, line, body=b"", headers=None):
        method, _, path = line.partition(" ")
        parts = tuple(part for part in path.split("/") if part)
        url = f"http://localhost:7071/admin/{path}"
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.api.answer(ApiRequest(method, parts, {}, headers or {}, body, url))


def asked(line, body=b"", headers=None, **facts):
    async def main():
        return await Rig(**facts).ask(line, body, headers)

    return asyncio.run(main())


def with_rig(conversation):
    async def main():
        return await conversation(Rig())

    return asyncio.run(main())


# ---------------------------------------------------------------------------------------------
# The host
# ---------------------------------------------------------------------------------------------


def test_the_status_of_the_host():
    async def conversation(rig):
        rig.clock.seconds += 1.5
        return json.loads((await rig.ask("GET host/status")).body)

    assert with_rig(conversation) == {
        "id": "machine",
        "state": "Running",
        "version": "4.0.0.0",
        "versionDetails": "4.0.0.0+durable_app.1.2.3",
        "processUptime": 1500,
        "functionAppContentEditingState": "Allowed",
        "errors": ["The 'broken' function is in error: '%X%' does not resolve."],
    }


def test_the_status_names_the_extension_bundle():
    bundle = {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"}
    answer = asked("GET host/status", extension_bundle=bundle)
    assert json.loads(answer.body)["extensionBundle"] == bundle


def test_a_host_without_faulty_functions_has_no_errors(monkeypatch):
    every = tuple(HostedFunction(f) for f in INDEX.functions)
    monkeypatch.setitem(globals(), "hosted", lambda: HostedApp("function_app.py", every, INDEX))
    assert "errors" not in json.loads(asked("GET host/status").body)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET host/ping", 200),
        ("POST host/ping", 200),
        ("GET Host/Ping", 200),
        ("GET warmup", 200),
        ("POST warmup", 200),
        ("POST host/synctriggers", 200),
        ("POST host/drain", 202),
        ("POST host/resume", 202),
        ("DELETE host/ping", 404),
        ("GET host/restart", 404),
        ("GET host", 404),
        ("GET elsewhere", 404),
        ("GET ", 404),
        ("GET functions/chain/elsewhere", 404),
        ("PUT functions/chain", 404),
        ("GET functions/nobody", 404),
        ("GET functions/nobody/status", 404),
        ("GET host/keys/default/more", 404),
        ("PATCH host/keys/default", 404),
    ],
)
def test_routes_and_their_codes(line, status):
    assert asked(line).status == status


def test_processes_and_configuration():
    processes = json.loads(asked("GET host/processes").body)["processes"]
    config = asked("GET host/config", config={"version": "2.0"})
    assert processes[0]["debugEngine"] == "python"
    assert json.loads(config.body) == {"version": "2.0"}


@pytest.mark.parametrize(("loads", "status"), [(True, 200), (False, 500)])
def test_a_restart_loads_the_app_again(loads, status):
    async def conversation(rig):
        rig.loads = loads
        return (await rig.ask("POST host/restart")).status, rig.restarts

    assert with_rig(conversation) == (status, 1)


def test_an_app_that_cannot_be_loaded_is_an_error_of_the_server():
    async def conversation(rig):
        rig.error = DefinitionError("function_app.py has no app.")
        return await rig.ask("POST host/restart")

    answer = with_rig(conversation)
    assert (answer.status, "has no app" in answer.body) == (500, True)


@pytest.mark.parametrize(
    ("body", "status"),
    [("running", 202), ("Running", 202), ("offline", 400), (None, 400), (b"{", 400)],
)
def test_the_state_can_only_be_running(body, status):
    assert asked("PUT host/state", body).status == status


def test_log_entries_are_logged(caplog):
    entries = [
        {"level": "Error", "message": "bad"},
        {"level": 2, "message": "hm"},
        {"message": "well"},
        "no entry",
    ]
    with caplog.at_level(logging.DEBUG, "durable_app.host.api.admin"):
        answer = asked("POST host/log", entries)
    assert answer.status == 200
    assert [(r.levelname, r.message) for r in caplog.records if "admin" in r.name] == [
        ("ERROR", "bad"),
        ("WARNING", "hm"),
        ("INFO", "well"),
    ]


@pytest.mark.parametrize("body", [[], {}, b"[", b"[" * 100_000])
def test_what_is_no_list_of_log_entries_is_refused(body):
    assert asked("POST host/log", body).status == 400


# ---------------------------------------------------------------------------------------------
# Functions
# ---------------------------------------------------------------------------------------------


def test_functions_are_listed_in_the_order_of_declaration():
    listed = json.loads(asked("GET functions").body)
    assert [(f["name"], f["isDisabled"]) for f in listed] == [
        ("hi", False),
        ("chain", False),
        ("Off", True),
        ("broken", False),
    ]


def test_an_http_function_in_detail():
    found = json.loads(asked("GET functions/HI", route_prefix="v1").body)
    bindings = found["config"].pop("bindings")
    assert found == {
        "name": "hi",
        "script_root_path_href": "http://localhost:7071/admin/vfs/",
        "script_href": "http://localhost:7071/admin/vfs/function_app.py",
        "config_href": None,
        "test_data_href": "http://localhost:7071/admin/vfs/data/Functions/sampledata/hi.dat",
        "href": "http://localhost:7071/admin/functions/hi",
        "invoke_url_template": "http://localhost:7071/v1/hi/{name}",
        "language": "python",
        "config": {
            "name": "hi",
            "functionDirectory": "/app",
            "scriptFile": "function_app.py",
            "entryPoint": "hi",
            "language": "python",
        },
        "files": None,
        "test_data": "",
        "isDisabled": False,
        "isDirect": False,
        "isProxy": False,
    }
    assert {binding["type"] for binding in bindings} == {"httpTrigger", "http"}


def test_other_functions_have_no_url():
    assert json.loads(asked("GET functions/chain").body)["invoke_url_template"] is None


@pytest.mark.parametrize(
    ("trusts", "origin"), [(True, "https://a"), (False, "http://localhost:7071")]
)
def test_links_honour_a_trusted_proxy(trusts, origin):
    headers = {"x-forwarded-host": "a", "x-forwarded-proto": "https"}
    answer = asked("GET functions/hi", headers=headers, use_forwarded_host=trusts)
    assert json.loads(answer.body)["href"] == f"{origin}/admin/functions/hi"


def test_the_status_of_a_function():
    assert json.loads(asked("GET functions/hi/status").body) == {}
    assert json.loads(asked("GET functions/broken/status").body) == {
        "errors": ["'%X%' does not resolve."]
    }


# ---------------------------------------------------------------------------------------------
# Manual triggers
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"input": "text"}, "text"),
        ({"Input": "text"}, "text"),
        ({"input": None}, ""),
        ({"input": 5}, "5"),
        ({"input": True}, "true"),
        ({}, ""),
    ],
)
def test_a_manual_trigger_runs_after_its_answer(body, text):
    async def conversation(rig):
        rig.go.clear()
        answer = await rig.ask("POST functions/chain", body)
        before = list(rig.triggered)
        rig.go.set()
        await rig.api.close(5)
        return answer, before, rig.triggered

    answer, before, after = with_rig(conversation)
    assert answer == Answer(202)
    assert (before, after) == ([], [("chain", text)])


@pytest.mark.parametrize(
    ("line", "body", "status"),
    [
        ("POST functions/chain", b"", 400),
        ("POST functions/chain", b"text", 400),
        ("POST functions/chain", ["text"], 400),
        ("POST functions/chain", {"input": {}}, 400),
        ("POST functions/chain", b"\xff", 400),
        ("POST functions/nobody", {"input": ""}, 404),
    ],
)
def test_manual_triggers_that_are_refused(line, body, status):
    async def conversation(rig):
        answer = await rig.ask(line, body)
        await rig.api.close(0)
        return answer, rig.triggered

    assert with_rig(conversation) == (Answer(status), [])


@pytest.mark.parametrize(
    ("name", "reason"),
    [("off", "Function 'Off' is disabled."), ("broken", "'%X%' does not resolve.")],
)
def test_a_function_that_does_not_run_says_why(name, reason):
    answer = asked(f"POST functions/{name}", {"input": ""})
    assert (answer.status, json.loads(answer.body)) == (404, {"Message": reason})


@pytest.mark.parametrize(
    ("error", "lines"), [(FunctionFailedError(), 0), (RuntimeError("no queue"), 1)]
)
def test_an_error_of_the_function_is_only_logged(caplog, error, lines):
    async def conversation(rig):
        rig.error = error
        answer = await rig.ask("POST functions/chain", {"input": ""})
        await rig.api.close(5)
        return answer.status

    assert with_rig(conversation) == 202
    assert caplog.text.count("manual trigger failed") == lines


def test_closing_does_not_wait_for_ever():
    async def conversation(rig):
        rig.go.clear()
        await rig.ask("POST functions/chain", {"input": ""})
        await rig.api.close(0)
        return rig.triggered

    assert with_rig(conversation) == []


# ---------------------------------------------------------------------------------------------
# Keys
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("GET host/keys", ["default"]),
        ("GET host/functionkeys", ["default"]),
        ("GET host/systemkeys", ["_master", "durabletask_extension"]),
        ("GET functions/chain/keys", ["default"]),
    ],
)
def test_lists_of_keys(line, names):
    found = json.loads(asked(line).body)
    assert found["links"] == []
    assert [key["name"] for key in found["keys"]] == names
    assert all(len(key["value"]) > 40 for key in found["keys"])


def test_the_life_of_a_key():
    async def conversation(rig):
        steps = [
            await rig.ask("PUT functions/Chain/keys/Mine", {"name": "mine", "value": "V"}),
            await rig.ask("GET functions/chain/keys/mine"),
            await rig.ask("POST functions/chain/keys/mine"),
            await rig.ask("DELETE functions/chain/keys/mine"),
            await rig.ask("DELETE functions/chain/keys/mine"),
            await rig.ask("GET functions/chain/keys/mine"),
            await rig.ask("POST host/keys/fresh"),
            await rig.ask("PUT host/systemkeys/other", {"value": "S"}),
        ]
        return [step.status for step in steps], [json.loads(step.body) for step in steps[:3]]

    statuses, (made, shown, renewed) = with_rig(conversation)
    assert statuses == [201, 200, 200, 204, 404, 404, 201, 201]
    assert made == {"name": "Mine", "value": "V", "links": []}
    assert shown["value"] == "V" != renewed["value"]


def test_the_master_key_can_be_replaced_but_not_removed():
    async def conversation(rig):
        lines = ("GET", "PUT", "POST", "DELETE", "PATCH")
        answers = [await rig.ask(f"{m} host/keys/_master", {"value": "M"}) for m in lines]
        return rig.keys.master(), [(answer.status, answer.body) for answer in answers]

    master, answers = with_rig(conversation)
    assert [status for status, _ in answers] == [200, 200, 200, 403, 404]
    assert json.loads(answers[1][1]) == {"name": "_master", "value": "M", "links": []}
    assert json.loads(answers[2][1])["value"] == master


@pytest.mark.parametrize("body", [b"", {}, {"value": ""}, {"value": "a b"}, {"value": 1}, [1]])
def test_a_key_needs_a_usable_value(body):
    assert asked("PUT host/keys/x", body).status == 400


def test_a_key_needs_a_name_that_can_be_kept():
    async def conversation(rig):
        parts = ("host", "keys", "a/b")
        return await rig.api.answer(ApiRequest("POST", parts, {}, {}, b"", "http://h/"))

    answer = with_rig(conversation)
    assert (answer.status, "without slashes" in answer.body) == (400, True)


def test_keys_that_cannot_be_kept_are_unavailable():
    async def conversation(rig):
        rig.state.close()
        return await rig.ask("GET host/keys")

    answer = with_rig(conversation)
    assert (answer.status, answer.headers) == (503, {"Retry-After": "5"})
