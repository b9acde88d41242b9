"""The server: one port, all calls, an orderly end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc

from durable_app.errors import ConfigError
from durable_app.rpc.server import entities, orchestrations
from durable_app.rpc.server.addresses import LOOPBACK_IPV4, LOOPBACK_IPV6, has_ipv6_address
from durable_app.rpc.server.dispatch import CallCount, Service
from durable_app.rpc.server.rules import MAX_ID_LENGTH
from durable_app.rpc.server.work import USUAL_LIMITS, WorkCalls, WorkLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable_app.ports import Clock, TaskHubs

#: Clients may ping as often as this; gRPC's default would cut off those that notice a loss early.
_SHORTEST_PING_MS: Final = 5_000
_OPTIONS: Final = (
    # What is too large is told in words: neither side counts for the other.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", _SHORTEST_PING_MS),
    ("grpc.http2.max_pings_without_data", 0),
    # A second server on the port is an error, and not a partner for half of the calls.
    ("grpc.so_reuseport", 0),
)


class TlsFiles(NamedTuple):
    """A certificate chain and its private key, both PEM."""

    certificate_chain: bytes
    private_key: bytes

    def __repr__(self) -> str:
        """Without the key."""
        return "TlsFiles(...)"


class HubServer:
    """Serves task hubs over gRPC.

    Args:
        token: what clients must present as a bearer token; None lets everybody in.
        tls: None for plain text.
        limits: for the streams of workers.
        longest_id: characters of an id that clients may choose; None where only parts of this host
            are clients, which have rules of their own.
    """

    def __init__(
        self,
        hubs: TaskHubs,
        clock: Clock,
        *,
        token: str | None = None,
        tls: TlsFiles | None = None,
        limits: WorkLimits = USUAL_LIMITS,
        longest_id: int | None = MAX_ID_LENGTH,
    ) -> None:
        """Nothing is opened yet; needs a running event loop."""
        self._work = WorkCalls(clock, limits)
        self._tls = tls
        self._server = grpc.aio.server(options=(*_OPTIONS, *_keepalive(limits)))
        self._service = Service(
            hubs,
            {
                **orchestrations.CALLS,
                **{
                    name: self._work.ends_streams(handle)
                    for name, handle in orchestrations.REMOVALS.items()
                },
                **entities.CALLS,
                **self._work.calls,
            },
            {**orchestrations.STREAMS, **self._work.streams},
            clock,
            token,
            longest_id,
        )
        self._server.add_generic_rpc_handlers((self._service,))

    @property
    def workers(self) -> int:
        """Workers that are connected."""
        return self._work.connected

    @property
    def counts(self) -> Mapping[tuple[str, str], CallCount]:
        """Calls that have ended, by method and name of the status."""
        return self._service.counts

    async def start(self, address: str) -> int:
        """Listen; return the port, 0 for a Unix socket.

        Args:
            address: ``host:port`` (port 0 for a free one), ``[::1]:port`` or ``unix:path``;
                ``localhost:port`` for 127.0.0.1 and, where this machine has it, ::1.

        Raises:
            ConfigError: somebody else listens there, or this machine has no such address.
        """
        host, _, wanted = address.rpartition(":")
        port = self._listen(f"{LOOPBACK_IPV4}:{wanted}" if host == "localhost" else address)
        if host == "localhost" and has_ipv6_address(LOOPBACK_IPV6):
            self._listen(f"[{LOOPBACK_IPV6}]:{port}")
        await self._server.start()
        return 0 if address.startswith("unix:") else port

    def _listen(self, address: str) -> int:
        server: Any = self._server
        try:
            if self._tls is None:
                port = server.add_insecure_port(address)
            else:
                pair = (self._tls.private_key, self._tls.certificate_chain)
                port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        except RuntimeError as error:
            raise ConfigError(
                f"The task hub cannot listen on {address}: the port is in use, or the address is"
                " none of this machine. Choose another one with --port."
            ) from error
        return int(port)

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, end the streams of workers, let other calls finish. Idempotent."""
        self._work.close()
        await self._server.stop(grace_s)


def _keepalive(limits: WorkLimits) -> tuple[tuple[str, int], ...]:
    timeout_ms = round(limits.keepalive_timeout_s * 1_000)
    return (
        ("grpc.keepalive_time_ms", round(limits.keepalive_s * 1_000)),
        ("grpc.keepalive_timeout_ms", timeout_ms),
        # Its default of a minute wins over a shorter keepalive timeout, as measured with 1.85.
        ("grpc.http2.ping_timeout_ms", timeout_ms),
    )
