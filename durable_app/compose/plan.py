"""What the command line, the files and the environment add up to, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.clock import SystemClock
from durable_app.compose.extras import needs_grpc
from durable_app.errors import ConfigError
from durable_app.host.app.watch import require_watching
from durable_app.host.config.hub_choice import HubChoice, allowed_hosts, choose_hub
from durable_app.host.config.settings import (
    HostSettings,
    apply_values,
    read_host_settings,
    read_local_settings,
)
from durable_app.host.state import STATE_FILE
from durable_app.host.triggers.schedule import zone_of
from durable_app.host.web.cors import CorsPolicy, cors_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from datetime import tzinfo
    from pathlib import Path

    from durable_app.connection.target import HubTarget

DEFAULT_PORT: Final = 7071
DEFAULT_ADDRESS: Final = "127.0.0.1"
WORKERS_SETTING: Final = "FUNCTIONS_WORKER_PROCESS_COUNT"
#: More processes than that on one machine are a slip of the finger.
MOST_WORKERS: Final = 64


class HostOptions(NamedTuple):
    """The command line; None or empty for what it does not say.

    Attributes:
        script_root: the folder of the app.
        port: 0 for any free one.
        hub: ``auto``, ``embedded`` or ``remote``.
        store: ``sqlite:PATH`` or ``memory``.
        cors: origins that browsers may call from; ``*`` for all.
        enable_auth: demand keys as Azure does; without it every request is let through.
        functions: names of the only functions that shall run; empty for all.
        user_log_level: lowest level of what user code logs.
        json_output_file: where the JSON lines of ``enable_json_output`` go, too.
        watch: load the app again when one of its files is saved.
        https: serve TLS; with a certificate of its own where ``cert`` is None.
        cert: path of a PFX or PEM file; ``password`` opens it.
        workers: processes that run orchestrations, activities and entities; 1 for the host's own.
    """

    script_root: Path
    port: int | None = None
    address: str | None = None
    verbose: bool = False
    hub: str | None = None
    store: str | None = None
    cors: tuple[str, ...] = ()
    cors_credentials: bool = False
    enable_auth: bool = False
    functions: tuple[str, ...] = ()
    user_log_level: str | None = None
    enable_json_output: bool = False
    json_output_file: Path | None = None
    watch: bool = False
    https: bool = False
    cert: Path | None = None
    password: str | None = None
    workers: int | None = None


class Plan(NamedTuple):
    """What the files, the environment and the command line add up to.

    Attributes:
        hosts: names, beside loopback ones, under which the host's own APIs may be asked for.
        functions: names of the only functions that shall run; empty for all.
        zone: in which the schedules of timers are read.
        state: where the host keeps what it remembers itself; None for memory.
        notes: lines to show.
        workers: processes that run orchestrations, activities and entities; 1 for the host's own.
    """

    folder: Path
    options: HostOptions
    settings: HostSettings
    choice: HubChoice
    address: str
    port: int
    hosts: frozenset[str]
    cors: CorsPolicy
    functions: tuple[str, ...]
    state: Path | None
    zone: tzinfo
    notes: list[str]
    workers: int = 1


def make_plan(
    options: HostOptions,
    environ: MutableMapping[str, str],
    is_hub: Callable[[HubTarget], bool] | None = None,
) -> Plan:
    """Read host.json and local.settings.json of the app; puts Values into ``environ``.

    Args:
        is_hub: see ``choose_hub``; None to ask.

    Raises:
        ConfigError: something in them or on the command line is wrong.
    """
    folder = options.script_root.resolve()
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder. Name the app's folder with --script-root.")
    if options.watch:
        require_watching(folder)
    local = read_local_settings(folder)
    notes = apply_values(local, environ)
    settings = read_host_settings(folder, environ)
    _check_runtime(environ)
    choice = choose_hub(
        settings.extensions.durable_task,
        environ,
        folder,
        mode=options.hub,
        store=options.store,
        is_hub=is_hub or asking(environ),
    )
    address = options.address or local.host.local_http_address or DEFAULT_ADDRESS
    port = options.port if options.port is not None else local.host.local_http_port
    return Plan(
        folder,
        options,
        settings,
        choice,
        address,
        DEFAULT_PORT if port is None else port,
        allowed_hosts(address, environ),
        cors_policy(
            options.cors or local.host.cors_origins,
            credentials=options.cors_credentials or local.host.cors_credentials,
        ),
        options.functions or tuple(settings.functions),
        _state_path(folder, options, choice),
        zone_of(environ),
        [*local.warnings, *notes, *settings.warnings, *choice.warnings],
        options.workers or _workers(environ),
    )


def asking(environ: Mapping[str, str]) -> Callable[[HubTarget], bool]:
    """Asks whether a task hub answers; for ``choose_hub``."""

    def is_task_hub(target: HubTarget) -> bool:
        with needs_grpc():
            from durable_app.compose.remote import is_hub
        return is_hub(target, SystemClock(), environ)

    return is_task_hub


def _workers(environ: Mapping[str, str]) -> int:
    """The number of worker processes that the environment asks for."""
    text = environ.get(WORKERS_SETTING, "").strip() or "1"
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise ConfigError(
            f"{WORKERS_SETTING} is '{text}', and not a number of processes from 1 to"
            f" {MOST_WORKERS}."
        )
    return int(text)


def _check_runtime(environ: MutableMapping[str, str]) -> None:
    runtime = environ.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
    if runtime.casefold() != "python":
        raise ConfigError(
            f"FUNCTIONS_WORKER_RUNTIME is '{runtime}', and this host runs Python apps. Write"
            ' "python" in local.settings.json, or start the app with Azure Functions Core Tools.'
        )


def _state_path(folder: Path, options: HostOptions, choice: HubChoice) -> Path | None:
    # Keys that nobody could look up would lock everybody out.
    is_in_memory = choice.target is None and choice.store is None
    if is_in_memory and not options.enable_auth:
        return None
    return folder / STATE_FILE
