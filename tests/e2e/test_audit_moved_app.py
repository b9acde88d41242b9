"""An app written for Durable Functions 1.x, of which the import alone was changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.harness import WEBHOOK, Host, eventually

CODE = """
import datetime
import inspect
import json
import logging

import azure.functions as func
import durable_app as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
bp = df.Blueprint()
failures = {"left": 2, "mended": 0}


@app.route(route="orchestrators/{functionName}/{id?}")
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client):
    payload = json.loads(req.get_body().decode()) if req.get_body() else None
    instance_id = await client.start_new(
        req.route_params["functionName"], req.route_params.get("id"), payload
    )
    logging.info(f"Started orchestration with ID = '{instance_id}'.")
    return client.create_check_status_response(req, instance_id)


@app.route(route="call/{id}")
@app.durable_client_input(client_name="starter")
async def call(req: func.HttpRequest, starter: df.DurableOrchestrationClient) -> func.HttpResponse:
    operation, arguments = req.params["op"], req.get_json() if req.get_body() else []
    try:
        result = getattr(starter, operation)(req.route_params["id"], *arguments)
        result = await result if inspect.isawaitable(result) else result
    except Exception as error:
        return func.HttpResponse(str(error), status_code=400)
    if isinstance(result, df.DurableOrchestrationStatus):
        found = bool(result)
        result = result.to_json() if found else None
    elif isinstance(result, df.PurgeHistoryResult):
        result = result.instances_deleted
    return func.HttpResponse(json.dumps(result), mimetype="application/json")


@app.route(route="wait/{id}")
@app.durable_client_input(client_name="client")
async def wait(req: func.HttpRequest, client) -> func.HttpResponse:
    return await client.wait_for_completion_or_create_check_status_response(
        req, req.route_params["id"], int(req.params.get("ms", 5000)), 50
    )


@app.route(route="list")
@app.durable_client_input(client_name="client")
async def lists(req: func.HttpRequest, client) -> func.HttpResponse:
    since = datetime.datetime.utcnow() - datetime.timedelta(days=1)
    some = await client.get_status_by(
        since, None, [df.OrchestrationRuntimeStatus.Failed], req.params["prefix"]
    )
    everything = await client.get_status_all()
    return func.HttpResponse(json.dumps([[s.instance_id for s in some], len(everything)]))


@app.orchestration_trigger(context_name="context")
def human(context: df.DurableOrchestrationContext):
    seconds = context.get_input()
    timeout = context.create_timer(
        context.current_utc_datetime + datetime.timedelta(seconds=seconds)
    )
    approval = context.wait_for_external_event("Approval")
    winner = yield context.task_any([approval, timeout])
    if winner == approval:
        if not timeout.is_completed:
            timeout.cancel()
        return (yield context.call_activity("process", approval.result))
    return "escalated"


@app.activity_trigger(input_name="approval")
def process(approval) -> str:
    return f"processed {approval}"


@bp.orchestration_trigger(context_name="context", orchestration="FanOut")
def fan_out(context):
    items = context.get_input()
    context.set_custom_status({"done": 0})
    retry = df.RetryOptions(10, 3)
    tasks = [context.call_activity_with_retry("square", retry, item) for item in items]
    results = yield context.task_all(tasks)
    context.set_custom_status({"done": len(results)})
    total = yield context.call_sub_orchestrator("total", results, f"{context.instance_id}-total")
    return [total, context.parent_instance_id]


@bp.orchestration_trigger(context_name="context")
def total(context):
    try:
        yield context.call_activity("square", "no number")
    except Exception as error:
        return [sum(context.get_input()), "square" in str(error), context.parent_instance_id]


@bp.orchestration_trigger(context_name="context")
def failing(context):
    return (yield context.call_activity("mended"))


@bp.activity_trigger(input_name="nothing")
def mended(nothing):
    failures["mended"] += 1
    if failures["mended"] == 1:
        raise ValueError("broken")
    return "mended"


@bp.activity_trigger(input_name="item")
def square(item):
    if item == 3 and failures["left"]:
        failures["left"] -= 1
        raise ValueError("not yet")
    return item * item


@app.orchestration_trigger(context_name="context", orchestration="Eternal")
def eternal(context):
    count = context.get_input()
    operation = yield context.wait_for_external_event("operation")
    if operation == "end":
        return count
    context.continue_as_new(count + {"incr": 1, "decr": -1}[operation])


app.register_functions(bp)
"""


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("moved") / "app"
    folder.mkdir()
    (folder / "function_app.py").write_text(CODE)
    (folder / "host.json").write_text('{"version": "2.0"}')
    host = Host(folder)
    try:
        yield host.start()
    finally:
        host.kill()


def call(host: Host, operation: str, instance_id: str, *arguments: Any) -> Any:
    """What a method of the client returns, called within the app."""
    reply = host.post(f"/api/call/{instance_id}?op={operation}", list(arguments))
    assert reply.status == 200, reply.text
    return reply.json


def refused(host: Host, operation: str, instance_id: str, *arguments: Any) -> str:
    """The text of the exception that a method of the client raises."""
    reply = host.post(f"/api/call/{instance_id}?op={operation}", list(arguments))
    assert reply.status == 400, reply.text
    return reply.text


def test_an_approval_ends_the_timer(moved: Host) -> None:
    moved.begin("human/h1", 300)

    assert call(moved, "raise_event", "h1", "Approval", [1, 2]) is None

    assert moved.finished("h1")["output"] == "processed [1, 2]"


def test_nobody_approves(moved: Host) -> None:
    moved.begin("human/h2", 0.05)

    assert moved.finished("h2")["output"] == "escalated"


def test_a_fan_out_with_retries_and_a_child(moved: Host) -> None:
    moved.begin("FanOut/f1", [1, 2, 3])

    status = moved.finished("f1")

    assert status["output"] == [[14, True, "f1"], None]
    assert status["customStatus"] == {"done": 3}
    shown = call(moved, "get_status", "f1", True, True, True)
    assert shown["input"] == [1, 2, 3]
    assert shown["runtimeStatus"] == "Completed"
    failed = [event for event in shown["history"] if event["EventType"] == "TaskFailed"]
    assert [event["FunctionName"] for event in failed] == ["square", "square"]


def test_an_eternal_one_counts_events_until_its_end(moved: Host) -> None:
    moved.begin("Eternal/e1", 0)
    for operation in ("incr", "incr", "decr", "incr", "end"):
        call(moved, "raise_event", "e1", "operation", operation)

    assert moved.finished("e1")["output"] == 2


def test_steering(moved: Host) -> None:
    moved.begin("Eternal/s1", 5)

    call(moved, "suspend", "s1", "hold")
    moved.in_status("s1", "Suspended")
    call(moved, "resume", "s1", "go")
    moved.in_status("s1", "Running")
    call(moved, "terminate", "s1", "enough")
    assert moved.finished("s1")["output"] == "enough"
    for operation in ("terminate", "suspend", "resume"):
        assert call(moved, operation, "s1", "too late") is None
        assert "nobody" in refused(moved, operation, "nobody", "why")
    again = call(moved, "restart", "s1")
    assert again != "s1"
    assert call(moved, "restart", "s1", False) == "s1"
    assert moved.in_status("s1", "Running")["input"] == 5


def test_errors_of_events(moved: Host) -> None:
    moved.begin("human/v1", 0)
    moved.finished("v1")

    assert "nobody" in refused(moved, "raise_event", "nobody", "Approval")
    assert "v1" in refused(moved, "raise_event", "v1", "Approval")
    assert "event_name" in refused(moved, "raise_event", "v1", "")


def test_what_has_failed_is_rewound_listed_and_purged(moved: Host) -> None:
    moved.begin("failing/r1")
    assert moved.finished("r1")["runtimeStatus"] == "Failed"

    reply = moved.get("/api/wait/r1")
    assert (reply.status, reply.json["runtimeStatus"]) == (500, "Failed")
    assert moved.get("/api/list?prefix=r").json[0] == ["r1"]
    assert call(moved, "rewind", "r1", "again") is None
    eventually(
        lambda: call(moved, "get_status", "r1")["runtimeStatus"] == "Completed", "the end of it"
    )
    assert moved.get("/api/list?prefix=r").json[0] == []
    assert "r1" in refused(moved, "rewind", "r1", "again")
    assert "nobody" in refused(moved, "rewind", "nobody", "again")
    assert call(moved, "purge_instance_history", "r1") == 1
    assert call(moved, "purge_instance_history", "r1") == 0
    assert call(moved, "get_status", "r1") is None


def test_a_waiting_call_answers_with_the_output_or_where_to_ask(moved: Host) -> None:
    moved.begin("human/w1", 300)
    reply = moved.get("/api/wait/w1?ms=100")
    assert reply.status == 202
    assert reply.headers["location"] == reply.json["statusQueryGetUri"]

    call(moved, "raise_event", "w1", "Approval", True)

    reply = moved.get("/api/wait/w1")
    assert (reply.status, reply.text) == (200, "processed True")
    links = call(moved, "create_http_management_payload", "w1")
    assert set(links) == {
        "id",
        "statusQueryGetUri",
        "sendEventPostUri",
        "terminatePostUri",
        "rewindPostUri",
        "purgeHistoryDeleteUri",
        "restartPostUri",
        "suspendPostUri",
        "resumePostUri",
    }
    assert f"{WEBHOOK}/instances/w1" in links["statusQueryGetUri"]
