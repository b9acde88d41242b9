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


@app.activity_trigger(input_name="seconds")
def crunch(seconds: float) -> int:
    """Computes for so much time of a core, however many others want it; the process."""
    import os
    import time

    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(i * i for i in range(1_000))
    return os.getpid()


@app.orchestration_trigger(context_name="context")
def crunching(context: df.DurableOrchestrationContext):
    n = context.get_input()
    return (yield context.task_all([context.call_activity("crunch", 0.02) for _ in range(n)]))


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


class Applied:
    """Operations of entities that have run in this process."""

    operations = 0


@app.entity_trigger(context_name="context")
class Tally(df.DurableEntity):
    def add(self, amount: int) -> int:
        Applied.operations += 1
        total = self.get_state(int, 0) + amount
        self.set_state(total)
        return total


def tally(number: int) -> df.EntityId:
    return df.EntityId("Tally", f"t{number % 50}")


@app.orchestration_trigger(context_name="context")
def signaling(context: df.DurableOrchestrationContext):
    """Sends signals, one to each entity in turn."""
    n = context.get_input()
    for number in range(n):
        context.signal_entity(tally(number), "add", 1)
    return n


@app.orchestration_trigger(context_name="context")
def calling(context: df.DurableOrchestrationContext):
    """Calls one entity after the other."""
    n = context.get_input()
    for number in range(n):
        yield context.call_entity(tally(number), "add", 1)
    return n


@app.orchestration_trigger(context_name="context")
def locking(context: df.DurableOrchestrationContext):
    """Locks two entities and gives them back, over and over."""
    n = context.get_input()
    for number in range(n):
        with (yield context.lock_entities([tally(number), tally(number + 1)])):
            pass
    return n
