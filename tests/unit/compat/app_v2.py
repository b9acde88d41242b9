"""An app for azure.durable_functions 2.x; only its imports differ."""

from datetime import timedelta
from typing import Any

import azure.functions as func

import durable_app as df  # was: import azure.durable_functions as df
import durable_app as entities  # was: from durabletask import entities
import durable_app as task  # was: from durabletask import task

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
bp = df.Blueprint()
attempts = {"count": 0}


# -- clients --------------------------------------------------------------------------------------


@app.route(route="orders", methods=["POST"])
@app.durable_client_input(client_name="client")
async def order(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    instance_id = await client.schedule_new_orchestration(
        "process_order", input=req.get_json(), instance_id=req.params.get("id")
    )
    return client.create_check_status_response(req, instance_id)


@app.route(route="orders/{id}")
@app.durable_client_input(client_name="client")
def look(req: func.HttpRequest, client: df.SyncDurableFunctionsClient) -> func.HttpResponse:
    state = client.get_orchestration_state(req.route_params["id"])
    if state is None:
        return func.HttpResponse(status_code=404)
    return func.HttpResponse(f"{state.runtime_status}: {state.get_output()}")


async def steer(client: df.DurableFunctionsClient, instance_id: str) -> list[str]:
    """What an operator does to an instance that waits for an event."""
    seen = []
    await client.suspend_orchestration(instance_id, reason="audit")
    seen.append(await _status(client, instance_id))
    await client.resume_orchestration(instance_id)
    await client.raise_orchestration_event(instance_id, "approval", data={"by": "Ada"})
    ended = await client.wait_for_orchestration_completion(instance_id, timeout=30)
    seen.append(str(ended.runtime_status))
    again = await client.restart_orchestration(instance_id, restart_with_new_instance_id=True)
    await client.terminate_orchestration(again, output="not again")
    ended = await client.wait_for_orchestration_completion(again, timeout=30)
    seen.append(f"{ended.runtime_status}: {ended.get_output()}")
    purged = await client.purge_orchestration(instance_id)
    seen.append(f"{purged.deleted_instance_count} purged")
    return seen


async def _status(client, instance_id):
    state = await client.get_orchestration_state(instance_id)
    return str(state.runtime_status)


# -- orchestrators of two arguments ---------------------------------------------------------------


@app.orchestration_trigger(context_name="ctx")
def process_order(ctx: task.OrchestrationContext, order: dict[str, Any]):
    ctx.set_custom_status("reserving")
    retry = df.RetryPolicy(
        first_retry_interval=timedelta(seconds=5),
        max_number_of_attempts=4,
        backoff_coefficient=2.0,
    )
    reserved = yield ctx.call_activity("reserve", input=order["item"], retry_policy=retry)
    parts = [
        ctx.call_activity("pack", input=number, return_type=int)
        for number in range(order["pieces"])
    ]
    weights = yield task.when_all(parts)
    try:
        yield ctx.call_activity("charge", input=order)
    except task.TaskFailedError as failure:
        return {
            "reserved": reserved,
            "weight": sum(weights),
            "because": failure.details.message,
            "is_value_error": failure.details.is_caused_by(ValueError),
        }
    return None


@app.orchestration_trigger(context_name="ctx")
def approval(ctx: task.OrchestrationContext, limit_hours: int):
    answer = ctx.wait_for_external_event("Approval")
    timeout = ctx.create_timer(timedelta(hours=limit_hours))
    winner = yield task.when_any([answer, timeout])
    if winner is timeout:
        return "too late"
    if not timeout.is_complete:
        timeout.cancel()
    return answer.get_result()


@app.orchestration_trigger(context_name="ctx")
def settle(ctx: task.OrchestrationContext, amount: int):
    here = entities.EntityInstanceId("Account", "here")
    there = entities.EntityInstanceId("Account", "there")
    ctx.signal_entity(there, "deposit", input=amount)
    with (yield ctx.lock_entities([here, there])):
        left = yield ctx.call_entity(here, "withdraw", amount, return_type=int)
        now = yield ctx.call_entity(there, "deposit", amount, return_type=int)
    try:
        yield ctx.call_entity(here, "withdraw", 10**6)
    except task.TaskFailedError as failure:
        return [left, now, "no overdraft" in str(failure)]
    return None


# -- orchestrators of one argument ----------------------------------------------------------------


@bp.orchestration_trigger(context_name="context")
def rounds(context: df.DurableOrchestrationContext):
    number = context.get_input()
    yield context.create_timer(timedelta(days=1))
    if number < 3:
        context.continue_as_new(number + 1)
        return None
    nested = yield context.call_sub_orchestrator("squares", [1, 2, number])
    slow = yield context.task_any([context.create_timer(timedelta(days=9)), *_doubles(context)])
    return {"squares": nested, "first": slow.result}


def _doubles(context):
    return [context.call_activity("pack", number) for number in (5,)]


@bp.orchestration_trigger(context_name="context")
def squares(context: df.DurableOrchestrationContext):
    return [number * number for number in context.get_input()]


# -- activities -----------------------------------------------------------------------------------


@app.activity_trigger(input_name="item")
def reserve(item: str) -> str:
    attempts["count"] += 1
    if attempts["count"] < 3:
        raise TimeoutError("the store does not answer")
    return f"{item} #{attempts['count']}"


@app.activity_trigger(input_name="number")
async def pack(number: int) -> int:
    return number + 100


@app.activity_trigger(input_name="order")
def charge(ctx, order):
    raise ValueError(f"no card for {order['item']}")


# -- entity ---------------------------------------------------------------------------------------


@app.entity_trigger(context_name="context", entity_name="Account")
class Account(entities.DurableEntity):
    def deposit(self, amount: int) -> int:
        balance = self.get_state(int, 100) + amount
        self.set_state(balance)
        return balance

    def withdraw(self, amount: int) -> int:
        balance = self.get_state(int, 100) - amount
        self.set_state(balance)
        if balance < 0:
            raise ValueError("no overdraft")
        return balance


app.register_functions(bp)
