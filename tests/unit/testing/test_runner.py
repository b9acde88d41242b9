"""The runner of tests: a whole app on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any
from unittest.mock import AsyncMock

import azure.functions as func
import pytest

import durable_app as df
from durable_app.errors import SchedulerUnavailableError
from durable_app.scheduler.hub import Hub
from durable_app.testing import ActivityCall, AppRunner, run_orchestration

START = datetime(2030, 1, 1, tzinfo=UTC)
bp = df.Blueprint()


@dataclass
class Parcel:
    weight: int


@bp.orchestration_trigger(context_name="context")
def ship(context: df.DurableOrchestrationContext) -> Any:
    prices = yield context.task_all(
        [context.call_activity(price, Parcel(weight)) for weight in context.get_input()]
    )
    return sum(prices)


@bp.activity_trigger(input_name="parcel")
def price(parcel: Parcel) -> int:
    return parcel.weight * 2


@bp.orchestration_trigger(context_name="context")
def wait(context: df.DurableOrchestrationContext) -> Any:
    context.set_custom_status("waiting")
    event = context.wait_for_external_event("go")
    timeout = context.create_timer(timedelta(days=30))
    winner = yield context.task_any([event, timeout])
    if winner is timeout:
        return f"nobody came until {context.current_utc_datetime:%d %b}"
    timeout.cancel()
    return event.result


@bp.orchestration_trigger(context_name="context")
def retrying(context: df.DurableOrchestrationContext) -> Any:
    options = df.RetryOptions(60_000, 5)
    return (yield context.call_activity_with_retry(price, options, Parcel(1)))


@bp.orchestration_trigger(context_name="context")
def for_ever(context: df.DurableOrchestrationContext) -> Any:
    yield context.create_timer(timedelta(days=100))
    context.continue_as_new(None)


@bp.orchestration_trigger(context_name="context")
def delegating(context: df.DurableOrchestrationContext) -> Any:
    return (yield context.call_activity(delegate, context.get_input()))


@bp.activity_trigger(input_name="binding")
@bp.durable_client_input(client_name="client")
async def delegate(binding: str, client: df.DurableFunctionsClient) -> str:
    return await client.start_new(ship, client_input=[1])


@bp.entity_trigger(context_name="context")
class Tally(df.DurableEntity):
    def add(self, amount: int) -> None:
        self.set_state(self.get_state(int, 0) + amount)


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


# -- instances -----------------------------------------------------------------------------------


def test_an_orchestration_runs_in_one_line() -> None:
    assert run_orchestration(bp, ship, [1, 2, 3]) == 12


@on_loop
async def test_activities_are_seen_in_the_order_of_their_calls() -> None:
    async with AppRunner(bp) as run:
        assert await run.run("ship", [3, 1]) == 8

        assert run.calls == [
            ActivityCall("price", {"weight": 3}),
            ActivityCall("price", {"weight": 1}),
        ]


@on_loop
async def test_a_timer_of_thirty_days_takes_no_time() -> None:
    async with AppRunner(bp, start_at=START.replace(tzinfo=None)) as run:
        assert await run.run(wait) == "nobody came until 31 Jan"
        assert run.now == START + timedelta(days=30)


@on_loop
async def test_time_stands_still_until_somebody_waits() -> None:
    async with AppRunner(bp, start_at=START) as run:
        instance_id = await run.start(wait, instance_id="one")
        await run.advance(timedelta(days=29))
        assert (await run.status(instance_id)).custom_status == "waiting"

        await run.raise_event(instance_id, "go", "early enough")

        assert await run.result(instance_id) == "early enough"
        assert run.now == START + timedelta(days=29)


@on_loop
async def test_time_never_goes_backwards() -> None:
    async with AppRunner(bp) as run:
        with pytest.raises(ValueError, match="backwards"):
            await run.advance(timedelta(seconds=-1))


@on_loop
async def test_several_waits_share_one_time() -> None:
    async with AppRunner(bp, start_at=START) as run:
        ids = [await run.start(wait) for _ in range(3)]

        outcomes = await asyncio.gather(*map(run.result, ids))

        assert outcomes == ["nobody came until 31 Jan"] * 3


@on_loop
async def test_what_fails_and_what_is_unknown_is_told() -> None:
    async with AppRunner(bp) as run:
        with pytest.raises(df.OrchestrationFailedError, match="TypeError"):
            await run.run(ship, 5)
        with pytest.raises(df.InstanceNotFoundError):
            await run.result("nobody")
        assert await run.history("nobody") == []


@on_loop
async def test_an_instance_is_suspended_resumed_and_terminated() -> None:
    async with AppRunner(bp) as run:
        instance_id = await run.start(wait)

        await run.suspend(instance_id, "holidays")
        await run.raise_event(instance_id, "go", 1)
        status = await run.status(instance_id)
        assert status.runtime_status is df.OrchestrationRuntimeStatus.Suspended
        await run.resume(instance_id)
        assert await run.result(instance_id) == 1

        other = await run.start(wait)
        await run.terminate(other, "enough")
        with pytest.raises(df.OrchestrationFailedError, match="enough"):
            await run.result(other)


@on_loop
async def test_an_instance_without_an_end_is_given_up() -> None:
    async with AppRunner(bp, start_at=START) as run:
        instance_id = await run.start(for_ever)

        with pytest.raises(TimeoutError, match=r"'for_ever' .* is RUNNING after 366 days"):
            await run.result(instance_id)


@on_loop
async def test_the_history_has_inputs_and_results() -> None:
    async with AppRunner(bp, start_at=START) as run:
        instance_id = await run.start(ship, [4])

        history = await run.history(instance_id)

        kinds = [event["EventType"] for event in history]
        assert kinds == ["ExecutionStarted", "TaskCompleted", "ExecutionCompleted"]
        assert history[1]["Result"] == 8


@bp.orchestration_trigger(context_name="context")
def counting(context: df.DurableOrchestrationContext) -> Any:
    runs.append(len(runs))
    yield context.call_activity("price" if len(runs) == 1 else "delegate", {"weight": 1})
    return len(runs)


runs: list[int] = []


@on_loop
async def test_code_that_is_not_deterministic_fails() -> None:
    runs.clear()
    async with AppRunner(bp) as run:
        with pytest.raises(df.OrchestrationFailedError, match="NonDeterminismError"):
            await run.run(counting)


@on_loop
async def test_replays_can_be_left_out() -> None:
    runs.clear()
    async with AppRunner(bp, replays=False) as run:
        assert await run.run(counting) == 1


# -- stubs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", [price, "price", "PRICE"])
def test_a_stub_gets_the_decoded_input(reference: Any) -> None:
    seen: list[Any] = []

    def stub(parcel: Any) -> int:
        seen.append(parcel)
        return 100

    assert run_orchestration(bp, ship, [1, 2], stubs={reference: stub}) == 200
    assert seen == [Parcel(1), Parcel(2)]


def test_a_stub_may_be_async_and_fail_until_it_succeeds() -> None:
    stub = AsyncMock(side_effect=[ConnectionError("busy"), ConnectionError("busy"), 7])

    assert run_orchestration(bp, retrying, stubs={price: stub}, start_at=START) == 7
    assert stub.await_count == 3


def test_a_stub_is_for_an_activity_that_there_is() -> None:
    with pytest.raises(df.DefinitionError, match=r"prize.*price"):
        run_orchestration(bp, ship, [], stubs={"prize": str})


def test_a_stub_is_a_function() -> None:
    with pytest.raises(TypeError, match="activity 'price' is a function of its input"):
        run_orchestration(bp, ship, [], stubs={price: 7})  # type: ignore[dict-item]  # refused


def test_an_app_is_left_as_it_is() -> None:
    app = df.DFApp()
    other = df.Blueprint()
    other.activity_trigger(input_name="parcel")(lambda_free)
    other.orchestration_trigger(context_name="context")(calls_lambda_free)
    app.register_functions(other)

    assert run_orchestration(app, "calls_lambda_free", stubs={"lambda_free": lambda _: 2}) == 2
    assert run_orchestration(app, "calls_lambda_free") == 1


def lambda_free(parcel: None) -> int:
    return 1


def calls_lambda_free(context: df.DurableOrchestrationContext) -> Any:
    return (yield context.call_activity("lambda_free"))


# -- clients and entities ------------------------------------------------------------------------


@on_loop
async def test_an_activity_has_a_client() -> None:
    async with AppRunner(bp) as run:
        assert await run.result(await run.run(delegating, "")) == 2


@bp.activity_trigger(input_name="number")
def signs(number: int, context: func.Context) -> str:
    return f"{number} {context.function_name} {len(context.invocation_id)}"


@bp.function_name("AsyncSigner")
@bp.activity_trigger(input_name="number", activity="signs_async")
@bp.durable_client_input(client_name="client")
async def signs_async(context, number: int, client, *, more: int = 1) -> str:
    return type(context).__name__


@bp.activity_trigger(input_name="number", activity="late")
@bp.durable_client_input(client_name="client")
async def signs_late(
    number: int, client: df.DurableFunctionsClient, context: Any = None
) -> list[str]:
    return [context.function_name, type(client).__name__]


@bp.orchestration_trigger(context_name="context")
def calling(context: df.DurableOrchestrationContext) -> Any:
    return (yield context.call_activity(context.get_input(), 7))


@pytest.mark.parametrize(
    ("activity", "expected"),
    [
        ("signs", "7 signs 36"),
        ("signs_async", "ActivityContext"),
        ("late", ["signs_late", "DurableFunctionsClient"]),
    ],
)
def test_an_activity_has_the_context_of_its_invocation(activity: str, expected: Any) -> None:
    assert run_orchestration(bp, calling, activity) == expected


def test_a_stub_of_an_activity_with_a_context_gets_the_input_alone() -> None:
    assert run_orchestration(bp, calling, "signs", stubs={"signs": str}) == "7"


@on_loop
async def test_waits_of_a_client_let_time_pass() -> None:
    async with AppRunner(bp, start_at=START) as run:
        instance_id = await run.start(wait)

        with pytest.raises(TimeoutError):
            await run.client.wait_for_orchestration_completion(instance_id, timeout=60)

        assert run.now == START + timedelta(seconds=60)


@on_loop
async def test_a_wait_without_a_limit_ends_when_somebody_acts() -> None:
    async with AppRunner(bp) as run:
        waiting = asyncio.ensure_future(run._hub.wait_for_completion("later"))
        await run.settle()
        assert not waiting.done()

        await run.start(ship, [], instance_id="later")

        assert (await waiting) is not None


@on_loop
async def test_an_entity_is_signalled_and_read() -> None:
    async with AppRunner(bp, start_at=START) as run:
        tally = df.EntityId("Tally", "a")

        await run.signal_entity(tally, "add", 2)
        await run.signal_entity("@tally@a", "add", 3, START + timedelta(hours=1))

        assert await run.entity_state(tally) == 2
        await run.advance(timedelta(hours=2))
        assert await run.entity_state("@tally@a", int) == 5
        assert await run.entity_state("@tally@b") is None


# -- the end -------------------------------------------------------------------------------------


@on_loop
async def test_after_the_end_nobody_is_answered() -> None:
    async with AppRunner(bp) as run:
        await run.run(ship, [])

    with pytest.raises(SchedulerUnavailableError):
        await run._hub.get("one")


def test_an_end_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        run_orchestration(bp, ship, [1])

    assert [record for record in caplog.records if record.name.startswith("durable_app")] == []


@on_loop
async def test_what_nobody_waits_for_comes_to_rest_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    priced = []

    async def slow(parcel: Parcel) -> int:
        await asyncio.sleep(0.01)
        priced.append(parcel.weight)
        return 1

    async with AppRunner(bp, stubs={price: slow}) as run:
        await run.client.start_new(ship, client_input=[1, 2])
        await run.client.start_new(wait)

    assert priced == [1, 2]
    assert "did not end" not in caplog.text


@on_loop
async def test_what_never_ends_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    arrived = asyncio.Event()

    async def hang(parcel: Parcel) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with AppRunner(bp, stubs={price: hang}) as run:
        await run.client.start_new(ship, client_input=[1])
        await arrived.wait()

    assert "did not end" in caplog.text


@on_loop
async def test_a_hub_that_breaks_tells_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with AppRunner(bp) as run:
        with monkeypatch.context() as patched:

            def broken(_hub: Hub, _inputs: object) -> None:
                raise RuntimeError("planted")

            patched.setattr(Hub, "handle", broken)
            with pytest.raises(SchedulerUnavailableError):
                await run.start(ship, [])
