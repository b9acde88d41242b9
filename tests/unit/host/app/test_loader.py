"""What is found in the folder of an app, what of it runs, and what is said where nothing can."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_app.errors import ConfigError, DefinitionError
from durable_app.functions.index import AppIndex
from durable_app.host.app import importer
from durable_app.host.app.loader import load_app

APP = """
import durable_app as df
app = df.DFApp()

@app.activity_trigger("x")
def greet(x: str) -> str:
    return x
"""
PLAIN = """
import azure.functions as func
app = func.FunctionApp()

@app.route("%SLUG%/items", methods=["GET"])
def items(req: func.HttpRequest) -> str:
    return "x"

@app.timer_trigger("timer", "%CRON%")
def tick(timer: func.TimerRequest) -> None:
    pass
"""


@pytest.fixture(autouse=True)
def _imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith("durable_app"):
            del sys.modules[name]


def write(folder: Path, text: str, name: str = "function_app.py") -> Path:
    (folder / name).write_text(text)
    return folder


def names(app: object) -> list[str]:
    functions = app.functions if isinstance(app, AppIndex) else [f.facts for f in app.functions]  # type: ignore[attr-defined]  # a HostedApp
    return [function.name for function in functions]


def test_the_functions_of_the_app_are_found(tmp_path: Path) -> None:
    app = load_app(write(tmp_path, APP), {})
    assert (app.script_file, names(app)) == ("function_app.py", ["greet"])
    assert names(app.index) == list(app.index.activities) == ["greet"]


def test_a_second_load_leaves_the_search_path_alone(tmp_path: Path) -> None:
    write(tmp_path, APP)
    load_app(tmp_path, {})
    load_app(tmp_path, {})
    assert sys.path.count(str(tmp_path)) == 1


def test_the_file_may_have_another_name(tmp_path: Path) -> None:
    write(tmp_path, APP, "my_app.py")
    app = load_app(tmp_path, {"PYTHON_SCRIPT_FILE_NAME": "my_app.py"})
    assert (app.script_file, len(app.functions)) == ("my_app.py", 1)


def test_a_load_sees_what_was_saved_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, "WORD = 'one'", "words.py")
    write(tmp_path, APP + "\nimport words\n@app.route(words.WORD)\ndef word(req): ...\n")
    assert load_app(tmp_path, {}).functions[1].facts.route == "one"
    write(tmp_path, "WORD = 'another'", "words.py")
    assert load_app(tmp_path, {}).functions[1].facts.route == "another"
    module = sys.modules["words"]
    write(tmp_path, "WORD = 'thir", "words.py")
    with pytest.raises(DefinitionError, match=r"words\.py"):
        load_app(tmp_path, {})
    assert sys.modules["words"] is module


def test_an_azure_functions_app_runs_with_its_settings(tmp_path: Path) -> None:
    environ = {"SLUG": "v1", "CRON": "0 0 * * * *"}
    app = load_app(write(tmp_path, PLAIN), environ)
    items, tick = (function.facts for function in app.functions)
    assert (items.route, items.methods, items.auth_level) == ("v1/items", ("GET",), "FUNCTION")
    assert tick.bindings[0]["schedule"] == "0 0 * * * *"
    assert app.index.functions == (items, tick)
    assert app.warnings == ()


def test_a_setting_that_is_not_there_stops_its_function_alone(tmp_path: Path) -> None:
    app = load_app(write(tmp_path, PLAIN), {"SLUG": "v1"})
    assert app.functions[0].runs
    assert not app.functions[1].runs
    assert app.functions[1].error == (
        "'%CRON%' does not resolve to a value. Set CRON in local.settings.json (Values) or in the"
        " environment."
    )
    assert names(app.index) == ["items"]


def test_a_disabled_function_is_listed_and_not_run(tmp_path: Path) -> None:
    app = load_app(write(tmp_path, APP), {"AzureWebJobs.greet.Disabled": "true"})
    assert app.functions[0].is_disabled
    assert app.warnings == ()
    assert not app.functions[0].runs
    assert app.index.functions == ()
    assert app.index.find("activity", "greet") is None


def test_only_the_named_functions_are_known(tmp_path: Path) -> None:
    environ = {"SLUG": "v1", "CRON": "0 0 * * * *"}
    app = load_app(write(tmp_path, PLAIN), environ, ("TICK",))
    assert names(app) == names(app.index) == ["tick"]


def test_an_unknown_one_is_told_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, PLAIN)
    with pytest.raises(ConfigError, match=r"'item', .* Did you mean 'items'\? .*: 'items', 'tick'"):
        load_app(tmp_path, {}, ["tick", "item"])
    write(tmp_path, "import durable_app as df\napp = df.DFApp()")
    with pytest.raises(ConfigError, match="The app has: none"):
        load_app(tmp_path, {}, ["tick"])


def test_settings_that_switch_nothing_off_are_told(tmp_path: Path) -> None:
    environ = {"AzureWebJobs.gret.Disabled": "true", "AzureWebJobs_Greet_Disabled": "yes"}
    app = load_app(write(tmp_path, APP), environ)
    assert app.functions[0].runs
    assert app.warnings == (
        "AzureWebJobs.gret.Disabled switches nothing off: there is no function 'gret'. Did you mean"
        " 'greet'?",
        "AzureWebJobs_Greet_Disabled is 'yes' and switches nothing off: write true or false.",
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Could not find top level function app instances in function_app.py"),
        (APP + "\nother = df.DFApp()\n", "More than one FunctionApp.*They are 'app', 'other'"),
        (APP + "\nsame = app\nraise SystemExit(3)\n", "failed to load"),
        (
            "import no_such_module_at_all",
            r"ModuleNotFoundError: No module named 'no_such_module_at_all'\. Cannot find module\."
            r" Please check the requirements\.txt file (.|\n)*sys\.path: \[(.|\n)*pip install",
        ),
        (APP + "\napp.activity_trigger('y')(greet)\n", "greet"),
        (APP + "\napp.activity_trigger('a b')(lambda x: x)\n", r"function_app\.py:\d+"),
        (APP + "\nmain = df.Orchestrator.create(greet)\n", "decorate the function with @app.orch"),
        (APP + "\nfrom durable_app import Orchestrator\n", "decorate the function with @app.orch"),
        (PLAIN + "\nfrom durable_app import Bluprint\n", r"print'\. Did you mean 'Blueprint'\?"),
        (PLAIN + "\nfrom durable_app.models import x\n", "or `from durable_app import ...`"),
        (
            PLAIN + "\n@app.function_name('1x')\n@app.route()\ndef f(req): ...\n",
            r"function_app\.py:13: 1x: a function name starts with a letter",
        ),
        (
            PLAIN + "\n@app.route(trigger_arg_name='my_req')\ndef f(my_req): ...\n",
            r"function_app\.py:13: my_req: use myReq, Azure refuses underscores",
        ),
        (
            PLAIN + "\n@app.queue_output('x', 'q', 'C')\n@app.route(trigger_arg_name='x')\n"
            "def f(x): ...\n",
            r"function_app\.py:13: Multiple bindings with name 'x' discovered\. Binding names must",
        ),
        (
            PLAIN + "\n@app.queue_output('x', 'q', 'C')\ndef f(x): ...\n",
            r"function_app\.py:13: Function f does not have a trigger\. A valid function must have",
        ),
        (
            PLAIN + "\n@app.route('y')\ndef Items(req): ...\n",
            r"function_app\.py:13: Function Items does not have a unique function name\. Please"
            r" change @app\.function_name\(\) or the function method name to be unique\. The name"
            r" is taken at .*function_app\.py:5\.",
        ),
        (
            PLAIN + "\n@app.route('y')\ndef f(req: dict | None): ...\n",
            r"function_app\.py:13: cannot load the f function: binding req has invalid non-type",
        ),
    ],
)
def test_what_is_wrong_with_the_app_is_told(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DefinitionError, match=reason):
        load_app(write(tmp_path, text), {})


def test_an_environment_of_the_app_that_is_not_in_use_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".venv").mkdir()
    write(tmp_path / ".venv", "", "pyvenv.cfg")
    write(tmp_path, "import no_such_module_at_all")
    with pytest.raises(DefinitionError, match=r"\.venv, and this process runs in .*: activate it"):
        load_app(tmp_path, {})
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    with pytest.raises(DefinitionError, match=r"requirements\.txt\.$"):
        load_app(tmp_path, {})


def test_a_script_may_not_take_the_name_of_a_module_in_use(tmp_path):
    write(tmp_path, APP, "json.py")
    with pytest.raises(DefinitionError, match="'json' is the name of a module"):
        load_app(tmp_path, {"PYTHON_SCRIPT_FILE_NAME": "json.py"})


def test_classic_code_in_the_app_file_is_told_its_import(tmp_path):
    pytest.importorskip("azure.durable_functions")
    write(tmp_path, "import azure.durable_functions as df\nmain = df.Orchestrator.create(print)\n")
    with pytest.raises(DefinitionError, match="import durable_app as df"):
        load_app(tmp_path, {})


THEIRS = """
import azure.functions as func
import azure.durable_functions as df
app = df.DFApp()
"""


@pytest.mark.parametrize(
    "text",
    [
        THEIRS,
        THEIRS.replace("df.DFApp()", "func.FunctionApp()") + "bp = df.Blueprint()\n"
        "@bp.orchestration_trigger('context')\ndef chain(context):\n    yield\n"
        "app.register_functions(bp)\n",
    ],
)
def test_an_app_of_the_other_package_is_shown_its_changed_import(tmp_path: Path, text: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_app(write(tmp_path, text), {})
    assert f"{tmp_path / 'function_app.py'}:3: the app is written with" in str(caught.value)
    assert "import durable_app as df\nin place of\n" in str(caught.value)


def test_the_other_package_need_not_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "azure.durable_functions", None)
    write(tmp_path, "import azure.durable_functions as df", "part.py")
    with pytest.raises(DefinitionError, match=r"part\.py:1: the app is written with"):
        load_app(write(tmp_path, "import part"), {})


def test_the_import_is_found_in_the_other_modules_of_the_app(tmp_path: Path) -> None:
    write(tmp_path, "import azure.durable_functions as df\napp = df.DFApp()\n", "part.py")
    (tmp_path / "folder").mkdir()
    text = "import folder\nfrom part import app\n"
    with pytest.raises(DefinitionError, match=r"part\.py:1: the app is written with"):
        load_app(write(tmp_path, text), {})


def test_its_classes_are_known_without_an_import_in_sight(tmp_path: Path) -> None:
    text = "import importlib\napp = importlib.import_module('azure.durable' '_functions').DFApp()\n"
    with pytest.raises(DefinitionError, match="Write `import durable_app as df` in place of"):
        load_app(write(tmp_path, text), {})


def test_what_azure_functions_itself_refuses_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> AppIndex:
        raise ValueError("no")

    monkeypatch.setattr(importer, "index_app", refuse)
    with pytest.raises(DefinitionError, match=r"function_app\.py: ValueError: no"):
        load_app(write(tmp_path, APP), {})


def test_a_folder_without_an_app_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"There is no function_app.py .*--script-root"):
        load_app(tmp_path, {})


def test_a_folder_of_function_json_files_is_told_how_to_change(tmp_path: Path) -> None:
    (tmp_path / "chain").mkdir()
    write(tmp_path / "chain", '{"bindings": []}', "function.json")
    with pytest.raises(DefinitionError, match=r"has no function_app\.py, but chain/function\.json"):
        load_app(tmp_path, {})


def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="no valid file name"):
        load_app(tmp_path, {"PYTHON_SCRIPT_FILE_NAME": "../function_app.py"})


def test_a_retry_policy_that_nobody_applies_is_told(tmp_path):
    code = """
import azure.functions as func
app = func.FunctionApp()
@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")
def tick(timer: func.TimerRequest) -> None: ...
@app.queue_trigger(arg_name="message", queue_name="q", connection="C")
@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")
def take(message: func.QueueMessage) -> None: ...
"""
    write(tmp_path, code)
    app = load_app(tmp_path, {})
    (warning,) = app.warnings
    assert warning.startswith("Function 'take' has a retry policy, which has no effect")
    tick = next(each.facts for each in app.functions if each.facts.name == "tick")
    assert tick.retry is not None
    assert tick.retry["max_retry_count"] == "3"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("@app.orchestration_trigger\ndef run(context): ...", "the name of a parameter"),
        ("app.register_functions('other')", "takes a Blueprint"),
        ("df.Blueprint('nobody')", "http_auth_level"),
    ],
)
def test_what_a_decorator_refuses_has_a_place(tmp_path: Path, line: str, text: str) -> None:
    write(tmp_path, f"import durable_app as df\napp = df.DFApp()\n\n{line}\n")
    with pytest.raises(DefinitionError, match=text) as caught:
        load_app(tmp_path, {})
    assert str(caught.value).startswith(f"{tmp_path / 'function_app.py'}:4: ")


def test_a_place_is_given_once(tmp_path: Path) -> None:
    code = "@app.activity_trigger('wrong')\ndef greet(name): ...\n"
    write(tmp_path, f"import durable_app as df\napp = df.DFApp()\n{code}")
    with pytest.raises(DefinitionError) as caught:
        load_app(tmp_path, {})
    assert str(caught.value).count("function_app.py") == 1


def test_the_package_that_is_not_installed_is_named_in_each_form_of_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "azure.durable_functions", None)
    monkeypatch.delattr("azure.durable_functions", raising=False)
    write(tmp_path, "from azure import durable_functions as df\napp = df.DFApp()\n")
    with pytest.raises(DefinitionError, match="import durable_app as df"):
        load_app(tmp_path, {})


@pytest.mark.parametrize("app", ["df.DFApp()", "func.FunctionApp()"])
@pytest.mark.parametrize("blueprint", ["df.Blueprint()", "func.Blueprint()"])
@pytest.mark.parametrize("is_registered", [True, False])
def test_a_blueprint_that_nobody_registers_is_named(
    tmp_path: Path, app: str, blueprint: str, is_registered: bool
) -> None:
    register = "app.register_functions(bp)" if is_registered else ""
    write(
        tmp_path,
        f"import azure.functions as func\nimport durable_app as df\napp = {app}\n"
        f"bp, empty = {blueprint}, {blueprint}\n"
        f"@bp.route('one')\ndef one(req): ...\n{register}\n",
    )
    warnings = load_app(tmp_path, {}).warnings
    told = [] if is_registered else ["app.register_functions(bp)"]
    assert [text for warning in warnings for text in told if text in warning] == told
    assert len(warnings) == len(told)
