"""Which lines are shown."""

import logging

import pytest

from durable_app.host.console.log_levels import (
    CONSOLE_CATEGORY,
    NO_FUNCTION_CATEGORY,
    Level,
    LogLevels,
    is_ci,
    level_named,
)


@pytest.mark.parametrize(
    ("rules", "options", "category", "expected"),
    [
        ({}, {}, "Host.Startup", Level.WARNING),
        ({}, {}, "Worker.x", Level.WARNING),
        ({}, {}, "Microsoft.Azure.WebJobs.x", Level.WARNING),
        ({}, {}, "Function.chain", Level.INFORMATION),
        ({}, {}, "Function.chain.User", Level.INFORMATION),
        ({}, {}, CONSOLE_CATEGORY, Level.INFORMATION),
        ({}, {"verbose": True}, "Host.Startup", Level.INFORMATION),
        ({}, {"is_ci": True}, "Host.Startup", Level.INFORMATION),
        ({"default": "Error"}, {"is_ci": True}, "Host.Startup", Level.ERROR),
        ({"default": "Error"}, {"verbose": True}, "Host.Startup", Level.INFORMATION),
        ({"default": "Error"}, {"verbose": True}, "Function.chain", Level.INFORMATION),
        ({"Default": "Error"}, {}, "Function.chain", Level.ERROR),
        ({"default": "Error"}, {}, CONSOLE_CATEGORY, Level.ERROR),
        ({"default": "Debug"}, {"verbose": True}, "Host.Startup", Level.DEBUG),
        ({"Function": "Warning"}, {}, "Function.chain", Level.WARNING),
        ({"Function": "None", "Function.chain": "Debug"}, {}, "Function.chain", Level.DEBUG),
        ({"function.CHAIN": "debug"}, {}, "Function.chain", Level.DEBUG),
        ({"Function.chain": "Error"}, {}, "Function.chain2", Level.INFORMATION),
        ({"Function.chain.User": "Debug"}, {}, "Function.chain", Level.INFORMATION),
        ({"Function.chain.User": "Debug"}, {}, "Function.chain.User", Level.DEBUG),
        ({"Function.*.User": "Debug"}, {}, "Function.chain.User", Level.DEBUG),
        ({"Function.*.User": "Debug"}, {}, "Function.User", Level.INFORMATION),
        ({"Host.*": "Error"}, {}, "Host.Startup", Level.ERROR),
        ({"Host.": "Error"}, {}, "Host.Startup", Level.ERROR),
        ({"*": "Error"}, {}, "Anything", Level.ERROR),
        ({"Host": "nonsense"}, {}, "Host.x", Level.WARNING),
        ({"default": "Debug"}, {"is_enabled": False}, "Function.x", Level.NONE),
    ],
)
def test_the_longest_rule_decides(rules, options, category, expected):
    levels = LogLevels(rules, **options)
    assert levels.threshold(category) is expected
    assert levels.threshold(category) is expected  # also when it is remembered


@pytest.mark.parametrize(
    ("rules", "category", "expected"),
    [
        ({}, "Function.f.User", Level.DEBUG),
        ({}, CONSOLE_CATEGORY, Level.DEBUG),
        ({"default": "Error"}, "Function.f.User", Level.DEBUG),
        ({"Function": "Error"}, "Function.f.User", Level.DEBUG),
        ({"Function": "Error"}, "Function.f", Level.ERROR),
        ({"Function.f.User": "Error"}, "Function.f.User", Level.ERROR),
        ({CONSOLE_CATEGORY: "Error"}, CONSOLE_CATEGORY, Level.ERROR),
        ({}, "Function.f", Level.INFORMATION),
    ],
)
def test_the_users_level_is_for_what_users_write(rules, category, expected):
    assert LogLevels(rules, user_level="debug").threshold(category) is expected


@pytest.mark.parametrize(
    ("rules", "user_level", "expected"),
    [
        ({}, None, Level.INFORMATION),
        ({"default": "Trace"}, None, Level.TRACE),
        ({"Function.f.User": "Debug"}, None, Level.DEBUG),
        ({"*.User": "Debug"}, None, Level.DEBUG),
        ({"Host": "Debug"}, None, Level.INFORMATION),
        ({"default": "Error"}, None, Level.ERROR),
        ({"default": "Debug"}, "Warning", Level.WARNING),
        ({}, "nonsense", Level.INFORMATION),
    ],
)
def test_the_lowest_level_of_any_user_code(rules, user_level, expected):
    assert LogLevels(rules, user_level=user_level).lowest_of_users() is expected


def test_the_lowest_level_of_a_category_counts_those_below_it():
    levels = LogLevels({"Host.durable_app.worker": "Debug", "Host.other": "Trace"})
    assert levels.lowest_below("Host.durable_app") is Level.DEBUG
    assert levels.lowest_below("Host.aiohttp") is Level.WARNING


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"CI": "true"}, True),
        ({"CI": "False"}, False),
        ({"CI": "0"}, False),
        ({"TF_BUILD": "True"}, True),
        ({"GITHUB_ACTIONS": ""}, False),
    ],
)
def test_build_servers_are_recognised(environ, expected):
    assert is_ci(environ) is expected


def test_levels_in_terms_of_python():
    assert [level.of_python for level in Level] == [1, *range(10, 61, 10)]
    assert Level.WARNING.of_python == logging.WARNING
    assert level_named("WARNING") is Level.WARNING
    assert level_named("warn") is None
    assert NO_FUNCTION_CATEGORY.endswith(".User")
