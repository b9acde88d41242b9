"""Which exporters the environment names, by OpenTelemetry's own variables.

Needs no OpenTelemetry, so that a host can tell that it is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXPORTER: Final = "OTEL_TRACES_EXPORTER"
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
MISSING: Final = (
    "The environment names an exporter of traces (OTEL_...), which is not installed:"
    ' pip install "durable-app[otel]"'
)
_DEFAULT_ENDPOINT: Final = "http://localhost:4318"


def exporters_of(environ: Mapping[str, str]) -> list[str]:
    """Names of the exporters that the environment asks for; empty for none."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    named = environ.get(EXPORTER, "").strip().lower()
    if not named:
        return ["otlp"] if any(environ.get(name) for name in ENDPOINTS) else []
    names = [name.strip() for name in named.split(",")]
    return [name for name in names if name not in ("", "none")]


def endpoint_of(environ: Mapping[str, str]) -> str:
    """Where the exporter ``otlp`` sends to."""
    return next((found for name in ENDPOINTS if (found := environ.get(name))), _DEFAULT_ENDPOINT)
