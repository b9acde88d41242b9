"""The worker as a whole: how it begins, and above all how it ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.functions.index import index_app
from durable_app.ports import Capacity
from durable_app.protocol import CompletionToken, EntityBatchRequest, OperationRequest
from durable_app.worker.service import Worker, WorkerOptions
from tests.unit.worker.rig import TIMEOUT_S, Desk, a_turn, an_activity

app = df.DFApp()
gate = threading.Event()


@app.orchestration_trigger(context_name="context")
def ends(context):
    return 7


@app.activity_trigger(input_name="x")
def double(x: int) -> int:
    return 2 * x


@app.activity_trigger(input_name="x")
def waits(x: int) -> None:
    gate.wait(TIMEOUT_S)


@pytest.fixture(autouse=True)
def _gate():
    gate.clear()
    yield
    gate.set()


def a_worker(desk: Desk) -> Worker:
    return Worker(desk, index_app(app), WorkerOptions(5, 2), SystemClock())


def test_items_go_to_their_executors():
    async def scenario():
        desk = Desk()
        worker = a_worker(desk)
        worker.start()
        assert desk.sink is worker
        assert desk.capacity == Capacity(5, 2, 20)
        entity = EntityBatchRequest(
            instance_id="@counter@1",
            entity_state=None,
            operations=(OperationRequest("add", "r"),),
            token=CompletionToken("e", 1),
        )
        worker.push([a_turn("ends"), an_activity("double", "4"), entity])
        got = {type(desk.next_result()).__name__ for _ in range(3)}
        assert got == {"OrchestratorResponse", "ActivityResponse", "EntityBatchResult"}
        worker.forget("order-1")
        await worker.stop()
        assert desk.calls == ["pause", "close"]

    asyncio.run(scenario())


def test_without_a_loop_it_does_not_connect():
    desk = Desk()
    with pytest.raises(RuntimeError):
        a_worker(desk).start()
    assert desk.sink is None


def test_the_stop_waits_for_what_runs():
    async def scenario():
        desk = Desk()
        worker = a_worker(desk)
        worker.start()
        worker.push([an_activity("waits", "1")])
        asyncio.get_running_loop().call_later(0.03, gate.set)
        await worker.stop()
        assert not desk.results.empty()
        assert desk.calls == ["pause", "close"]

    asyncio.run(scenario())


def test_the_stop_gives_back_what_does_not_end(caplog):
    async def scenario():
        desk = Desk()
        worker = a_worker(desk)
        worker.start()
        worker.push([an_activity("waits", "1")])
        await worker.stop(0.02)
        assert desk.results.empty()
        assert desk.calls == ["pause", "close"]

    asyncio.run(scenario())
    assert "1 function(s) did not end" in caplog.text


def test_a_stop_that_is_cancelled_gives_back_at_once():
    async def scenario():
        desk = Desk()
        worker = a_worker(desk)
        worker.start()
        worker.push([an_activity("waits", "1")])
        stopping = asyncio.ensure_future(worker.stop(60))
        await asyncio.sleep(0.01)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert desk.calls == ["pause", "close"]
        await worker.stop()
        assert desk.calls == ["pause", "close"]

    asyncio.run(scenario())


def test_before_the_start_there_is_nothing_to_stop():
    desk = Desk()
    asyncio.run(a_worker(desk).stop())
    assert desk.calls == []
