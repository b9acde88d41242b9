"""Whether the host traces, and where its traces go."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from durable_app.errors import ConfigError
from durable_app.host.console.console import Level
from durable_app.tracing.exporters import MISSING, exporters_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from durable_app.host.config.settings import HostSettings
    from durable_app.host.console.console import Console
    from durable_app.ports import Clock
    from durable_app.telemetry import Tracing


def tracing_of_program(clock: Clock, *, emits: bool = True) -> Tracing | None:
    """What takes the spans of a program that sets up OpenTelemetry itself, or does not.

    Args:
        emits: False for no spans.
    """
    if not emits:
        return None
    try:
        from durable_app.tracing.adapter import OpenTelemetryTracing
    except ImportError:
        return None
    return OpenTelemetryTracing(clock)


@contextlib.asynccontextmanager
async def open_tracing(
    settings: HostSettings,
    service: str,
    environ: Mapping[str, str],
    clock: Clock,
    console: Console,
) -> AsyncIterator[Tracing | None]:
    """What takes the spans of the host while the block runs; None where nothing does.

    Called after the app was loaded: a provider of its own comes first.

    Args:
        service: name of the process in traces, unless the environment names it.
    """
    options = settings.extensions.durable_task.tracing
    named = "distributed_tracing_enabled" in options.model_fields_set
    if named and not options.distributed_tracing_enabled:
        yield None
        return
    try:
        from durable_app.tracing import provider
        from durable_app.tracing.adapter import OpenTelemetryTracing
    except ImportError:
        if exporters_of(environ):
            console.line(MISSING, Level.WARNING)
        yield None
        return
    if provider.app_has_provider():
        console.line("Traces go where the app's TracerProvider sends them.")
    else:
        try:
            place = provider.set_provider(environ, service)
        except ConfigError as error:
            console.line(str(error), Level.WARNING)
            place = None
        if place is not None:
            console.line(f"Traces go to {place}.")
    try:
        yield OpenTelemetryTracing(clock, shows_payloads=options.trace_inputs_and_outputs)
    finally:
        await asyncio.to_thread(provider.flush)
