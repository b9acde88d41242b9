"""Which command is meant."""

import io
import os
import runpy
import subprocess
import sys

import pytest

from durable_app.cli.main import main


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"], ["--verbose"]])
def test_the_usage_lists_the_commands(capsys, arguments):
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "func <command>" in told
    assert all(verb in told for verb in ("start", "durable", "init", "new", "pack"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["start", "--help"], "--script-root"),
        (["host", "start", "--help"], "--enableAuth"),
        (["help", "start"], "usage: func start"),
        (["help", "host", "start"], "usage: func start"),
        (["durable", "--help"], "purge-history"),
        (["durable", "start-new", "--help"], "--function-name"),
        (["function", "new", "--help"], "usage: func new"),
        (["create", "--help"], "usage: func new"),
        (["init", "--help"], "--worker-runtime"),
        (["pack", "--help"], "--no-build"),
        (["settings", "--help"], "delete"),
        (["templates", "--help"], "list"),
    ],
)
def test_every_command_explains_its_options(capsys, arguments, told):
    assert main(arguments) == 0
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--version"], ["-v"], ["version"]])
def test_the_version_is_printed_alone(capsys, arguments):
    from durable_app import __version__

    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_global_options_may_stand_before_the_command(tmp_path, capsys):
    at = str(tmp_path / "no")
    for before in (["--script-root", at], [f"--prefix={at}"], ["--verbose", "--prefix", at]):
        assert main([*before, "start"]) == 1
        assert "is no folder" in capsys.readouterr().err


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_an_error_waits_for_enter_if_asked_to(tmp_path, capsys, monkeypatch):
    keyboard = _Terminal("\n")
    monkeypatch.setattr(sys, "stdin", keyboard)
    main(["start", "--pause-on-error", "--script-root", str(tmp_path / "no")])
    assert "Press Enter" in capsys.readouterr().out
    assert keyboard.read() == ""


def test_the_package_is_the_command_too(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["durable_app", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("durable_app", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    "module", ["main", "options", "start", "durable", "durable.parsing", "passthrough", "new"]
)
def test_importing_the_command_loads_nothing_heavy(module):
    loaded = f"import sys, durable_app.cli.{module}; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"asyncio", "aiohttp", "pydantic", "azure.functions", "msgspec", "sqlite3"}
    assert not heavy & set(modules)


def test_a_misspelt_command_is_told_its_nearest_name(capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert main(["strat"]) == 1
    assert "Did you mean start?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["hub", "strat"], 3, "'strat' is none of start. Did you mean start?"),
        (["templates", "lst"], 1, "Did you mean templates list?"),
    ],
)
def test_a_misspelt_second_word_gets_the_nearest_one(capsys, monkeypatch, arguments, code, told):
    monkeypatch.setenv("PATH", "")
    assert main(arguments) == code
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("given", [None, "INFO"])
def test_grpc_itself_prints_only_what_is_asked_for(capsys, monkeypatch, given):
    monkeypatch.setenv("GRPC_VERBOSITY", "INFO")
    if given is None:
        monkeypatch.delenv("GRPC_VERBOSITY")
    main(["start", "--help"])
    assert os.environ["GRPC_VERBOSITY"] == (given or "NONE")
