"""What users do wrong: each a clear error, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import WEBHOOK, Host, write_app

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
def unknown_child(context):
    yield context.call_sub_orchestrator("echo_chlid", 1)


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

    output = new_host(write_app(tmp_path / "app", code)).refusal()

    assert [text for text in texts if text not in output] == [], output
    assert not (tmp_path / "app" / ".durable" / "default.db").exists()


def test_no_app_file(tmp_path: Path, new_host: Callable[..., Host]) -> None:
    app = write_app(tmp_path / "app", APP)
    (app / "function_app.py").unlink()

    assert "There is no function_app.py in" in new_host(app).refusal()


@pytest.mark.parametrize("name", ["host.json", "local.settings.json"])
def test_a_broken_settings_file_is_named(
    name: str, tmp_path: Path, new_host: Callable[..., Host]
) -> None:
    app = write_app(tmp_path / "app", APP)
    (app / name).write_text('{"version": "2.0",,}')

    assert name in new_host(app).refusal()


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


def test_an_unknown_child_lists_the_known_orchestrators(bad: Host) -> None:
    text = failure(bad, "unknown_child")

    assert "The function 'echo_chlid' doesn't exist" in text
    assert "Did you mean 'echo_child'?" in text


@pytest.mark.parametrize(
    ("name", "code"), [("yields_a_list", "    yield ["), ("yields_nothing", "    yield\n")]
)
def test_a_yield_of_no_task_names_file_and_line(name: str, code: str, bad: Host) -> None:
    number = 1 + APP[: APP.index(code)].count("\n")

    text = failure(bad, name)

    assert "function_app.py" in text
    assert str(number) in text
