"""Commands of the Core Tools go to the Core Tools, and never to ourselves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from durable_app.cli.main import main
from durable_app.cli.passthrough import GUARD, find_core_tools

ROOT = Path(__file__).resolve().parents[3]


def script(folder, text, name="func"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def path_of(*folders):
    return {"PATH": os.pathsep.join(map(str, folders))}


TOOLS = '#!/bin/sh\necho "tools: $@"; cat; echo "guard=$DURABLE_APP_PASSED_ON"; exit 7\n'
OURS = f"#!{sys.executable}\nfrom durable_app.cli.main import main\nmain()\n"


def test_arguments_input_and_exit_code_are_passed_on(tmp_path):
    script(tmp_path / "real", TOOLS)
    done = subprocess.run(
        [sys.executable, "-m", "durable_app", "--verbose", "azure", "functionapp", "publish", "x"],
        env={
            "PATH": f"{tmp_path / 'real'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        input="typed\n",
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 7
    assert done.stdout == "tools: --verbose azure functionapp publish x\ntyped\nguard=1\n"


def test_without_core_tools_it_is_said_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(GUARD, raising=False)
    assert main(["kubernetes", "deploy"]) == 1
    told = capsys.readouterr().err
    assert "'kubernetes deploy' is a command of Azure Functions Core Tools" in told
    assert "npm install -g azure-functions-core-tools@4" in told


@pytest.mark.parametrize("command", [["settings", "encrypt"], ["templates", "x"], ["bundles"]])
def test_what_we_do_not_know_of_a_command_is_passed_on(tmp_path, monkeypatch, capsys, command):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(command) == 1
    assert "Core Tools" in capsys.readouterr().err


def test_a_command_that_comes_back_is_not_passed_on_again(monkeypatch, capsys):
    monkeypatch.setenv(GUARD, "1")
    assert main(["azure"]) == 1
    assert "nor of what passed it on" in capsys.readouterr().err


def test_our_own_scripts_are_skipped(tmp_path):
    script(tmp_path / "venv", OURS)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "func").symlink_to(tmp_path / "venv" / "func")
    real = script(tmp_path / "real", TOOLS)
    found = find_core_tools(path_of(tmp_path / "venv", tmp_path / "link", tmp_path / "real"))
    assert found == real


def test_the_script_that_runs_is_skipped(tmp_path, monkeypatch):
    running = script(tmp_path, "#!/bin/sh\n")
    monkeypatch.setattr(sys, "argv", [str(running)])
    assert find_core_tools(path_of(tmp_path)) is None


def test_a_large_program_is_not_read(tmp_path):
    real = script(tmp_path, "durable_app" + " " * 1_000_001)
    assert find_core_tools(path_of(tmp_path)) == real


def test_what_cannot_be_started_is_no_candidate(tmp_path):
    script(tmp_path / "a", TOOLS).chmod(0o644)
    (tmp_path / "b" / "func").mkdir(parents=True)
    assert find_core_tools(path_of(tmp_path / "a", tmp_path / "b", "")) is None


def test_a_script_that_cannot_be_read_is_not_started(tmp_path, monkeypatch):
    script(tmp_path, TOOLS)

    def refused(_):
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert find_core_tools(path_of(tmp_path)) is None


def test_the_process_is_replaced(tmp_path, monkeypatch):
    real, seen = script(tmp_path, TOOLS), []
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(GUARD, raising=False)

    def replaced(path, arguments, environ):
        seen.append((path, arguments, environ[GUARD]))
        raise SystemExit(9)

    monkeypatch.setattr(os, "execve", replaced)
    with pytest.raises(SystemExit):
        main(["azure", "login"])
    assert seen == [(real, [str(real), "azure", "login"], "1")]


def test_where_processes_cannot_be_replaced_one_is_started(tmp_path, monkeypatch):
    real = script(tmp_path, "#!/bin/sh\nexit 5\n", "func.cmd")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(GUARD, raising=False)
    monkeypatch.setattr("durable_app.cli.passthrough.os", _Windows())
    assert main(["azure", "login"]) == 5
    assert real.exists()


class _Windows:
    """The module os, where processes cannot be replaced."""

    name = "nt"

    def __getattr__(self, name):
        return getattr(os, name)
