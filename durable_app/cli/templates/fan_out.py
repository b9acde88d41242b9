"""Fan-out/fan-in: many activities at the same time, then one result."""

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
    """Start it: curl -X POST localhost:7071/api/my_function -d '["to be", "or not to be"]'."""
    try:
        texts = req.get_json() if req.get_body() else ["the quick brown fox", "jumps over"]
    except ValueError:
        return func.HttpResponse("The body is no JSON.", status_code=400)
    instance_id = await client.start_new("my_function", client_input=texts)
    return client.create_check_status_response(req, instance_id)


@bp.orchestration_trigger(context_name="context", input_type=list[str])
def my_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, int]:
    """Count the words of all texts in parallel: start all, then wait for all."""
    texts: list[str] = context.get_input()
    tasks = [context.call_activity(my_function_count, text) for text in texts]
    counts = yield context.task_all(tasks)
    return sum(counts)


@bp.activity_trigger(input_name="text")
def my_function_count(text: str) -> int:
    """Number of words of one text."""
    return len(text.split())
