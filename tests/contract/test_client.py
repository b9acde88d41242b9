"""Clients inside functions: injected, and made by hand of a binding's text."""

from __future__ import annotations

from durable_app.protocol import ExecutionStarted, TraceContext
from tests.contract.host_app import talk, write_app

ORCHESTRATIONS = """
import azure.functions as func
import durable_app as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger(context_name="context")
def double(context: df.DurableOrchestrationContext):
    return 2 * context.get_input()


@app.orchestration_trigger(context_name="context")
def fail(context: df.DurableOrchestrationContext):
    raise ValueError("out of order")
"""

INJECTED = (
    ORCHESTRATIONS
    + """
async def kinds(client) -> str:
    old, new = df.DurableOrchestrationClient, df.DurableFunctionsClient
    return f"{isinstance(client, old)} {isinstance(client, new)}"


@app.route("old")
@app.durable_client_input(client_name="client")
async def old(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> str:
    return await kinds(client)


@app.route("new")
@app.durable_client_input(client_name="client")
async def new(req: func.HttpRequest, client: df.DurableFunctionsClient) -> str:
    return await kinds(client)


@app.route("double")
@app.durable_client_input(client_name="client")
async def by_new_names(req: func.HttpRequest, client: df.DurableFunctionsClient) -> str:
    instance_id = await client.schedule_new_orchestration(double, input=21)
    state = await client.wait_for_orchestration_completion(instance_id)
    return f"{state.runtime_status} {state.get_output(int)}"


@app.route("sync")
@app.durable_client_input(client_name="client")
def by_waiting(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> str:
    instance_id = client.schedule_new_orchestration(double, input=2)
    state = client.wait_for_orchestration_completion(instance_id)
    both = isinstance(client, df.SyncDurableOrchestrationClient)
    return f"{state.runtime_status} {state.get_output(int)} {both}"


@app.route("fail")
@app.durable_client_input(client_name="client")
async def failing(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    flag = {"": None, "true": True, "false": False}[req.params.get("flag", "")]
    return await client.wait_for_completion_or_create_check_status_response(
        req, await client.start_new(fail), return_internal_server_error_on_failure=flag
    )


@app.route("error")
@app.durable_client_input(client_name="client")
async def error(req: func.HttpRequest, client: df.DurableFunctionsClient) -> str:
    state = await client.wait_for_orchestration_completion(await client.start_new("fail"))
    try:
        state.raise_if_failed()
    except df.OrchestrationFailedError as failed:
        return failed.failure_details.message


@app.route("traced")
@app.durable_client_input(client_name="client")
async def traced(req: func.HttpRequest, client: df.DurableFunctionsClient) -> str:
    return await client.start_new(double, client_input=1)


@app.route("traced/sync")
@app.durable_client_input(client_name="client")
def traced_too(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> str:
    return client.start_new(double, client_input=1)
"""
)

BY_HAND = """
@app.route("async")
@app.generic_input_binding(arg_name="starter", type="durableClient")
async def by_hand(req: func.HttpRequest, starter: str) -> func.HttpResponse:
    client = df.DurableOrchestrationClient(starter)
    try:
        instance_id = await client.start_new("double", None, 4)
    except df.DefinitionError as error:
        return func.HttpResponse(str(error), status_code=400)
    return await client.wait_for_completion_or_create_check_status_response(req, instance_id)


@app.route("foreign")
async def foreign(req: func.HttpRequest) -> str:
    try:
        return df.DurableOrchestrationClient('{"taskHubName": "other"}').task_hub_name
    except df.UnsupportedOnHostError as error:
        return str(error)


@app.route("sync")
@app.generic_input_binding(arg_name="starter", type="durableClient")
def by_hand_and_waiting(req: func.HttpRequest, starter: str) -> func.HttpResponse:
    client = df.SyncDurableFunctionsClient(starter)
    return func.HttpResponse(f"{client.task_hub_name} {len(client.get_status_all())}")
"""
IN_ACTIVITIES = """
@app.activity_trigger(input_name="x")
@app.generic_input_binding(arg_name="starter", type="durableClient")
async def by_hand(x: int, starter: str) -> int:
    return x + len(await df.DurableOrchestrationClient(starter).get_status_all())


@app.activity_trigger(input_name="x")
@app.durable_client_input(client_name="client")
def injected(x: int, client: df.SyncDurableFunctionsClient) -> int:
    return x + len(client.get_all_orchestration_states())


@app.orchestration_trigger(context_name="context")
def count(context: df.DurableOrchestrationContext):
    first = yield context.call_activity(by_hand, 10)
    second = yield context.call_activity(injected, 20)
    return [first, second]


@app.route("count")
@app.durable_client_input(client_name="client")
async def counted(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    instance_id = await client.start_new(count)
    return await client.wait_for_completion_or_create_check_status_response(req, instance_id)
"""
PLAIN = """
import azure.functions as func
import durable_app as df

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""


def answers(folder, source, *paths):
    async def conversation(host, call):
        return [await call("GET", path) for path in paths]

    found = talk(write_app(folder, source), conversation)
    return [(answer.status, answer.body.decode()) for answer in found]


def test_the_injected_client_has_both_sets_of_names(tmp_path):
    found = answers(tmp_path, INJECTED, "/api/old", "/api/new", "/api/double", "/api/sync")
    assert found == [
        (200, "True True"),
        (200, "True True"),
        (200, "COMPLETED 42"),
        (200, "COMPLETED 4 True"),
    ]


def test_a_failed_instance_is_a_500_unless_told_otherwise(tmp_path):
    found = answers(
        tmp_path, INJECTED, "/api/fail", "/api/fail?flag=true", "/api/fail?flag=false", "/api/error"
    )
    assert [status for status, _body in found] == [500, 500, 200, 200]
    assert "ValueError: out of order" in found[0][1]
    assert found[3][1] == "out of order"


def test_a_client_is_made_by_hand_in_an_app_of_ours(tmp_path):
    found = answers(tmp_path, ORCHESTRATIONS + BY_HAND, "/api/async", "/api/sync")
    assert found == [(200, "8"), (200, "default 1")]


def test_the_binding_of_another_host_is_refused(tmp_path):
    ((status, body),) = answers(tmp_path, PLAIN + BY_HAND, "/api/foreign")
    assert status == 200
    assert "was not made by this host, which serves task hub 'default' only" in body


def test_activities_get_clients_too(tmp_path):
    found = answers(tmp_path, ORCHESTRATIONS + IN_ACTIVITIES, "/api/count")
    assert found == [(200, "[11,21]")]


def test_a_client_is_made_by_hand_in_a_plain_app(tmp_path):
    found = answers(tmp_path, PLAIN + BY_HAND, "/api/async", "/api/sync")
    assert found[0][0] == 400
    assert "'double' doesn't exist" in found[0][1]
    assert found[1] == (200, "default 0")


def test_what_a_request_starts_belongs_to_its_trace(tmp_path):
    parent = f"00-{'a' * 32}-{'b' * 16}-01"

    async def conversation(host, call):
        found = []
        for path, sent in (("traced", parent), ("traced/sync", parent), ("traced", "nonsense")):
            headers = {"traceparent": sent, "tracestate": "x=1"}
            answer = await call("GET", f"/api/{path}", headers=headers)
            events = await host.client.get_orchestration_history(answer.body.decode())
            started = next(each for each in events if isinstance(each, ExecutionStarted))
            found.append(started.parent_trace_context)
        return found

    context = TraceContext(parent, "x=1")
    assert talk(write_app(tmp_path, INJECTED), conversation) == [context, context, None]
