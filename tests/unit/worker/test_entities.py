"""Entities on a worker: every batch that is taken over comes back, whatever user code does."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.functions.index import index_app
from durable_app.protocol import (
    CompletionToken,
    EntityBatchResult,
    EntityOperationSignaled,
    EntityRequest,
)
from durable_app.telemetry import current_invocation
from durable_app.worker.entities import EntityPool
from durable_app.worker.invocations import Invocations
from tests.unit.replay.entity_rig import outcomes
from tests.unit.worker.rig import TIMEOUT_S, Console, Desk, unobserved

app = df.DFApp()
gate = threading.Event()
arrived = threading.Semaphore(0)


@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext) -> Any:
    if context.operation_name == "fail":
        context.set_state(99)
        raise ValueError("no")
    if context.operation_name == "wait":
        arrived.release()
        gate.wait(TIMEOUT_S)
    if context.operation_name == "start":
        context.start_new_orchestration("ship")
    if context.operation_name == "who":
        invocation = current_invocation.get()
        return None if invocation is None else invocation.function
    context.set_state(context.get_state(0) + 1)
    return threading.current_thread().name


@app.entity_trigger(context_name="context", entity_name="Native")
def native_entity(ctx_free: Any = None, *, context: df.EntityContext, value: int) -> int:
    return value + 1


@app.function_name("late")
@app.entity_trigger(context_name="context", entity_name="Late")
class Late(df.DurableEntity):
    def get(self) -> int:
        return self.get_state(int, 0)

    async def add(self, amount: int = 1) -> int:
        await asyncio.sleep(0)
        self.set_state(self.get_state(int, 0) + amount)
        return self.get_state(int, 0)

    async def leave(self) -> None:
        raise SystemExit("bye")

    async def cancelled_inside(self) -> None:
        task = asyncio.ensure_future(asyncio.sleep(TIMEOUT_S))
        task.cancel()
        await task

    async def own_timeout(self) -> None:
        raise TimeoutError("of its own")

    async def wait(self) -> None:
        arrived.release()
        await asyncio.sleep(60)


@pytest.fixture(autouse=True)
def _gate():
    gate.clear()
    yield
    gate.set()
    while arrived.acquire(blocking=False):
        pass


def a_batch(
    entity: str, *operations: str, text: str | None = None, nonce: int = 7
) -> EntityRequest:
    asked = tuple(
        EntityOperationSignaled(request_id=f"r{number}", operation=operation, input=text)
        for number, operation in enumerate(operations)
    )
    return EntityRequest(f"@{entity}@a", "", None, asked, CompletionToken("e", nonce))


def a_pool(invocations: Invocations | None = None, timeout_s: float | None = None, **more: Any):
    invocations = invocations or unobserved()
    return EntityPool(index_app(app), 4, invocations, SystemClock(), timeout_s, **more)


async def settled(pool: EntityPool) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while pool.pending:  # noqa: ASYNC110  threads end by themselves, they set no event
            await asyncio.sleep(0.001)


def run(request: EntityRequest, **options: Any) -> EntityBatchResult:
    """One batch, from its submission to its result."""

    async def scenario() -> EntityBatchResult:
        desk, pool = Desk(), a_pool(**options)
        pool.start(desk, asyncio.get_running_loop())
        pool.submit(request)
        await settled(pool)
        pool.stop()
        result = desk.next_result()
        assert isinstance(result, EntityBatchResult)
        assert desk.results.empty()
        return result

    return asyncio.run(scenario())


def test_a_sync_entity_runs_on_a_thread():
    result = run(a_batch("counter", "add", "add"))
    assert (result.token, result.entity_state) == (CompletionToken("e", 7), "2")
    assert outcomes(result) == ['"entity-1"', '"entity-1"']


def test_an_async_entity_runs_on_the_loop():
    result = run(a_batch("late", "add", "get", "leave", "cancelled_inside", "own_timeout", "add"))
    assert outcomes(result) == [
        "1",
        "1",
        "SystemExit: bye",
        "asyncio.exceptions.CancelledError: ",
        "TimeoutError: of its own",
        "2",
    ]


def test_a_function_of_two_arguments_gets_the_input():
    assert outcomes(run(a_batch("native", "add", text="4"))) == ["5"]


def test_a_name_is_found_whatever_its_case():
    assert outcomes(run(a_batch("COUNTER", "add"))) == ['"entity-1"']


def test_an_entity_is_looked_at_once():
    async def scenario() -> list[EntityBatchResult]:
        desk, pool = Desk(), a_pool()
        pool.start(desk, asyncio.get_running_loop())
        pool.submit(a_batch("late", "add", nonce=1))
        pool.submit(a_batch("late", "add", nonce=2))
        await settled(pool)
        assert len(pool._definitions) == 1
        pool.stop()
        return [desk.next_result(), desk.next_result()]

    assert [each.entity_state for each in asyncio.run(scenario())] == ["1", "1"]


def test_an_entity_that_nobody_has_fails_every_operation():
    result = run(a_batch("countr", "add", "add"))
    (text, again) = outcomes(result)
    assert text == again
    assert text is not None
    assert text.startswith("EntityNotRegisteredError: The function 'countr' doesn't exist")
    assert text.endswith("Did you mean 'counter'?")


def test_rollback_is_a_setting():
    request = a_batch("counter", "fail")
    assert run(request).entity_state is None
    assert run(request, rollback=False).entity_state == "99"


def test_an_orchestration_has_the_default_version():
    (action,) = run(a_batch("counter", "start"), default_version="3").actions
    assert action.version == "3"  # type: ignore[union-attr]  # it starts an orchestration


def test_the_code_knows_for_which_function_it_runs():
    invocations = Invocations(Console(), SystemClock())
    assert outcomes(run(a_batch("counter", "who"), invocations=invocations)) == ['"counter"']


@pytest.mark.parametrize("entity", ["counter", "late"])
def test_an_observer_is_told_once_of_a_batch(entity):
    console = Console()
    run(a_batch(entity, "add", "add"), invocations=Invocations(console, SystemClock()))
    assert console.told == [(entity, "(null)"), (entity, None)]


def test_an_observer_is_told_of_the_first_failure_and_the_log_of_all(caplog):
    console = Console()
    run(
        a_batch("counter", "add", "fail", "fail"),
        invocations=Invocations(console, SystemClock()),
    )
    assert "ValueError: no" in str(console.told[-1][1])
    assert [each.getMessage() for each in caplog.records] == [
        "Operation 'fail' of entity @counter@a failed: ValueError: no"
    ] * 2


@pytest.mark.parametrize("entity", ["counter", "late"])
def test_a_batch_that_takes_too_long_is_cut_short(entity, caplog):
    console = Console()
    result = run(
        a_batch(entity, "add", "wait", "add"),
        timeout_s=0.05,
        invocations=Invocations(console, SystemClock()),
    )
    assert len(result.results) == 2
    assert result.entity_state == "1"
    assert str(outcomes(result)[1]).startswith(
        f"TimeoutError: Timeout value of 0:00:00.050000 exceeded by entity @{entity}@a"
    )
    assert f"Operation 'wait' of entity @{entity}@a failed" in caplog.text


def test_a_thread_that_comes_back_late_changes_nothing(caplog):
    console = Console()

    async def scenario() -> Desk:
        desk, pool = Desk(), a_pool(Invocations(console, SystemClock()), 0.05)
        pool.start(desk, asyncio.get_running_loop())
        pool.submit(a_batch("counter", "wait", "add"))
        await settled(pool)
        gate.set()
        async with asyncio.timeout(TIMEOUT_S):
            while len(console.told) < 2:  # noqa: ASYNC110  as above
                await asyncio.sleep(0.001)
        pool.stop()
        return desk

    desk = asyncio.run(scenario())
    assert len(desk.next_result().results) == 1
    assert desk.results.empty()
    begun, ended = console.told
    assert begun == ("counter", "(null)")
    assert "TimeoutError" in str(ended[1])
    assert caplog.text.count("of entity @counter@a failed") == 1


def test_the_stop_cancels_async_entities_without_an_outcome():
    async def scenario() -> None:
        desk, pool = Desk(), a_pool()
        pool.start(desk, asyncio.get_running_loop())
        pool.submit(a_batch("late", "wait"))
        while not arrived.acquire(blocking=False):  # noqa: ASYNC110  a semaphore of threads
            await asyncio.sleep(0.001)
        pool.stop()
        await asyncio.sleep(0.01)
        assert desk.results.empty()

    asyncio.run(scenario())
