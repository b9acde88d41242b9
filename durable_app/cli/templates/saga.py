"""Saga: several steps that must all succeed, or be undone.

Each step is retried; if it still fails, what was done is undone in reverse order. An activity may
run more than once (the machine can die between its work and the record of it), so it should pass
on the order's id, by which the service behind it can tell a repetition.
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
    """Start it: curl -X POST 'localhost:7071/api/my_function?order=A-1'; order=lost fails."""
    order = req.params.get("order", "A-1")
    instance_id = await client.start_new("my_function", client_input=order)
    return client.create_check_status_response(req, instance_id)


@bp.orchestration_trigger(context_name="context", input_type=str)
def my_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, str]:
    """Reserve, then ship; on failure undo what was done, the last first."""
    order: str = context.get_input()
    retry = df.RetryOptions(first_retry_interval_in_milliseconds=500, max_number_of_attempts=3)
    undo: list[Any] = []
    try:
        yield context.call_activity_with_retry(my_function_reserve, retry, order)
        undo.append(my_function_release)
        parcel: str = yield context.call_activity_with_retry(my_function_ship, retry, order)
    except df.TaskFailedError:
        for step in reversed(undo):
            yield context.call_activity_with_retry(step, retry, order)
        return f"{order} was undone"
    return parcel


@bp.activity_trigger(input_name="order")
def my_function_reserve(order: str) -> None:
    """Put the goods aside."""


@bp.activity_trigger(input_name="order")
def my_function_release(order: str) -> None:
    """Undo my_function_reserve."""


@bp.activity_trigger(input_name="order")
def my_function_ship(order: str) -> str:
    """Send the goods; returns the number of the parcel."""
    if order == "lost":
        raise RuntimeError("The address is unknown.")
    return f"parcel of {order}"
