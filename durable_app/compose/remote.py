"""The connection of a process to a task hub elsewhere: clients on one channel, work on another.

Imports gRPC: import it within ``compose.extras.needs_grpc``, which says what to install.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app import __version__
from durable_app.connection.admission import TOKEN_SETTING
from durable_app.connection.authentication import AuthenticationKind
from durable_app.connection.options import (
    GrpcClientResiliencyOptions,
    GrpcWorkerResiliencyOptions,
)
from durable_app.errors import ConfigError
from durable_app.rpc.bridge import is_of_event_loop, open_channel
from durable_app.rpc.call_headers import (
    CLIENT_ROLE,
    WORKER_ROLE,
    CallHeaders,
    new_worker_id,
    user_agent,
)
from durable_app.rpc.codec.streams import SCHEDULED_TASKS
from durable_app.rpc.connect import HubAccess
from durable_app.rpc.credentials import token_scope
from durable_app.rpc.greeting import is_task_hub
from durable_app.rpc.stub.calls import HubCalls
from durable_app.rpc.stub.hub import RemoteHub
from durable_app.rpc.stub.work import RemoteWork
from durable_app.worker.session import Session
from durable_app.worker.stream_consumer import StreamConsumer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from typing import Any

    from durable_app.connection.options import GrpcChannelOptions
    from durable_app.connection.target import HubTarget
    from durable_app.ports import Clock
    from durable_app.worker.stream_consumer import LinkListener

#: How long a greeting may take where it decides about the place of the hub.
GREETING_S: Final = 1.0
# The last second of the year 9999.
_NEVER: Final = 253_402_300_799.0


class Tuning(NamedTuple):
    """What may be tuned about a connection, and what a program brings along.

    Attributes:
        credential: of the program; wins over the connection string's Authentication.
        resource_id: audience of tokens; None for what the connection string says.
        channel: of the program, of either kind of gRPC; never replaced or closed.
        interceptors: of the program, all of one kind.
        root_certificates: PEM; None for those that gRPC knows.
        local_token: bearer token of a hub on this machine, sent in the clear.
    """

    credential: Any = None
    resource_id: str | None = None
    channel: Any = None
    channel_options: GrpcChannelOptions | None = None
    client: GrpcClientResiliencyOptions | None = None
    worker: GrpcWorkerResiliencyOptions | None = None
    interceptors: tuple[Any, ...] = ()
    root_certificates: bytes | None = None
    local_token: str | None = None

    def __repr__(self) -> str:
        """Tells nothing: a credential and a token are secrets."""
        return "Tuning(...)"


_AS_EVER: Final = Tuning()


class HubToken(NamedTuple):
    """A bearer token that never expires, as a credential."""

    text: str

    def get_token(self, *_scopes: str, **_options: object) -> Any:
        """The token, in the shape that azure-identity gives it."""
        return _Token(self.text, _NEVER)

    def __repr__(self) -> str:
        return "HubToken(...)"


class _Token(NamedTuple):
    token: str
    expires_on: float

    def __repr__(self) -> str:
        return "_Token(...)"


def access_to(
    target: HubTarget, role: str, clock: Clock, environ: Mapping[str, str], tuning: Tuning
) -> HubAccess:
    """What a connection of a client or of a worker is made of.

    Args:
        role: ``CLIENT_ROLE`` or ``WORKER_ROLE``.

    Raises:
        ConfigError: the name of the hub cannot be sent.
    """
    is_worker = role == WORKER_ROLE
    worker_id = new_worker_id(clock) if is_worker else None
    headers = CallHeaders(
        target.task_hub, user_agent(__version__, role), worker_id, tuning.local_token
    )
    # A worker's own machine decides when its channel is replaced.
    resiliency = None if is_worker else tuning.client or GrpcClientResiliencyOptions()
    return HubAccess(
        target.endpoint,
        headers,
        token_scope(tuning.resource_id or target.authentication.resource_id, environ),
        target.authentication,
        tuning.credential or _hub_token(target, environ),
        tuning.channel,
        tuning.channel_options,
        resiliency,
        tuning.interceptors,
        tuning.root_certificates,
    )


def _hub_token(target: HubTarget, environ: Mapping[str, str]) -> HubToken | None:
    """For a hub of one's own that demands one; Azure has other means."""
    text = environ.get(TOKEN_SETTING)
    is_own = target.authentication.kind is AuthenticationKind.NONE and not target.endpoint.is_azure
    # In the clear nobody gets it; a hub that wants it says so by refusing.
    return HubToken(text) if text and is_own and target.endpoint.is_encrypted else None


class Remote(NamedTuple):
    """Both sides of a hub elsewhere."""

    hub: RemoteHub
    work: RemoteWork


def check_channel(tuning: Tuning, *, has_loop: bool) -> None:
    """Refuse a channel of an event loop where there is none.

    Raises:
        ConfigError: this one belongs to another loop than its user.
    """
    if is_of_event_loop(tuning.channel) and not has_loop:
        raise ConfigError(
            "channel: this one is of grpc.aio and belongs to an event loop. Pass one of"
            " grpc.insecure_channel or grpc.secure_channel, or make an asynchronous client within"
            " a coroutine."
        )


def open_client(
    target: HubTarget, clock: Clock, environ: Mapping[str, str], tuning: Tuning = _AS_EVER
) -> RemoteHub:
    """The hub for clients, on the running event loop; nothing is sent yet.

    Raises:
        ConfigError: a credential that does not fit, or a token that would travel in the clear.
    """
    access = access_to(target, CLIENT_ROLE, clock, environ, tuning)
    return RemoteHub(HubCalls(open_channel(access, clock), target.endpoint.authority), clock)


def open_work(
    target: HubTarget,
    clock: Clock,
    environ: Mapping[str, str],
    on_fatal: Callable[[BaseException], None],
    listener: LinkListener | None = None,
    tuning: Tuning = _AS_EVER,
    *,
    has_schedules: bool = False,
) -> RemoteWork:
    """The hub's work for workers, likewise.

    Args:
        on_fatal: told where no attempt to connect can succeed: what answers is no task hub.
        listener: told when the connection begins and ends; None for the log.
        has_schedules: the worker runs what schedules are made of, and says so to the hub.
    """
    session = session_with(target, tuning)

    def consume(link: Any, take: Callable[[Any], None]) -> StreamConsumer[Any]:
        return StreamConsumer(link, session, take, clock, listener)

    access = access_to(target, WORKER_ROLE, clock, environ, tuning)
    calls = HubCalls(open_channel(access, clock), target.endpoint.authority)
    capabilities = frozenset({SCHEDULED_TASKS} if has_schedules else ())
    return RemoteWork(calls, clock, consume, on_fatal, capabilities=capabilities)


def session_with(target: HubTarget, tuning: Tuning) -> Session:
    """The rules by which a worker connects."""
    return Session(
        tuning.worker or GrpcWorkerResiliencyOptions(),
        # Where a channel that the program brought along leads nobody knows.
        is_local=tuning.channel is None and target.endpoint.is_local,
    )


@contextlib.asynccontextmanager
async def open_remote(
    target: HubTarget,
    clock: Clock,
    environ: Mapping[str, str],
    on_fatal: Callable[[BaseException], None],
    listener: LinkListener | None = None,
    tuning: Tuning = _AS_EVER,
    *,
    has_schedules: bool = False,
) -> AsyncIterator[Remote]:
    """Both, until the block ends. Arguments and errors as for :func:`open_work`."""
    hub = open_client(target, clock, environ, tuning)
    try:
        work = open_work(
            target, clock, environ, on_fatal, listener, tuning, has_schedules=has_schedules
        )
        try:
            yield Remote(hub, work)
        finally:
            await work.close()
    finally:
        await hub.close()


def is_hub(target: HubTarget, clock: Clock, environ: Mapping[str, str]) -> bool:
    """Whether a task hub answers there within a second. Blocks; errors as :func:`open_client`."""
    return is_task_hub(access_to(target, CLIENT_ROLE, clock, environ, _AS_EVER), clock, GREETING_S)
