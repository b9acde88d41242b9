"""Durable names and function names: which one counts where."""

from __future__ import annotations

import io

from tests.contract.host_app import talk, write_app

APP = """
import azure.functions as func
import durable_app as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client) -> func.HttpResponse:
    instance_id = await client.start_new(req.route_params["name"])
    return await client.wait_for_completion_or_create_check_status_response(req, instance_id)

@app.orchestration_trigger(context_name="context", orchestration="FanOut")
def fan_out_function(context):
    return (yield context.call_activity("HELLO", "Tokyo"))

@app.activity_trigger(input_name="name", activity="Hello")
def hello_function(name):
    return f"Hello {name}!"

@app.orchestration_trigger(context_name="context")
def Who(context):
    sync = yield context.call_activity("tells", 1)
    return sync, (yield context.call_activity("tells_async", 1))

@app.activity_trigger(input_name="number")
def tells(number: int, context: func.Context):
    return [context.function_name, context.invocation_id]

@app.activity_trigger(input_name="number", activity="tells_async")
async def async_teller(context: func.Context, number: int):
    return [context.function_name, context.invocation_id]
"""


def test_names_ignore_case_and_the_console_shows_functions(tmp_path):
    stream = io.StringIO()

    async def conversation(host, call):
        answers = [await call("POST", f"/api/start/{name}") for name in ("FanOut", "fanout")]
        host.console.flush()
        return [(answer.status, answer.body) for answer in answers]

    write_app(tmp_path, APP)
    answers = talk(tmp_path, conversation, stream=stream)
    assert answers == [(200, b"Hello Tokyo!")] * 2
    assert "Executing 'Functions.fan_out_function'" in stream.getvalue()
    assert "Executing 'Functions.hello_function'" in stream.getvalue()
    assert "Functions.FanOut" not in stream.getvalue()


def test_activities_get_the_context_of_their_invocation(tmp_path):
    stream = io.StringIO()

    async def conversation(host, call):
        answer = await call("POST", "/api/start/Who")
        host.console.flush()
        return answer.json

    write_app(tmp_path, APP)
    told = talk(tmp_path, conversation, stream=stream, verbose=True)
    assert [function for function, _ in told] == ["tells", "async_teller"]
    for function, invocation_id in told:
        assert f"Executed 'Functions.{function}' (Succeeded, Id={invocation_id}," in (
            stream.getvalue()
        )


def test_routes_are_told_where_the_host_speaks(tmp_path):
    stream = io.StringIO()

    async def conversation(host, call):
        host.console.flush()

    write_app(tmp_path, APP)
    talk(tmp_path, conversation, stream=stream, verbose=True)
    assert "Mapped function route 'api/start/{name}' [POST] to 'start'" in stream.getvalue()
