"""Channels: how they are made, and who they belong to.

A channel is *owned* where this package made it, and *borrowed* where a caller passed it in. An
owned one is replaced when it is dead and closed at the end; a borrowed one never is. The same two
words are used everywhere.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio

from durable_app.connection.options import (
    KEEPALIVE_TIME_MS,
    KEEPALIVE_TIMEOUT_MS,
    MAX_RECEIVE_BYTES,
    MAX_SEND_BYTES,
    GrpcChannelOptions,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable_app.connection.endpoint import Endpoint

#: Bounds of gRPC's own pause between two attempts to connect; its default goes up to two minutes.
MIN_CONNECT_BACKOFF_MS: Final = 100
MAX_CONNECT_BACKOFF_MS: Final = 5_000
#: Likewise for a hub on this machine, which is often begun after its workers and clients. Calls
#: fail at once while gRPC pauses, so that the pause comes on top of whatever the caller waits.
LOCAL_MAX_CONNECT_BACKOFF_MS: Final = 1_000
#: What an attempt to connect may take: far away, TCP and TLS alone take most of a second.
CONNECT_TIMEOUT_MS: Final = 5_000


class ChannelOwnership(Enum):
    """Who a channel belongs to."""

    OWNED = "owned"
    BORROWED = "borrowed"


def channel_arguments(
    options: GrpcChannelOptions | None, *, is_local: bool = False
) -> list[tuple[str, Any]]:
    """The options as arguments of gRPC's channels; the raw ones come last, which lets them win.

    Args:
        is_local: the hub is on this machine.
    """
    options = options or GrpcChannelOptions()
    permit = options.keepalive_permit_without_calls
    keepalive_timeout_ms = _or(options.keepalive_timeout_ms, KEEPALIVE_TIMEOUT_MS)
    arguments: dict[str, Any] = {
        "grpc.max_receive_message_length": _or(
            options.max_receive_message_length, MAX_RECEIVE_BYTES
        ),
        "grpc.max_send_message_length": _or(options.max_send_message_length, MAX_SEND_BYTES),
        "grpc.keepalive_time_ms": _or(options.keepalive_time_ms, KEEPALIVE_TIME_MS),
        "grpc.keepalive_timeout_ms": keepalive_timeout_ms,
        # Its default of a minute wins over a shorter keepalive timeout, as measured with 1.85.
        "grpc.http2.ping_timeout_ms": keepalive_timeout_ms,
        "grpc.keepalive_permit_without_calls": int(bool(permit)),
        "grpc.initial_reconnect_backoff_ms": MIN_CONNECT_BACKOFF_MS,
        # Its name misleads: it bounds an attempt, and not the pause after it.
        "grpc.min_reconnect_backoff_ms": CONNECT_TIMEOUT_MS,
        "grpc.max_reconnect_backoff_ms": (
            LOCAL_MAX_CONNECT_BACKOFF_MS if is_local else MAX_CONNECT_BACKOFF_MS
        ),
        # gRPC would repeat calls by itself that change something; what is safe is repeated here.
        "grpc.enable_retries": 0,
        # Channels with equal arguments share connections, a dead one too: a replacement must not.
        "grpc.use_local_subchannel_pool": 1,
    }
    if is_local:
        # HTTP_PROXY means other machines.
        arguments["grpc.enable_http_proxy"] = 0
    arguments.update(options.raw_options)
    return list(arguments.items())


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def make_channel(
    endpoint: Endpoint,
    options: GrpcChannelOptions | None = None,
    *,
    interceptors: Sequence[Any] = (),
    root_certificates: bytes | None = None,
) -> grpc.Channel:
    """A channel for threads.

    Args:
        interceptors: of the caller; the first sees a call first.
        root_certificates: PEM; None for those that gRPC knows.
    """
    arguments = channel_arguments(options, is_local=endpoint.is_local)
    if endpoint.is_encrypted:
        credentials = grpc.ssl_channel_credentials(root_certificates)
        channel = grpc.secure_channel(endpoint.target, credentials, options=arguments)
    else:
        channel = grpc.insecure_channel(endpoint.target, options=arguments)
    return grpc.intercept_channel(channel, *interceptors) if interceptors else channel


def make_async_channel(
    endpoint: Endpoint,
    options: GrpcChannelOptions | None = None,
    *,
    interceptors: Sequence[Any] = (),
    root_certificates: bytes | None = None,
) -> grpc.aio.Channel:
    """A channel for the running event loop; arguments as for :func:`make_channel`."""
    arguments = channel_arguments(options, is_local=endpoint.is_local)
    if endpoint.is_encrypted:
        return grpc.aio.secure_channel(
            endpoint.target,
            grpc.ssl_channel_credentials(root_certificates),
            options=arguments,
            interceptors=list(interceptors),
        )
    return grpc.aio.insecure_channel(
        endpoint.target, options=arguments, interceptors=list(interceptors)
    )
