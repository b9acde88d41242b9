"""Function chaining: one step after the other.

An orchestrator is a generator. At each `yield` it hands over a task and sleeps until there is a
result; then it is run from the top again with the results so far. So it must do the same each
time: no clock, no randomness, no I/O. Whatever touches the world belongs into an activity.
"""

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
    """Start it: curl -X POST localhost:7071/api/my_function."""
    instance_id = await client.start_new("my_function")
    return client.create_check_status_response(req, instance_id)


@bp.orchestration_trigger(context_name="context")
def my_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[str]]:
    """Greet three cities, in this order."""
    tokyo = yield context.call_activity(my_function_greet, "Tokyo")
    seattle = yield context.call_activity(my_function_greet, "Seattle")
    london = yield context.call_activity(my_function_greet, "London")
    return [tokyo, seattle, london]


@bp.activity_trigger(input_name="city")
def my_function_greet(city: str) -> str:
    """An ordinary function; it may do I/O and take its time."""
    return f"Hello {city}!"
