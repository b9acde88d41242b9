"""host.json and local.settings.json."""

import json
from datetime import timedelta

import pytest

from durable_app.errors import ConfigError
from durable_app.host.settings import (
    apply_values,
    expand_setting,
    read_host_settings,
    read_local_settings,
)


def host(tmp_path, content, **environ):
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "host.json").write_text(text)
    return read_host_settings(tmp_path, environ)


def test_without_files_the_defaults_hold(tmp_path):
    settings = read_host_settings(tmp_path, {})
    assert settings.extensions.http.route_prefix == "api"
    assert settings.function_timeout == timedelta(minutes=30)
    assert settings.extensions.durable_task.max_orchestration_actions == 100_000
    assert read_local_settings(tmp_path).values == {}


def test_keys_are_matched_in_any_case_and_unknown_ones_are_left_alone(tmp_path):
    settings = host(
        tmp_path,
        {
            "Version": "2.0",
            "functionTimeout": "1.02:03:04",
            "watchDirectories": [],
            "extensions": {
                "HTTP": {"routeprefix": ""},
                "durableTask": {"HubName": "h", "maxConcurrentActivityFunctions": 3},
            },
        },
    )
    assert settings.extensions.http.route_prefix == ""
    assert settings.extensions.durable_task.hub_name == "h"
    assert settings.extensions.durable_task.max_concurrent_activity_functions == 3
    assert settings.function_timeout == timedelta(days=1, hours=2, minutes=3, seconds=4)


def test_a_timeout_of_minus_one_is_none(tmp_path):
    assert host(tmp_path, {"functionTimeout": "-1"}).function_timeout is None


def test_the_environment_overrides_single_options(tmp_path):
    settings = host(
        tmp_path,
        {"extensions": {"durableTask": {"hubName": "file"}}},
        AzureFunctionsJobHost__extensions__DurableTask__hubName="env",
        AzureFunctionsJobHost__extensions__http__routePrefix="v1",
    )
    assert settings.extensions.durable_task.hub_name == "env"
    assert settings.extensions.http.route_prefix == "v1"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('{"version": "2.0",\n  oops}', r"host\.json, line 2, column 3: not valid JSON"),
        ("[1]", "must be a JSON object"),
        ({"version": "1.0"}, "version '1.0' is not supported"),
        ({"functionTimeout": "soon"}, "functionTimeout: .*no time span"),
        (
            {"extensions": {"durableTask": {"maxConcurrentActivityFunctions": "many"}}},
            r"extensions\.durableTask\.maxConcurrentActivityFunctions: .*integer.*'many'",
        ),
        (
            {"extensions": {"durableTask": {"maxConcurrentActivityFunctions": 0}}},
            "greater than or equal to 1",
        ),
        (
            {"extensions": {"durableTask": {"overridableExistingInstanceStates": "None"}}},
            "NonRunningStates",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, content, text):
    with pytest.raises(ConfigError, match=text):
        host(tmp_path, content)


def test_local_values_go_to_the_environment_unless_they_are_there(tmp_path):
    (tmp_path / "local.settings.json").write_text(
        json.dumps(
            {
                "IsEncrypted": False,
                "Values": {"A": "1", "B": "2", "C": None, "D": True, "E": 5},
                "Host": {"LocalHttpPort": 7072},
            }
        )
    )
    settings = read_local_settings(tmp_path)
    environ = {"A": "mine"}
    notes = apply_values(settings, environ)
    assert environ == {
        "A": "mine",
        "B": "2",
        "D": "true",
        "E": "5",
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
    }
    assert notes == [
        "Skipping 'A' from local settings as it's already defined in current environment variables."
    ]
    assert settings.host.local_http_port == 7072


def test_encrypted_settings_are_refused(tmp_path):
    (tmp_path / "local.settings.json").write_text('{"IsEncrypted": true, "Values": {}}')
    with pytest.raises(ConfigError, match="is encrypted"):
        read_local_settings(tmp_path)


def test_a_setting_stands_for_the_whole_text_only():
    assert expand_setting("%HUB%", {"HUB": "h1"}, "hubName") == "h1"
    assert expand_setting("x%HUB%", {"HUB": "h1"}, "hubName") == "x%HUB%"
    with pytest.raises(ConfigError, match="hubName: '%NO%' does not resolve to a value"):
        expand_setting("%NO%", {}, "hubName")
