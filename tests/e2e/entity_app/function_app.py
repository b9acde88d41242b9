"""Entities that record what they saw, and senders, transfers and accidents that use them."""

import asyncio
import json
import os
import time
from typing import Any

import azure.functions as func

import durable_app as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

# A sender's signals go round these many ledgers.
ROUND = 10


# -- signals --------------------------------------------------------------------------------------


@app.entity_trigger(context_name="context")
class Ledger(df.DurableEntity):
    """Keeps everything that it is told, in the order in which it was told."""

    def note(self, entry: list[Any]) -> None:
        self.set_state([*self.get_state(list, []), entry])

    def noted(self) -> list[Any]:
        return self.get_state(list, [])

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def leave(self) -> None:
        """Take the whole process along, as a segmentation fault would."""
        os._exit(3)


def targets(sender: int, count: int) -> list[tuple[df.EntityId, list[int]]]:
    """What a sender has to send, to ten ledgers in turn; its numbers go up."""
    first = sender % 5 * ROUND
    return [
        (df.EntityId("Ledger", f"l{first + number % ROUND}"), [sender, number])
        for number in range(count)
    ]


@app.orchestration_trigger(context_name="context")
def send(context: df.DurableOrchestrationContext):
    sender, count = context.get_input()
    for target, entry in targets(sender, count):
        context.signal_entity(target, "note", entry)
        if entry[1] % 40 == 39:
            yield context.call_activity(pause, 0.001)
    return count


@app.activity_trigger(input_name="seconds")
async def pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


@app.route(route="send/{sender}/{count}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def send_by_client(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    sender, count = int(req.route_params["sender"]), int(req.route_params["count"])
    for target, entry in targets(sender, count):
        await client.signal_entity(target, "note", entry)
    return func.HttpResponse(status_code=202)


@app.route(route="start/{function_name}/{instance_id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    names = req.route_params
    await client.start_new(names["function_name"], names["instance_id"], req.get_json())
    return func.HttpResponse(status_code=202)


# -- transfers ------------------------------------------------------------------------------------


@app.entity_trigger(context_name="context", entity_name="Account")
def account(context: df.DurableEntityContext):
    """A balance, and every change of it with its cause."""
    state = context.get_state(lambda: {"balance": 0, "changes": []})
    if context.operation_name == "change":
        cause, amount = context.get_input()
        state["balance"] += amount
        state["changes"].append([cause, amount])
        context.set_state(state)
        if state["balance"] < 0:
            raise ValueError(f"{context.entity_key} has too little money")
    return state["balance"]


def account_id(owner: str) -> df.EntityId:
    return df.EntityId("Account", owner)


@app.orchestration_trigger(context_name="context")
def transfer(context: df.DurableOrchestrationContext):
    payer, payee, amount = context.get_input()
    here, there = account_id(payer), account_id(payee)
    with (yield context.lock_entities([here, there])):
        try:
            yield context.call_entity(here, "change", [context.instance_id, -amount])
        except df.TaskFailedError:
            return "refused"
        # Time for a kill at the moment when the money is on neither account.
        yield context.call_activity(pause, 0.005)
        yield context.call_entity(there, "change", [context.instance_id, amount])
    return "done"


@app.orchestration_trigger(context_name="context")
def audit(context: df.DurableOrchestrationContext):
    """The sum of these accounts, at one moment."""
    accounts = [account_id(owner) for owner in context.get_input()]
    total = 0
    with (yield context.lock_entities(accounts)):
        for each in accounts:
            total += yield context.call_entity(each, "balance")
    return total


@app.route(route="orders", methods=["POST"])
@app.durable_client_input(client_name="client")
async def order(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Start these, each once, however often they are ordered."""
    for instance_id, name, value in req.get_json():
        status = await client.get_status(instance_id)
        if not status:
            await client.start_new(name, instance_id, value)
    return func.HttpResponse(json.dumps({"ordered": True}), status_code=202)


# -- accidents ------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
def fail_inside(context: df.DurableOrchestrationContext):
    with (yield context.lock_entities([account_id(each) for each in context.get_input()])):
        raise RuntimeError("inside the critical section")


@app.orchestration_trigger(context_name="context")
def linger_inside(context: df.DurableOrchestrationContext):
    with (yield context.lock_entities([account_id(each) for each in context.get_input()])):
        context.set_custom_status("inside")
        yield context.wait_for_external_event("never")


@app.orchestration_trigger(context_name="context")
def leave_inside(context: df.DurableOrchestrationContext):
    """Calls, under a lock on both, the operation that the process does not survive."""
    ledger, held = df.EntityId("Ledger", context.get_input()[0]), context.get_input()[1]
    try:
        with (yield context.lock_entities([ledger, account_id(held)])):
            yield context.call_entity(ledger, "leave")
    except df.TaskFailedError as failure:
        return failure.details.error_type
