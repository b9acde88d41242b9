"""Clients of a task hub for programs that are no Functions app.

Names and keywords are those of durabletask and of its package for Azure; the methods are those of
the clients that functions are given.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, Unpack

from durable_app.client.connection import Connection
from durable_app.client.functions_client import DurableFunctionsClient
from durable_app.client.management import HttpManagementPayload, ManagementUrls
from durable_app.client.sync_client import SyncDurableFunctionsClient
from durable_app.clock import SystemClock
from durable_app.compose.background import BackgroundLoop
from durable_app.compose.extras import needs_grpc
from durable_app.compose.scheduler_target import (
    ChannelKeywords,
    keywords_of_text,
    target_of_address,
    tuning_of,
)
from durable_app.compose.tracing import tracing_of_program
from durable_app.errors import UnsupportedOnHostError

if TYPE_CHECKING:
    from durable_app.compose.remote import Tuning
    from durable_app.connection.options import GrpcClientResiliencyOptions
    from durable_app.connection.target import HubTarget
    from durable_app.rpc.stub.hub import RemoteHub

_NO_HOST: Final = "http://localhost:7071"


class _Urls(ManagementUrls):
    """Management URLs where the address of no HTTP host is known."""

    def links(
        self, instance_id: str, *, origin: str | None = None, failure_is_500: bool = False
    ) -> HttpManagementPayload:
        if not origin:
            raise UnsupportedOnHostError(
                "This client does not know which HTTP host serves the management API. Pass the HTTP"
                " request that is being answered, or build the URLs of your own API."
            )
        return super().links(instance_id, origin=origin, failure_is_500=failure_is_500)


class _Opened(NamedTuple):
    """A connection, and what has to be closed with it."""

    hub: RemoteHub
    connection: Connection
    background: BackgroundLoop | None


def _open(
    target: HubTarget,
    tuning: Tuning,
    default_version: str | None,
    options: ChannelKeywords,
    *,
    sync: bool,
) -> _Opened:
    """Connect on the running event loop; for sync clients, and without one, on another thread."""
    with needs_grpc():
        from durable_app.compose.remote import check_channel, open_client
    loop = None if sync else _running_loop()
    check_channel(tuning, has_loop=loop is not None)
    background = None
    clock = SystemClock()
    if loop is None:
        background = BackgroundLoop("durable-app-client")
        loop = background.loop
        try:
            hub = background.run(_on_loop(lambda: open_client(target, clock, os.environ, tuning)))
        except BaseException:
            background.close()
            raise
    else:
        hub = open_client(target, clock, os.environ, tuning)
    connection = Connection(
        hub,
        hub,
        _Urls(_NO_HOST, target.task_hub),
        target.task_hub,
        loop,
        default_version=default_version,
        tracing=tracing_of_program(clock, emits=options.get("emit_trace_spans", True)),
    )
    return _Opened(hub, connection, background)


async def _on_loop(make: Any) -> Any:
    return make()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class AsyncDurableTaskSchedulerClient(DurableFunctionsClient):
    """Starts, queries and steers the instances of a task hub, from an event loop.

    Made within a coroutine it belongs to that event loop; made elsewhere it can be used from any.
    Nothing is sent before the first call. End it with :meth:`close`, or use it as a context
    manager.

    Args:
        host_address: ``https://NAME.REGION.durabletask.io``, ``http://localhost:8080`` or
            ``HOST:PORT``; None for port 8080 of this machine.
        taskhub: name of the task hub; "" for TASKHUB_NAME, or ``default`` on this machine.
        token_credential: of azure-identity, of either kind; None for no authentication.
        default_version: of instances that are started without one.
        resiliency_options: when a dead channel is replaced.
        options: see :class:`ChannelKeywords`.

    Raises:
        ConfigError: an address, a name or a combination that cannot work; gRPC is not installed.
    """

    def __init__(
        self,
        *,
        host_address: str | None = None,
        taskhub: str = "",
        token_credential: Any = None,
        default_version: str | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        **options: Unpack[ChannelKeywords],
    ) -> None:
        target = target_of_address(host_address, taskhub, options, token_credential, os.environ)
        tuning = tuning_of(options, token_credential, client=resiliency_options)
        self._opened = _open(target, tuning, default_version, options, sync=False)
        super().__init__(self._opened.connection)

    @classmethod
    def from_connection_string(
        cls,
        connection_string: str,
        *,
        taskhub: str = "",
        token_credential: Any = None,
        **options: Any,
    ) -> Self:
        """A client for ``Endpoint=...;TaskHub=...;Authentication=...``.

        Args:
            connection_string: the text itself.
            taskhub: wins over that of the text.
            token_credential: wins over its Authentication.
            options: further keywords of the class.
        """
        found = keywords_of_text(connection_string, taskhub, token_credential, os.environ)
        return cls(**{**found, **options})

    async def close(self) -> None:
        """End all calls, and the connection unless the channel was passed in. Idempotent."""
        hub, _, background = self._opened
        if background is None:
            await hub.close()
        elif background.loop.is_running():
            await asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(hub.close(), background.loop)
            )
            await asyncio.to_thread(background.close)


class DurableTaskSchedulerClient(SyncDurableFunctionsClient):
    """Starts, queries and steers the instances of a task hub; each call waits for its result.

    Arguments and errors as for :class:`AsyncDurableTaskSchedulerClient`; usable from any thread.
    """

    def __init__(
        self,
        *,
        host_address: str | None = None,
        taskhub: str = "",
        token_credential: Any = None,
        default_version: str | None = None,
        resiliency_options: GrpcClientResiliencyOptions | None = None,
        **options: Unpack[ChannelKeywords],
    ) -> None:
        target = target_of_address(host_address, taskhub, options, token_credential, os.environ)
        tuning = tuning_of(options, token_credential, client=resiliency_options)
        self._opened = _open(target, tuning, default_version, options, sync=True)
        super().__init__(self._opened.connection)

    @classmethod
    def from_connection_string(
        cls,
        connection_string: str,
        *,
        taskhub: str = "",
        token_credential: Any = None,
        **options: Any,
    ) -> Self:
        """A client for ``Endpoint=...;TaskHub=...;Authentication=...``.

        Args:
            connection_string: the text itself.
            taskhub: wins over that of the text.
            token_credential: wins over its Authentication.
            options: further keywords of the class.
        """
        found = keywords_of_text(connection_string, taskhub, token_credential, os.environ)
        return cls(**{**found, **options})

    def close(self) -> None:
        """End all calls, and the connection unless the channel was passed in. Idempotent."""
        hub, _, background = self._opened
        if background is not None and background.loop.is_running():
            background.run(hub.close())
            background.close()
