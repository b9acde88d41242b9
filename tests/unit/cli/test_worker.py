"""Options of `func worker`."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable_app.cli.main import main
from durable_app.cli.worker import _options, _parser


def options(*arguments: str):
    return _options(_parser().parse_args(arguments))


def test_nothing_has_to_be_said():
    assert options()._asdict() == {
        "script_root": Path(),
        "connection": None,
        "task_hub": None,
        "functions": (),
        "health_port": None,
        "address": "127.0.0.1",
        "verbose": False,
        "user_log_level": None,
        "enable_json_output": False,
        "json_output_file": None,
    }


def test_every_option_reaches_the_worker():
    said = options(
        *("--connection-string", "MINE", "--task-hub", "orders", "--functions", "a", "b"),
        *("--health-port", "0", "--address", "0.0.0.0", "--verbose", "--script-root", "app"),
        *("--user-log-level", "debug", "--enable-json-output", "--json-output-file", "log"),
    )
    assert said._asdict() == {
        "script_root": Path("app"),
        "connection": "MINE",
        "task_hub": "orders",
        "functions": ("a", "b"),
        "health_port": 0,
        "address": "0.0.0.0",
        "verbose": True,
        "user_log_level": "Debug",
        "enable_json_output": True,
        "json_output_file": Path("log"),
    }


def test_an_error_is_one_line_and_a_code(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("DURABLE_TASK_SCHEDULER_CONNECTION_STRING", raising=False)
    monkeypatch.delenv("DTS_CONNECTION_STRING", raising=False)
    assert main(["worker", "--script-root", str(tmp_path / "none")]) == 1
    assert "is no folder" in capsys.readouterr().err
    assert main(["worker", "--health-port", "x"]) == 3
    with pytest.raises(Exception, match="is no folder"):
        main(["worker", "--debug", "--script-root", str(tmp_path / "none")])


def test_an_early_interrupt_is_no_error(monkeypatch):
    def interrupted(_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("durable_app.cli.worker._options", interrupted)
    assert main(["worker"]) == 0
