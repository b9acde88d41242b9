"""The process's provider of tracers, where an app has none and the environment names an exporter.

The variables are OpenTelemetry's own: ``OTEL_TRACES_EXPORTER`` (``otlp``, ``console`` or ``none``),
``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_SERVICE_NAME`` and all others that the SDK reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from durable_app.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider as _SdkProvider
    from opentelemetry.sdk.trace.export import SpanExporter

    TracerProvider = _SdkProvider  # for the annotations of others, who import no OpenTelemetry

EXPORTER: Final = "OTEL_TRACES_EXPORTER"
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_DEFAULT_ENDPOINT: Final = "http://localhost:4318"
#: Longer than an exporter needs whose backend answers; the end of a host waits for it.
_FLUSH_MS: Final = 2_000


def exporters_of(environ: Mapping[str, str]) -> list[str]:
    """Names of the exporters that the environment asks for; empty for none."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    named = environ.get(EXPORTER, "").strip().lower()
    if not named:
        return ["otlp"] if any(environ.get(name) for name in ENDPOINTS) else []
    names = [name.strip() for name in named.split(",")]
    return [name for name in names if name not in ("", "none")]


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
        raise missing_extra() from None
    has_name = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = Resource.create({} if has_name else {"service.name": service})
    provider = Provider(resource=resource)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    places = ["the console" if name == "console" else _endpoint(environ) for name in names]
    name = str(resource.attributes["service.name"])
    return f"{' and '.join(places)} (service '{name}')"


def flush() -> None:
    """Send what waits in batches; returns within seconds. Blocks."""
    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "force_flush"):
        provider.force_flush(_FLUSH_MS)


def missing_extra() -> ConfigError:
    """The environment asks for traces, and nothing here can send them."""
    return ConfigError(
        "The environment names an exporter of traces (OTEL_...), which needs OpenTelemetry:"
        ' pip install "durable-app[otel]"'
    )


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


def _endpoint(environ: Mapping[str, str]) -> str:
    return next((found for name in ENDPOINTS if (found := environ.get(name))), _DEFAULT_ENDPOINT)
