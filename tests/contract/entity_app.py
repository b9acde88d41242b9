"""The entities of the contract tests, and orchestrations that use them."""

from __future__ import annotations

from datetime import timedelta

import durable_app as df

app = df.DFApp()


@app.entity_trigger(context_name="context")
class Account(df.DurableEntity):
    """A balance."""

    def deposit(self, amount: int) -> int:
        balance: int = self.get_state(int, 0) + amount
        self.set_state(balance)
        return balance

    def withdraw(self, amount: int) -> int:
        if amount > self.get_state(int, 0):
            raise ValueError("not enough")
        return self.deposit(-amount)

    def report_to(self, instance_id: str) -> None:
        self.start_new_orchestration("balance_of", self.get_state(int, 0), instance_id)

    def close(self) -> None:
        self.set_state(None)


@app.orchestration_trigger(context_name="context")
def balance_of(context):
    return context.get_input()


@app.orchestration_trigger(context_name="context")
def deposits(context):
    account = df.EntityId("Account", context.get_input())
    context.signal_entity(account, "deposit", 2)
    return (yield context.call_entity(account, "deposit", 3))


@app.orchestration_trigger(context_name="context")
def overdraws(context):
    account = df.EntityId("Account", context.get_input())
    try:
        yield context.call_entity(account, "withdraw", 1)
    except ValueError as error:
        return str(error).rpartition(": ")[2]


@app.orchestration_trigger(context_name="context")
def transfers(context):
    source, target = (df.EntityId("Account", key) for key in context.get_input())
    with (yield context.lock_entities([source, target])):
        left = yield context.call_entity(source, "withdraw", 10)
        yield context.create_timer(timedelta(milliseconds=1))
        arrived = yield context.call_entity(target, "deposit", 10)
    return [left, arrived]
