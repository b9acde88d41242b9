"""The whole engine in one process: hub, store, worker, a real app; no HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.errors import (
    InstanceExistsError,
    InstanceNotFoundError,
    SchedulerUnavailableError,
    WrongStatusError,
)
from durable_app.functions.index import index_app
from durable_app.ports import IdQuery, InstanceQuery, Purged, PurgeFilter, StartRequest
from durable_app.protocol import (
    ExecutionCompleted,
    ExecutionStarted,
    OrchestrationStatus,
    OrchestratorStarted,
    TaskCompleted,
    TaskScheduled,
)
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore
from durable_app.storage.sqlite import SqliteStore
from durable_app.worker import orchestrators
from durable_app.worker.service import Worker, WorkerOptions
from tests.contract import engine_app
from tests.contract.engine_app import CALLS
from tests.contract.wire import OverTheWire, Wire

COMPLETED = OrchestrationStatus.COMPLETED
FAILED = OrchestrationStatus.FAILED


class World:
    """A hub and a worker, in one process or with the wire between them (see ``OverTheWire``)."""

    def __init__(self, store, app, options=None):
        is_remote = isinstance(store, OverTheWire)
        self._own = TaskHub(store.store if is_remote else store, HubOptions(), SystemClock())
        self.wire = Wire(self._own) if is_remote else None
        self._app = app
        self._options = options or WorkerOptions()
        self.hub: Any = self._own

    async def __aenter__(self):
        self._own.open()
        source: Any = self._own
        if self.wire is not None:
            self.hub, source = await self.wire.open()
        self.worker = Worker(source, index_app(self._app), self._options, SystemClock())
        self.worker.start()
        return self

    async def __aexit__(self, *_):
        await self.worker.stop(2.0)
        if self.wire is not None:
            await self.wire.close()
        await self._own.stop()

    async def run(self, name, value=None, instance_id=None):
        instance_id = await self.start(name, value, instance_id)
        return await self.finished(instance_id)

    async def start(self, name, value=None, instance_id=None):
        text = None if value is None else json.dumps(value)
        return await self.hub.start(StartRequest(name, instance_id, text))

    async def finished(self, instance_id):
        state = await self.hub.wait_for_completion(instance_id, timeout_s=20)
        assert state is not None, f"{instance_id} is stuck"
        return state

    async def status(self, instance_id, wanted):
        for _ in range(400):
            state = await self.hub.get(instance_id)
            if state is not None and state.status is wanted:
                return state
            await asyncio.sleep(0.005)
        raise AssertionError(f"{instance_id} never became {wanted.name}: {state}")


@pytest.fixture(params=["memory", "sqlite", "grpc"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryStore()
    if request.param == "grpc":
        return OverTheWire(MemoryStore())
    return SqliteStore(tmp_path / "hub.db", "default")


@pytest.fixture
def app():
    CALLS.clear()
    return engine_app.app


@pytest.mark.parametrize(
    ("name", "value", "output"),
    [
        ("chain", 1, 8),
        ("chain_async", None, 42),
        ("awaiting", 3, [30, 2, 4, 6]),
        ("two_arguments", {"item": "bolt", "count": 3}, 6),
        ("fan", 100, 9900),
        ("fan", 0, 0),
        ("typed", None, {"item": "bolt", "total": 30}),
        ("retried", None, "at last"),
        ("nap", 20, "awake"),
        ("parent", None, [0, 8, 16]),
    ],
)
def test_patterns(store, app, name, value, output):
    async def scenario():
        async with World(store, app) as world:
            state = await world.run(name, value)
            assert (state.status, json.loads(state.output)) == (COMPLETED, output)

    asyncio.run(scenario())


def test_an_activity_knows_the_call_that_it_runs_for(store, app):
    async def scenario():
        async with World(store, app) as world:
            state = await world.run("awaiting_with_input", {"item": "bolt", "count": 3}, "a")
            item, instance_id, task_id, attempt, key, count = json.loads(state.output)
            assert (item, instance_id, task_id, attempt, count) == ("bolt", "a", 1, 1, 3)
            started = (await world.hub.history("a"))[1]
            assert isinstance(started, ExecutionStarted)
            assert started.instance is not None
            assert key == f"{started.instance.execution_id}:1"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("two_arguments", {"item": "bolt", "count": "three"}, "order.count"),
        ("awaiting", "three", "order.count"),
        ("sleeps", None, "await context.create_timer"),
    ],
)
def test_a_failure_says_where_and_what(store, app, name, value, text):
    async def scenario():
        async with World(store, app) as world:
            state = await world.run(name, value)
            assert state.status is FAILED
            assert text in state.failure.error_message

    asyncio.run(scenario())


def test_history_is_what_the_protocol_says(store, app):
    async def scenario():
        async with World(store, app) as world:
            await world.run("retried", None, "h")
            await world.run("chain", 1, "c")
            events = await world.hub.history("c")
            kinds = [type(event) for event in events]
            assert kinds == [
                OrchestratorStarted,
                ExecutionStarted,
                TaskScheduled,
                *(OrchestratorStarted, TaskCompleted, TaskScheduled) * 2,
                OrchestratorStarted,
                TaskCompleted,
                ExecutionCompleted,
            ]
            ids = [e.event_id for e in events if e.event_id >= 0]
            assert ids == sorted(set(ids))
            assert await world.hub.history("nobody") is None

    asyncio.run(scenario())


def test_events_are_kept_in_order_and_given_once(store, app):
    async def scenario():
        async with World(store, app) as world:
            instance_id = await world.start("approval")
            await world.hub.raise_event(instance_id, "Go", '"first"')
            await world.hub.raise_event(instance_id, "gO", '"second"')
            state = await world.finished(instance_id)
            assert json.loads(state.output) == ["first", "second"]
            assert json.loads(state.custom_status) == "heard"
            with pytest.raises(WrongStatusError):
                await world.hub.raise_event(instance_id, "go", None)
            with pytest.raises(InstanceNotFoundError):
                await world.hub.raise_event("nobody", "go", None)

    asyncio.run(scenario())


def test_continue_as_new_keeps_events(store, app):
    async def scenario():
        async with World(store, app) as world:
            instance_id = await world.start("eternal", 5)
            before = await world.status(instance_id, OrchestrationStatus.RUNNING)
            for number in range(6):
                await world.hub.raise_event(instance_id, "tick", str(number))
            state = await world.finished(instance_id)
            assert state.output == "5"
            assert state.execution_id != before.execution_id

    asyncio.run(scenario())


def test_suspend_holds_back_and_resume_goes_on(store, app):
    async def scenario():
        async with World(store, app) as world:
            instance_id = await world.start("approval")
            await world.status(instance_id, OrchestrationStatus.RUNNING)
            await world.hub.suspend(instance_id, "lunch")
            await world.status(instance_id, OrchestrationStatus.SUSPENDED)
            await world.hub.raise_event(instance_id, "go", "1")
            await world.hub.raise_event(instance_id, "go", "2")
            state = await world.hub.get(instance_id)
            assert (state.status, state.custom_status) == (OrchestrationStatus.SUSPENDED, None)
            await world.hub.resume(instance_id, None)
            assert json.loads((await world.finished(instance_id)).output) == [1, 2]

    asyncio.run(scenario())


def test_terminate_ends_children_too(store, app):
    async def scenario():
        async with World(store, app) as world:
            instance_id = await world.start("rewound_paren", None, "p")
            state = await world.finished(instance_id)
            assert state.status is FAILED
            assert "rewound_parent" in state.failure.error_message
            waiting = await world.start("nap", 60_000, "sleeper")
            await world.hub.terminate(waiting, '"enough"')
            state = await world.finished(waiting)
            assert (state.status, state.output) == (OrchestrationStatus.TERMINATED, '"enough"')

    asyncio.run(scenario())


def test_rewind_runs_only_what_failed(store, app):
    async def scenario():
        async with World(store, app) as world:
            state = await world.run("rewound_parent", None, "parent")
            assert state.status is FAILED
            assert "ValueError: broken once" in state.failure.error_message
            with pytest.raises(WrongStatusError):
                await world.hub.rewind((await world.run("chain", 1)).instance_id, None)
            doubled = CALLS["double"]
            await world.hub.rewind("parent", "mended")
            state = await world.finished("parent")
            assert (state.status, json.loads(state.output)) == (COMPLETED, [10, "mended"])
            assert CALLS["double"] == doubled

    asyncio.run(scenario())


def test_an_id_is_taken_until_its_instance_has_ended(store, app):
    async def scenario():
        async with World(store, app) as world:
            await world.start("approval", None, "one")
            with pytest.raises(InstanceExistsError):
                await world.start("chain", 1, "one")
            await world.hub.terminate("one", None)
            await world.finished("one")
            assert (await world.run("chain", 1, "one")).output == "8"
            restarted = await world.hub.restart("one")
            assert restarted != "one"
            assert (await world.finished(restarted)).output == "8"
            assert await world.hub.restart("one", new_instance_id=False) == "one"
            assert (await world.finished("one")).output == "8"

    asyncio.run(scenario())


def test_query_and_purge(store, app):
    async def scenario():
        async with World(store, app) as world:
            for number in range(7):
                await world.run("chain", number, f"q{number}")
            await world.start("approval", None, "open")
            pages, token = [], None
            while True:
                page = await world.hub.query(InstanceQuery(page_size=3, continuation_token=token))
                pages.append([state.instance_id for state in page.items])
                token = page.continuation_token
                if token is None:
                    break
            assert [i for page in pages for i in page] == [*(f"q{n}" for n in range(7)), "open"]
            assert await world.hub.purge("q0") == 1
            assert await world.hub.purge("q0") == 0
            assert await world.hub.purge("open") == 0
            assert await world.hub.purge_by(PurgeFilter()) == Purged(6)
            assert await world.hub.get("q3") is None
            assert (await world.hub.get("open")) is not None

    asyncio.run(scenario())


def test_ids_of_what_has_ended_in_the_order_of_the_ends(store, app):
    async def scenario():
        async with World(store, app) as world:
            for number in (2, 0, 1):
                await world.run("chain", number, f"q{number}")
            await world.start("approval", None, "open")
            first = await world.hub.list_ids(IdQuery(page_size=2))
            token = first.continuation_token
            rest = await world.hub.list_ids(IdQuery(continuation_token=token))
            assert (first.items, rest.items) == (("q2", "q0"), ("q1",))
            assert rest.continuation_token is None

    asyncio.run(scenario())


def test_an_unknown_name_fails_with_the_known_ones(store, app):
    async def scenario():
        async with World(store, app) as world:
            state = await world.run("calls_nobody")
            assert state.status is FAILED
            assert "'double'" in state.failure.error_message

    asyncio.run(scenario())


def test_a_restart_goes_on_where_it_was(tmp_path, app):
    async def scenario():
        first = SqliteStore(tmp_path / "hub.db", "default")
        async with World(first, app) as world:
            await world.start("approval", None, "a")
            await world.start("nap", 300, "n")
            await world.hub.raise_event("a", "go", "1")
            await world.status("a", OrchestrationStatus.RUNNING)
        second = SqliteStore(tmp_path / "hub.db", "default")
        async with World(second, app) as world:
            await world.hub.raise_event("a", "go", "2")
            assert json.loads((await world.finished("a")).output) == [1, 2]
            assert (await world.finished("n")).output == '"awake"'

    asyncio.run(scenario())


@pytest.fixture
def release(monkeypatch):
    """Ends what the orchestrator `blocker` waits for; the watchdog looks often meanwhile."""
    event = threading.Event()
    monkeypatch.setattr(engine_app, "RELEASE", event)
    monkeypatch.setattr(orchestrators, "_SLOW_S", 0.05)
    yield event
    event.set()


def test_a_blocking_orchestrator_is_named_and_the_hub_still_answers(app, caplog, release):
    def is_named():
        texts = [record.getMessage() for record in caplog.records]
        return any("blocker" in text and "blocking" in text for text in texts)

    async def scenario():
        async with World(MemoryStore(), app) as world:
            instance_id = await world.start("blocker")
            for _ in range(400):
                if is_named():
                    break
                await asyncio.sleep(0.005)
            assert is_named()
            assert not (await world.hub.get(instance_id)).status.is_terminal
            release.set()
            assert (await world.finished(instance_id)).output == '"done"'

    asyncio.run(scenario())


def test_slow_activities_do_not_hold_up_orchestrators(app):
    functions = df.DFApp()
    release = threading.Event()

    @functions.activity_trigger(input_name="x")
    def slow(x: int) -> int:
        release.wait(10)
        return x

    @functions.orchestration_trigger(context_name="context")
    def waits(context):
        return (yield context.call_activity("slow", 1))

    @functions.orchestration_trigger(context_name="context")
    def quick(context):
        return 7

    async def scenario():
        options = WorkerOptions(activities=2)
        async with World(MemoryStore(), functions, options) as world:
            waiting = [await world.start("waits") for _ in range(5)]
            assert (await world.run("quick")).output == "7"
            release.set()
            for instance_id in waiting:
                assert (await world.finished(instance_id)).output == "1"

    asyncio.run(scenario())


def test_after_the_end_everything_is_refused(app):
    async def scenario():
        world = World(MemoryStore(), app)
        async with world:
            waiting = asyncio.ensure_future(world.hub.wait_for_completion("nobody"))
            await asyncio.sleep(0.02)
        with pytest.raises(SchedulerUnavailableError):
            await waiting
        with pytest.raises(SchedulerUnavailableError):
            await world.start("chain", 1)

    asyncio.run(scenario())


def test_cold_replay_gives_the_same_as_warm(store, app):
    """With room for one warm execution nearly every turn is a full replay."""

    async def scenario():
        options = WorkerOptions(warm_sessions=1)
        async with World(store, app, options) as world:
            ids = [await world.start("chain", n) for n in range(20)]
            ids += [await world.start("parent") for _ in range(3)]
            states = [await world.finished(i) for i in ids]
            assert [json.loads(s.output) for s in states[:20]] == [8 * n for n in range(20)]
            assert all(json.loads(s.output) == [0, 8, 16] for s in states[20:])

    asyncio.run(scenario())


def test_what_is_finished_does_not_wait_for_a_blocking_neighbour(app, release):
    async def scenario():
        async with World(MemoryStore(), app) as world:
            # Started together, so that they share a batch of the orchestrators' thread.
            quick, slow = await asyncio.gather(world.start("fan", 0), world.start("blocker"))
            await world.status(quick, COMPLETED)
            assert not (await world.hub.get(slow)).status.is_terminal
            release.set()
            await world.finished(slow)

    asyncio.run(scenario())
