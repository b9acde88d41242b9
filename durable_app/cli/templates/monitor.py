"""Monitor: look every now and then, until it is done or too late."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.functions as func

import durable_app as df

bp = df.Blueprint()


@bp.route(route="my_function", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@bp.durable_client_input(client_name="client")
async def my_function_start(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Start it: curl -X POST 'localhost:7071/api/my_function?every_s=10'."""
    every_s = float(req.params.get("every_s", 60))
    instance_id = await client.start_new("my_function", client_input=every_s)
    return client.create_check_status_response(req, instance_id)


@bp.orchestration_trigger(context_name="context", input_type=float)
def my_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, str]:
    """Look at the job until it is done, for a day at most. Nothing runs between two looks."""
    pause = timedelta(seconds=context.get_input())
    # The orchestration's own clock: the same at each replay, unlike datetime.now().
    give_up_at = context.current_utc_datetime + timedelta(days=1)
    looks = 0
    while context.current_utc_datetime < give_up_at:
        looks += 1
        if (yield context.call_activity(my_function_is_done, looks)):
            return f"done at look {looks}"
        context.set_custom_status({"looks": looks})
        yield context.create_timer(context.current_utc_datetime + pause)
    return "given up"


@bp.activity_trigger(input_name="look")
def my_function_is_done(look: int) -> bool:
    """Stands for a question to the service that runs the job."""
    return look >= 3
