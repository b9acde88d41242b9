"""Sub-orchestrations: an orchestrator that calls others, in parallel.

    curl -X POST localhost:7071/api/orchestrators/fulfil_orders -d '["A-1", "A-2", "A-3"]'

A child is an instance of its own, with its own history and status. Use one where a part has
several steps and a name of its own, or where one history would grow too long.
"""

from collections.abc import Generator
from typing import Any

import durable_app as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context", input_type=list[str])
def fulfil_orders(context: df.DurableOrchestrationContext) -> Generator[Any, Any, list[str]]:
    """Fulfil all orders at the same time; results come in the order of the input."""
    orders = context.get_input() or ["A-1", "A-2", "A-3"]
    parcels: list[str] = yield context.task_all(
        [context.call_sub_orchestrator(fulfil_order, order) for order in orders]
    )
    return parcels


@bp.orchestration_trigger(context_name="context", input_type=str)
def fulfil_order(context: df.DurableOrchestrationContext) -> Generator[Any, Any, str]:
    """Pick, then pack one order."""
    goods = yield context.call_activity(pick, context.get_input())
    parcel: str = yield context.call_activity(pack, goods)
    return parcel


@bp.activity_trigger(input_name="order")
def pick(order: str) -> str:
    """Fetch the goods of an order."""
    return f"goods of {order}"


@bp.activity_trigger(input_name="goods")
def pack(goods: str) -> str:
    """Pack them."""
    return f"parcel with {goods}"
