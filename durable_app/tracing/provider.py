"""The process's provider of tracers, where an app has none and the environment names an exporter.

The exporter and the SDK read their own variables (``OTEL_...``) from the process's environment.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from durable_app.errors import ConfigError
from durable_app.tracing.exporters import EXPORTER, MISSING, endpoint_of, exporters_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider as _SdkProvider
    from opentelemetry.sdk.trace.export import SpanExporter

    TracerProvider = _SdkProvider  # for the annotations of others, who import no OpenTelemetry

#: Longer than an exporter needs whose backend answers; the end of a host waits for it.
_FLUSH_MS: Final = 2_000


def app_has_provider() -> bool:
    """Whether somebody has set a global provider already."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def set_provider(environ: Mapping[str, str], service: str) -> str | None:
    """Set a global provider that sends spans in batches to the exporters of the environment.

    Args:
        service: name of the service where the environment has none.

    Returns:
        Where traces go, for people; None where the environment asks for no exporter.

    Raises:
        ConfigError: it asks for one that is not known or not installed.
    """
    names = exporters_of(environ)
    if not names:
        return None
    try:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  perhaps not installed
        from opentelemetry.sdk.trace import TracerProvider as Provider  # noqa: PLC0415  likewise
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  likewise

        exporters = [_exporter(name) for name in names]
    except ImportError:
        raise ConfigError(MISSING) from None
    has_name = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = Resource.create({} if has_name else {"service.name": service})
    provider = Provider(resource=resource)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    places = ["the console" if name == "console" else endpoint_of(environ) for name in names]
    name = str(resource.attributes["service.name"])
    return f"{' and '.join(places)} (service '{name}')"


def flush() -> None:
    """Send what waits in batches; returns within seconds. Blocks."""
    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "force_flush"):
        # Releases differ in whether they heed the time, with a backend that does not answer.
        thread = threading.Thread(target=provider.force_flush, args=(_FLUSH_MS,), daemon=True)
        thread.start()
        thread.join(_FLUSH_MS / 1000)


def _exporter(name: str) -> SpanExporter:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415  as above

        return ConsoleSpanExporter()
    if name == "otlp":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  as above
            OTLPSpanExporter,
        )

        exporter: SpanExporter = OTLPSpanExporter()
        return exporter
    raise ConfigError(
        f"{EXPORTER} is '{name}'; known are otlp, console and none. For others let the app set a"
        " TracerProvider of its own in function_app.py."
    )
