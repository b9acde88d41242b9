"""Apps that were written for other models, and what is said about them."""

from __future__ import annotations

import json

import azure.durable_functions as theirs
import azure.functions as func
import pytest

import durable_app as df
from durable_app.host.app.classic_apps import foreign_import_text, function_json_text, is_foreign


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("import azure.durable_functions as df", "import durable_app as df"),
        ("import azure.durable_functions", "import durable_app as df"),
        ("import json, azure.durable_functions as d", "import durable_app as d"),
        ("from azure import durable_functions", "import durable_app as durable_functions"),
        ("from azure import functions, durable_functions as df", "import durable_app as df"),
        (
            "from azure.durable_functions import DFApp, Blueprint as B",
            "from durable_app import DFApp, Blueprint as B",
        ),
        (
            "from azure.durable_functions.models.Task import TaskBase",
            "from durable_app import TaskBase",
        ),
    ],
)
def test_the_changed_import_is_shown_with_its_place(tmp_path, written, instead):
    other = tmp_path / "other.py"
    other.write_text("import os\nfrom azure import functions\nimport azure.functions\n")
    app = tmp_path / "function_app.py"
    app.write_text(f'"""App."""\n\n{written}\n')
    text = foreign_import_text([other, app])
    assert text is not None
    assert text.startswith(f"{app}:3: the app is written with azure.durable_functions.")
    assert f"\n    {instead}\nin place of\n    {written}\n" in text


def test_what_cannot_be_read_is_passed_over(tmp_path):
    (tmp_path / "broken.py").write_text("def")
    (tmp_path / "relative.py").write_text("from .durable_functions import x\nfrom . import y\n")
    files = [tmp_path / name for name in ("broken.py", "none.py", "relative.py")]
    assert foreign_import_text(files) is None


def test_their_apps_are_known_by_their_class():
    assert is_foreign(theirs.DFApp())
    assert not is_foreign(df.DFApp())
    assert not is_foreign(func.FunctionApp())


def manifest(folder, name, bindings):
    (folder / name).mkdir()
    content = bindings if isinstance(bindings, str) else json.dumps({"bindings": bindings})
    (folder / name / "function.json").write_text(content)


def test_a_folder_of_function_json_files_is_written_as_one_file(tmp_path):
    manifest(tmp_path, "a-chain", [{"type": "orchestrationTrigger", "name": "context"}])
    manifest(
        tmp_path,
        "b_start",
        [
            {"type": "durableClient", "name": "starter", "direction": "in"},
            {"type": "httpTrigger", "name": "req", "route": "s/{n}", "methods": ["post"]},
            {"type": "http", "name": "$return", "direction": "out"},
        ],
    )
    manifest(tmp_path, "c_tick", [{"type": "timerTrigger", "name": "t", "schedule": "0 * * * * *"}])
    manifest(tmp_path, "d_odd", [{"type": "fooTrigger", "name": "x"}, 5])
    manifest(tmp_path, "e_http", [{"type": "httpTrigger", "name": "request"}])
    manifest(tmp_path, "f_more", "{")
    text = function_json_text(tmp_path, "function_app.py")
    assert text is not None
    assert text.startswith(f"{tmp_path} has no function_app.py, but a-chain/function.json, b_start")
    assert " and 1 more: " in text
    for expected in (
        '\n@app.orchestration_trigger(context_name="context")\ndef a_chain(context): ...',
        "\n@app.route(route=\"s/{n}\", methods=['post'])\n"
        '@app.durable_client_input(client_name="starter")\ndef b_start(req, starter): ...',
        '@app.timer_trigger(arg_name="t", schedule="0 * * * * *")\ndef c_tick(t): ...',
        '@app.generic_trigger(arg_name="x", type="fooTrigger")\ndef d_odd(x): ...',
        '@app.route(trigger_arg_name="request")\ndef e_http(request): ...',
    ):
        assert expected in text
    assert "Orchestrator.create" in text


@pytest.mark.parametrize("content", ["{", "[]", '{"bindings": 5}'])
def test_a_broken_function_json_still_names_its_function(tmp_path, content):
    manifest(tmp_path, "odd", content)
    assert "def odd(): ..." in str(function_json_text(tmp_path, "function_app.py"))


def test_a_folder_without_any_is_no_such_app(tmp_path):
    assert function_json_text(tmp_path, "function_app.py") is None
