"""Calls of functions: arguments, outputs, time limits, reports."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from durable_app.clock import SystemClock
from durable_app.functions.index import FunctionFacts, index_app
from durable_app.host.calls.daemon_pool import DaemonPool
from durable_app.host.calls.invocation_context import Retry
from durable_app.host.calls.invoke import FunctionFailedError, Invoker, UnavailableBindingError
from durable_app.telemetry import current_invocation

app = func.FunctionApp()
RAISED: list[BaseException] = []


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def quiet(timer: func.TimerRequest) -> None:
    assert str(timer) == "now"


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def talkative(timer: func.TimerRequest):
    return "nobody asked"


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
@app.queue_output(arg_name="out", queue_name="orders", connection="Storage")
def sends(timer: func.TimerRequest, out: func.Out[str]) -> None:
    assert out.get() is None
    out.set("ten apples")


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
@app.queue_output(arg_name="out", queue_name="orders", connection="Storage")
async def sends_nothing(timer: func.TimerRequest, out: func.Out[str]) -> None: ...


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
@app.queue_output(arg_name="$return", queue_name="orders", connection="Storage")
def returns_a_message(timer: func.TimerRequest) -> str:
    return "one pear"


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
@app.blob_output(arg_name="blob", path="out/x", connection="Storage")
def writes_a_blob(timer: func.TimerRequest, blob: func.Out[str]) -> None:
    blob.set("content")


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
@app.blob_input(arg_name="blob", path="in/x", connection="Storage")
def reads_a_blob(timer: func.TimerRequest, blob: str) -> None: ...


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
@app.generic_output_binding(arg_name="answer", type="http")
def answers_by_name(timer: func.TimerRequest, answer: func.Out[str]) -> None:
    answer.set("hello")


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
async def sleeps(timer: func.TimerRequest) -> None:
    await asyncio.sleep(60)


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def raises(timer: func.TimerRequest) -> None:
    raise RAISED[-1]


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
async def raises_async(timer: func.TimerRequest) -> None:
    raise RAISED[-1]


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def says_who_it_is(timer: func.TimerRequest, context: func.Context) -> None:
    invocation = current_invocation.get()
    assert invocation is not None
    assert invocation.function == context.function_name
    assert invocation.invocation_id == context.invocation_id.replace("-", "")


class Observer:
    """Implements ``telemetry.InvocationObserver``."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str | None]] = []

    def executing(self, function: str, invocation_id: str, reason: str) -> None:
        self.told.append((function, reason))

    def executed(
        self, function: str, invocation_id: str, duration_s: float, error: str | None
    ) -> None:
        self.told.append((function, error))


def facts(name: str) -> FunctionFacts:
    return next(function for function in index_app(app).functions if function.name == name)


def call(name: str, *, timeout_s: float | None = None) -> tuple[Any, list[Any], Observer]:
    """Outcome of one call, what went to the queue, what the observer was told."""
    observer, sent = Observer(), []

    async def queue(binding, value):
        sent.append((binding["queueName"], value))

    async def scenario() -> Any:
        pool = DaemonPool(2)
        invoker = Invoker(
            Path("app"), "{}", pool, observer, SystemClock(), timeout_s, {"queue": queue}
        )
        try:
            return await invoker.bind(facts(name))("now", reason="Timer fired")
        except FunctionFailedError:
            return FunctionFailedError
        finally:
            pool.close()

    return asyncio.run(scenario()), sent, observer


def test_a_call_is_reported_with_its_reason():
    outcome, _, observer = call("quiet")
    assert outcome is None
    assert observer.told == [("quiet", "Timer fired"), ("quiet", None)]


def test_a_value_that_no_binding_takes_is_a_failure():
    outcome, _, observer = call("talkative")
    assert outcome is FunctionFailedError
    assert "without a $return binding returned a non-None value" in str(observer.told[-1][1])


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("sends", [("orders", "ten apples")]),
        ("sends_nothing", []),
        ("returns_a_message", [("orders", "one pear")]),
    ],
)
def test_outputs_go_to_their_sink(name, sent):
    assert call(name)[:2] == (None, sent)


def test_an_output_that_goes_nowhere_is_a_failure():
    outcome, _, observer = call("writes_a_blob")
    assert outcome is FunctionFailedError
    assert "'blob' of type 'blob' is not available locally" in str(observer.told[-1][1])


def test_an_http_output_with_a_name_is_the_answer():
    assert call("answers_by_name")[0] == "hello"


def test_an_input_that_is_not_there_is_told_before_any_call():
    with pytest.raises(UnavailableBindingError, match="input 'blob' of type 'blob'"):
        call("reads_a_blob")


def test_a_function_that_takes_too_long_fails():
    outcome, _, observer = call("sleeps", timeout_s=0.01)
    assert outcome is FunctionFailedError
    assert "Timeout value of" in str(observer.told[-1][1])


@pytest.mark.parametrize("name", ["raises", "raises_async"])
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), asyncio.CancelledError()]
)
def test_nothing_that_a_function_raises_is_more_than_its_failure(name, error):
    RAISED.append(error)
    outcome, _, observer = call(name)
    assert outcome is FunctionFailedError
    assert type(error).__name__ in str(observer.told[-1][1])


def test_a_function_that_the_host_ends_has_not_failed():
    observer = Observer()

    async def main() -> None:
        invoker = Invoker(Path("app"), "{}", DaemonPool(1), observer, SystemClock(), None)
        running: asyncio.Future[Any] = asyncio.ensure_future(invoker.bind(facts("sleeps"))("now"))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert observer.told[-1] == ("sleeps", "The host shut down before the function had ended.")


def test_a_function_that_its_loop_leaves_behind_is_put_away():
    loop, observer = asyncio.new_event_loop(), Observer()
    invoker = Invoker(Path("app"), "{}", DaemonPool(1), observer, SystemClock(), None)
    running: Coroutine[Any, Any, Any] = invoker.bind(facts("sleeps"))("now")

    async def begin() -> None:
        running.send(None)

    loop.run_until_complete(begin())
    loop.close()
    running.close()
    assert observer.told[-1] == ("sleeps", "The host shut down before the function had ended.")


def test_running_code_knows_its_invocation():
    assert call("says_who_it_is")[0] is None


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")
@app.queue_output(arg_name="$return", queue_name="runs", connection="C")
def says_which_run(timer: func.TimerRequest, context: func.Context) -> str:
    return f"{context.retry_context.retry_count} of {context.retry_context.max_retry_count}"


def test_a_function_with_a_retry_policy_knows_which_run_it_is():
    sent = []

    async def queue(_binding, value):
        sent.append(value)

    async def scenario() -> None:
        pool = DaemonPool(1)
        sinks = {"queue": queue}
        invoker = Invoker(Path("app"), "{}", pool, Observer(), SystemClock(), None, sinks)
        try:
            await invoker.bind(facts("says_which_run"))("now", retry=Retry(2, 3))
        finally:
            pool.close()

    asyncio.run(scenario())
    assert sent == ["2 of 3"]
