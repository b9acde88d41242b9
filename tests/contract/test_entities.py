"""Entities: hub, store, worker, a real app; in one process and over the wire."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from durable_app.clock import SystemClock
from durable_app.ports import CleanedEntities, EntityQuery
from durable_app.storage.memory import MemoryStore
from tests.contract import entity_app
from tests.contract.test_hub_and_worker import World
from tests.contract.wire import OverTheWire


@pytest.fixture(params=["memory", "grpc"])
def store(request):
    return MemoryStore() if request.param == "memory" else OverTheWire(MemoryStore())


def with_world(store, conversation):
    async def scenario():
        async with World(store, entity_app.app) as world:
            return await conversation(world)

    return asyncio.run(scenario())


async def state_of(hub, entity_id, wanted):
    """Waits until the entity has that state; None for no entity."""
    for _ in range(400):
        found = await hub.get_entity(entity_id)
        if (found.state if found else None) == wanted:
            return found
        await asyncio.sleep(0.005)
    raise AssertionError(f"{entity_id} is {found}")


def test_signals_calls_and_failures(store):
    async def conversation(world):
        assert (await world.run("deposits", "a")).output == "5"
        assert (await world.run("overdraws", "b")).output == '"not enough"'
        await world.hub.signal("@account@a", "deposit", "1")
        return await state_of(world.hub, "@ACCOUNT@a", "6")

    found = with_world(store, conversation)
    assert (found.instance_id, found.exists, found.locked_by) == ("@account@a", True, None)


def test_a_transfer_under_a_lock(store):
    async def conversation(world):
        await world.hub.signal("@account@rich", "deposit", "100")
        names = [["rich", "poor"], ["rich", "poor"], ["rich", "third"]]
        ids = [await world.start("transfers", each) for each in names]
        left = [json.loads((await world.finished(i)).output)[0] for i in ids]
        assert sorted(left) == [70, 80, 90]
        await state_of(world.hub, "@account@poor", "20")

    with_world(store, conversation)


def test_a_delayed_signal_and_a_start_by_an_entity(store):
    async def conversation(world):
        soon = SystemClock().now() + timedelta(milliseconds=20)
        await world.hub.signal("@account@a", "deposit", "7", signal_time=soon)
        assert await world.hub.get_entity("@account@a") is None
        await state_of(world.hub, "@account@a", "7")
        await world.hub.signal("@account@a", "report_to", '"report"')
        return (await world.finished("report")).output

    assert with_world(store, conversation) == "7"


def test_queries_and_clean_ups(store):
    async def conversation(world):
        for key in "abc":
            await world.hub.signal(f"@account@{key}", "deposit", "1")
            await state_of(world.hub, f"@account@{key}", "1")
        await world.hub.signal("@account@b", "close", None)
        await state_of(world.hub, "@account@b", None)
        first = await world.hub.query_entities(EntityQuery("@account@", page_size=1))
        token = first.continuation_token
        rest = await world.hub.query_entities(EntityQuery(continuation_token=token))
        assert [each.instance_id for each in first.items + rest.items] == [
            "@account@a",
            "@account@c",
        ]
        assert {each.state for each in first.items + rest.items} == {"1"}
        stateless = await world.hub.query_entities(EntityQuery(include_state=False))
        assert {each.state for each in stateless.items} == {None}
        return await world.hub.clean()

    assert with_world(store, conversation) == CleanedEntities(1, 0)


def test_an_id_of_no_entity_is_refused(store):
    async def conversation(world):
        for call in (world.hub.signal("account", "deposit", None), world.hub.get_entity("a@b")):
            with pytest.raises(ValueError, match="@name@key"):
                await call

    with_world(store, conversation)
