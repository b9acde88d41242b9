"""The console as the command line, host.json and the environment want it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TextIO

from durable_app.host.console.console import Console
from durable_app.host.console.json_lines import JsonFile
from durable_app.host.console.log_levels import LogLevels, is_ci
from durable_app.host.console.user_output import Capture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from durable_app.compose.plan import HostOptions
    from durable_app.host.config.settings import HostSettings
    from durable_app.ports import Clock


@contextlib.contextmanager
def open_console(
    options: HostOptions,
    settings: HostSettings,
    environ: Mapping[str, str],
    clock: Clock,
    stream: TextIO | None = None,
) -> Iterator[Console]:
    """A console that shows what user code logs and prints, too, until the block ends.

    Args:
        stream: where it writes; None for standard output.

    Raises:
        ConfigError: the file for JSON lines cannot be written.
    """
    levels = LogLevels(
        settings.logging.log_level,
        verbose=options.verbose,
        is_ci=is_ci(environ),
        user_level=options.user_log_level or environ.get("FUNCTIONS_USER_LOG_LEVEL"),
        is_enabled=settings.logging.console.is_enabled,
    )
    path = options.json_output_file
    console = Console(
        clock,
        levels,
        stream=stream,
        json_file=None if path is None else JsonFile(path),
        json_only=options.enable_json_output,
        names_functions=options.verbose,
    )
    with contextlib.closing(console):
        show_replay = environ.get("DURABLE_APP_LOG_REPLAY", "") not in {"", "0"}
        with Capture(console, show_replay=show_replay):
            yield console
