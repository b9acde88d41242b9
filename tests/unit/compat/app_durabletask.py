"""An app for durabletask: its functions as they are, imports and registration of durable_app."""

from dataclasses import dataclass
from datetime import timedelta

import durable_app as df
import durable_app as entities  # was: from durabletask import entities
import durable_app as task  # was: from durabletask import task

attempts = {"count": 0}


@dataclass
class Order:
    item: str
    pieces: int


# -- activities -----------------------------------------------------------------------------------


def price(ctx: task.ActivityContext, order: Order) -> int:
    return order.pieces * 10


def double(ctx: task.ActivityContext, number: int) -> int:
    return number * 2


def unreliable(ctx: task.ActivityContext, text: str) -> str:
    attempts["count"] += 1
    if attempts["count"] % 3:
        raise ConnectionError("try again")
    return f"{text} in {ctx.orchestration_id} as task {ctx.task_id}"


def refuse(ctx: task.ActivityContext, reason: str) -> None:
    raise PermissionError(f"not today: {reason}")


# -- orchestrators --------------------------------------------------------------------------------


def chain(ctx: task.OrchestrationContext, order: Order):
    cost = yield ctx.call_activity(price, input=order)
    twice = yield ctx.call_activity("double", input=cost, return_type=int)
    return {"item": order.item, "cost": twice}


def fan_out(ctx: task.OrchestrationContext, numbers: list[int]):
    tasks = [ctx.call_activity(double, input=number) for number in numbers]
    results = yield task.when_all(tasks)
    return sum(results)


def patient(ctx: task.OrchestrationContext, text: str):
    policy = task.RetryPolicy(
        first_retry_interval=timedelta(seconds=10),
        max_number_of_attempts=5,
        backoff_coefficient=2,
        max_retry_interval=timedelta(minutes=1),
        retry_timeout=timedelta(hours=1),
    )
    return (yield ctx.call_activity(unreliable, input=text, retry_policy=policy))


def careful(ctx: task.OrchestrationContext, _):
    call = ctx.call_activity(refuse, input="rain")
    try:
        yield task.when_all([call, ctx.call_activity(double, input=1)])
    except task.TaskFailedError as failure:
        known = call.get_exception() is not None and call.is_failed
        return [known, failure.details.is_caused_by("PermissionError"), failure.details.message]
    return None


def approval(ctx: task.OrchestrationContext, _):
    ctx.set_custom_status("asking")
    answer = ctx.wait_for_external_event("approval", data_type=Order)
    timeout = ctx.create_timer(timedelta(hours=24))
    winner = yield task.when_any([answer, timeout])
    if winner == timeout:
        return "timeout"
    timeout.cancel()
    return answer.get_result().item


def parent(ctx: task.OrchestrationContext, _):
    first = yield ctx.call_sub_orchestrator(fan_out, input=[1, 2])
    second = yield ctx.call_sub_orchestrator("fan_out", input=[3], instance_id="second")
    return [first, second]


def eternal(ctx: task.OrchestrationContext, rounds: int):
    if rounds == 0:
        return (yield ctx.wait_for_external_event("last"))
    yield ctx.create_timer(timedelta(days=1))
    ctx.continue_as_new(rounds - 1, save_events=True)
    return None


def pinging(ctx: task.OrchestrationContext, other: str):
    ctx.send_event(other, "approval", data={"item": "gift", "pieces": 1})
    yield ctx.create_timer(ctx.current_utc_datetime + timedelta(seconds=1))
    return ctx.new_uuid() != ctx.new_uuid()


def transfer(ctx: task.OrchestrationContext, amount: int):
    source = entities.EntityInstanceId("account", "source")
    counter = entities.EntityInstanceId("counter", "transfers")
    with (yield ctx.lock_entities([source, counter])):
        left = yield ctx.call_entity(source, "withdraw", amount)
        count = yield ctx.call_entity(counter, "add", 1)
    ctx.signal_entity(counter, "reset")
    return [left, count, (yield ctx.call_entity(counter, "get"))]


# -- entities -------------------------------------------------------------------------------------


def counter(ctx: entities.EntityContext, amount: int | None):
    if ctx.operation == "add":
        ctx.set_state(ctx.get_state(int, 0) + (amount or 0))
    elif ctx.operation == "reset":
        ctx.set_state(0)
        ctx.signal_entity(entities.EntityInstanceId("account", "log"), "withdraw", 1)
    return ctx.get_state(int, 0)


class Account(entities.DurableEntity):
    def withdraw(self, amount: int) -> int:
        balance = self.get_state(int, 50) - amount
        self.set_state(balance)
        return balance


# -- registration ---------------------------------------------------------------------------------
# was: with worker.TaskHubGrpcWorker() as w: w.add_orchestrator(chain) ... w.start()

app = df.DFApp()
for orchestrator in (
    chain,
    fan_out,
    patient,
    careful,
    approval,
    parent,
    eternal,
    pinging,
    transfer,
):
    app.orchestration_trigger(context_name="ctx")(orchestrator)
app.activity_trigger(input_name="order")(price)
app.activity_trigger(input_name="number")(double)
app.activity_trigger(input_name="text")(unreliable)
app.activity_trigger(input_name="reason")(refuse)
app.entity_trigger(context_name="ctx")(counter)
app.entity_trigger(context_name="ctx")(Account)
