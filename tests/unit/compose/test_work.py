"""What the settings of an app mean to its worker."""

from __future__ import annotations

from typing import Any

import pytest

import durable_app as df
from durable_app.compose import work
from durable_app.functions.index import index_app
from durable_app.functions.version_match import VersionMatch
from durable_app.host.config.options import HostSettings
from durable_app.replay.http import HTTP_ACTIVITY


def options(monkeypatch: pytest.MonkeyPatch, cores: int, **durable: Any) -> Any:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    settings = HostSettings.model_validate({"extensions": {"durableTask": durable}})
    app = df.DFApp()
    app.activity_trigger(input_name="number")(double)
    return work.worker_options(settings, index_app(app))


def double(number: int) -> int:
    return number * 2


@pytest.mark.parametrize(("cores", "expected"), [(1, 20), (8, 80)])
def test_there_are_slots_by_the_number_of_cores(monkeypatch, cores, expected):
    found = options(monkeypatch, cores)
    assert (found.activities, found.entities, found.entity_rollback) == (expected, expected, True)


def test_the_settings_of_entities_reach_the_worker(monkeypatch):
    found = options(
        monkeypatch,
        8,
        maxConcurrentEntityFunctions=3,
        rollbackEntityOperationsOnExceptions=False,
    )
    assert (found.entities, found.entity_rollback) == (3, False)


def test_http_calls_are_polled_as_often_as_the_settings_say(monkeypatch):
    settings = {"defaultAsyncRequestSleepTimeMilliseconds": 1500}
    assert options(monkeypatch, 1).http_poll_s == 30
    assert options(monkeypatch, 1, httpSettings=settings).http_poll_s == 1.5


@pytest.mark.parametrize(
    ("durable", "expected"),
    [
        ({}, VersionMatch()),
        ({"defaultVersion": "2"}, VersionMatch("2")),
        (
            {"defaultVersion": "2", "versionMatchStrategy": "CurrentOrOlder"},
            VersionMatch("2", "CurrentOrOlder"),
        ),
        (
            {"versionMatchStrategy": "Strict", "versionFailureStrategy": "Fail"},
            VersionMatch(None, "Strict", fails=True),
        ),
    ],
)
def test_the_settings_of_versions_reach_the_worker(monkeypatch, durable, expected):
    assert options(monkeypatch, 1, **durable).versions == expected


def test_an_app_takes_everything_unless_it_is_told_to_filter(monkeypatch):
    assert options(monkeypatch, 1).only is None
    only = options(monkeypatch, 1, storageProvider={"workItemFilteringEnabled": True}).only
    assert only.takes_activity("double", None)
    assert only.takes_activity(HTTP_ACTIVITY, None)
    assert not only.takes_activity("other", None)
    assert not only.takes_orchestration("other", None)
