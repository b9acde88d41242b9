"""Options of `func hub start`."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable_app.cli.hub import _options, _parser
from durable_app.cli.main import main


def options(*arguments: str):
    return _options(_parser().parse_args(["start", *arguments]))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    for name in (
        "DURABLE_APP_STORE",
        "DURABLE_APP_HUB_TOKEN",
        "DTS_TASK_HUB_NAMES",
        "DTS_USE_DYNAMIC_TASK_HUBS",
    ):
        monkeypatch.delenv(name, raising=False)


def test_nothing_has_to_be_said():
    assert options()._asdict() == {
        "store": Path(".durable/hub.db"),
        "address": "localhost",
        "port": 8080,
        "health_port": 8081,
        "names": ("default",),
        "is_dynamic": False,
        "token": None,
        "certificate": None,
        "key": None,
        "is_open": False,
        "dashboard_port": None,
    }


def test_every_option_reaches_the_service():
    found = options(
        *("--port", "1", "--health-port", "2", "--dashboard-port", "3", "--address", "::1"),
        *("--store", "memory", "--task-hubs", "a", "b", "--dynamic", "--allow-anonymous"),
        *("--tls-cert", "c.pem", "--tls-key", "k.pem"),
    )
    assert found._asdict() == {
        "store": None,
        "address": "::1",
        "port": 1,
        "health_port": 2,
        "names": ("a", "b"),
        "is_dynamic": True,
        "token": None,
        "certificate": Path("c.pem"),
        "key": Path("k.pem"),
        "is_open": True,
        "dashboard_port": 3,
    }


def test_the_environment_says_what_the_command_line_does_not(monkeypatch):
    monkeypatch.setenv("DURABLE_APP_STORE", "sqlite:x.db")
    monkeypatch.setenv("DURABLE_APP_HUB_TOKEN", "t" * 20)
    monkeypatch.setenv("DTS_TASK_HUB_NAMES", "a,b")
    monkeypatch.setenv("DTS_USE_DYNAMIC_TASK_HUBS", "true")
    found = options()
    assert (found.store, found.token, found.names) == (Path("x.db"), "t" * 20, ("a", "b"))
    assert found.is_dynamic


def test_an_environment_that_says_neither_yes_nor_no_is_refused(monkeypatch, capsys):
    monkeypatch.setenv("DTS_USE_DYNAMIC_TASK_HUBS", "maybe")
    assert main(["hub", "start", "--store", "memory", "--dynamic"]) == 1
    said = capsys.readouterr().err
    assert "DTS_USE_DYNAMIC_TASK_HUBS=maybe: write true, 1 or yes, or false, 0 or no." in said


def test_it_is_told_what_to_do(capsys):
    assert main(["hub", "--help"]) == 0
    assert "--health-port" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["postgres://x", "file.db"])
def test_a_store_that_cannot_be_used_is_refused(wrong, capsys):
    assert main(["hub", "start", "--store", wrong, "--port", "0"]) == 1
    assert "sqlite:PATH" in capsys.readouterr().err


def test_an_error_can_be_seen_whole():
    with pytest.raises(ValueError, match="sqlite:PATH"):
        main(["hub", "start", "--store", "x", "--debug"])
