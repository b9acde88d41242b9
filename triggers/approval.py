"""Human interaction: wait for somebody's decision, but not for ever.

    curl -X POST localhost:7071/api/orchestrators/approve_expense \
         -d '{"employee": "Ada", "amount": "120.50"}'
    curl -X POST <sendEventPostUri with Approval for {eventName}> \
         -H 'Content-Type: application/json' -d '{"approved": true, "by": "Grace"}'

An event that arrives before the orchestrator waits for it is kept.
"""

from collections.abc import Generator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

import durable_app as df

bp = df.Blueprint()


class Expense(BaseModel):
    """A claim, and how many seconds its approver has to decide."""

    employee: str
    amount: Decimal
    patience_s: float = 72 * 3600


class Decision(BaseModel):
    """What the event `Approval` carries."""

    approved: bool
    by: str


@bp.orchestration_trigger(context_name="context", input_type=Expense)
def approve_expense(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, str]]:
    """Ask, wait, and escalate if nobody answers in time."""
    expense: Expense = context.get_input()
    yield context.call_activity(ask_for_approval, expense)
    context.set_custom_status("Waiting for the event Approval")

    decision = context.wait_for_external_event("Approval", Decision)
    timeout = context.create_timer(timedelta(seconds=expense.patience_s))
    winner = yield context.task_any([decision, timeout])

    if winner is timeout:
        boss = yield context.call_activity(escalate, expense)
        return {"outcome": "Escalated", "to": boss}
    # An orchestration is not over while one of its timers runs.
    timeout.cancel()
    answer: Decision = yield decision
    return {"outcome": "Approved" if answer.approved else "Rejected", "by": answer.by}


@bp.activity_trigger(input_name="expense")
def ask_for_approval(expense: Expense) -> None:
    """Stands for a message to the approver."""


@bp.activity_trigger(input_name="expense")
def escalate(expense: Expense) -> str:
    """Hand it to somebody who decides; returns who that is."""
    return "the board" if expense.amount > Decimal(1000) else f"{expense.employee}'s manager"
