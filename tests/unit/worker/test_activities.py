"""Activities: every one that is taken over comes back, whatever user code does."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading

import pytest

import durable_app as df
from durable_app.clock import SystemClock
from durable_app.functions.index import index_app
from durable_app.worker.activities import ActivityPool, _ActivityJob
from durable_app.worker.invocations import Invocations
from tests.unit.worker.rig import TIMEOUT_S, Console, Desk, an_activity, unobserved

app = df.DFApp()
gate = threading.Event()
arrived = threading.Semaphore(0)


@app.activity_trigger(input_name="x")
def double(x: int) -> int:
    return 2 * x


@app.activity_trigger(input_name="x")
def waits(x: int) -> str:
    arrived.release()
    assert gate.wait(TIMEOUT_S)
    return threading.current_thread().name


@app.activity_trigger(input_name="x")
def leaves(x: int) -> None:
    raise SystemExit("bye")


@app.activity_trigger(input_name="x")
def strange(x: int) -> object:
    return object()


@app.activity_trigger(input_name="x")
async def adouble(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


@app.activity_trigger(input_name="x")
async def aleaves(x: int) -> None:
    raise SystemExit("bye")


@app.activity_trigger(input_name="x")
async def own_timeout(x: int) -> None:
    raise TimeoutError("of its own")


class OddError(BaseException):
    """No Exception, as those of some frameworks."""


@app.activity_trigger(input_name="x")
async def odd(x: int) -> None:
    raise OddError("odd")


@app.activity_trigger(input_name="x")
async def cancelled_inside(x: int) -> None:
    task = asyncio.ensure_future(asyncio.sleep(TIMEOUT_S))
    task.cancel()
    await task


@app.activity_trigger(input_name="x")
async def interrupts(x: int) -> None:
    raise KeyboardInterrupt


@app.activity_trigger(input_name="x")
async def closes(x: int) -> None:
    raise GeneratorExit


@app.activity_trigger(input_name="x")
async def asleep(x: int) -> None:
    arrived.release()
    await asyncio.sleep(60)


@app.activity_trigger(input_name="x")
@app.durable_client_input(client_name="client")
def with_client(x: int, client: df.DurableOrchestrationClient) -> str:
    return f"{x} {client}"


@dataclasses.dataclass
class Line:
    amounts: list[int]


@app.activity_trigger(input_name="line")
def adds(line: Line) -> int:
    return sum(line.amounts)


@app.activity_trigger(input_name="line")
async def aadds(line: Line) -> int:
    return sum(line.amounts)


@app.activity_trigger(input_name="x")
def tells(ctx, x) -> list[object]:
    return [ctx.instance_id, ctx.task_id, ctx.attempt, ctx.idempotency_key, ctx.function_name, x]


@app.activity_trigger(input_name="x")
async def atells(x, call: df.ActivityContext) -> list[object]:
    return tells(call, x)


@pytest.fixture(autouse=True)
def _gate():
    gate.clear()
    yield
    gate.set()


def a_pool(threads: int = 4, invocations=None, bind_extra=None, timeout_s=None):
    invocations = invocations or unobserved()
    return ActivityPool(index_app(app), threads, invocations, SystemClock(), bind_extra, timeout_s)


async def run(name: str, text: str = "21", **options) -> tuple[Desk, ActivityPool]:
    """One activity, from its submission to its result."""
    desk, pool = Desk(), a_pool(**options)
    pool.start(desk, asyncio.get_running_loop())
    pool.submit(an_activity(name, text))
    async with asyncio.timeout(TIMEOUT_S):
        while pool.pending:  # noqa: ASYNC110  threads end by themselves, they set no event
            await asyncio.sleep(0.001)
    pool.stop()
    return desk, pool


@pytest.mark.parametrize("name", ["double", "adouble"])
def test_a_result_comes_back_with_its_token(name):
    desk, _ = asyncio.run(run(name))
    result = desk.next_result()
    assert (json.loads(result.result), result.failure) == (42, None)
    assert (result.instance_id, result.task_id) == ("order-1", 7)


@pytest.mark.parametrize(
    ("name", "error_type"),
    [
        ("leaves", "SystemExit"),
        ("aleaves", "SystemExit"),
        ("odd", "OddError"),
        ("cancelled_inside", "CancelledError"),
        ("interrupts", "KeyboardInterrupt"),
        ("closes", "GeneratorExit"),
        ("strange", "PayloadError"),
        ("nobody", "ActivityNotRegisteredError"),
    ],
)
def test_whatever_user_code_raises_is_a_failure(name, error_type):
    desk, pool = asyncio.run(run(name))
    failure = desk.next_result().failure
    assert failure.error_type.rpartition(".")[2] == error_type
    assert pool.pending == 0


def test_input_that_is_no_json_is_a_failure():
    desk, _ = asyncio.run(run("double", "{"))
    assert desk.next_result().failure is not None


@pytest.mark.parametrize("name", ["adds", "aadds"])
def test_an_input_that_does_not_fit_is_a_failure_that_names_the_field(name):
    desk, _ = asyncio.run(run(name, '{"amounts": [1, "two"]}'))
    failure = desk.next_result().failure
    assert failure.error_type == "PayloadError"
    assert "line.amounts[1]" in failure.error_message
    assert f"input of activity '{name}'" in failure.error_message


@pytest.mark.parametrize("name", ["tells", "atells"])
def test_an_activity_is_told_of_its_call(name):
    desk, _ = asyncio.run(run(name))
    told = json.loads(desk.next_result().result)
    assert told == ["order-1", 7, 1, f"{'e' * 32}:7", name, 21]


def test_further_bindings_are_filled():
    desk, _ = asyncio.run(run("with_client", bind_extra=lambda facts: {"client": "C"}))
    assert json.loads(desk.next_result().result) == "21 C"


@pytest.mark.parametrize("name", ["double", "adouble"])
def test_an_observer_is_told(name):
    console = Console()
    asyncio.run(run(name, invocations=Invocations(console, SystemClock())))
    assert console.told == [(name, "(null)"), (name, None)]


def test_an_observer_is_told_of_a_failure():
    console = Console()
    asyncio.run(run("leaves", invocations=Invocations(console, SystemClock())))
    assert "SystemExit: bye" in str(console.told[-1][1])


@pytest.mark.parametrize("name", ["double", "adouble"])
def test_an_observer_that_fails_changes_nothing(name, caplog):
    invocations = Invocations(Console(is_broken=True), SystemClock())
    desk, _ = asyncio.run(run(name, invocations=invocations))
    assert json.loads(desk.next_result().result) == 42
    assert [r.getMessage() for r in caplog.records] == [
        "An invocation could not be shown on the console."
    ] * 2


def test_there_is_a_thread_for_each_that_runs_up_to_the_slots():
    desk, pool = Desk(), a_pool(threads=3)
    for _ in range(5):
        pool.submit(an_activity("waits", "1"))
    pool._stream = desk
    for _ in range(3):
        assert arrived.acquire(timeout=TIMEOUT_S)
    assert not arrived.acquire(blocking=False)
    gate.set()
    names = {json.loads(desk.next_result().result) for _ in range(5)}
    assert names <= {"activity-1", "activity-2", "activity-3"}
    while arrived.acquire(blocking=False):
        pass
    pool.stop()


def test_a_busy_thread_is_not_waited_for_while_there_are_slots():
    """The one thread takes an item and is not idle any more: the next item needs its own."""
    desk, pool = Desk(), a_pool(threads=2)
    pool._stream = desk
    for _ in range(200):
        gate.clear()
        pool.submit(an_activity("waits", "1"))
        pool.submit(an_activity("double", "1"))
        assert json.loads(desk.next_result().result) == 2
        gate.set()
        assert desk.next_result().result is not None
        assert arrived.acquire(timeout=TIMEOUT_S)
    pool.stop()


def test_a_result_is_handed_over_before_it_counts_as_done():
    """The worker closes its stream once nothing is pending; what comes later is lost."""
    seen = []

    class Stream(Desk):
        def complete(self, results):
            seen.append(pool.pending)
            super().complete(results)

    desk, pool = Stream(), a_pool()
    pool._stream = desk
    pool.submit(an_activity("double", "1"))
    assert desk.next_result()
    assert seen == [1]
    pool.stop()


def test_after_the_stop_nothing_begins():
    async def scenario():
        desk, pool = Desk(), a_pool()
        pool.start(desk, asyncio.get_running_loop())
        pool.stop()
        pool.submit(an_activity("waits", "1"))
        pool.submit(an_activity("asleep", "1"))
        await asyncio.sleep(0.01)
        assert not arrived.acquire(blocking=False)
        assert pool.pending == 2

    asyncio.run(scenario())


def test_the_stop_cancels_async_activities_without_an_outcome():
    async def scenario():
        desk, pool = Desk(), a_pool()
        pool.start(desk, asyncio.get_running_loop())
        pool.submit(an_activity("asleep", "1"))
        while not arrived.acquire(blocking=False):  # noqa: ASYNC110  a semaphore of threads
            await asyncio.sleep(0.001)
        pool.stop()
        await asyncio.sleep(0.01)
        assert desk.results.empty()
        assert not pool._tasks

    asyncio.run(scenario())


def test_before_the_start_async_activities_wait_for_nobody():
    pool = a_pool()
    pool.submit(an_activity("adouble", "1"))
    assert pool.pending == 1


def test_where_the_loop_is_closed_an_activity_is_given_back():
    desk, pool = Desk(), a_pool()

    async def begin():
        pool.start(desk, asyncio.get_running_loop())

    asyncio.run(begin())
    activity = an_activity("adouble", "1")
    pool.submit(activity)
    assert desk.abandoned.get(timeout=TIMEOUT_S)[0] == activity.token
    assert pool.pending == 0


@pytest.mark.parametrize("name", ["double", "adouble"])
def test_a_time_limit_changes_nothing_for_what_keeps_it(name):
    desk, _ = asyncio.run(run(name, timeout_s=60.0))
    assert json.loads(desk.next_result().result) == 42


@pytest.mark.parametrize("name", ["waits", "asleep"])
def test_an_activity_that_takes_too_long_fails(name):
    desk, _ = asyncio.run(run(name, timeout_s=0.05))
    assert arrived.acquire(timeout=TIMEOUT_S)
    failure = desk.next_result().failure
    assert failure.error_type == "TimeoutError"
    assert f"Timeout value of 0:00:00.050000 exceeded by activity '{name}'" in failure.error_message


def test_a_timeout_that_an_activity_raises_is_its_own_failure():
    desk, _ = asyncio.run(run("own_timeout", timeout_s=60.0))
    assert desk.next_result().failure.error_message == "of its own"


def test_a_thread_that_does_not_come_back_is_replaced_and_its_late_result_dropped(caplog):
    async def two() -> tuple[Desk, int]:
        desk, pool = Desk(), a_pool(threads=1, timeout_s=0.05)
        pool.start(desk, asyncio.get_running_loop())
        pool.submit(an_activity("waits", "1"))
        pool.submit(an_activity("double", "21"))
        async with asyncio.timeout(TIMEOUT_S):
            while pool.pending:  # noqa: ASYNC110  threads end by themselves, they set no event
                await asyncio.sleep(0.001)
        gate.set()
        pool.submit(an_activity("double", "1"))
        async with asyncio.timeout(TIMEOUT_S):
            while pool.pending:  # noqa: ASYNC110  as above
                await asyncio.sleep(0.001)
        pool.stop()
        return desk, pool._crew.size

    desk, threads = asyncio.run(two())
    assert arrived.acquire(timeout=TIMEOUT_S)
    results = [desk.next_result() for _ in range(3)]
    assert [result.failure is None for result in results] == [False, True, True]
    assert desk.results.empty()
    assert threads == 2
    assert "goes on; its result will be dropped" in caplog.text


def test_an_async_activity_that_its_loop_leaves_behind_has_no_outcome():
    loop, desk, pool = asyncio.new_event_loop(), Desk(), a_pool()
    pool.start(desk, loop)
    found = index_app(app).find("activity", "asleep")
    assert found is not None
    assert found.durable is not None
    running = pool._run_async(
        _ActivityJob(an_activity("asleep", "1"), "asleep", found.durable, unobserved(), None)
    )

    async def begin():
        running.send(None)

    loop.run_until_complete(begin())
    loop.close()
    running.close()
    assert desk.results.empty()
