"""Output bindings of activities, which the worker calls without knowing of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import azure.functions as func
import pytest

import durable_app as df
from durable_app.functions.handles import call_activity_function, call_async_activity_function
from durable_app.functions.index import index_app
from durable_app.host.calls.outputs import delivering

app = df.DFApp()


@app.activity_trigger(input_name="order")
@app.queue_output(arg_name="out", queue_name="orders", connection="Storage")
def send(order: dict[str, int], out: func.Out[str]) -> int:
    out.set(f"{order['count']} apples")
    return order["count"]


@app.activity_trigger(input_name="order")
@app.queue_output(arg_name="out", queue_name="orders", connection="Storage")
async def asend(order: dict[str, int], out: func.Out[str]) -> int:
    out.set(f"{order['count']} pears")
    return order["count"]


@app.activity_trigger(input_name="order")
@app.blob_output(arg_name="out", path="out/x", connection="Storage")
async def store(order: dict[str, int], out: func.Out[str]) -> int:
    if order["count"]:
        out.set("content")
    return order["count"]


def run(name: str, count: int) -> tuple[Any, list[Any]]:
    """Result of an activity, and what went to the queue."""
    sent: list[Any] = []

    async def queue(binding, value):
        sent.append((binding["queueName"], value))

    async def scenario() -> Any:
        facts = index_app(app).activities[name]
        assert facts.durable is not None
        outputs = {b["name"]: b for b in facts.bindings if b["direction"] == "OUT"}
        loop = asyncio.get_running_loop()
        durable = delivering(facts.durable, outputs, {"queue": queue}, loop)
        if durable.is_async:
            return await call_async_activity_function(durable, {"count": count}, {})
        call: Callable[[], Any] = lambda: call_activity_function(durable, {"count": count}, {})  # noqa: E731  for a thread
        return await asyncio.to_thread(call)

    return asyncio.run(scenario()), sent


@pytest.mark.parametrize(("name", "message"), [("send", "3 apples"), ("asend", "3 pears")])
def test_an_activity_sends_and_returns(name, message):
    assert run(name, 3) == (3, [("orders", message)])


def test_an_output_that_goes_nowhere_fails_the_activity():
    with pytest.raises(RuntimeError, match="'out' of type 'blob' is not available locally"):
        run("store", 1)


def test_an_output_that_is_not_set_does_no_harm():
    assert run("store", 0) == (0, [])
