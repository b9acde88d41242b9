"""Which task hub serves the app: its name, where it lives, and why.

host.json and the connection string are written for Azure's Durable Task Scheduler. A scheduler on
the local machine on which nothing listens means: run the hub inside this process. One that is
elsewhere is used, or nothing: never a local hub in its place.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from durable_app.connection.connection_string import (
    DEFAULT_TASK_HUB,
    choose_task_hub,
    parse_connection_string,
    repetitions,
    split_pairs,
)
from durable_app.connection.endpoint import connection_hint, is_loopback, parse_endpoint
from durable_app.connection.target import (
    CONNECTION_SETTING,
    OLDER_CONNECTION_SETTING,
    HubTarget,
)
from durable_app.errors import ConfigError
from durable_app.functions.names import did_you_mean
from durable_app.host.config.settings import DurableTaskOptions, expand_setting

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, MutableMapping

MODES: Final = ("auto", "embedded", "remote")
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
        store: of the embedded hub: path of the SQLite file; None for memory.
        reason: for the start line.
        warnings: lines to show.
        target: the hub of another process; None for the embedded one.
    """

    name: str
    connection: str
    store: Path | None
    reason: str
    warnings: tuple[str, ...]
    target: HubTarget | None = None

    @property
    def start_line(self) -> str:
        """One line that names hub, store or endpoint, and reason; it holds no secret."""
        if self.target is not None:
            return f"Task hub {self.target}: remote ({self.reason})."
        store = "memory" if self.store is None else f"sqlite:{self.store}"
        return f"Task hub '{self.name}': embedded, store {store} ({self.reason})."


class _Setting(NamedTuple):
    """What says where the scheduler is.

    Attributes:
        name: of the setting. text: its value, "" where there is none.
        is_scheduler: host.json asks for a scheduler at all.
    """

    name: str
    text: str
    is_scheduler: bool


def choose_hub(
    options: DurableTaskOptions,
    environ: MutableMapping[str, str],
    folder: Path,
    *,
    mode: str | None = None,
    store: str | None = None,
    is_hub: Callable[[HubTarget], bool],
) -> HubChoice:
    """Decide by command line, then environment, then host.json.

    Args:
        folder: the app's; default databases live in its ``.durable``.
        mode: ``auto``, ``embedded`` or ``remote``; None for DURABLE_APP_HUB, then ``auto``.
        store: ``sqlite:PATH`` or ``memory``; None for DURABLE_APP_STORE, then the default file.
        is_hub: whether what listens at an address of this machine is a task hub; asked where that
            decides.

    Raises:
        ConfigError: a value is wrong, or something answers in place of the hub.
    """
    mode = mode or environ.get("DURABLE_APP_HUB") or "auto"
    if mode not in MODES:
        raise ConfigError(f"--hub {mode}: choose one of {', '.join(MODES)}.")
    provider = options.storage_provider
    setting = _setting(options, environ, mode)
    pairs = split_pairs(setting.text, setting.name)
    named = None
    if options.hub_name:
        named = expand_setting(options.hub_name, environ, "extensions.durableTask.hubName")
    in_string = pairs.values.get("taskhub")
    place = _Place(setting, named, environ)
    target, reason = place.decide(mode, provider.type, pairs.values.get("endpoint"), is_hub)
    name = target.task_hub if target is not None else named or in_string or DEFAULT_TASK_HUB
    wanted_store = store or environ.get("DURABLE_APP_STORE")
    warnings = [
        *repetitions(pairs, setting.name),
        *_about_names(named, in_string, setting.name),
        *_about_provider(provider.type, name),
    ]
    if target is not None and wanted_store:
        warnings.append(f"--store {wanted_store} has no effect: the task hub is a remote one.")
    return HubChoice(
        name,
        setting.name,
        store_path(wanted_store, default_store(folder, name)) if target is None else None,
        reason,
        tuple(warnings),
        target,
    )


def _setting(options: DurableTaskOptions, environ: Mapping[str, str], mode: str) -> _Setting:
    provider = options.storage_provider
    is_scheduler = provider.type.casefold() == "azuremanaged"
    name = provider.connection_string_name or provider.connection_name
    if mode == "remote" and not is_scheduler:
        # Where nobody has asked for a scheduler yet, its usual setting is the one that counts.
        name, is_scheduler = None, True
    name = name or (_usual_setting(environ) if is_scheduler else "Storage")
    return _Setting(name, environ.get(name, "") if is_scheduler else "", is_scheduler)


def _usual_setting(environ: Mapping[str, str]) -> str:
    """The newer of both names, unless the older one alone is set."""
    is_older = not environ.get(CONNECTION_SETTING) and environ.get(OLDER_CONNECTION_SETTING)
    return OLDER_CONNECTION_SETTING if is_older else CONNECTION_SETTING


def _about_names(named: str | None, in_string: str | None, setting: str) -> list[str]:
    if not named or not in_string or named.casefold() == in_string.casefold():
        return []
    return [
        f"host.json names task hub '{named}', {setting} names '{in_string}': '{named}' is used."
    ]


def _about_provider(provider: str, name: str) -> list[str]:
    warnings = []
    if provider.casefold() not in _PROVIDERS:
        warnings.append(
            f"host.json: extensions.durableTask.storageProvider.type: '{provider}' is not"
            f" known.{did_you_mean(provider, _PROVIDERS.values())}"
        )
    rule = _NAME_RULES.get(provider.casefold())
    if rule is not None and rule.pattern.fullmatch(name) is None:
        warnings.append(
            f"Task hub name '{name}' works here, but Azure refuses it with storage provider"
            f" {provider}: {rule.text}."
        )
    return warnings


class _Place(NamedTuple):
    """Decides between the embedded hub and one of another process.

    Attributes:
        named: the hub's name in host.json.
    """

    setting: _Setting
    named: str | None
    environ: Mapping[str, str]

    def decide(
        self,
        mode: str,
        provider: str,
        endpoint: str | None,
        is_hub: Callable[[HubTarget], bool],
    ) -> tuple[HubTarget | None, str]:
        """The remote hub, or None for the embedded one; and why."""
        name = self.setting.name
        if mode == "embedded":
            return None, "asked for by --hub or DURABLE_APP_HUB"
        if not self.setting.is_scheduler:
            return None, f"storage provider {provider} is replaced by it locally"
        if endpoint is None:
            lack = "names no endpoint" if self.setting.text.strip() else "is not set"
            if mode == "remote":
                raise ConfigError(
                    f"--hub remote: {name} {lack}. Set it to a connection string, such"
                    " as Endpoint=http://localhost:8080;TaskHub=default;Authentication=None."
                )
            return None, f"{name} {lack}"
        if mode == "remote":
            return self._target(), "asked for by --hub or DURABLE_APP_HUB"
        where = parse_endpoint(endpoint, name, encrypted=False)
        if not where.is_local or not where.host:
            return self._target(), f"{name} points to it"
        if not _answers(where.host, where.port):
            return None, f"nothing listens on {endpoint}"
        return self._listener(endpoint, is_hub)

    def _listener(
        self, endpoint: str, is_hub: Callable[[HubTarget], bool]
    ) -> tuple[HubTarget, str]:
        """What listens on this machine, if it is a hub."""
        target = self._target()
        if is_hub(target):
            return target, f"a task hub answers on {endpoint}"
        raise ConfigError(
            f"Something listens on {endpoint}, which {self.setting.name} points to, and it is no"
            " task hub. Stop it or correct the address, or use --hub embedded to work without a"
            f" scheduler.{connection_hint(target.endpoint)}"
        )

    def _target(self) -> HubTarget:
        parsed = parse_connection_string(self.setting.text, self.setting.name)
        hub = choose_task_hub(self.named, parsed, parsed.endpoint, self.environ)
        return HubTarget(parsed.endpoint, hub, parsed.authentication)


def default_store(folder: Path, hub: str) -> Path:
    """``.durable/<hub>.db``, with a file name that every file system takes."""
    return folder / ".durable" / f"{_file_name(hub)}.db"


def memory_mark(folder: Path, hub: str) -> Path:
    """What stands for the database of a hub in memory, where its host can be asked for."""
    return folder / ".durable" / f"{_file_name(hub)}.memory"


def _file_name(hub: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "_", hub.casefold()) or "_"


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
