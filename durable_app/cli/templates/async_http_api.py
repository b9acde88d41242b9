"""Async HTTP API: take an order at once, let the caller ask how it goes."""

import json
from collections.abc import Generator
from typing import Any

import azure.functions as func

import durable_app as df

bp = df.Blueprint()


@bp.route(route="my_function", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def my_function_start(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Order: curl -i -X POST localhost:7071/api/my_function -d '{"pages": 3}'."""
    try:
        pages = int(req.get_json()["pages"]) if req.get_body() else 3
    except (ValueError, TypeError, KeyError):
        return func.HttpResponse("The body is no JSON object with pages.", status_code=400)
    order = await client.start_new("my_function", client_input=pages)
    where = f"{req.url.partition('?')[0]}/{order}"
    return func.HttpResponse(
        json.dumps({"id": order}),
        status_code=202,
        mimetype="application/json",
        headers={"Location": where, "Retry-After": "1"},
    )


@bp.route(route="my_function/{order}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def my_function_status(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Ask: 202 while it is made, 200 with the result, 404 for an unknown order."""
    status = await client.get_status(req.route_params["order"])
    if not status or status.name != "my_function":
        return func.HttpResponse(status_code=404)
    if status.runtime_status is df.OrchestrationRuntimeStatus.Completed:
        return func.HttpResponse(json.dumps(status.output), mimetype="application/json")
    if status.runtime_status is df.OrchestrationRuntimeStatus.Failed:
        return func.HttpResponse("The order has failed.", status_code=500)
    progress = json.dumps({"pages_done": status.custom_status or 0})
    return func.HttpResponse(progress, status_code=202, mimetype="application/json")


@bp.orchestration_trigger(context_name="context", input_type=int)
def my_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[str]]:
    """Write the pages; the custom status says how many there are."""
    pages: int = context.get_input()
    written = []
    for number in range(1, pages + 1):
        written.append((yield context.call_activity(my_function_write, number)))
        context.set_custom_status(number)
    return written


@bp.activity_trigger(input_name="number")
def my_function_write(number: int) -> str:
    """Stands for work that takes its time."""
    return f"page {number}"
