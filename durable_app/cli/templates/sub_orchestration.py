"""Sub-orchestrations: an orchestrator that calls others, in parallel.

A child is an instance of its own, with its own history and status. Use one where a part has
several steps and a name of its own, or where one history would grow too long.
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
    """Start it: curl -X POST 'localhost:7071/api/my_function?orders=A-1,A-2'."""
    orders = req.params.get("orders", "A-1,A-2").split(",")
    instance_id = await client.start_new("my_function", client_input=orders)
    return client.create_check_status_response(req, instance_id)


@bp.orchestration_trigger(context_name="context", input_type=list[str])
def my_function(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[str]]:
    """Fulfil all orders at the same time; results come in the order of the input."""
    orders: list[str] = context.get_input()
    children = [context.call_sub_orchestrator(my_function_one, order) for order in orders]
    parcels: list[str] = yield context.task_all(children)
    return parcels


@bp.orchestration_trigger(context_name="context", input_type=str)
def my_function_one(context: df.DurableOrchestrationContext) -> Generator[Any, Any, str]:
    """Pick, then pack one order."""
    goods = yield context.call_activity(my_function_pick, context.get_input())
    parcel: str = yield context.call_activity(my_function_pack, goods)
    return parcel


@bp.activity_trigger(input_name="order")
def my_function_pick(order: str) -> str:
    """Fetch the goods of an order."""
    return f"goods of {order}"


@bp.activity_trigger(input_name="goods")
def my_function_pack(goods: str) -> str:
    """Pack them."""
    return f"parcel with {goods}"
