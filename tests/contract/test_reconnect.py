"""A server that goes away and comes back while work is in flight; the hub behind it lives on."""

from __future__ import annotations

import asyncio
import json
import threading

import durable_app as df
from durable_app.storage.memory import MemoryStore
from durable_app.worker.service import WorkerOptions
from tests.contract.test_hub_and_worker import World
from tests.contract.wire import OverTheWire

app = df.DFApp()
GATE = threading.Event()
RUNS: list[int] = []


@app.activity_trigger(input_name="number")
def gated(number: int) -> int:
    RUNS.append(number)
    GATE.wait(10)
    return number


@app.activity_trigger(input_name="number")
def quick(number: int) -> int:
    return number


@app.orchestration_trigger(context_name="context")
def waits(context):
    before = yield context.call_activity(quick, 1)
    held = yield context.call_activity(gated, context.get_input())
    after = yield context.call_activity(quick, 2)
    return [before, held, after]


@app.orchestration_trigger(context_name="context")
def steps(context):
    total = 0
    for _ in range(30):
        total += yield context.call_activity(quick, 1)
    return total


@app.entity_trigger(context_name="context")
class Gate(df.DurableEntity):
    """Counts, when it is let through."""

    def count(self) -> int:
        RUNS.append(0)
        GATE.wait(10)
        counted: int = self.get_state(int, 0) + 1
        self.set_state(counted)
        return counted


def with_world(conversation):
    GATE.clear()
    RUNS.clear()

    async def main():
        async with World(OverTheWire(MemoryStore()), app, WorkerOptions()) as world:
            try:
                return await conversation(world)
            finally:
                GATE.set()

    return asyncio.run(main())


async def until(condition):
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never became true")


def test_an_activity_outlives_its_connection_and_runs_once():
    async def conversation(world):
        ids = [await world.start("waits", number) for number in range(5)]
        await until(lambda: len(RUNS) == 5)
        await world.wire.restart_server()
        await until(lambda: world.wire.server.workers == 1)
        await asyncio.sleep(0.05)
        GATE.set()
        outputs = [json.loads((await world.finished(i)).output) for i in ids]
        assert outputs == [[1, number, 2] for number in range(5)]
        return sorted(RUNS)

    assert with_world(conversation) == list(range(5))


def test_a_result_of_a_time_without_a_connection_is_brought_later():
    async def conversation(world):
        instance_id = await world.start("waits", 7)
        await until(lambda: len(RUNS) == 1)
        await world.wire.server.stop(0)
        GATE.set()
        await asyncio.sleep(0.2)
        await world.wire.start_server()
        return (await world.finished(instance_id)).output

    assert with_world(conversation) == "[1,7,2]"


def test_an_operation_of_an_entity_counts_once():
    async def conversation(world):
        await world.hub.signal("@gate@a", "count", None)
        await until(lambda: len(RUNS) == 1)
        await world.hub.signal("@gate@a", "count", None)
        await world.wire.restart_server()
        await until(lambda: world.wire.server.workers == 1)
        GATE.set()
        for _ in range(2_000):
            found = await world.hub.get_entity("@gate@a")
            if found is not None and found.state == "2":
                return found.state
            await asyncio.sleep(0.005)
        return found

    assert with_world(conversation) == "2"


def test_orchestrations_go_on_through_many_connections():
    async def conversation(world):
        ids = [await world.start("steps") for _ in range(20)]
        for _ in range(5):
            await world.wire.restart_server()
            await until(lambda: world.wire.server.workers == 1)
        states = [await world.finished(i) for i in ids]
        assert [state.output for state in states] == ["30"] * 20
        histories = [await world.hub.history(i) for i in ids]
        return {len([event for event in each if event.event_id >= 0]) for each in histories}

    # A start, thirty calls and a completion, each of them once.
    assert with_world(conversation) == {32}
