"""Saga: several steps that must all succeed, or be undone.

    curl -X POST localhost:7071/api/orchestrators/place_order -d '{"order_id": "A-1"}'
    curl -X POST localhost:7071/api/orchestrators/place_order \
         -d '{"order_id": "A-2", "broken": ["ship_order"], "retry_ms": 100}'

Each step is retried; if it still fails, what was done is undone in reverse order. An activity may
run more than once (the machine can die between its work and the record of it), so each takes the
order id with which the service behind it can tell a repetition.
"""

from collections.abc import Generator
from typing import Any

from pydantic import BaseModel

import durable_app as df

bp = df.Blueprint()


class Order(BaseModel):
    """An order; `broken` names activities that shall fail, to see the saga at work."""

    order_id: str
    retry_ms: int = 5000
    broken: list[str] = []


@bp.orchestration_trigger(context_name="context", input_type=Order)
def place_order(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, Any]]:
    """Reserve, charge, ship; on failure undo what was done, the last first."""
    order: Order = context.get_input()
    retry = df.RetryOptions(order.retry_ms, max_number_of_attempts=3)
    undo: list[Any] = []
    try:
        yield context.call_activity_with_retry(reserve_stock, retry, order)
        undo.append(release_stock)
        yield context.call_activity_with_retry(charge_card, retry, order)
        undo.append(refund_card)
        parcel = yield context.call_activity_with_retry(ship_order, retry, order)
    except df.TaskFailedError as failure:
        undone: list[str] = []
        for compensation in reversed(undo):
            # Should one fail for good, the orchestration fails: somebody has to look at it.
            undone.append((yield context.call_activity_with_retry(compensation, retry, order)))
            context.set_custom_status({"undone": undone})
        return {
            "status": "Compensated",
            "reason": failure.details.error_message,
            "undone": undone,
        }
    return {"status": "Shipped", "parcel": parcel}


@bp.activity_trigger(input_name="order")
def reserve_stock(order: Order) -> None:
    """Put the goods aside."""
    _break("reserve_stock", order)


@bp.activity_trigger(input_name="order")
def charge_card(order: Order) -> None:
    """Take the money."""
    _break("charge_card", order)


@bp.activity_trigger(input_name="order")
def ship_order(order: Order) -> str:
    """Send the goods; returns the number of the parcel."""
    _break("ship_order", order)
    return f"parcel-{order.order_id}"


@bp.activity_trigger(input_name="order")
def release_stock(order: Order) -> str:
    """Undo reserve_stock."""
    _break("release_stock", order)
    return f"stock of {order.order_id} released"


@bp.activity_trigger(input_name="order")
def refund_card(order: Order) -> str:
    """Undo charge_card."""
    _break("refund_card", order)
    return f"payment of {order.order_id} refunded"


def _break(step: str, order: Order) -> None:
    if step in order.broken:
        raise RuntimeError(f"{step} is out of order")
