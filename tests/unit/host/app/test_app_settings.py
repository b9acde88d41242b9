"""App settings in bindings, and those that switch functions off."""

from __future__ import annotations

import pytest

from durable_app.host.app.app_settings import (
    UnresolvedSettingError,
    app_setting,
    is_disabled,
    with_settings,
)

ENVIRON = {"QUEUE": "orders", "EMPTY": "", "Section__Key": "nested", "CRON": "0 */5 * * * *"}


def resolved(**properties):
    (binding,) = with_settings(({"type": "t", "name": "%QUEUE%", **properties},), ENVIRON)
    assert binding.pop("type") == "t"
    assert binding.pop("name") == "%QUEUE%"
    return binding


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("%QUEUE%", "orders"),
        ("a-%QUEUE%-%queue%", "a-orders-orders"),
        ("%CRON%", "0 */5 * * * *"),
        ("x%EMPTY%y", "xy"),
        ("%Section:Key%", "nested"),
        ("%section__key%", "nested"),
        ("100% of it", "100% of it"),
        ("plain", "plain"),
        (5, 5),
        (None, None),
        (["%QUEUE%", "GET"], ["orders", "GET"]),
        ({"inner": "%QUEUE%"}, {"inner": "orders"}),
    ],
)
def test_settings_are_put_into_every_text(value, expected):
    assert resolved(property=value) == {"property": expected}


def test_names_of_durable_functions_stay_as_they_are():
    bindings = (
        {"type": "orchestrationTrigger", "name": "context", "orchestration": "%QUEUE%"},
        {"type": "durableClient", "name": "client", "taskHub": "%QUEUE%"},
    )
    trigger, client = with_settings(bindings, ENVIRON)
    assert trigger["orchestration"] == "%QUEUE%"
    assert client["taskHub"] == "orders"


def test_a_setting_that_is_not_there_is_named():
    with pytest.raises(UnresolvedSettingError, match=r"^'%NO%' does not resolve to a value\. Set"):
        resolved(queueName="a%NO%")


def test_settings_are_found_in_any_case_but_first_as_they_are_written():
    assert app_setting("key", {"KEY": "other", "key": "same"}) == "same"
    assert app_setting("Key", {"KEY": "other"}) == "other"
    assert app_setting("a:b", {"a__b": "x"}) == "x"
    assert app_setting("none", {"KEY": "other"}) is None


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("AzureWebJobs.tick.Disabled", "true", True),
        ("AzureWebJobs.tick.Disabled", "TRUE ", True),
        ("AzureWebJobs.Tick.disabled", "1", True),
        ("AzureWebJobs_tick_Disabled", "True", True),
        ("AzureWebJobs.tick.Disabled", "false", False),
        ("AzureWebJobs.tick.Disabled", "0", False),
        ("AzureWebJobs.tick.Disabled", "yes", False),
        ("AzureWebJobs.tock.Disabled", "true", False),
    ],
)
def test_functions_are_switched_off_by_a_setting(setting, value, expected):
    assert is_disabled("tick", {setting: value}) is expected
