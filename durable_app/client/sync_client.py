"""The clients for functions that are not coroutines: the same methods, which wait."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from durable_app.client.connection import Connection, resolve
from durable_app.client.functions_client import DurableFunctionsClient
from durable_app.client.http_responses import HttpResponses
from durable_app.errors import SchedulerUnavailableError, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Client = DurableFunctionsClient


def _waiting(
    method: Callable[Concatenate[DurableFunctionsClient, _P], Coroutine[Any, Any, _R]],
) -> Callable[Concatenate[SyncDurableOrchestrationClient, _P], _R]:
    def call(self: SyncDurableOrchestrationClient, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return self.wait(method(self.on_loop, *args, **kwargs))

    call.__name__ = method.__name__
    call.__qualname__ = f"Sync{method.__qualname__}"
    call.__doc__ = method.__doc__
    call.__dict__["__signature__"] = inspect.signature(method)
    return call


class SyncDurableOrchestrationClient(HttpResponses):
    """A :class:`DurableOrchestrationClient` for threads: each call waits for its result.

    Made as that one. Its calls run on the host's event loop.
    """

    def __init__(
        self,
        context: str | Connection,
        function_invocation_id: str | None = None,  # noqa: ARG002  public signature
    ) -> None:
        connection = resolve(context)
        super().__init__(connection)
        self.on_loop = DurableFunctionsClient(connection)

    if not TYPE_CHECKING:  # A type checker that saw it would take every misspelt name for Any.

        def __getattr__(self, name: str) -> object:
            raise AttributeError(missing("The client", name), name=name, obj=self)

    def wait(self, call: Coroutine[Any, Any, _R]) -> _R:
        """Run a call on the loop and wait for it.

        Raises:
            RuntimeError: called on the loop's own thread, where it would wait for itself.
            SchedulerUnavailableError: the loop has ended, since the client was closed.
        """
        loop = self._connection.loop
        if loop.is_closed():
            call.close()
            raise SchedulerUnavailableError("The client is closed: make another one.")
        if _running_loop() is loop:
            call.close()
            raise RuntimeError(
                "This client belongs to a function that is not a coroutine and would block the"
                " event loop here. Make the function `async def` and await the client's methods."
            )
        return asyncio.run_coroutine_threadsafe(call, loop).result()

    start_new = _waiting(_Client.start_new)
    get_status = _waiting(_Client.get_status)
    get_status_all = _waiting(_Client.get_status_all)
    get_status_by = _waiting(_Client.get_status_by)
    raise_event = _waiting(_Client.raise_event)
    terminate = _waiting(_Client.terminate)
    suspend = _waiting(_Client.suspend)
    resume = _waiting(_Client.resume)
    restart = _waiting(_Client.restart)
    rewind = _waiting(_Client.rewind)
    purge_instance_history = _waiting(_Client.purge_instance_history)
    purge_instance_history_by = _waiting(_Client.purge_instance_history_by)
    wait_for_completion_or_create_check_status_response = _waiting(
        _Client.wait_for_completion_or_create_check_status_response
    )
    signal_entity = _waiting(_Client.signal_entity)
    read_entity_state = _waiting(_Client.read_entity_state)


class SyncDurableFunctionsClient(SyncDurableOrchestrationClient):
    """A :class:`DurableFunctionsClient` for threads: each call waits for its result."""

    def close(self) -> None:
        """Return at once: the connection is the host's, and other functions use it too."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_outcome: object) -> None:
        self.close()

    schedule_new_orchestration = _waiting(_Client.schedule_new_orchestration)
    restart_orchestration = _waiting(_Client.restart_orchestration)
    get_orchestration_state = _waiting(_Client.get_orchestration_state)
    get_orchestration_history = _waiting(_Client.get_orchestration_history)
    get_all_orchestration_states = _waiting(_Client.get_all_orchestration_states)
    list_instance_ids = _waiting(_Client.list_instance_ids)
    wait_for_orchestration_start = _waiting(_Client.wait_for_orchestration_start)
    wait_for_orchestration_completion = _waiting(_Client.wait_for_orchestration_completion)
    raise_orchestration_event = _waiting(_Client.raise_orchestration_event)
    terminate_orchestration = _waiting(_Client.terminate_orchestration)
    suspend_orchestration = _waiting(_Client.suspend_orchestration)
    resume_orchestration = _waiting(_Client.resume_orchestration)
    rewind_orchestration = _waiting(_Client.rewind_orchestration)
    purge_orchestration = _waiting(_Client.purge_orchestration)
    purge_orchestrations_by = _waiting(_Client.purge_orchestrations_by)
    get_entity = _waiting(_Client.get_entity)
    get_all_entities = _waiting(_Client.get_all_entities)
    clean_entity_storage = _waiting(_Client.clean_entity_storage)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
