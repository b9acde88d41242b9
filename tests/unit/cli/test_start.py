"""Options of `func start`."""

import os
import signal
import sys
from pathlib import Path

import pytest

from durable_app.cli.main import main
from durable_app.cli.start import _options, _parser
from durable_app.errors import ConfigError


def options(*arguments):
    return _options(_parser().parse_args(arguments))


def test_nothing_is_said_where_nothing_is_given():
    found = options()
    assert found == type(found)(script_root=Path())


def test_every_option_reaches_the_host():
    found = options(
        *("--port", "1", "--address", "0.0.0.0", "--cors", "http://a, http://b"),
        *("--cors-credentials", "--enableAuth", "--functions", "f", "g", "--watch"),
        *("--user-log-level", "warning", "--enable-json-output", "--json-output-file", "o"),
        *("--useHttps", "--cert", "c.pfx", "--password", "p", "--verbose", "--hub", "embedded"),
        *("--store", "memory", "--script-root", "app", "--workers", "2"),
    )
    assert found._asdict() == {
        "script_root": Path("app"),
        "port": 1,
        "address": "0.0.0.0",
        "verbose": True,
        "hub": "embedded",
        "store": "memory",
        "workers": 2,
        "cors": ("http://a", "http://b"),
        "cors_credentials": True,
        "enable_auth": True,
        "functions": ("f", "g"),
        "user_log_level": "Warning",
        "enable_json_output": True,
        "json_output_file": Path("o"),
        "watch": True,
        "https": True,
        "cert": Path("c.pfx"),
        "password": "p",
    }


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port", "70000"], "'70000' is no port"),
        (["-p", "x"], "'x' is no port"),
        (["--xyzzy"], "unknown option --xyzzy.\n"),
        (["--enableAut"], "unknown option --enableAut. Did you mean --enableAuth?"),
        (["--PORT=1"], "Did you mean --port?"),
        (["somewhere"], "'somewhere' is no option"),
        (["--user-log-level", "loud"], "'loud' is none of Trace"),
        (["--timeout", "soon"], "invalid int value"),
    ],
)
def test_a_wrong_option_is_a_parse_error(capsys, arguments, reason):
    assert main(["start", *arguments]) == 3
    told = capsys.readouterr().err
    assert "usage: func start" in told
    assert reason in told


@pytest.mark.parametrize(
    "option",
    [
        ["--no-build"],
        ["--language-worker", "x"],
        ["--runtime", "default"],
        ["--dotnet-isolated-debug"],
        ["--timeout", "20"],
    ],
)
def test_an_option_without_a_meaning_here_says_so(capsys, tmp_path, option):
    assert main(["start", *option, "--script-root", str(tmp_path / "no")]) == 1
    assert f"{option[0]} has no effect: " in capsys.readouterr().err


def test_a_folder_that_is_none_is_an_error(tmp_path, capsys):
    assert main(["start", "--script-root", str(tmp_path / "no")]) == 1
    assert "is no folder" in capsys.readouterr().err


def test_debugging_shows_where_an_error_comes_from(tmp_path):
    with pytest.raises(ConfigError):
        main(["start", "--debug", "--script-root", str(tmp_path / "no")])


@pytest.fixture
def _as_before():
    before, app = signal.getsignal(signal.SIGINT), sys.modules.pop("function_app", None)
    yield
    signal.signal(signal.SIGINT, before)
    sys.modules.pop("function_app", None)
    if app is not None:
        sys.modules["function_app"] = app


@pytest.mark.usefixtures("_as_before")
def test_an_interrupt_before_the_host_is_up_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "function_app.py").write_text("raise KeyboardInterrupt")
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["start", "--script-root", str(tmp_path), "--store", "memory"]) == 0


@pytest.fixture
def replaced(monkeypatch):
    """Commands that this process would have been replaced by."""
    commands: list[list[str]] = []

    def execv(_path, command):
        commands.append(command[1:])
        raise SystemExit(0)

    monkeypatch.setattr(os, "execv", execv)
    return commands


def test_the_debugger_that_an_editor_asks_for_gets_this_command(monkeypatch, replaced):
    wanted = "-m debugpy --listen 127.0.0.1:9091"
    monkeypatch.setenv("languageWorkers__python__arguments", wanted)
    assert main(["start", "--port", "0"]) == 0
    assert replaced == [
        ["-m", "debugpy", "--listen", "127.0.0.1:9091", "-m", "durable_app", "start", "--port", "0"]
    ]
    monkeypatch.setitem(sys.modules, "debugpy", sys)
    assert main(["start", "--script-root", "/nowhere"]) == 1
    assert len(replaced) == 1


def test_the_option_for_language_workers_asks_for_it_too(replaced):
    assert main(["start", "--language-worker=-m debugpy --listen 5678"]) == 0
    assert replaced[0][:4] == ["-m", "debugpy", "--listen", "5678"]


def test_other_arguments_of_workers_are_no_debugger(monkeypatch, replaced, capsys):
    monkeypatch.setenv("languageWorkers__python__arguments", "-X dev")
    assert main(["start", "--script-root", "/nowhere"]) == 1
    assert replaced == []
