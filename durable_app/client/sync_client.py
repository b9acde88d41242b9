"""The client for functions that are not coroutines: the same methods, which wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from durable_app.client.orchestration_client import DurableOrchestrationClient
from durable_app.errors import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _waiting(
    method: Callable[Concatenate[DurableOrchestrationClient, _P], Coroutine[Any, Any, _R]],
) -> Callable[Concatenate[SyncDurableOrchestrationClient, _P], _R]:
    def call(self: SyncDurableOrchestrationClient, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return self.wait(method(self.on_loop, *args, **kwargs))

    call.__name__ = method.__name__
    call.__qualname__ = f"SyncDurableOrchestrationClient.{method.__name__}"
    call.__doc__ = method.__doc__
    return call


class SyncDurableOrchestrationClient:
    """A :class:`DurableOrchestrationClient` for threads: each call waits for its result.

    Args:
        on_loop: the client whose methods are called.
        loop: the running event loop that they run on.
    """

    def __init__(
        self, on_loop: DurableOrchestrationClient, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.on_loop = on_loop
        self._loop = loop
        self.task_hub_name = on_loop.task_hub_name
        self.create_check_status_response = on_loop.create_check_status_response
        self.create_http_management_payload = on_loop.create_http_management_payload
        self.get_client_response_links = on_loop.get_client_response_links

    if not TYPE_CHECKING:  # A type checker that saw it would take every misspelt name for Any.

        def __getattr__(self, name: str) -> object:
            raise AttributeError(missing("The client", name), name=name, obj=self)

    def wait(self, call: Coroutine[Any, Any, _R]) -> _R:
        """Run a call on the loop and wait for it.

        Raises:
            RuntimeError: called on the loop's own thread, where it would wait for itself.
        """
        if _running_loop() is self._loop:
            call.close()
            raise RuntimeError(
                "This client belongs to a function that is not a coroutine and would block the"
                " event loop here. Make the function `async def` and await the client's methods."
            )
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    start_new = _waiting(DurableOrchestrationClient.start_new)
    get_status = _waiting(DurableOrchestrationClient.get_status)
    get_status_all = _waiting(DurableOrchestrationClient.get_status_all)
    get_status_by = _waiting(DurableOrchestrationClient.get_status_by)
    raise_event = _waiting(DurableOrchestrationClient.raise_event)
    terminate = _waiting(DurableOrchestrationClient.terminate)
    suspend = _waiting(DurableOrchestrationClient.suspend)
    resume = _waiting(DurableOrchestrationClient.resume)
    restart = _waiting(DurableOrchestrationClient.restart)
    rewind = _waiting(DurableOrchestrationClient.rewind)
    purge_instance_history = _waiting(DurableOrchestrationClient.purge_instance_history)
    purge_instance_history_by = _waiting(DurableOrchestrationClient.purge_instance_history_by)
    wait_for_completion_or_create_check_status_response = _waiting(
        DurableOrchestrationClient.wait_for_completion_or_create_check_status_response
    )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
