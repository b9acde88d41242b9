"""What the command line, the files and the environment add up to for ``func worker``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from durable_app.compose.plan import DEFAULT_ADDRESS, HostOptions
from durable_app.connection.connection_string import choose_task_hub, parse_connection_string
from durable_app.connection.target import HubTarget, find_connection_text
from durable_app.errors import ConfigError
from durable_app.host.config.settings import (
    HostSettings,
    apply_values,
    expand_setting,
    read_host_settings,
    read_local_settings,
)
from durable_app.host.triggers.schedule import zone_of

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from datetime import tzinfo
    from pathlib import Path

    from durable_app.host.config.settings import DurableTaskOptions


class WorkerOptions(NamedTuple):
    """The command line of ``func worker``; None or empty for what it does not say.

    Attributes:
        script_root: the folder of the app.
        connection: a connection string, or the name of the setting that holds it.
        task_hub: name of the hub.
        functions: names of the only functions that shall run; empty for all.
        health_port: of /healthz and /metrics, 0 for any free one; None for none.
        address: that port listens on.
    """

    script_root: Path
    connection: str | None = None
    task_hub: str | None = None
    functions: tuple[str, ...] = ()
    health_port: int | None = None
    address: str = DEFAULT_ADDRESS
    verbose: bool = False
    user_log_level: str | None = None
    enable_json_output: bool = False
    json_output_file: Path | None = None

    def host_options(self) -> HostOptions:
        """Those that ``func start`` has, too: what the console is made of."""
        return HostOptions(
            self.script_root,
            verbose=self.verbose,
            functions=self.functions,
            user_log_level=self.user_log_level,
            enable_json_output=self.enable_json_output,
            json_output_file=self.json_output_file,
        )


class WorkerPlan(NamedTuple):
    """What is going to happen.

    Attributes:
        connection: name of the setting with the connection string, as management URLs carry it.
        functions: names of the only functions that shall run; empty for all.
        zone: in which the schedules of timers are read.
        notes: lines to show.
    """

    folder: Path
    settings: HostSettings
    target: HubTarget
    connection: str
    functions: tuple[str, ...]
    zone: tzinfo
    health_port: int | None
    address: str
    notes: list[str]


def make_worker_plan(options: WorkerOptions, environ: MutableMapping[str, str]) -> WorkerPlan:
    """Read host.json and local.settings.json of the app; puts Values into ``environ``.

    Raises:
        ConfigError: something in them or on the command line is wrong, or names no scheduler.
    """
    folder = options.script_root.resolve()
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder. Name the app's folder with --script-root.")
    local = read_local_settings(folder)
    notes = apply_values(local, environ)
    settings = read_host_settings(folder, environ)
    durable = settings.extensions.durable_task
    provider = durable.storage_provider
    setting = None
    if provider.type.casefold() == "azuremanaged":
        setting = provider.connection_string_name or provider.connection_name
    text, source = find_connection_text(options.connection or setting, environ)
    parsed = parse_connection_string(text, source)
    # As for func start, host.json's name comes before that of the connection string.
    wanted = options.task_hub or _hub_name(durable, environ)
    name = choose_task_hub(wanted, parsed, parsed.endpoint, environ)
    return WorkerPlan(
        folder,
        settings,
        HubTarget(parsed.endpoint, name, parsed.authentication),
        source if source != "connection string" else "Storage",
        options.functions or tuple(settings.functions),
        zone_of(environ),
        options.health_port,
        options.address,
        [*local.warnings, *notes, *settings.warnings, *parsed.warnings],
    )


def _hub_name(options: DurableTaskOptions, environ: MutableMapping[str, str]) -> str | None:
    if not options.hub_name:
        return None
    return expand_setting(options.hub_name, environ, "extensions.durableTask.hubName")
