"""What users do wrong, and what machines do to them: each a clear error, and nothing is lost."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import READY, WEBHOOK, Host, eventually, write_app

APP = """
import dataclasses
import json

import azure.functions as func
import durable_app as df

app = df.DFApp()


@dataclasses.dataclass
class Order:
    number: int


@app.route(route="begin/{name}/{instanceid}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def begin(req, client):
    body = req.get_body().decode()
    value = {"order": {"clock": object()}} if body == "object" else json.loads(body or "null")
    try:
        names = req.route_params
        return await client.start_new(names["name"], names["instanceid"], value)
    except Exception as error:
        return func.HttpResponse(f"{type(error).__name__}: {error}", status_code=400)


@app.route(route="tell/{instanceid}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def tell(req, client):
    try:
        await client.raise_event(req.route_params["instanceid"], "Go", 1)
    except Exception as error:
        return func.HttpResponse(f"{type(error).__name__}: {error}", status_code=400)


@app.orchestration_trigger(context_name="context")
def big_everywhere(context):
    given = context.get_input()
    context.set_custom_status(given)
    echoed = yield context.call_activity(echo, given)
    child = yield context.call_sub_orchestrator(echo_child, echoed)
    told = yield context.wait_for_external_event("Big")
    if not isinstance(given, list):
        context.continue_as_new([child, told])
    return given


@app.orchestration_trigger(context_name="context")
def echo_child(context):
    return context.get_input()


@app.activity_trigger(input_name="value")
def echo(value):
    return value


@app.orchestration_trigger(context_name="context")
def unknown_activity(context):
    yield context.call_activity("eco", 1)


@app.orchestration_trigger(context_name="context")
def odd_activity_input(context):
    yield context.call_activity(echo, {"lines": [1, object()]})


@app.orchestration_trigger(context_name="context")
def odd_activity_result(context):
    yield context.call_activity(odd_result, None)


@app.activity_trigger(input_name="value")
def odd_result(value):
    return {"lines": [1, object()]}


@app.orchestration_trigger(context_name="context")
def odd_result_of_its_own(context):
    yield context.call_activity(echo, 1)
    return {"total": float("nan")}


@app.orchestration_trigger(context_name="context", input_type=Order)
def typed(context):
    return context.get_input().number


@app.orchestration_trigger(context_name="context")
def yields_a_list(context):
    yield [context.call_activity(echo, 1)]


@app.orchestration_trigger(context_name="context")
def yields_nothing(context):
    context.call_activity(echo, 1)
    yield
"""


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(write_app(tmp_path_factory.mktemp("bad") / "app", APP))
    try:
        yield host.start()
    finally:
        host.kill()


def refused(host: Host) -> str:
    """The output of a host that must refuse to start, without a word about its own code."""
    host.launch()
    assert host.wait() == 1, host.output()
    output = host.output()
    assert READY not in output
    assert "durable_app/" not in output
    return output


def failure(host: Host, name: str, body: str = "", instance_id: str | None = None) -> str:
    """Output of an instance that must fail."""
    instance_id = instance_id or f"{name}-1"
    reply = host.request("POST", f"/api/begin/{name}/{instance_id}", body)
    assert reply.status == 200, reply
    status = host.finished(instance_id)
    assert status["runtimeStatus"] == "Failed", status
    output: str = status["output"]
    return output


# -- the app --------------------------------------------------------------------------------------

BROKEN_APPS = {
    "syntax": ("def f(:\n", ["function_app.py", "line 1", "SyntaxError"]),
    "exception": (
        "import durable_app as df\napp = df.DFApp()\nprices = {}\nprices['x']\n",
        ["function_app.py", "line 4", "KeyError: 'x'"],
    ),
    "exit": ("import sys\nsys.exit(3)\n", ["function_app.py", "line 2", "SystemExit: 3"]),
    "module": (
        "import no_such_thing\n",
        ["No module named 'no_such_thing'", "requirements.txt"],
    ),
    "no app": (
        "import durable_app as df\nbp = df.Blueprint()\n",
        ["Could not find top level function app instances in function_app.py.", "df.DFApp()"],
    ),
    "two apps": (
        "import durable_app as df\none = df.DFApp()\ntwo = df.DFApp()\n",
        ["More than one FunctionApp or other top level function app instances are defined."],
    ),
    "same function name": (
        "import durable_app as df\napp = df.DFApp()\n"
        "for number in range(2):\n"
        "    @app.activity_trigger(input_name='x')\n"
        "    def twice(x):\n        return x\n",
        ["twice", "does not have a unique function name"],
    ),
    "same durable name": (
        "import durable_app as df\napp = df.DFApp()\n"
        "@app.activity_trigger(input_name='x', activity='pay')\ndef one(x):\n    return x\n"
        "@app.activity_trigger(input_name='x', activity='pay')\ndef two(x):\n    return x\n",
        ["function_app.py", "pay", "defined already at"],
    ),
    "binding name": (
        "import durable_app as df\napp = df.DFApp()\n"
        "@app.activity_trigger(input_name='order_id')\ndef pay(order_id):\n    return 1\n",
        ["function_app.py:3", "orderId", "underscores"],
    ),
    "parameter": (
        "import durable_app as df\napp = df.DFApp()\n"
        "@app.activity_trigger(input_name='order')\ndef pay(amount):\n    return 1\n",
        ["function_app.py:3", "pay has no parameter 'order'"],
    ),
}


@pytest.mark.parametrize("case", BROKEN_APPS)
def test_a_broken_app_is_explained(
    case: str, tmp_path: Path, new_host: Callable[..., Host]
) -> None:
    code, texts = BROKEN_APPS[case]

    output = refused(new_host(write_app(tmp_path / "app", code)))

    assert [text for text in texts if text not in output] == [], output
    assert not (tmp_path / "app" / ".durable" / "default.db").exists()


def test_no_app_file(tmp_path: Path, new_host: Callable[..., Host]) -> None:
    app = write_app(tmp_path / "app", APP)
    (app / "function_app.py").unlink()

    assert "There is no function_app.py in" in refused(new_host(app))


@pytest.mark.parametrize("name", ["host.json", "local.settings.json"])
def test_a_broken_settings_file_is_named(
    name: str, tmp_path: Path, new_host: Callable[..., Host]
) -> None:
    app = write_app(tmp_path / "app", APP)
    (app / name).write_text('{"version": "2.0",,}')

    assert name in refused(new_host(app))


# -- requests -------------------------------------------------------------------------------------


def test_an_unknown_orchestrator_lists_the_known_ones(host: Host) -> None:
    by_app = host.post("/api/orchestrators/hello_citys")
    by_webhook = host.post(f"{WEBHOOK}/orchestrators/hello_citys")

    assert (by_app.status, by_webhook.status) == (404, 400)
    for text in (by_app.json["error"], by_webhook.json["ExceptionMessage"]):
        assert "'hello_citys' doesn't exist" in text
        assert "'count_words'" in text
        assert "Did you mean 'hello_cities'?" in text


@pytest.mark.parametrize("body", [b"{", b"[1,]", b"NaN", b"\xff\xfe", b'{"a": 1} x'])
def test_a_body_that_is_no_json(body: bytes, host: Host) -> None:
    by_app = host.request("POST", "/api/orchestrators/count_words?instance_id=no-json", body)
    by_webhook = host.request("POST", f"{WEBHOOK}/orchestrators/count_words/no-json", body)

    assert (by_app.status, by_webhook.status) == (400, 400)
    assert "JSON" in by_app.text
    assert "Invalid JSON content" in by_webhook.text
    assert host.get(f"{WEBHOOK}/instances/no-json").status == 404


def test_an_event_that_is_no_json(host: Host) -> None:
    host.begin("approve_expense", {"employee": "Ada", "amount": 1}, "bad-event")
    url = f"{WEBHOOK}/instances/bad-event/raiseEvent/Approval"

    assert host.request("POST", url, "{").status == 400
    plain = host.request("POST", url, "yes", {"Content-Type": "text/plain"})
    assert plain.status == 400
    assert plain.json == {"Message": "Only application/json request content is supported"}
    assert host.status("bad-event")["runtimeStatus"] in {"Pending", "Running"}


def test_an_event_of_another_shape_fails_the_instance_with_the_field(host: Host) -> None:
    host.begin("approve_expense", {"employee": "Ada", "amount": 1}, "odd-event")

    host.post(f"{WEBHOOK}/instances/odd-event/raiseEvent/Approval", {"approved": True})

    status = host.finished("odd-event")
    assert status["runtimeStatus"] == "Failed"
    assert "by" in status["output"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/raiseEvent/Go"),
        ("POST", "/terminate"),
        ("POST", "/suspend"),
        ("POST", "/resume"),
        ("POST", "/rewind"),
    ],
)
def test_an_unknown_instance_is_404(method: str, path: str, host: Host) -> None:
    body = "1" if method == "POST" else None
    assert host.request(method, f"{WEBHOOK}/instances/nobody{path}", body).status == 404


def test_restart_of_an_unknown_instance_is_400(host: Host) -> None:
    reply = host.post(f"{WEBHOOK}/instances/nobody/restart")

    assert reply.status == 400
    assert "does not match a valid orchestration instance" in reply.text


def test_an_event_for_nobody_and_for_a_finished_instance(bad: Host) -> None:
    nobody = bad.post("/api/tell/nobody")
    assert (nobody.status, nobody.text) == (
        400,
        "InstanceNotFoundError: No instance with ID 'nobody' was found.",
    )

    bad.request("POST", "/api/begin/echo_child/ended", "1")
    bad.finished("ended")
    ended = bad.post("/api/tell/ended")
    assert "WrongStatusError: Instance 'ended' is Completed" in ended.text
    assert bad.post(f"{WEBHOOK}/instances/ended/raiseEvent/Go", 1).status == 410
    assert bad.status("ended")["output"] == 1


@pytest.mark.parametrize("instance_id", ["%40start", "a%2Fb", "a%23b", "a%3Fb", "x" * 257])
def test_an_impossible_instance_id(instance_id: str, host: Host) -> None:
    reply = host.post(f"/api/orchestrators/hello_cities?instance_id={instance_id}")

    assert reply.status == 400, reply


def test_the_id_of_a_running_instance(host: Host) -> None:
    host.begin("approve_expense", {"employee": "Ada", "amount": 1}, "taken")

    by_app = host.post("/api/orchestrators/hello_cities?instance_id=taken")
    by_webhook = host.post(f"{WEBHOOK}/orchestrators/hello_cities/taken")

    assert (by_app.status, by_webhook.status) == (409, 500)
    for reply in (by_app, by_webhook):
        assert "already exists" in reply.text
    assert host.status("taken")["name"] == "approve_expense"


# -- payloads -------------------------------------------------------------------------------------


def test_two_megabytes_through_everything(bad: Host) -> None:
    big = "ä€𝄞x" * 250_000  # 2.5 MB of UTF-8
    url = f"{WEBHOOK}/instances/big-1/raiseEvent/Big"

    assert bad.post(f"{WEBHOOK}/orchestrators/big_everywhere/big-1", big).status == 202
    assert bad.post(url, big).status == 202
    assert bad.post(url, big).status == 202

    status = bad.finished("big-1")
    assert status["runtimeStatus"] == "Completed"
    assert status["input"] == status["output"] == status["customStatus"] == [big, big]
    bad.kill()
    bad.start()
    assert bad.status("big-1")["output"] == [big, big]


def test_an_input_that_cannot_be_encoded_is_refused_at_the_start(bad: Host) -> None:
    reply = bad.request("POST", "/api/begin/echo_child/odd-1", "object")

    assert reply.status == 400
    assert reply.text.startswith("PayloadError: ")
    assert "order" in reply.text
    assert "clock" in reply.text
    assert bad.get(f"{WEBHOOK}/instances/odd-1").status == 404


@pytest.mark.parametrize("name", ["odd_activity_input", "odd_activity_result"])
def test_values_that_cannot_be_encoded_name_their_place(name: str, bad: Host) -> None:
    text = failure(bad, name)

    assert "lines" in text
    assert "[1]" in text
    assert "object" in text


def test_a_result_that_cannot_be_encoded_fails_its_orchestration(bad: Host) -> None:
    assert "total" in failure(bad, "odd_result_of_its_own")


def test_an_input_of_another_shape_names_the_field(bad: Host) -> None:
    assert "number" in failure(bad, "typed", '{"number": "three"}', "typed-1")
    assert "number" in failure(bad, "typed", "{}", "typed-2")


def test_an_unknown_activity_lists_the_known_ones(bad: Host) -> None:
    text = failure(bad, "unknown_activity")

    assert "The function 'eco' doesn't exist" in text
    assert "'echo', 'odd_result'" in text
    assert "Did you mean 'echo'?" in text


@pytest.mark.parametrize(
    ("name", "code"), [("yields_a_list", "    yield ["), ("yields_nothing", "    yield\n")]
)
def test_a_yield_of_no_task_names_file_and_line(name: str, code: str, bad: Host) -> None:
    number = 1 + APP[: APP.index(code)].count("\n")

    text = failure(bad, name)

    assert "function_app.py" in text
    assert str(number) in text


# -- the database ---------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="prlimit exists on Linux alone")
def test_a_full_disk_loses_nothing(app: Path, new_host: Callable[..., Host]) -> None:
    host = new_host(app).start()
    host.begin("approve_expense", {"employee": "Ada", "amount": 1}, "before")
    limit_files(host, 256 * 1024)

    refusals = [start_big(host, number) for number in range(40)]

    assert 503 in refusals
    assert set(refusals) <= {202, 503}
    assert host.status("before")["name"] == "approve_expense"
    limit_files(host, resource.RLIM_INFINITY)
    for number, status in enumerate(refusals):
        if status == 202:
            assert host.finished(f"big-{number}")["output"]["total"] == 1
        else:
            assert host.get(f"{WEBHOOK}/instances/big-{number}").status == 404
    approve = f"{WEBHOOK}/instances/before/raiseEvent/Approval"
    decision = {"approved": True, "by": "Grace"}
    eventually(lambda: host.post(approve, decision).status == 202, "a database that works again")
    assert host.finished("before")["output"] == {"outcome": "Approved", "by": "Grace"}
    assert host.stop() == 0
    output = host.output()
    database = host.folder / ".durable" / "default.db"
    assert f"The database '{database}' cannot be used: the disk" in output
    assert "The database of the task hub works again" in output
    assert "Traceback" not in output


def limit_files(host: Host, size: int) -> None:
    """No file of the host may grow beyond this, as if the disk were full."""
    hard = resource.prlimit(host.pid, resource.RLIMIT_FSIZE)[1]  # type: ignore[attr-defined, unused-ignore]  # Linux only
    resource.prlimit(host.pid, resource.RLIMIT_FSIZE, (size, hard))  # type: ignore[attr-defined, unused-ignore]  # Linux only


def start_big(host: Host, number: int) -> int:
    value = ["x" * 50_000]
    return host.post(f"{WEBHOOK}/orchestrators/count_words/big-{number}", value).status


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder(app: Path, new_host: Callable[..., Host]) -> None:
    app.chmod(0o555)
    try:
        output = refused(new_host(app))
    finally:
        app.chmod(0o755)

    assert ".durable" in output
    assert "--store" in output


def test_a_folder_for_the_database_that_is_none(app: Path, new_host: Callable[..., Host]) -> None:
    (app / ".durable").write_text("a file")

    output = refused(new_host(app))

    assert str(app / ".durable") in output
    assert "--store" in output


@pytest.mark.parametrize("damage", ["header", "pages"])
def test_a_corrupted_database(damage: str, app: Path, new_host: Callable[..., Host]) -> None:
    host = new_host(app).start()
    host.run("hello_cities")
    assert host.stop() == 0
    database = app / ".durable" / "default.db"
    damaged = bytearray(database.read_bytes())
    first, end = (0, 100) if damage == "header" else (100, len(damaged))
    damaged[first:end] = b"\xa5" * (end - first)
    database.write_bytes(damaged)

    output = refused(new_host(app))

    assert str(database) in output
    assert database.read_bytes() == bytes(damaged)


def test_a_file_that_is_no_database(app: Path, new_host: Callable[..., Host]) -> None:
    database: Any = app / ".durable" / "default.db"
    database.parent.mkdir()
    database.write_text("dear diary, " * 1000)

    assert str(database) in refused(new_host(app))
    assert database.read_text() == "dear diary, " * 1000
