"""Exporters that the environment names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from durable_app.errors import ConfigError
from durable_app.tracing import provider
from durable_app.tracing.exporters import exporters_of

OTLP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
ENDPOINT = "http://localhost:1"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Where the global provider is, for the time of the test."""
    place: list[Any] = [trace.ProxyTracerProvider()]
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: place[0])
    monkeypatch.setattr(trace, "set_tracer_provider", lambda given: place.__setitem__(0, given))
    yield place
    if hasattr(place[0], "shutdown"):
        place[0].shutdown()


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What takes the place of the exporter over HTTP."""
    kept = InMemorySpanExporter()
    module = ModuleType(OTLP)
    module.OTLPSpanExporter = lambda: kept  # type: ignore[attr-defined]  # of the stand-in
    monkeypatch.setitem(sys.modules, OTLP, module)
    return kept


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"OTEL_SERVICE_NAME": "shop"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ENDPOINT}, ["otlp"]),
        ({"OTEL_TRACES_EXPORTER": "OTLP, console"}, ["otlp", "console"]),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}, []),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, []),
    ],
)
def test_the_environment_names_exporters(environ: dict[str, str], expected: list[str]) -> None:
    assert exporters_of(environ) == expected


def test_nothing_is_set_where_no_exporter_is_named(place: list[Any]) -> None:
    assert provider.set_provider({}, "app") is None
    assert not provider.app_has_provider()
    provider.flush()


def test_spans_go_to_the_exporter(place: list[Any], exporter: InMemorySpanExporter) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}
    told = provider.set_provider(environ, "app")
    assert told == f"{ENDPOINT} (service 'app')"
    assert provider.app_has_provider()
    with place[0].get_tracer("t").start_as_current_span("it"):
        pass
    provider.flush()
    assert [span.name for span in exporter.get_finished_spans()] == ["it"]


@pytest.mark.parametrize(
    "environ", [{"OTEL_SERVICE_NAME": "shop"}, {"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop"}]
)
def test_the_service_has_the_name_of_the_environment(
    place: list[Any],
    exporter: InMemorySpanExporter,
    environ: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    told = provider.set_provider({"OTEL_TRACES_EXPORTER": "otlp,console", **environ}, "app")
    assert told == "http://localhost:4318 and the console (service 'shop')"


def test_an_unknown_exporter_is_an_error(place: list[Any]) -> None:
    with pytest.raises(ConfigError, match="OTEL_TRACES_EXPORTER is 'zipkin'; known are otlp"):
        provider.set_provider({"OTEL_TRACES_EXPORTER": "zipkin"}, "app")
    assert not provider.app_has_provider()


def test_an_exporter_that_is_not_installed_is_an_error(
    place: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, OTLP, None)
    with pytest.raises(ConfigError, match=r"pip install \"durable-app\[otel\]\""):
        provider.set_provider({"OTEL_TRACES_EXPORTER": "otlp"}, "app")
