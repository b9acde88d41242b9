"""``func hub start``: task hubs alone, for workers and clients of any language."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.clock import SystemClock
from durable_app.compose.hubs import DEFAULT_HUB, Hubs
from durable_app.connection.admission import TOKEN_SETTING
from durable_app.connection.endpoint import is_loopback
from durable_app.errors import ConfigError
from durable_app.host.health import HealthServer, Metric, Sample
from durable_app.host.lifecycle import Stop
from durable_app.rpc.server.server import HubServer, TlsFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from durable_app.scheduler.state import HubStatistics

HUB_NAMES_SETTING: Final = "DTS_TASK_HUB_NAMES"
DYNAMIC_HUBS_SETTING: Final = "DTS_USE_DYNAMIC_TASK_HUBS"
_NO_DASHBOARD: Final = "the dashboard comes with a later version."
_YES_AND_NO: Final = {
    **dict.fromkeys(("true", "1", "yes"), True),
    **dict.fromkeys(("false", "0", "no", ""), False),
}
_SHORTEST_TOKEN: Final = 16
# Calls that wait for an instance get this long, and then an answer that says "ask again".
_CALLS_GRACE_S: Final = 2.0


_GAUGES: Final[tuple[tuple[str, str, Callable[[HubStatistics], float]], ...]] = (
    ("durable_app_workers", "Workers connected.", attrgetter("workers")),
    ("durable_app_items_in_flight", "Work items that workers hold.", attrgetter("in_flight")),
    (
        "durable_app_instances_waiting",
        "Orchestrations and entities that wait for a slot of a worker.",
        attrgetter("waiting_instances"),
    ),
    (
        "durable_app_activities_waiting",
        "Activities that wait for a slot of a worker, as far as they are in memory.",
        attrgetter("waiting_activities"),
    ),
    (
        "durable_app_instances_in_memory",
        "Orchestrations and entities in memory.",
        attrgetter("hot_instances"),
    ),
)


class HubServiceOptions(NamedTuple):
    """Every option of ``func hub start``.

    Attributes:
        store: SQLite file; None for memory.
        address: to listen on, for gRPC and health; "localhost" for the loopback addresses, of which
            health has 127.0.0.1 alone.
        port, health_port: 0 for free ones.
        names: of the task hubs, besides those that the file knows.
        is_dynamic: hubs are made when they are asked for.
        token: that clients must present; None for no check.
        certificate, key: PEM files; both or none.
        is_open: listen on other addresses than loopback ones without a token.
        dashboard_port: that somebody has asked for; None where nobody has.
    """

    store: Path | None
    address: str = "localhost"
    port: int = 8080
    health_port: int = 8081
    names: tuple[str, ...] = (DEFAULT_HUB,)
    is_dynamic: bool = False
    token: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    is_open: bool = False
    dashboard_port: int | None = None

    def __repr__(self) -> str:
        """Without the token."""
        return f"HubServiceOptions({self.address}:{self.port}, {self.store})"


class RunningHubs(NamedTuple):
    """Hubs that are served.

    Attributes:
        endpoint: what goes into a connection string. health: its URL without a path.
        lines: what the user should know, for the console.
        stop: what ends it.
    """

    endpoint: str
    health: str
    lines: Sequence[str]
    stop: Stop


@contextlib.asynccontextmanager
async def run_hub_service(options: HubServiceOptions) -> AsyncIterator[RunningHubs]:
    """Serve task hubs until the block ends.

    Raises:
        DurableError: it cannot start; the message says why and what to do.
    """
    _check_exposure(options)
    tls = await asyncio.to_thread(_read_tls, options)
    clock, stop = SystemClock(), Stop()
    hubs = Hubs(options.store, options.names, clock, stop.fail, is_dynamic=options.is_dynamic)
    server = HubServer(hubs, clock, token=options.token, tls=tls)
    health = HealthServer(
        lambda: None if stop.error is None else str(stop.error), lambda: _metrics(hubs, server)
    )
    try:
        await hubs.open()
        health_address = "127.0.0.1" if options.address == "localhost" else options.address
        health_port = await health.start(health_address, options.health_port)
        port = await server.start(f"{_in_brackets(options.address)}:{options.port}")
        shown = shown_host(options.address)
        endpoint = f"{'http' if tls is None else 'https'}://{shown}:{port}"
        hubs.announce(endpoint)
        url = f"http://{shown}:{health_port}"
        yield RunningHubs(endpoint, url, _lines(options, endpoint, url, hubs.names), stop)
    finally:
        hubs.end_waits()
        await server.stop(_CALLS_GRACE_S)
        await health.stop()
        await hubs.close()


def _is_wildcard(address: str) -> bool:
    """Whether all addresses of the machine are meant: to listen on, and not to connect to."""
    return address in {"", "0.0.0.0", "::"}  # noqa: S104  listened on only if the user says so


def shown_host(address: str) -> str:
    """What clients on this machine put into a URL for a hub that listens there.

    Args:
        address: to listen on; all addresses are "0.0.0.0" and "::".
    """
    # Of the loopback addresses "localhost" stands for these two alone.
    if address in {"localhost", "127.0.0.1", "::1"} or _is_wildcard(address):
        return "localhost"
    return _in_brackets(address)


def _in_brackets(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def hub_names(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Names in DTS_TASK_HUB_NAMES, comma separated; the default hub where there are none."""
    given = environ.get(HUB_NAMES_SETTING, "").split(",")
    return tuple(filter(None, (name.strip() for name in given))) or (DEFAULT_HUB,)


def has_dynamic_hubs(environ: Mapping[str, str]) -> bool:
    """Whether DTS_USE_DYNAMIC_TASK_HUBS says so.

    Raises:
        ConfigError: it says neither yes nor no.
    """
    text = environ.get(DYNAMIC_HUBS_SETTING, "").strip()
    said = _YES_AND_NO.get(text.casefold())
    if said is None:
        raise ConfigError(
            f"{DYNAMIC_HUBS_SETTING}={text}: write true, 1 or yes, or false, 0 or no."
        )
    return said


def _check_exposure(options: HubServiceOptions) -> None:
    if options.token is not None and len(options.token) < _SHORTEST_TOKEN:
        raise ConfigError(
            f"The token has {len(options.token)} characters; {_SHORTEST_TOKEN} random ones are the"
            " least that nobody guesses."
        )
    if options.token is not None and not (options.token.isascii() and options.token.isprintable()):
        raise ConfigError(
            "The token holds line breaks or characters beyond ASCII: no client could present it."
        )
    if options.token is None and not is_loopback(options.address) and not options.is_open:
        raise ConfigError(
            f"Whoever reaches {options.address} could read and change everything in the task hub."
            f" Set {TOKEN_SETTING} to a token that clients must present, or say"
            " --allow-anonymous where the network itself keeps others out."
        )
    if (options.certificate is None) != (options.key is None):
        raise ConfigError("--tls-cert and --tls-key belong together: name both PEM files.")


def _read_tls(options: HubServiceOptions) -> TlsFiles | None:
    if options.certificate is None or options.key is None:
        return None
    try:
        files = TlsFiles(options.certificate.read_bytes(), options.key.read_bytes())
    except OSError as error:
        raise ConfigError(f"'{error.filename}' cannot be read: {error.strerror}.") from error
    try:
        # gRPC would say of files that do not fit that the port cannot be opened. Without a password
        # OpenSSL would ask for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            options.certificate, options.key, password=""
        )
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise ConfigError(
            f"'{options.certificate}' and '{options.key}' are no certificate chain with its private"
            f" key ({getattr(error, 'reason', None) or 'not PEM'}). Both are PEM files, the key"
            " without a password."
        ) from error
    return files


def _lines(
    options: HubServiceOptions, endpoint: str, health: str, names: Sequence[str]
) -> list[str]:
    store = "memory (lost at the end)" if options.store is None else f"sqlite:{options.store}"
    dynamic = "; others are made when they are used" if options.is_dynamic else ""
    is_open = _is_wildcard(options.address)
    dashboard = options.dashboard_port
    hub = DEFAULT_HUB if DEFAULT_HUB in names else options.names[0].casefold()
    return [
        f"Task hubs: {', '.join(names)}{dynamic}.",
        f"Store: {store}.",
        f"gRPC: {endpoint}    health and metrics: {health}/healthz, {health}/metrics",
        *([] if dashboard is None else [f"Nothing listens on {dashboard}: {_NO_DASHBOARD}"]),
        "Connection string:",
        f"  Endpoint={endpoint};TaskHub={hub};Authentication=None",
        *(["  (other machines: this one's name instead of localhost)"] if is_open else []),
        *([] if options.token is None else [_about_token(is_encrypted=endpoint[:5] == "https")]),
    ]


def _about_token(*, is_encrypted: bool) -> str:
    text = f"Clients must present the bearer token of {TOKEN_SETTING}: set it for them, too."
    if is_encrypted:
        return text
    return f"{text} Those of durable_app send it over TLS only: use --tls-cert and --tls-key."


def _metrics(hubs: Hubs, server: HubServer) -> list[Metric]:
    """Numbers for Prometheus; those of a hub carry its name."""
    found = [({"hub": name}, numbers) for name, numbers in hubs.statistics().items()]
    counts = server.counts
    labels = {key: {"method": key[0], "code": key[1]} for key in counts}
    return [
        Metric("durable_app_task_hubs", "gauge", "Task hubs served.", [Sample(len(found))]),
        *(
            Metric(name, "gauge", text, [Sample(value(numbers), hub) for hub, numbers in found])
            for name, text, value in _GAUGES
        ),
        Metric(
            "durable_app_items_completed_total",
            "counter",
            "Work items that workers have answered.",
            [
                Sample(count, {**hub, "kind": kind})
                for hub, numbers in found
                for kind, count in numbers.completed.items()
            ],
        ),
        Metric(
            "durable_app_rpc_calls_total",
            "counter",
            "Calls that have ended.",
            [Sample(count.calls, labels[key]) for key, count in counts.items()],
        ),
        Metric(
            "durable_app_rpc_seconds_total",
            "counter",
            "Time that these calls took, waiting included.",
            [Sample(count.seconds, labels[key]) for key, count in counts.items()],
        ),
    ]
