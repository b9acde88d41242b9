"""Failures, retries, events between instances, patches and versions: hub, worker, a real app."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

import durable_app as df
from durable_app.functions.version_match import VersionMatch
from durable_app.ports import StartRequest
from durable_app.protocol import PATCH_MARKER, OrchestrationStatus, TaskScheduled
from durable_app.storage.memory import MemoryStore
from durable_app.worker.service import WorkerOptions
from tests.contract.test_hub_and_worker import World
from tests.contract.wire import OverTheWire
from tests.unit.replay.world import details_of

app = df.DFApp()
CALLS: list[str] = []
MS = timedelta(milliseconds=1)


@app.register_exception
class OutOfStockError(LookupError):
    def __init__(self, item: str, left: int) -> None:
        super().__init__(f"{left} of {item}")
        self.properties = {"item": item, "left": left}


@app.activity_trigger(input_name="item")
def reserve(item: str) -> None:
    CALLS.append(item)
    raise OutOfStockError(item, 0)


@app.activity_trigger(input_name="card")
def pay(card: str) -> None:
    CALLS.append(card)
    raise df.NonRetriableError(card)


@app.activity_trigger(input_name="number")
def square(number: int) -> int:
    return number * number


@app.orchestration_trigger(context_name="context")
def orders(context):
    try:
        yield context.call_activity(reserve, "bolt")
    except OutOfStockError as error:
        return [str(error), details_of(error).properties]


@app.orchestration_trigger(context_name="context")
def judged(context):
    policy = df.RetryPolicy(
        first_retry_interval=MS,
        max_number_of_attempts=3,
        jitter=0.5,
        retry_on=LookupError,
        give_up_on=lambda failure: failure.properties["item"] == "nut",
    )
    failures = 0
    for item in ("bolt", "nut"):
        try:
            yield context.call_activity_with_retry(reserve, policy, item)
        except LookupError:
            failures += 1
    return failures


@app.orchestration_trigger(context_name="context")
def paid(context):
    options = df.RetryOptions(1, 9)
    try:
        yield context.call_activity_with_retry(pay, options, "expired")
    except df.NonRetriableError as error:
        return details_of(error).error_message


@app.orchestration_trigger(context_name="context")
def impatient(context):
    try:
        yield context.wait_for_external_event("go", timeout=MS)
    except TimeoutError as error:
        return type(error).__name__


@app.orchestration_trigger(context_name="context")
def sender(context):
    context.send_event("receiver", "go", context.instance_id)
    context.send_event("nobody", "go")


@app.orchestration_trigger(context_name="context")
def receiver(context):
    return (yield context.wait_for_external_event("go", timeout=timedelta(minutes=1)))


@app.orchestration_trigger(context_name="context")
def squares(context):
    return (yield context.map(square, range(7), concurrency=2))


@app.orchestration_trigger(context_name="context")
def patched(context):
    answer = context.is_patched("square first")
    if answer:
        yield context.call_activity(square, 2)
    return answer


@app.orchestration_trigger(context_name="context")
def mover(context):
    if context.version is None:
        context.continue_as_new("moved", new_version="2")
    return context.get_input()


@app.orchestration_trigger(context_name="context", version="1")
def sided(context):
    return "one"


@app.orchestration_trigger(context_name="context", orchestration="sided", version="2")
def sided_two(context):
    return "two"


@pytest.fixture(params=["memory", "grpc"])
def store(request):
    return MemoryStore() if request.param == "memory" else OverTheWire(MemoryStore())


def run(store, name, *, warm_sessions=100):
    CALLS.clear()

    async def scenario():
        options = WorkerOptions(warm_sessions=warm_sessions)
        async with World(store, app, options) as world:
            state = await world.run(name)
            assert state.status is OrchestrationStatus.COMPLETED, state.failure
            history = await world.hub.history(state.instance_id)
            return json.loads(state.output or "null"), history

    return asyncio.run(scenario())


def test_a_registered_exception_is_caught_and_its_properties_are_there(store):
    output, _ = run(store, "orders")
    text = "Activity function 'reserve' failed: "
    text += f"{OutOfStockError.__module__}.OutOfStockError: 0 of bolt"
    assert output == [text, {"item": "bolt", "left": 0}]


def test_a_policy_decides_by_the_failure(store):
    assert run(store, "judged")[0] == 2
    assert CALLS == ["bolt", "bolt", "bolt", "nut"]


def test_what_is_non_retriable_is_tried_once(store):
    assert run(store, "paid")[0] == "expired"
    assert CALLS == ["expired"]


def test_a_wait_ends_in_time(store):
    assert run(store, "impatient")[0] == "TaskTimeoutError"


def test_an_instance_sends_an_event_to_another_one(store):
    async def scenario():
        async with World(store, app) as world:
            await world.start("receiver", None, "receiver")
            await world.run("sender", None, "sender")
            return json.loads((await world.finished("receiver")).output)

    assert asyncio.run(scenario()) == "sender"


def test_a_bounded_fan_out(store):
    assert run(store, "squares")[0] == [0, 1, 4, 9, 16, 25, 36]


@pytest.mark.parametrize("warm_sessions", [100, 0])
def test_a_patch_is_marked_in_history(store, warm_sessions):
    output, history = run(store, "patched", warm_sessions=warm_sessions)
    assert output is True
    names = [event.name for event in history if isinstance(event, TaskScheduled)]
    assert names == [PATCH_MARKER + "square first", "square"]


def test_an_instance_moves_on_to_another_version(store):
    assert run(store, "mover")[0] == "moved"


async def of_versions(store, match, *versions):
    """Run an instance of each version; None for one that waits."""
    async with World(store, app, WorkerOptions(versions=match)) as world:
        for version in versions:
            await world.hub.start(StartRequest("sided", version, version=version))
        states = [await world.hub.wait_for_completion(each, timeout_s=0.5) for each in versions]
        return [state and (state.output or state.failure.error_type) for state in states]


@pytest.mark.parametrize(
    ("match", "outcomes"),
    [
        (VersionMatch(), ['"one"', '"two"']),
        (VersionMatch("1"), ['"one"', '"two"']),
        (VersionMatch("1", "CurrentOrOlder"), ['"one"', None]),
        (VersionMatch("2", "CurrentOrOlder"), ['"one"', '"two"']),
        (VersionMatch("2", "Strict", fails=True), ["VersionMismatchError", '"two"']),
    ],
)
def test_which_versions_a_host_runs(store, match, outcomes):
    assert asyncio.run(of_versions(store, match, "1", "2")) == outcomes
