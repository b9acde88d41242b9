"""The asyncio face of a hub: whatever happens to it, everybody who asks gets an answer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from durable_app.clock import SystemClock
from durable_app.errors import (
    InstanceNotFoundError,
    SchedulerUnavailableError,
    StoreCorruptError,
)
from durable_app.ports import Capacity, InstanceQuery, Page, PurgeFilter, StartRequest
from durable_app.protocol import OrchestrationStatus
from durable_app.scheduler.loop import OwnerLoop
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore
from tests.unit.scheduler.rig import Hands

TIMEOUT_S = 10


class FragileStore(MemoryStore):
    """Is damaged where somebody looks for "cursed"; reads for others wait for the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.closed = 0

    def load(self, instance_id):
        if instance_id == "cursed":
            raise StoreCorruptError("damaged")
        return super().load(instance_id)

    def query(self, query):
        assert self.gate.wait(TIMEOUT_S)
        return super().query(query)

    def close(self) -> None:
        self.closed += 1
        super().close()


def a_hub(store=None, on_fatal=None) -> TaskHub:
    hub = TaskHub(store or MemoryStore(), HubOptions(), SystemClock(), on_fatal=on_fatal)
    hub.open()
    return hub


def owner_of(hub: TaskHub) -> OwnerLoop:
    assert isinstance(hub._loop, OwnerLoop)
    return hub._loop


def within(scenario):
    """Run it; a hang is a failure."""

    async def limited():
        async with asyncio.timeout(TIMEOUT_S):
            await scenario()

    asyncio.run(limited())


def test_after_a_fatal_error_nobody_waits_for_ever():
    store = FragileStore()
    told: list[BaseException] = []

    async def scenario():
        hub = a_hub(store, told.append)
        waiting = asyncio.ensure_future(hub.wait_for_completion("nobody"))
        asked = [
            asyncio.ensure_future(call)
            for call in (
                hub.start(StartRequest("order", "a")),
                hub.raise_event("cursed", "go", None),
                hub.get("a"),
                hub.start(StartRequest("order", "b")),
            )
        ]
        answers = await asyncio.gather(waiting, *asked, return_exceptions=True)
        assert all(isinstance(a, (str, SchedulerUnavailableError)) or a is None for a in answers)
        assert isinstance(answers[2], SchedulerUnavailableError)
        for late in (hub.get("a"), hub.query(InstanceQuery()), hub.history("a")):
            with pytest.raises(SchedulerUnavailableError):
                await late
        await hub.stop()

    within(scenario)
    assert [type(error) for error in told] == [StoreCorruptError]
    assert store.closed == 1


def test_after_the_stop_everything_is_refused():
    store = FragileStore()

    async def scenario():
        hub = a_hub(store)
        await hub.stop()
        await hub.stop()
        for late in (
            hub.start(StartRequest("order")),
            hub.wait_for_start("a", timeout_s=60),
            hub.purge_by(PurgeFilter()),
            hub.query(InstanceQuery()),
            hub.history("a"),
        ):
            with pytest.raises(SchedulerUnavailableError):
                await late

    within(scenario)
    assert store.closed == 1


def test_a_request_that_meets_the_very_end_is_refused():
    async def scenario():
        hub = a_hub()
        asking = asyncio.ensure_future(hub.get("a"))
        asking.cancel()
        await hub.stop()
        # As if it had been let in by a thread that was interrupted before it put it down.
        owner = owner_of(hub)
        owner._is_closed = owner._is_stopping = False
        with pytest.raises(SchedulerUnavailableError):
            await hub.get("a")

    within(scenario)


def test_reads_that_wait_for_a_thread_at_the_end_are_not_cancelled():
    store = FragileStore()

    async def scenario():
        hub = a_hub(store)
        reads = [asyncio.ensure_future(hub.query(InstanceQuery())) for _ in range(4)]
        await asyncio.sleep(0.01)
        await hub.stop()
        store.gate.set()
        answers = await asyncio.gather(*reads, return_exceptions=True)
        # The memory store still has its rows; a file would be closed.
        assert all(isinstance(a, Page) for a in answers)

    within(scenario)


def test_a_start_that_rides_with_a_turn_is_answered_when_the_hub_stops():
    async def scenario():
        store = MemoryStore()
        hub = a_hub(store)
        hub.connect(Hands(1), Capacity(5, 5))
        starting = asyncio.ensure_future(hub.start(StartRequest("order", "a")))
        await asyncio.sleep(0)
        await hub.stop()
        assert await starting == "a"
        assert store.load("a") is not None

    within(scenario)


def test_a_watch_that_is_given_up_leaves_nothing_behind():
    async def scenario():
        hub = a_hub()
        assert await hub.wait_for_start("a", timeout_s=0.001) is None
        waiting = asyncio.ensure_future(hub.wait_for_completion("b"))
        await asyncio.sleep(0.001)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await hub.get("a")
        state = owner_of(hub)._hub.state
        assert state.watchers._waiting == {}
        await hub.stop()

    within(scenario)


def test_what_is_unknown_is_refused_by_name():
    async def scenario():
        hub = a_hub()
        for call in (
            hub.terminate("a", None),
            hub.suspend("a", None),
            hub.resume("a", None),
            hub.rewind("a", None),
            hub.restart("a"),
        ):
            with pytest.raises(InstanceNotFoundError):
                await call
        assert await hub.purge("a") == 0
        await hub.stop()

    within(scenario)


def test_a_closed_event_loop_harms_nobody():
    store = MemoryStore()
    hub = a_hub(store)

    async def impatient():
        calls = (hub.start(StartRequest("order", "a")), hub.wait_for_start("a"))
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)

    asyncio.run(impatient())

    async def scenario():
        state = None
        while state is None:
            state = await hub.get("a")
        assert state.status is OrchestrationStatus.PENDING
        await hub.stop()

    within(scenario)


def test_waits_end_when_the_host_is_about_to():
    async def scenario():
        hub = a_hub()
        await hub.start(StartRequest("order", "a"))
        waits = [
            asyncio.ensure_future(hub.wait_for_completion("a")),
            asyncio.ensure_future(hub.wait_for_start("nobody", timeout_s=TIMEOUT_S)),
        ]
        await hub.get("a")
        hub.end_waits()
        assert await asyncio.gather(*waits) == [None, None]
        assert await hub.wait_for_completion("a") is None
        await hub.get("a")
        assert owner_of(hub)._hub.state.watchers._waiting == {}
        await hub.stop()

    within(scenario)
