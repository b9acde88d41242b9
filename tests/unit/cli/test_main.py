"""Which command is meant."""

import runpy
import signal
import subprocess
import sys

import pytest

from durable_app.cli.main import main


def test_without_a_command_the_usage_is_shown(capsys):
    assert main([]) == 0
    assert "func <command>" in capsys.readouterr().out


def test_an_unknown_command_says_so(capsys):
    assert main(["azure", "functionapp", "publish"]) == 1
    assert "'azure functionapp' is no command" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--port", "70000"], ["--nope"], ["-p", "x"]])
def test_a_wrong_option_is_refused(capsys, option):
    assert main(["start", *option]) == 2
    assert "usage: func start" in capsys.readouterr().err


def test_options_are_explained(capsys):
    assert main(["host", "start", "--help"]) == 0
    assert "--script-root" in capsys.readouterr().out


def test_the_version_is_printed_alone(capsys):
    from durable_app import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_a_folder_that_is_none_is_an_error(tmp_path, capsys):
    assert main(["start", "--script-root", str(tmp_path / "no")]) == 1
    assert "is no folder" in capsys.readouterr().err


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


def test_the_package_is_the_command_too(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["durable_app", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("durable_app", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip()


def test_importing_the_command_loads_nothing_heavy():
    loaded = "import sys, durable_app.cli.main; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"asyncio", "aiohttp", "pydantic", "azure.functions", "msgspec"} & set(modules)
