"""Critical section: change two entities together, or neither.

    curl -X POST localhost:7071/api/orchestrators/open_account -d '{"owner": "ada", "amount": 100}'
    curl -X POST localhost:7071/api/orchestrators/transfer \
         -d '{"payer": "ada", "payee": "grace", "amount": 30}'

Within the `with` block no other orchestration reaches the two accounts, so nobody sees the money
gone from one and not yet on the other. The lock is released however the block is left. The order
of the accounts does not matter: two transfers in opposite directions do not wait for each other for
ever.
"""

from collections.abc import Generator
from typing import Any

from pydantic import BaseModel, Field

import durable_app as df

bp = df.Blueprint()


class Balance(BaseModel):
    """State of an account, in cents, so that nothing is rounded."""

    cents: int = 0
    changes: int = 0


class Opening(BaseModel):
    """A first deposit."""

    owner: str
    amount: int = Field(ge=0)


class Transfer(BaseModel):
    """An order to move money."""

    payer: str
    payee: str
    amount: int = Field(gt=0)


@bp.entity_trigger(context_name="context", entity_name="Account")
def account(context: df.DurableEntityContext) -> int:
    """One function for all operations; what it returns is the caller's result."""
    balance: Balance = context.get_state(Balance, Balance)
    if context.operation_name != "balance":
        amount: int = context.get_input(int)
        if context.operation_name == "withdraw":
            amount = -amount
        elif context.operation_name != "deposit":
            raise ValueError(f"An account knows no {context.operation_name}.")
        balance.cents += amount
        balance.changes += 1
        # The copy was changed; this keeps it. If the next line fails, nothing has happened.
        context.set_state(balance)
    if balance.cents < 0:
        raise ValueError(f"{context.entity_key} has too little money.")
    return balance.cents


@bp.orchestration_trigger(context_name="context", input_type=Opening)
def open_account(context: df.DurableOrchestrationContext) -> Generator[Any, Any, int]:
    """Put money on an account; returns its balance."""
    opening: Opening = context.get_input()
    balance: int = yield context.call_entity(_account(opening.owner), "deposit", opening.amount)
    return balance


@bp.orchestration_trigger(context_name="context", input_type=Transfer)
def transfer(context: df.DurableOrchestrationContext) -> Generator[Any, Any, dict[str, Any]]:
    """Move money from one account to the other."""
    order: Transfer = context.get_input()
    payer, payee = _account(order.payer), _account(order.payee)
    if payer == payee:
        return {"status": "Refused", "reason": "A transfer has two accounts."}
    with (yield context.lock_entities([payer, payee])):
        try:
            left: int = yield context.call_entity(payer, "withdraw", order.amount)
        except df.TaskFailedError as failure:
            return {"status": "Refused", "reason": failure.details.error_message}
        arrived: int = yield context.call_entity(payee, "deposit", order.amount)
    return {"status": "Done", order.payer: left, order.payee: arrived}


def _account(owner: str) -> df.EntityId:
    return df.EntityId("Account", owner)
