"""The orchestrations of the load benchmarks, as a user would write them."""

from typing import Any

import durable_app as df

app = df.DFApp()

#: 47 bytes as compact JSON.
PAYLOAD = {"k": "customer-000042", "amount": 1999, "ok": True}


class Counter:
    """Activities that have run in this process."""

    activities = 0


@app.activity_trigger(input_name="x")
def noop(x: Any) -> Any:
    Counter.activities += 1
    return x


@app.activity_trigger(input_name="seconds")
def burn(seconds: float) -> int:
    """Computes all the time: one thread that holds the interpreter."""
    import time

    rounds = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        rounds += sum(i * i for i in range(1_000)) and 1
    return rounds


@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    n = context.get_input()
    for _ in range(n):
        yield context.call_activity("noop", PAYLOAD)
    return n


@app.orchestration_trigger(context_name="context")
def fanout(context: df.DurableOrchestrationContext):
    n = context.get_input()
    results = yield context.task_all([context.call_activity("noop", PAYLOAD) for _ in range(n)])
    return len(results)


@app.orchestration_trigger(context_name="context")
def approval(context: df.DurableOrchestrationContext):
    for _ in range(context.get_input()):
        yield context.call_activity("noop", PAYLOAD)
    return (yield context.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context")
def burning(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("burn", context.get_input()))
