"""`func pack`: what is deployed, and what never is."""

import sys
import zipfile

import pytest

from durable_app.cli.main import main
from tests.unit.cli.rig import write_app

APP = {"function_app.py", "host.json", "requirements.txt"}


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHON_SCRIPT_FILE_NAME", raising=False)
    folder = write_app(tmp_path / "app")
    monkeypatch.chdir(folder)
    return folder


def packed(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return set(archive.namelist())


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_the_app_is_in_the_zip_file(app, capsys):
    assert main(["pack", "--no-build"]) == 0
    assert packed("app.zip") == APP
    assert f"into {app / 'app.zip'}" in capsys.readouterr().out


def test_packing_again_leaves_the_former_file_out(app):
    main(["pack", "--no-build"])
    main(["pack", "--no-build"])
    assert packed("app.zip") == APP


@pytest.mark.parametrize(("output", "file"), [("out", "out/app.zip"), ("o/x.zip", "o/x.zip")])
def test_the_zip_file_goes_where_it_is_wanted(app, output, file):
    main(["pack", "--no-build", "-o", f"../{output}"])
    assert packed(app.parent / file) == APP


def test_the_folder_may_be_named(app, monkeypatch):
    monkeypatch.chdir(app.parent)
    assert main(["pack", "app", "--no-build"]) == 0
    assert packed("app.zip") == APP


def test_what_funcignore_names_stays_out(app):
    write(app, "tests/a.py", "src/tests/b.py", "a.md", "keep.md", "src/c.py", "docs/d")
    (app / ".funcignore").write_text("# comment\ntests\n*.md\n!keep.md\n/docs/\n")
    main(["pack", "--no-build"])
    assert packed("app.zip") == APP | {"keep.md", "src/c.py"}


def test_secrets_and_local_state_stay_out_whatever_funcignore_says(app):
    write(app, "local.settings.json", ".durable/a.db", ".venv/x", ".git/config", "__pycache__/m")
    write(app, ".python_packages/x", "myenv/pyvenv.cfg", "myenv/lib/y.py", "src/__pycache__/n")
    (app / ".funcignore").write_text("!local.settings.json\n!.durable\n!.venv\n")
    main(["pack", "--no-build"])
    assert packed("app.zip") == APP


def test_packages_are_installed_into_it(app, tmp_path):
    package = tmp_path / "tiny"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (package / "backend.py").write_text(_BACKEND)
    (app / "requirements.txt").write_text(str(package))
    assert main(["pack"]) == 0
    assert ".python_packages/lib/site-packages/tiny.py" in packed("app.zip")


def test_packages_that_cannot_be_installed_leave_no_zip_file(app, capsys):
    (app / "requirements.txt").write_text("./nowhere")
    assert main(["pack"]) == 1
    assert "pip could not install" in capsys.readouterr().err
    assert {path.name for path in app.iterdir()} == APP


@pytest.mark.parametrize("name", ["host.json", "requirements.txt", "function_app.py"])
def test_what_is_missing_is_named(app, capsys, name):
    (app / name).unlink()
    assert main(["pack", "--no-build"]) == 1
    assert f"has no {name}" in capsys.readouterr().err


def test_an_app_of_both_models_is_refused(app, capsys):
    write(app, "hello/function.json")
    assert main(["pack", "--no-build"]) == 1
    assert "one model only" in capsys.readouterr().err


def test_an_app_of_the_old_model_is_refused(app, capsys):
    write(app, "hello/function.json")
    (app / "function_app.py").unlink()
    assert main(["pack", "--no-build"]) == 1
    assert "is a function.json app" in capsys.readouterr().err


def test_the_script_may_have_another_name(app, monkeypatch):
    (app / "function_app.py").rename(app / "main.py")
    monkeypatch.setenv("PYTHON_SCRIPT_FILE_NAME", "main.py")
    assert main(["pack", "--no-build"]) == 0
    monkeypatch.setenv("PYTHON_SCRIPT_FILE_NAME", "../main.py")
    assert main(["pack", "--no-build"]) == 1


def test_without_pathspec_it_is_said_what_to_install(app, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pathspec", None)
    assert main(["pack", "--no-build"]) == 1
    assert "pip install 'durable-app[local]'" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named(app, capsys):
    assert main(["pack", "--no-build", "-o", "host.json/x.zip"]) == 1
    assert "host.json" in capsys.readouterr().err


_BACKEND = """
import os, zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.writestr("tiny.py", "x = 1")
        wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n")
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return name
"""  # noqa: E501  lines of a wheel's files
