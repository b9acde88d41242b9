"""The app of the contract tests: one orchestration per thing that can happen."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import timedelta

import durable_app as df

app = df.DFApp()

#: How often each activity has run; tests clear it.
CALLS: dict[str, int] = {}
#: Ends the wait of `blocker`; tests put one of their own here.
RELEASE = threading.Event()


@dataclass
class Order:
    item: str
    count: int


def count(name: str) -> int:
    CALLS[name] = CALLS.get(name, 0) + 1
    return CALLS[name]


@app.activity_trigger(input_name="x")
def double(x: int) -> int:
    count("double")
    return 2 * x


@app.activity_trigger(input_name="x")
async def double_later(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


@app.activity_trigger(input_name="order")
def price(order: Order) -> dict[str, object]:
    return {"item": order.item, "total": order.count * 10}


@app.activity_trigger(input_name="times")
def flaky(times: int) -> str:
    if count("flaky") < times:
        raise ConnectionError("not yet")
    return "at last"


@app.activity_trigger(input_name="switch")
def broken(switch: dict[str, object]) -> str:
    if count("broken") == 1:
        raise ValueError("broken once")
    return "mended"


@app.orchestration_trigger(context_name="context")
def chain(context):
    value = context.get_input()
    for _ in range(3):
        value = yield context.call_activity(double, value)
    return value


@app.orchestration_trigger(context_name="context")
def chain_async(context):
    return (yield context.call_activity(double_later, 21))


@app.activity_trigger(input_name="x")
def tells(ctx, x: int) -> list[object]:
    return [ctx.instance_id, ctx.task_id, ctx.attempt, ctx.idempotency_key, x]


@app.orchestration_trigger(context_name="context")
async def awaiting(context):
    order = Order("bolt", context.get_input())
    priced = await context.call_activity(price, order)
    both = await context.task_all([context.call_activity(double, each) for each in (1, 2)])
    return [priced["total"], *both, await context.call_sub_orchestrator(two_arguments, order)]


@app.orchestration_trigger(context_name="ctx")
def two_arguments(ctx: df.OrchestrationContext, order: Order):
    tasks = [ctx.call_activity(double_later, input=order.count), ctx.create_timer(timedelta())]
    results = yield df.when_all(tasks)
    return results[0]


@app.orchestration_trigger(context_name="ctx")
async def awaiting_with_input(ctx: df.OrchestrationContext, order: Order) -> list[object]:
    return [order.item, *await ctx.call_activity(tells, order.count)]


@app.orchestration_trigger(context_name="context")
async def sleeps(context):
    await asyncio.sleep(1)


@app.orchestration_trigger(context_name="context")
def fan(context):
    tasks = [context.call_activity("double", i) for i in range(context.get_input())]
    return sum((yield context.task_all(tasks)))


@app.orchestration_trigger(context_name="context")
def typed(context):
    return (yield context.call_activity(price, Order("bolt", 3)))


@app.orchestration_trigger(context_name="context")
def retried(context):
    options = df.RetryOptions(1, 5)
    return (yield context.call_activity_with_retry("flaky", options, 3))


@app.orchestration_trigger(context_name="context")
def approval(context):
    name = yield context.wait_for_external_event("go")
    context.set_custom_status("heard")
    other = yield context.wait_for_external_event("GO")
    return [name, other]


@app.orchestration_trigger(context_name="context")
def nap(context):
    yield context.create_timer(timedelta(milliseconds=context.get_input()))
    return "awake"


@app.orchestration_trigger(context_name="context")
def parent(context):
    tasks = [context.call_sub_orchestrator("chain", i) for i in range(3)]
    return (yield context.task_all(tasks))


@app.orchestration_trigger(context_name="context")
def eternal(context):
    n = context.get_input()
    word = yield context.wait_for_external_event("tick")
    if n == 0:
        return word
    context.continue_as_new(n - 1)


@app.orchestration_trigger(context_name="context")
def to_rewind(context):
    first = yield context.call_activity("double", 5)
    second = yield context.call_activity("broken", {})
    return [first, second]


@app.orchestration_trigger(context_name="context")
def rewound_parent(context):
    return (yield context.call_sub_orchestrator("to_rewind", None, "the-child"))


@app.orchestration_trigger(context_name="context")
def calls_nobody(context):
    return (yield context.call_activity("dubble", 1))


@app.orchestration_trigger(context_name="context")
def blocker(context):
    RELEASE.wait(10)
    return "done"
