"""Our client and our worker against the in-memory backend of the official SDK."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest

from durable_app.clock import SystemClock
from durable_app.errors import InstanceExistsError, InstanceNotFoundError, WrongStatusError
from durable_app.functions.index import index_app
from durable_app.ports import EntityQuery, InstanceQuery, StartRequest
from durable_app.protocol import OrchestrationStatus, TaskCompleted, TaskScheduled
from durable_app.rpc.stub.hub import RemoteHub
from durable_app.worker.service import Worker, WorkerOptions
from tests.contract import engine_app, entity_app
from tests.contract.engine_app import CALLS
from tests.contract.wire import access_to, work_of

in_memory_backend = pytest.importorskip("durabletask.testing.in_memory_backend")


@pytest.fixture
def port():
    """Of a backend of its own: it cannot be asked for a free one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    backend = in_memory_backend.create_test_backend(port)
    yield port
    backend.stop()


@contextlib.asynccontextmanager
async def a_world(port, app=engine_app.app):
    CALLS.clear()
    client, work = RemoteHub.open(access_to(port), SystemClock()), work_of(port)
    worker = Worker(work, index_app(app), WorkerOptions(), SystemClock())
    worker.start()
    try:
        yield client
    finally:
        await worker.stop(2.0)
        await work.close()
        await client.close()


async def run(client, name, value=None, instance_id=None):
    text = None if value is None else json.dumps(value)
    state = await ended(client, await client.start(StartRequest(name, instance_id, text)))
    assert state.status is OrchestrationStatus.COMPLETED, state.failure
    return json.loads(state.output)


async def ended(client, instance_id):
    state = await client.wait_for_completion(instance_id, timeout_s=20)
    assert state is not None, f"{instance_id} is stuck"
    return state


def in_world(port, conversation, app=engine_app.app):
    async def main():
        async with a_world(port, app) as client:
            return await conversation(client)

    return asyncio.run(main())


def test_patterns(port):
    async def conversation(client):
        wanted = [
            ("chain", 1, 8),
            ("chain_async", None, 42),
            ("fan", 50, 2450),
            ("typed", None, {"item": "bolt", "total": 30}),
            ("nap", 20, "awake"),
            ("parent", None, [0, 8, 16]),
        ]
        for name, value, output in wanted:
            assert await run(client, name, value) == output
        # All names end alike: several at once, too.
        outputs = await asyncio.gather(*(run(client, "chain", n) for n in range(8)))
        assert outputs == [8 * n for n in range(8)]

    in_world(port, conversation)


def test_retries(port):
    assert in_world(port, lambda client: run(client, "retried")) == "at last"


def test_events_and_refusals(port):
    async def conversation(client):
        instance_id = await client.start(StartRequest("approval"))
        assert (await client.wait_for_start(instance_id, timeout_s=10)) is not None
        with pytest.raises(InstanceExistsError):
            await client.start(StartRequest("approval", instance_id))
        await client.suspend(instance_id, "a pause")
        await client.raise_event(instance_id, "Go", '"first"')
        await client.resume(instance_id, None)
        await client.raise_event(instance_id, "gO", '"second"')
        state = await ended(client, instance_id)
        assert json.loads(state.output) == ["first", "second"]
        with pytest.raises(WrongStatusError):
            await client.raise_event(instance_id, "go", None)
        with pytest.raises(InstanceNotFoundError):
            await client.terminate("nobody", None)

    in_world(port, conversation)


def test_lives_and_ends(port):
    async def conversation(client):
        await client.start(StartRequest("nap", "sleeper", "60000"))
        assert await client.wait_for_completion("sleeper", timeout_s=0.2) is None
        await client.terminate("sleeper", '"enough"')
        state = await ended(client, "sleeper")
        assert (state.status, state.output) == (OrchestrationStatus.TERMINATED, '"enough"')
        await run(client, "chain", 1, "one")
        restarted = await client.restart("one")
        assert (await ended(client, restarted)).output == "8"
        events = await client.history("one")
        assert len([e for e in events if isinstance(e, TaskScheduled | TaskCompleted)]) == 6
        assert await client.history("nobody") is None
        page = await client.query(InstanceQuery(page_size=2))
        rest = await client.query(InstanceQuery(continuation_token=page.continuation_token))
        assert {each.instance_id for each in page.items + rest.items} == {
            "sleeper",
            "one",
            restarted,
        }
        assert await client.purge("one") == 1
        assert await client.get("one") is None

    in_world(port, conversation)


def test_continue_as_new(port):
    async def conversation(client):
        instance_id = await client.start(StartRequest("eternal", None, "2"))
        for number in range(3):
            await client.raise_event(instance_id, "tick", str(number))
        return (await ended(client, instance_id)).output

    assert in_world(port, conversation) == "2"


def test_rewind_runs_only_what_failed(port):
    async def conversation(client):
        await client.start(StartRequest("to_rewind", "one"))
        assert (await ended(client, "one")).status is OrchestrationStatus.FAILED
        await client.rewind("one", "mended")
        state = await ended(client, "one")
        assert json.loads(state.output) == [10, "mended"]
        assert CALLS["double"] == 1

    in_world(port, conversation)


def test_entities(port):
    async def conversation(client):
        assert await run(client, "deposits", "a") == 5
        assert await run(client, "overdraws", "b") == "not enough"
        await client.signal("@account@rich", "deposit", "100")
        assert await run(client, "transfers", ["rich", "poor"]) == [90, 10]
        found = await client.get_entity("@account@poor")
        assert (found.state, found.exists) == ("10", True)
        page = await client.query_entities(EntityQuery("@account@"))
        assert {each.instance_id[9:] for each in page.items} >= {"a", "rich", "poor"}
        assert await client.get_entity("@account@nobody") is None

    in_world(port, conversation, entity_app.app)
