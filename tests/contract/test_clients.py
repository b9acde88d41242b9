"""The clients that apps use, on a hub in the same process and on one behind the wire."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

import durable_app as df
from durable_app.client.connection import Connection
from durable_app.client.functions_client import DurableFunctionsClient
from durable_app.client.management import ManagementUrls
from durable_app.client.sync_client import SyncDurableFunctionsClient
from durable_app.errors import WrongStatusError
from durable_app.protocol import ExecutionStarted
from durable_app.storage.memory import MemoryStore
from tests.contract import engine_app, entity_app
from tests.contract.test_hub_and_worker import World
from tests.contract.wire import OverTheWire

app = df.DFApp()
app.configure_scheduled_tasks()


@app.orchestration_trigger(context_name="context")
def job(context):
    return context.get_input()


@pytest.fixture(params=["memory", "grpc"])
def store(request):
    return MemoryStore() if request.param == "memory" else OverTheWire(MemoryStore())


def with_connection(store, functions, conversation):
    async def main():
        async with World(store, functions) as world:
            urls = ManagementUrls("http://localhost:7071", "default")
            loop = asyncio.get_running_loop()
            return await conversation(Connection(world.hub, world.hub, urls, "default", loop))

    return asyncio.run(main())


def test_the_life_of_an_instance(store):
    async def conversation(connection):
        client = DurableFunctionsClient(connection)
        instance_id = await client.start_new("approval", "one")
        started = await client.wait_for_orchestration_start(instance_id, timeout=10)
        assert started.runtime_status is df.OrchestrationStatus.RUNNING
        await client.suspend_orchestration("one", reason="a pause")
        await client.resume_orchestration("one")
        for name in ("go", "GO"):
            await client.raise_event("one", name, name)
        state = await client.wait_for_orchestration_completion("one", timeout=10)
        assert state.get_output(list) == ["go", "GO"]
        (first, *_) = [
            event
            for event in await client.get_orchestration_history("one")
            if isinstance(event, ExecutionStarted)
        ]
        assert first.name == "approval"
        assert [each.instance_id for each in await client.get_status_all()] == ["one"]
        assert (await client.list_instance_ids()).items == ["one"]
        with pytest.raises(WrongStatusError, match="'one' is Completed"):
            await client.raise_event("one", "go", None)
        assert (await client.purge_instance_history("one")).instances_deleted == 1
        return await client.get_orchestration_state("one")

    assert with_connection(store, engine_app.app, conversation) is None


HALF = "half \ud800"
HALF_ENTITY = df.EntityId("Account", HALF)


@pytest.mark.parametrize(
    ("what", "call"),
    [
        ("instance_id", lambda c: c.start_new("f", HALF)),
        ("version", lambda c: c.start_new("f", None, None, HALF)),
        ("tags['a']", lambda c: c.start_new("f", tags={"a": HALF})),
        ("a key of tags", lambda c: c.start_new("f", tags={HALF: "a"})),
        ("instance_id", lambda c: c.get_status(HALF)),
        ("instance_id", lambda c: c.get_orchestration_state(HALF)),
        ("instance_id", lambda c: c.get_orchestration_history(HALF)),
        ("instance_id", lambda c: c.wait_for_orchestration_completion(HALF, timeout=9)),
        ("instance_id", lambda c: c.raise_event(HALF, "go")),
        ("event_name", lambda c: c.raise_event("one", HALF)),
        ("instance_id", lambda c: c.terminate(HALF, "")),
        ("instance_id", lambda c: c.suspend(HALF, "")),
        ("reason", lambda c: c.suspend("one", HALF)),
        ("reason", lambda c: c.rewind("one", HALF)),
        ("instance_id", lambda c: c.restart(HALF)),
        ("instance_id", lambda c: c.purge_instance_history(HALF)),
        ("instance_id_prefix", lambda c: c.get_status_by(instance_id_prefix=HALF)),
        ("entityId", lambda c: c.signal_entity(HALF_ENTITY, "deposit", 1)),
        ("operation_name", lambda c: c.signal_entity(df.EntityId("a", "b"), HALF)),
        ("entityId", lambda c: c.read_entity_state(HALF_ENTITY)),
        ("entity_instance_id", lambda c: c.get_entity(HALF_ENTITY)),
    ],
)
def test_half_of_a_surrogate_pair_is_refused_with_the_argument_that_holds_it(store, what, call):
    async def conversation(connection):
        with pytest.raises(ValueError, match="half of a surrogate pair") as caught:
            await call(DurableFunctionsClient(connection))
        return caught.value

    error = with_connection(store, engine_app.app, conversation)
    assert str(error).startswith(f"{what} holds half of a surrogate pair at position ")
    str(error).encode()


def test_in_payloads_it_travels(store):
    async def conversation(connection):
        client = DurableFunctionsClient(connection)
        given = {"file": "caf\udce9.txt"}
        instance_id = await client.start_new("approval", client_input=given)
        await client.raise_event(instance_id, "go", given)
        found = await client.get_orchestration_state(instance_id)
        return None if found is None else found.get_input()

    found = with_connection(store, engine_app.app, conversation)
    assert found == {"file": "caf\udce9.txt"}


def test_sync_functions_wait_on_threads_of_their_own(store):
    async def conversation(connection):
        def function():
            client = SyncDurableFunctionsClient(connection)
            instance_id = client.start_new("chain", client_input=1)
            state = client.wait_for_orchestration_completion(instance_id, timeout=10)
            return state.get_output(int)

        return await asyncio.to_thread(function)

    assert with_connection(store, engine_app.app, conversation) == 8


def test_entities(store):
    async def conversation(connection):
        client = DurableFunctionsClient(connection)
        account = df.EntityId("Account", "a")
        await client.signal_entity(account, "deposit", 5)
        for _ in range(400):
            found = await client.read_entity_state(account)
            if found.entity_exists:
                break
            await asyncio.sleep(0.005)
        assert found.entity_state == 5
        entities = await client.get_all_entities()
        return [each.id for each in entities]

    found = with_connection(store, entity_app.app, conversation)
    assert found == [df.EntityId("Account", "a")]


def test_schedules(store):
    async def conversation(connection):
        tasks = df.AsyncScheduledTaskClient(DurableFunctionsClient(connection))
        options = df.ScheduleCreationOptions("s", job, timedelta(hours=1))
        schedule = await tasks.create_schedule(options)
        await schedule.pause()
        found = await tasks.get_schedule("s")
        assert found is not None
        assert found.status is df.ScheduleStatus.PAUSED
        await schedule.delete()
        return await tasks.get_schedule("s")

    assert with_connection(store, app, conversation) is None
