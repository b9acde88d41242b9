"""Human interaction: wait for somebody's decision, but not for ever."""

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
    """Start it: curl -X POST 'localhost:7071/api/my_function?what=a+desk'.

    Decide: curl -X POST SEND_EVENT_POST_URI -H 'Content-Type: application/json' -d true, with the
    sendEventPostUri of the answer and Approval in place of {eventName}.
    """
    what = req.params.get("what", "something")
    instance_id = await client.start_new("my_function", client_input=what)
    return client.create_check_status_response(req, instance_id)


@bp.orchestration_trigger(context_name="context", input_type=str)
def my_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, str]:
    """Ask, wait for three days, and escalate if nobody answers."""
    what: str = context.get_input()
    yield context.call_activity(my_function_ask, what)
    context.set_custom_status("Waiting for the event Approval")
    approval = context.wait_for_external_event("Approval", bool)
    timeout = context.create_timer(timedelta(days=3))
    if (yield context.task_any([approval, timeout])) is timeout:
        escalated: str = yield context.call_activity(my_function_escalate, what)
        return escalated
    # An orchestration is not over while one of its timers runs.
    timeout.cancel()
    return "approved" if (yield approval) else "rejected"


@bp.activity_trigger(input_name="what")
def my_function_ask(what: str) -> None:
    """Stands for a message to the one who decides."""


@bp.activity_trigger(input_name="what")
def my_function_escalate(what: str) -> str:
    """Hand it to somebody else."""
    return f"{what}: escalated"
