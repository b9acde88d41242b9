"""What is found in the folder of an app, and what is said where nothing can be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_app.errors import DefinitionError
from durable_app.host.loader import load_app

APP = """
import durable_app as df
app = df.DFApp()

@app.activity_trigger("x")
def greet(x: str) -> str:
    return x
"""


@pytest.fixture(autouse=True)
def _imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith("durable_app"):
            del sys.modules[name]


def test_the_functions_of_the_app_are_found(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(APP)
    assert [function.facts.name for function in load_app(tmp_path, {}).functions] == ["greet"]


def test_a_second_load_leaves_the_search_path_alone(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(APP)
    load_app(tmp_path, {})
    load_app(tmp_path, {})
    assert sys.path.count(str(tmp_path)) == 1


def test_the_file_may_have_another_name(tmp_path: Path) -> None:
    (tmp_path / "my_app.py").write_text(APP)
    index = load_app(tmp_path, {"PYTHON_SCRIPT_FILE_NAME": "my_app.py"})
    assert len(index.functions) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Could not find top level function app instances in function_app.py"),
        (APP + "\nother = df.DFApp()\n", "More than one FunctionApp"),
        (APP + "\nsame = app\nraise SystemExit(3)\n", "failed to load"),
        ("import no_such_module_at_all", r"Cannot find module 'no_such_module_at_all'"),
        (APP + "\napp.activity_trigger('y')(greet)\n", "greet"),
        (APP + "\napp.activity_trigger('a b')(lambda x: x)\n", r"function_app\.py:\d+"),
    ],
)
def test_what_is_wrong_with_the_app_is_told(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "function_app.py").write_text(text)
    with pytest.raises(DefinitionError, match=reason):
        load_app(tmp_path, {})


def test_a_folder_without_an_app_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"There is no function_app.py .*--script-root"):
        load_app(tmp_path, {})


def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="no valid file name"):
        load_app(tmp_path, {"PYTHON_SCRIPT_FILE_NAME": "../function_app.py"})
