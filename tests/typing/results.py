"""What type checkers know of results. Nothing runs this file: mypy and pyright read it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any, assert_type

import azure.functions as func

import durable_app as df

app = df.DFApp()
blueprint = df.Blueprint()


@dataclass
class Order:
    amount: int


@dataclass
class Receipt:
    text: str


# -- what is called ------------------------------------------------------------------------------


@app.activity_trigger(input_name="order")
def price(order: Order) -> float:
    return 1.5 * order.amount


@app.activity_trigger(input_name="order")
async def ship(order: Order) -> Receipt:
    return Receipt(str(order.amount))


@blueprint.function_name("reserve")
@blueprint.activity_trigger(input_name="order")
def reserve_stock(ctx: df.ActivityContext, order: Order) -> list[str]:
    return [ctx.idempotency_key] * order.amount


@app.activity_trigger(input_name="order")
@app.durable_client_input(client_name="client")
async def notify(order: Order, client: df.DurableFunctionsClient) -> bool:
    return bool(order)


@app.orchestration_trigger(context_name="context")
def yielding(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Receipt]:
    receipt: Receipt = yield context.call_activity(ship, Order(1))
    return receipt


@app.orchestration_trigger(context_name="context")
def yielding_tasks(context: df.DurableOrchestrationContext) -> Generator[df.Task[Any], Any, int]:
    yield context.call_activity(ship, Order(1))
    return 1


@app.orchestration_trigger(context_name="context")
def yielding_objects(context: df.DurableOrchestrationContext) -> Generator[object, float, int]:
    cost = yield context.call_activity(price, Order(1))
    return int(cost)


@app.orchestration_trigger(context_name="ctx")
async def awaiting(ctx: df.OrchestrationContext, order: Order) -> int:
    return len((await ctx.call_activity(ship, order)).text)


@app.orchestration_trigger(context_name="context")
def plain(context: df.DurableOrchestrationContext) -> str:
    return context.instance_id


def undecorated(order: Order) -> float:
    return 1.0 * order.amount


@wraps(undecorated)
def wrapped(order: Order) -> float:
    return undecorated(order)


# -- calling -------------------------------------------------------------------------------------


async def activities(context: df.DurableOrchestrationContext, order: Order) -> None:
    options = df.RetryOptions(1000, 3)
    policy = df.RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=3)
    assert_type(context.call_activity(price, order), df.Task[float])
    assert_type(await context.call_activity(price, order), float)
    assert_type(await context.call_activity(ship, order), Receipt)
    assert_type(await context.call_activity(ship, input=order, retry_policy=policy), Receipt)
    assert_type(await context.call_activity_with_retry(ship, options, order), Receipt)
    assert_type(await context.call_activity(reserve_stock, order, tags={"a": "b"}), list[str])
    assert_type(await context.call_activity(notify, order), bool)


async def declared(context: df.DurableOrchestrationContext, order: Order) -> object:
    options = df.RetryOptions(1000, 3)
    cost: float | None = await context.call_activity(price, order)
    anything: object = await context.call_activity(price, order)
    either: str | int = await context.call_sub_orchestrator(plain)
    stock: Sequence[str] = await context.call_activity(reserve_stock, order)
    task: df.Task[Any] = context.call_activity_with_retry(price, options, order)
    tasks: list[df.Task[Any]] = [task, context.call_activity("a"), context.call_activity(ship)]
    prices: Sequence[float] = await context.map(price, [order])
    # What says nothing of its result fits all.
    a: str = await context.call_activity("price", order)
    b: str = await context.call_activity(undecorated, order)
    c: str = await context.call_activity(wrapped, order)
    d: str = await context.call_activity(activity="price")
    # In an expression its neighbours do not change it.
    assert_type(1 + await context.call_activity(price, order), float)
    assert_type(max(1, await context.call_activity(price, order)), float)
    return (cost, anything, either, stock, tasks, prices, a, b, c, d)


async def declared_wrongly(context: df.DurableOrchestrationContext, order: Order) -> object:
    options = df.RetryOptions(1000, 3)
    a: str = await context.call_activity(price, order)  # type: ignore[assignment]  # a float
    b: int = await context.call_activity(ship, input=order)  # type: ignore[assignment]  # Receipt
    c: df.Task[str] = context.call_activity(price)  # type: ignore[assignment]  # a float
    d: str = await context.call_activity_with_retry(price, options)  # type: ignore[assignment]  # a float
    e: int = await context.call_sub_orchestrator(plain)  # type: ignore[assignment]  # a str
    f: str = await context.call_sub_orchestrator_with_retry(yielding, options)  # type: ignore[assignment]  # Receipt
    g: list[str] = await context.map(price, [order])  # type: ignore[assignment]  # floats
    return (a, b, c, d, e, f, g)


async def by_name(context: df.DurableOrchestrationContext) -> None:
    assert_type(await context.call_activity("price"), Any)
    assert_type(await context.call_activity("price", 1, float), float)
    assert_type(await context.call_activity("price", expected_type=list[Order]), list[Order])
    assert_type(await context.call_activity("price", input=1, return_type=Order), Order)
    assert_type(await context.call_activity("price", 1, expected_type=int | None), Any)
    assert_type(
        await context.call_activity_with_retry("price", df.RetryOptions(1, 1), 1, float), float
    )
    # What the caller says is what the result is decoded as, whatever the function says.
    assert_type(await context.call_activity(price, 1, expected_type=Order), Order)


async def orchestrations(context: df.DurableOrchestrationContext, order: Order) -> None:
    options = df.RetryOptions(1000, 3)
    assert_type(await context.call_sub_orchestrator(yielding), Receipt)
    assert_type(await context.call_sub_orchestrator(yielding_tasks), int)
    assert_type(await context.call_sub_orchestrator(yielding_objects), int)
    assert_type(await context.call_sub_orchestrator(awaiting, order, "child-1"), int)
    assert_type(await context.call_sub_orchestrator(awaiting, input=order, version="2"), int)
    assert_type(await context.call_sub_orchestrator(plain), str)
    assert_type(await context.call_sub_orchestrator_with_retry(plain, options), str)
    assert_type(await context.call_sub_orchestrator("plain"), Any)
    assert_type(await context.call_sub_orchestrator("plain", expected_type=Order), Order)
    assert_type(await context.call_sub_orchestrator("plain", return_type=Order), Order)
    assert_type(
        await context.call_sub_orchestrator_with_retry("plain", options, expected_type=Order),
        Order,
    )


# -- entities, events, timers --------------------------------------------------------------------


async def entities(context: df.DurableOrchestrationContext) -> None:
    counter = df.EntityId("counter", "a")
    assert_type(await context.call_entity(counter, "get"), Any)
    assert_type(await context.call_entity(counter, "get", expected_type=int), int)
    assert_type(await context.call_entity(counter, "get", return_type=Order), Order)
    assert_type(await context.signal_entity(counter, "add", 1), None)
    async with context.lock_entities([counter]) as lock:
        lock.release()


async def waits(context: df.DurableOrchestrationContext) -> None:
    assert_type(await context.wait_for_external_event("go"), Any)
    approval = context.wait_for_external_event("go", Order)
    assert_type(await approval, Order)
    assert_type(await context.wait_for_external_event("go", data_type=Order), Order)
    timer = context.create_timer(timedelta(days=1))
    assert_type(await timer, None)
    winner = await context.task_any([approval, timer])
    if winner is approval:
        timer.cancel()


# -- groups --------------------------------------------------------------------------------------


async def groups(context: df.DurableOrchestrationContext, orders: list[Order]) -> None:
    prices = [context.call_activity(price, order) for order in orders]
    assert_type(await context.task_all(prices), list[float])
    assert_type(await context.task_any(prices), df.Task[float])
    assert_type((await context.task_any(prices)).get_result(), float)
    assert_type(await df.when_all(prices), list[float])
    assert_type(await df.when_any(prices), df.Task[float])
    first = context.call_activity(price, orders[0])
    second = context.call_activity(ship, orders[0])
    assert_type(await context.task_all((first, second)), tuple[float, Receipt])
    assert_type(
        await context.task_all((first, second, context.call_sub_orchestrator(plain))),
        tuple[float, Receipt, str],
    )
    cost, receipt = await df.when_all((first, second))
    assert_type(cost, float)
    assert_type(receipt, Receipt)


# -- decorated functions are called as they were written -----------------------------------------


def direct(context: df.DurableOrchestrationContext) -> None:
    assert_type(price(Order(1)), float)
    assert_type(plain(context), str)
    assert_type(yielding(context), Generator[Any, Any, Receipt])
    price("one")  # type: ignore[arg-type]  # refused: it takes an Order
    plain()  # type: ignore[call-arg]  # refused: it takes a context


async def direct_async(ctx: df.OrchestrationContext) -> None:
    assert_type(await ship(Order(1)), Receipt)
    assert_type(await awaiting(ctx, Order(1)), int)


# -- what is refused -----------------------------------------------------------------------------


async def refused(context: df.DurableOrchestrationContext) -> None:
    (await context.call_activity(price, Order(1))).upper()  # type: ignore[attr-defined]  # a float
    await context.call_activity(7)  # type: ignore[call-overload]  # no function
    await context.task_all([1, 2])  # type: ignore[arg-type]  # no tasks


@app.route(route="orders")
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    instance_id = await client.start_new("awaiting", None, Order(1))
    return client.create_check_status_response(req, instance_id)
