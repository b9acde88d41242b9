"""The package itself: lazy names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import durable_app
from durable_app import testing
from durable_app.foreign_names import INSTEAD

ROOT = Path(durable_app.__file__).parent.parent


@pytest.mark.parametrize("name", durable_app.__all__)
def test_every_public_name_can_be_loaded(name):
    vars(durable_app).pop(name, None)
    value = getattr(durable_app, name)
    assert vars(durable_app)[name] is value
    assert value.__module__.startswith("durable_app.")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'durable_app' has no attribute 'Nothing'"):
        durable_app.Nothing  # type: ignore[attr-defined]  # noqa: B018  the access is the test


def test_a_name_of_other_libraries_is_told_apart_from_a_misspelt_one():
    with pytest.raises(AttributeError, match=r"'Orchestrator': not in this version .* decorate"):
        durable_app.Orchestrator  # type: ignore[attr-defined]  # noqa: B018  the access is the test


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("EntityLock", "lock_entities"),
        ("CompletableTask", "durable_app.Task"),
        ("EntityOperationFailedException", "catch TaskFailedError"),
        ("ActivityNotRegisteredError", "is_caused_by"),
        ("JsonDataConverter", "to_json and from_json"),
        ("TaskHubGrpcWorker", "DurableTaskSchedulerWorker"),
        ("TaskHubGrpcClient", "durable_client_input"),
        ("use_versioning", "versionMatchStrategy"),
        ("BlobPayloadStore", "any size"),
        ("ExportHistoryClient", "get_orchestration_history"),
    ],
)
def test_a_name_that_is_not_here_tells_what_to_do_instead(name, advice):
    with pytest.raises(AttributeError, match=f"'{name}': not in this version .*{advice}"):
        getattr(durable_app, name)


@pytest.mark.parametrize("make", [durable_app.DFApp, durable_app.Blueprint])
def test_an_app_tells_what_to_do_instead_too(make):
    app = make()
    with pytest.raises(AttributeError, match=r"configure_large_payloads.* not in this version"):
        app.configure_large_payloads()
    with pytest.raises(
        AttributeError, match=f"^{make.__name__} has no attribute 'activity_trgger'"
    ):
        app.activity_trgger()


def test_what_is_said_to_be_elsewhere_is_not_here():
    found = set(INSTEAD) & set(durable_app.__all__)
    assert not found, f"now in durable_app: remove them from durable_app/foreign_names.py: {found}"
    for owner in (durable_app.DFApp, durable_app.Blueprint, durable_app.DurableFunctionsClient):
        assert [name for name in INSTEAD if hasattr(owner, name)] == []


def test_what_is_said_to_be_in_testing_is_there():
    said = {name for name, advice in INSTEAD.items() if "durable_app.testing" in advice}
    assert said
    assert said <= set(testing.__all__)


def test_public_names_are_listed_before_they_are_loaded():
    listed = dir(durable_app)
    assert set(durable_app.__all__) <= set(listed)
    assert "__version__" in listed
    assert "import_module" not in listed
    assert durable_app.__all__ == sorted(durable_app.__all__)


def modules_after(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    )
    return set(done.stdout.split())


def test_the_app_brings_nothing_heavy_beyond_azure_functions():
    ours = modules_after("import durable_app; durable_app.DFApp")
    azures = modules_after("import azure.functions")
    heavy = {"grpc", "google.protobuf", "sqlite3", "aiohttp", "pydantic", "asyncio"}
    assert (ours - azures) & heavy == set()
    assert "durable_app.functions.app" in ours
