"""`func init`: the files of a new app."""

import json
import subprocess

import pytest

from durable_app.cli.main import main
from durable_app.host.config.settings import read_host_settings, read_local_settings

FILES = {
    ".funcignore",
    ".gitignore",
    ".vscode",
    "function_app.py",
    "getting_started.md",
    "host.json",
    "local.settings.json",
    "requirements.txt",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_the_files_of_a_core_tools_app_are_written(folder, capsys):
    assert main(["init", "shop"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert names(folder / "shop") == FILES
    assert {"Writing host.json", "Writing .vscode/extensions.json"} <= set(told)
    assert len(told) == len(FILES)


def test_the_settings_are_those_of_core_tools_and_ours_take_them(folder):
    main(["init"])
    host = json.loads((folder / "host.json").read_text())
    local = json.loads((folder / "local.settings.json").read_text())
    assert host["extensionBundle"]["version"] == "[4.*, 5.0.0)"
    assert local["Values"] == {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    }
    assert read_host_settings(folder, {}).version == "2.0"
    assert read_local_settings(folder).is_encrypted is False


def test_a_file_that_exists_is_kept_unless_forced(folder, capsys):
    (folder / "host.json").write_text("{}")
    main(["init"])
    assert "host.json already exists. Skipped!" in capsys.readouterr().out
    assert (folder / "host.json").read_text() == "{}"
    main(["init", "--force"])
    assert (folder / "host.json").read_text() != "{}"


@pytest.mark.parametrize(
    ("option", "more", "less"),
    [
        ("--no-docs", set(), {"getting_started.md"}),
        ("--docker", {"Dockerfile", ".dockerignore"}, set()),
    ],
)
def test_files_can_be_left_out_or_added(folder, option, more, less):
    main(["init", option])
    assert names(folder) == (FILES | more) - less


def test_the_docker_file_alone(folder):
    main(["init", "--docker-only"])
    assert names(folder) == {"Dockerfile", ".dockerignore"}


def test_the_bundle_can_be_chosen_or_left_out(folder):
    main(["init", "--bundles-channel", "Preview"])
    assert "ExtensionBundle.Preview" in (folder / "host.json").read_text()
    main(["init", "--no-bundle", "--force"])
    assert "extensionBundle" not in (folder / "host.json").read_text()


def test_a_repository_is_made_once(folder, capsys):
    main(["init", "--source-control"])
    main(["init", "--source-control"])
    told = capsys.readouterr().out
    assert (folder / ".git").is_dir()
    assert told.count("Initialized an empty git repository.") == 1
    assert "already a git repository" in told
    files = subprocess.run(
        ["git", "status", "--short"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    assert "local.settings.json" not in files


def test_without_git_there_is_no_repository(folder, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert main(["init", "--source-control"]) == 1
    assert "git could not make a repository" in capsys.readouterr().err


def test_a_virtual_environment_in_the_folder_is_not_deployed(folder, monkeypatch):
    monkeypatch.setattr("sys.prefix", str(folder / "env311"))
    main(["init"])
    assert (folder / ".funcignore").read_text().endswith("\nenv311\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--worker-runtime", "node"], "none for node"),
        (["--model", "v1"], "function.json"),
    ],
)
def test_other_kinds_of_apps_are_refused(folder, capsys, arguments, reason):
    assert main(["init", *arguments]) == 1
    assert reason in capsys.readouterr().err
    assert names(folder) == set()


def test_a_folder_that_cannot_be_made_is_named(folder, capsys):
    (folder / "file").write_text("")
    assert main(["init", "file/app"]) == 1
    assert "file/app" in capsys.readouterr().err
