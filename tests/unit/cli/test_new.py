"""`func new`: the functions of a template, in an app that then has them."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from durable_app.cli.catalog import CATALOG, find_template
from durable_app.cli.main import main
from tests.unit.cli.rig import write_app

ROOT = Path(__file__).resolve().parents[3]
INDEX = (
    "import function_app\n"
    "from durable_app.functions.index import index_app\n"
    "for f in index_app(function_app.app).functions: print(f.name, f.trigger_type)\n"
)


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    folder = write_app(tmp_path / "app")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def refused(capsys):
    """Runs a command that must be refused; what it says on stderr."""

    def run(*arguments):
        assert main(["new", *arguments]) == 1
        return capsys.readouterr().err

    return run


def indexed(folder):
    """Trigger types by name, as a fresh interpreter indexes the app."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", INDEX],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


def test_an_app_of_all_templates_is_indexed_and_clean(app, capsys):
    for template in CATALOG:
        assert main(["new", "-t", template.title, "-n", f"my_{template.file}"]) == 0
        assert (
            f'The function "my_{template.file}" was created successfully from the'
            f' "{template.title}" template.'
        ) in capsys.readouterr().out
    types = indexed(app)
    assert types["my_http_trigger"] == "httpTrigger"
    assert types["my_timer_trigger"] == "timerTrigger"
    assert types["my_queue_trigger"] == "queueTrigger"
    for template in CATALOG:
        if template.is_durable:
            assert types[f"my_{template.file}"] == "orchestrationTrigger"
            assert types[f"my_{template.file}_start"] == "httpTrigger"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--isolated",
            "--select",
            "E,F,W,I,B,UP,RUF",
            "--line-length",
            "100",
            "function_app.py",
        ],
        check=True,
    )


@pytest.mark.parametrize("template", CATALOG, ids=lambda template: template.file)
def test_each_template_is_a_blueprint_by_itself(app, template):
    assert main(["new", "-t", template.file, "-n", "orders", "-f", "shop.py"]) == 0
    assert "orders" in indexed(app)
    assert "my_function" not in (app / "shop.py").read_text()
    assert len(template.summary) > 10


def test_a_blueprint_takes_more_functions_and_is_registered_once(app):
    main(["new", "-t", "saga", "-n", "first", "-f", "shop.py"])
    main(["new", "-t", "monitor", "-n", "second", "-f", "shop.py"])
    assert {"first", "second"} <= indexed(app).keys()
    assert (app / "function_app.py").read_text().count("register_functions") == 1


def test_a_blueprint_may_be_in_a_package(app):
    main(["new", "-t", "timer", "-n", "tick", "-f", "triggers/clock.py"])
    assert indexed(app) == {"tick": "timerTrigger"}


def test_an_app_file_that_is_missing_is_made(app):
    (app / "function_app.py").unlink()
    main(["new", "-t", "timer", "-n", "tick"])
    assert indexed(app) == {"tick": "timerTrigger"}


def test_a_blueprint_without_an_app_file_gets_one(app):
    (app / "function_app.py").unlink()
    main(["new", "-t", "timer", "-n", "tick", "-f", "clock.py"])
    assert indexed(app) == {"tick": "timerTrigger"}


def test_how_to_register_is_said_where_the_app_is_not_found(app, capsys):
    (app / "function_app.py").write_text("from elsewhere import app\n")
    main(["new", "-t", "timer", "-n", "tick", "-f", "clock.py"])
    assert "add: import clock; app.register_functions(clock.bp)" in capsys.readouterr().out


def test_the_authorization_level_is_chosen(app):
    main(["new", "-t", "http", "-n", "hello", "--authlevel", "anonymous"])
    assert "auth_level=func.AuthLevel.ANONYMOUS" in (app / "function_app.py").read_text()


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("HTTP trigger", "http_trigger"),
        ("HttpTrigger", "http_trigger"),
        ("timer", "timer_trigger"),
        ("fan out", "fan_out"),
        ("Durable Functions orchestrator", "chaining"),
        ("11", "eternal"),
    ],
)
def test_a_template_is_found_by_any_of_its_names(text, file):
    found = find_template(text)
    assert found is not None
    assert found.file == file


@pytest.mark.parametrize("text", ["", "0", "99", "blob"])
def test_what_is_no_template_is_not_found(text):
    assert find_template(text) is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-t", "sagga"], 'Can\'t find template "sagga" in "Python". Did you mean Saga?'),
        (["-n", "x"], "say it with --template"),
        (["-t", "saga"], "say it with --name"),
        (["-t", "saga", "-n", "my-f"], "'my-f' cannot be the name"),
        (["-t", "saga", "-n", "class"], "'class' cannot be the name"),
        (["-t", "saga", "-n", "Host"], "'Host' cannot be the name"),
        (["-t", "saga", "-n", "x", "-a", "admn"], "Did you mean ADMIN?"),
        (["-t", "saga", "-n", "x", "-f", "../x.py"], "within the app's folder"),
        (["-t", "saga", "-n", "x", "-f", "x.txt"], "name a Python module"),
        (["-t", "saga", "-n", "x", "-f", "my-x.py"], "name a Python module"),
        (["-t", "saga", "-n", "x", "-l", "C#"], "none in C#"),
    ],
)
def test_what_cannot_be_made_is_refused(app, refused, arguments, reason):
    before = (app / "function_app.py").read_text()
    assert reason in refused(*arguments)
    assert (app / "function_app.py").read_text() == before


def test_a_name_that_exists_anywhere_in_the_app_is_refused(app, refused):
    main(["new", "-t", "timer", "-n", "Orders", "-f", "shop.py"])
    told = refused("-t", "saga", "-n", "orders")
    assert "a function 'orders' in shop.py already" in told


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("x = 1\n", "makes no app"),
        ("def\n", "Mend it first"),
        ("import azure.functions as func\napp = func.FunctionApp()\n", "is no DFApp"),
    ],
)
def test_an_app_that_cannot_take_the_functions_is_refused(app, refused, source, reason):
    (app / "function_app.py").write_text(source)
    assert reason in refused("-t", "saga", "-n", "x")


def test_plain_functions_go_to_a_plain_app(app):
    source = "import azure.functions as func\n\napp = func.FunctionApp()\n"
    (app / "function_app.py").write_text(source)
    assert main(["new", "-t", "http", "-n", "hello"]) == 0
    assert indexed(app) == {"hello": "httpTrigger"}


def test_a_file_that_is_no_blueprint_is_left_alone(app, refused):
    (app / "shop.py").write_text("x = 1\n")
    assert "makes no durable_app blueprint" in refused("-t", "saga", "-n", "x", "-f", "shop.py")


def test_a_folder_without_an_app_is_refused(tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "Run `func init` there first" in refused("-t", "saga", "-n", "x")


def test_a_file_that_cannot_be_written_is_named(app, refused, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert "files cannot be used: [Errno 28] No space left" in refused("-t", "timer", "-n", "x")


def test_a_file_that_is_no_text_is_named(app, refused):
    (app / "binary.py").write_bytes(b"\xff\xfe")
    assert "files cannot be used: 'utf-8' codec" in refused("-t", "timer", "-n", "x")


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_what_is_missing_is_asked_for_on_a_terminal(app, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", _Terminal("1\nhello\nadmin\n"))
    assert main(["new"]) == 0
    assert " 1. HTTP trigger" in capsys.readouterr().out
    assert "AuthLevel.ADMIN" in (app / "function_app.py").read_text()


def test_enter_takes_what_is_proposed(app, monkeypatch):
    monkeypatch.setattr(sys, "stdin", _Terminal("saga\n\n\n"))
    assert main(["new"]) == 0
    assert "saga" in indexed(app)


def test_the_end_of_the_answers_ends_it(app, refused, monkeypatch):
    monkeypatch.setattr(sys, "stdin", _Terminal(""))
    assert "Nothing was written." in refused()


def test_the_templates_are_listed(capsys):
    assert main(["templates", "list"]) == 0
    told = capsys.readouterr().out
    assert all(template.title in told for template in CATALOG)
