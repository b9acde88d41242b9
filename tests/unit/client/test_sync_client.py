"""The clients for functions that are not coroutines."""

import asyncio
import inspect
from typing import Any

import pytest

import durable_app as df
from tests.unit.client.rig import with_connection

TWINS = [
    (df.DurableOrchestrationClient, df.SyncDurableOrchestrationClient),
    (df.DurableFunctionsClient, df.SyncDurableFunctionsClient),
]


def methods(kind):
    return {
        name: inspect.signature(found)
        for name, found in inspect.getmembers(kind, callable)
        if not name.startswith("_")
    }


@pytest.mark.parametrize(("asynchronous", "waiting"), TWINS)
def test_both_have_the_same_methods_with_the_same_parameters(asynchronous, waiting):
    of_waiting = methods(waiting)
    assert of_waiting.pop("wait")
    of_asynchronous = methods(asynchronous)
    assert of_asynchronous.pop("start_encoded")
    assert of_asynchronous.pop("signal_encoded")
    assert of_waiting == of_asynchronous


def test_methods_are_described():
    method = df.SyncDurableFunctionsClient.schedule_new_orchestration
    assert method.__doc__ == df.DurableFunctionsClient.schedule_new_orchestration.__doc__
    assert method.__qualname__ == "SyncDurableFunctionsClient.schedule_new_orchestration"


def test_calls_wait_on_another_thread():
    async def conversation(connection):
        def in_thread():
            with df.SyncDurableFunctionsClient(connection) as sync:
                instance_id = sync.start_new("f", client_input=[1])
                sync.terminate_orchestration(instance_id)
                state = sync.wait_for_orchestration_completion(instance_id)
                return state.get_input(list[int]), sync.task_hub_name

        return await asyncio.to_thread(in_thread)

    assert with_connection(conversation) == ([1], "h")


def test_an_error_reaches_the_caller():
    async def conversation(connection):
        sync = df.SyncDurableFunctionsClient(connection)
        with pytest.raises(df.InstanceNotFoundError):
            await asyncio.to_thread(sync.rewind_orchestration, "nobody")

    with_connection(conversation)


def test_waiting_on_the_loop_itself_is_refused():
    async def conversation(connection):
        with pytest.raises(RuntimeError, match="would block the event loop"):
            df.SyncDurableFunctionsClient(connection).start_new("f")

    with_connection(conversation)


def test_a_client_whose_loop_has_ended_says_that_it_is_closed():
    async def conversation(connection):
        return df.SyncDurableFunctionsClient(connection)

    closed = with_connection(conversation)
    with pytest.raises(df.SchedulerUnavailableError, match="The client is closed"):
        closed.get_orchestration_state("one")


def test_a_method_that_the_client_lacks_is_named():
    async def conversation(connection):
        sync: Any = df.SyncDurableFunctionsClient(connection)
        with pytest.raises(AttributeError, match=r"The client .* 'call_http': not in this"):
            sync.call_http  # noqa: B018  the access is the test

    with_connection(conversation)
