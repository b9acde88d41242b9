"""Eternal orchestration: a loop without an end whose history does not grow.

`continue_as_new` ends this run and starts the next under the same instance id, with a fresh
history and the input it is given: all that the loop remembers is in that input.
"""

import contextlib
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
    """Start it, once: curl -X POST localhost:7071/api/my_function.

    The answer's terminatePostUri ends it.
    """
    with contextlib.suppress(df.InstanceExistsError):  # it runs already
        await client.start_new("my_function", "my_function", client_input=0)
    return client.create_check_status_response(req, "my_function")


@bp.orchestration_trigger(context_name="context", input_type=int)
def my_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, None]:
    """One round, then the next."""
    removed: int = context.get_input()
    removed += yield context.call_activity(my_function_clean_up, removed)
    context.set_custom_status({"removed": removed})
    yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    context.continue_as_new(removed)


@bp.activity_trigger(input_name="removed")
def my_function_clean_up(removed: int) -> int:
    """Remove what is too old; returns how many things that were."""
    return 1 if removed else 5
