"""Connections to a task hub: channel, headers, token and rules put together.

``connect`` is for threads, ``connect_async`` for an event loop; both give something that makes
calls, and that has to be closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

from durable_app.connection.authentication import Authentication, AuthenticationKind
from durable_app.connection.endpoint import Endpoint, require_encryption
from durable_app.connection.options import GrpcChannelOptions, GrpcClientResiliencyOptions
from durable_app.rpc.async_channel import AsyncReplaceableChannel
from durable_app.rpc.channel import ChannelOwnership, make_async_channel, make_channel
from durable_app.rpc.credentials import (
    async_token_cache,
    make_async_credential,
    make_credential,
    token_cache,
)
from durable_app.rpc.interceptors import CallInterceptor, CallRules
from durable_app.rpc.resilience import FailureTracker
from durable_app.rpc.sync_channel import ReplaceableChannel

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.ports import Clock
    from durable_app.rpc.call_headers import CallHeaders
    from durable_app.rpc.token_cache import AsyncTokenCache, TokenCache

NO_AUTHENTICATION = Authentication(AuthenticationKind.NONE)


class HubAccess(NamedTuple):
    """Everything that a connection is made of.

    Attributes:
        endpoint: where the hub listens.
        headers: of every call.
        scope: of access tokens.
        authentication: as a connection string says it.
        credential: of the caller; wins over ``authentication``.
        channel: of the caller: borrowed, so that it is never replaced or closed.
        channel_options: of an owned channel.
        resiliency: when an owned channel is replaced; None leaves that to who reads the stream.
        interceptors: of the caller, for an owned channel.
        root_certificates: PEM, to verify the hub's; None for those that gRPC knows.
    """

    endpoint: Endpoint
    headers: CallHeaders
    scope: str
    authentication: Authentication = NO_AUTHENTICATION
    credential: Any = None
    channel: Any = None
    channel_options: GrpcChannelOptions | None = None
    resiliency: GrpcClientResiliencyOptions | None = None
    interceptors: tuple[Any, ...] = ()
    root_certificates: bytes | None = None

    @property
    def ownership(self) -> ChannelOwnership:
        """Who the channel belongs to."""
        return ChannelOwnership.OWNED if self.channel is None else ChannelOwnership.BORROWED

    @property
    def grace_s(self) -> float:
        """How long calls may go on over a replaced channel."""
        return (self.resiliency or GrpcClientResiliencyOptions()).retired_channel_grace_seconds

    def tracker(self, clock: Clock, replace: Callable[[], object]) -> FailureTracker | None:
        """Who replaces a dead channel, if that is wanted."""
        if self.resiliency is None or self.ownership is ChannelOwnership.BORROWED:
            return None
        return FailureTracker(self.resiliency, clock, replace)

    def check(self, credential: Any) -> None:
        """Raise ConfigError where a token would travel in the clear."""
        if credential is not None and self.ownership is ChannelOwnership.OWNED:
            require_encryption(self.endpoint, "credential")


class SyncConnection:
    """Makes calls from any thread.

    Attributes:
        channel: as gRPC's stubs want it.
    """

    def __init__(self, replaceable: ReplaceableChannel, rules: CallRules[TokenCache]) -> None:
        self._rules = rules
        self._interceptor = CallInterceptor(rules)
        self.channel = grpc.intercept_channel(replaceable, self._interceptor)
        self._replaceable = replaceable

    def replace(self) -> bool:
        """Use another channel from now on; False for a borrowed one."""
        return self._replaceable.replace()

    def renew_token(self) -> None:
        """Fetch another token than the one that was used last.

        Raises:
            TokenUnavailableError: none could be fetched.
        """
        if self._rules.tokens is not None:
            self._rules.tokens.token(self._rules.last_token)

    def close(self) -> None:
        """End calls that are going on, and close the channel if it is owned. Idempotent."""
        self._interceptor.close()
        self._replaceable.close()


def connect(access: HubAccess, clock: Clock) -> SyncConnection:
    """A connection for threads. Nothing is sent before the first call.

    Raises:
        ConfigError: a credential that does not fit, or a token that would travel in the clear.
    """
    credential = access.credential
    if credential is None:
        credential = make_credential(access.authentication)
    access.check(credential)
    tokens = None if credential is None else token_cache(credential, access.scope, clock)
    replaceable = ReplaceableChannel(
        lambda: access.channel or _make_sync(access), access.ownership, access.grace_s
    )
    rules: CallRules[TokenCache] = CallRules(
        access.headers,
        clock,
        tokens=tokens,
        retry=access.channel_options.retry_policy if access.channel_options else None,
        tracker=access.tracker(clock, replaceable.replace),
        ownership=access.ownership,
    )
    return SyncConnection(replaceable, rules)


def _make_sync(access: HubAccess) -> Any:
    return make_channel(
        access.endpoint,
        access.channel_options,
        interceptors=access.interceptors,
        root_certificates=access.root_certificates,
    )


def connect_async(access: HubAccess, clock: Clock) -> AsyncReplaceableChannel:
    """A connection for the running event loop, likewise."""
    credential = access.credential
    if credential is None:
        credential = make_async_credential(access.authentication)
    access.check(credential)
    tokens = None if credential is None else async_token_cache(credential, access.scope, clock)

    def rules_for(replace: Callable[[], bool]) -> CallRules[AsyncTokenCache]:
        return CallRules(
            access.headers,
            clock,
            tokens=tokens,
            retry=access.channel_options.retry_policy if access.channel_options else None,
            tracker=access.tracker(clock, replace),
            ownership=access.ownership,
        )

    return AsyncReplaceableChannel(
        lambda: access.channel or _make_async(access), access.ownership, rules_for, access.grace_s
    )


def _make_async(access: HubAccess) -> Any:
    return make_async_channel(
        access.endpoint,
        access.channel_options,
        interceptors=access.interceptors,
        root_certificates=access.root_certificates,
    )
