"""Which task hub serves the app: its name, where it lives, and why.

host.json and the connection string are written for Azure's Durable Task Scheduler. A scheduler on
the local machine on which nothing listens means: run the hub inside this process.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from durable_app.connection.connection_string import repetitions, split_pairs
from durable_app.connection.endpoint import is_loopback, parse_endpoint
from durable_app.errors import ConfigError
from durable_app.functions.names import did_you_mean
from durable_app.host.config.settings import DurableTaskOptions, expand_setting

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, MutableMapping

MODES: Final = ("auto", "embedded", "remote")
#: Setting that names the scheduler where host.json does not say which one does.
DEFAULT_CONNECTION: Final = "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"
#: Setting with further names, comma separated, under which management routes may be asked for.
ALLOWED_HOSTS_SETTING: Final = "DURABLE_APP_ALLOWED_HOSTS"
# Docker gives this name to the machine that a container runs on. The domain is a reserved one.
_DOCKER_HOST: Final = "host.docker.internal"
_PROBE_TIMEOUT_S: Final = 1.0


_PROVIDERS: Final = {
    name.casefold(): name for name in ("AzureStorage", "azureManaged", "mssql", "netherite")
}


class _NameRule(NamedTuple):
    """Which names of task hubs a service of Azure takes, for programs and for people."""

    pattern: re.Pattern[str]
    text: str


_NAME_RULES: Final = {
    # The name becomes a part of names of queues and tables.
    "azurestorage": _NameRule(
        re.compile(r"[A-Za-z][A-Za-z0-9]{2,44}"), "3 to 45 letters and digits, a letter first"
    ),
    "azuremanaged": _NameRule(
        re.compile(r"[A-Za-z0-9-]{3,64}"), "3 to 64 letters, digits and hyphens"
    ),
}


class HubChoice(NamedTuple):
    """What was decided.

    Attributes:
        name: of the task hub.
        connection: name of the setting with the connection string, as management URLs carry it.
        store: path of the SQLite file; None for memory.
        reason: why the embedded hub runs, for the start line.
        warnings: lines to show.
    """

    name: str
    connection: str
    store: Path | None
    reason: str
    warnings: tuple[str, ...]

    @property
    def start_line(self) -> str:
        """One line that names hub, store and reason."""
        store = "memory" if self.store is None else f"sqlite:{self.store}"
        return f"Task hub '{self.name}': embedded, store {store} ({self.reason})."


def choose_hub(
    options: DurableTaskOptions,
    environ: MutableMapping[str, str],
    folder: Path,
    *,
    mode: str | None = None,
    store: str | None = None,
) -> HubChoice:
    """Decide by command line, then environment, then host.json.

    Args:
        folder: the app's; default databases live in its ``.durable``.
        mode: ``auto``, ``embedded`` or ``remote``; None for DURABLE_APP_HUB, then ``auto``.
        store: ``sqlite:PATH`` or ``memory``; None for DURABLE_APP_STORE, then the default file.

    Raises:
        ConfigError: a value is wrong, or a hub is wanted that this version cannot reach.
    """
    mode = mode or environ.get("DURABLE_APP_HUB") or "auto"
    if mode not in MODES:
        raise ConfigError(f"--hub {mode}: choose one of {', '.join(MODES)}.")
    provider = options.storage_provider
    setting = provider.connection_string_name or provider.connection_name
    is_scheduler = provider.type.casefold() == "azuremanaged"
    connection = setting or (DEFAULT_CONNECTION if is_scheduler else "Storage")
    text = environ.get(connection, "") if is_scheduler else ""
    pairs = split_pairs(text, connection)
    reason = _reason(mode, provider.type, connection, pairs.values.get("endpoint"))

    named = None
    if options.hub_name:
        named = expand_setting(options.hub_name, environ, "extensions.durableTask.hubName")
    in_string = pairs.values.get("taskhub")
    warnings = repetitions(pairs, connection)
    if named and in_string and named.casefold() != in_string.casefold():
        warnings.append(
            f"host.json names task hub '{named}', {connection} names '{in_string}':"
            f" '{named}' is used."
        )
    name = named or in_string or "default"
    if provider.type.casefold() not in _PROVIDERS:
        warnings.append(
            f"host.json: extensions.durableTask.storageProvider.type: '{provider.type}' is not"
            f" known.{did_you_mean(provider.type, _PROVIDERS.values())}"
        )
    rule = _NAME_RULES.get(provider.type.casefold())
    if rule is not None and rule.pattern.fullmatch(name) is None:
        warnings.append(
            f"Task hub name '{name}' works here, but Azure refuses it with storage provider"
            f" {provider.type}: {rule.text}."
        )
    wanted_store = store or environ.get("DURABLE_APP_STORE")
    return HubChoice(
        name,
        connection,
        store_path(wanted_store, default_store(folder, name)),
        reason,
        tuple(warnings),
    )


def default_store(folder: Path, hub: str) -> Path:
    """``.durable/<hub>.db``, with a file name that every file system takes."""
    safe = re.sub(r"[^a-z0-9_-]", "_", hub.casefold()) or "_"
    return folder / ".durable" / f"{safe}.db"


def _reason(mode: str, provider: str, connection: str, endpoint: str | None) -> str:
    if mode == "remote":
        raise ConfigError(
            "--hub remote: this version runs the embedded task hub only. Use --hub embedded."
        )
    if mode == "embedded":
        return "asked for by --hub or DURABLE_APP_HUB"
    if provider.casefold() != "azuremanaged":
        return f"storage provider {provider} is replaced by it locally"
    if endpoint is None:
        return f"{connection} names no endpoint"
    where = parse_endpoint(endpoint, connection, encrypted=False)
    if not where.is_local:
        raise ConfigError(
            f"{connection} points to {endpoint}, and this version runs the embedded task hub"
            " only. Use --hub embedded to work locally, whatever the connection string says."
        )
    if _answers(where.host, where.port):
        raise ConfigError(
            f"Something listens on {endpoint}, which {connection} points to, and this version"
            " runs the embedded task hub only. Use --hub embedded, or stop what listens there."
        )
    return f"nothing listens on {endpoint}"


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_PROBE_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def store_path(wanted: str | None, default: Path) -> Path | None:
    """The file that ``sqlite:PATH`` names, None for ``memory``, the default for nothing.

    Raises:
        ConfigError: it is something else.
    """
    if not wanted:
        return default
    if wanted == "memory":
        return None
    kind, _, path = wanted.partition(":")
    if kind in {"postgres", "postgresql"}:
        raise ConfigError(
            "--store postgres: this version keeps its rows in SQLite or in memory only. Write"
            " sqlite:PATH, or memory."
        )
    if kind != "sqlite" or not path:
        raise ConfigError(f"--store {wanted}: write memory, or sqlite:PATH.")
    return Path(path).expanduser()


def allowed_hosts(address: str, environ: Mapping[str, str]) -> frozenset[str]:
    """Names of this host that :func:`is_allowed_host` cannot know by itself.

    They are the address, WEBSITE_HOSTNAME, the comma separated names of DURABLE_APP_ALLOWED_HOSTS
    and, for an address that others can reach, the name of the machine; lower case, without port.
    """
    given = [address, environ.get("WEBSITE_HOSTNAME", "")]
    given += environ.get(ALLOWED_HOSTS_SETTING, "").split(",")
    if not is_loopback(address):
        given.append(socket.gethostname())
    return frozenset({_host_name(name) for name in given} - {""})


def is_allowed_host(name: str, address: str, extra: Collection[str]) -> bool:
    """Whether a request that was sent to ``name`` may use management and admin routes.

    A page of a stranger reaches this host through a public name of the stranger's that resolves
    to a local address; such a request carries that name. It can carry neither an address nor a
    name that no public name server gives out.

    Args:
        name: of the Host header, in any case; a port and the brackets of IPv6 do no harm.
        address: that the host listens on.
        extra: what :func:`allowed_hosts` gives.
    """
    name = _host_name(name)
    if is_loopback(name) or name == _DOCKER_HOST or name in extra:
        return True
    if is_loopback(address) or not name:
        return False
    # A service of a container network has a name without a dot; and behind a published port this
    # host cannot know the addresses that it has for others.
    return "." not in name or _is_address(name)


def _host_name(text: str) -> str:
    text = text.strip().casefold()
    if _is_address(text):
        return text
    try:
        return (urlsplit(f"//{text}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
