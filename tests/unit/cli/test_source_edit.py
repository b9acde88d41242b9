"""Functions are added to a user's file, and the rest of it stays as it is."""

import ast

import pytest

from durable_app.cli.source_edit import (
    add_import,
    append_functions,
    find_app,
    find_blueprint,
    function_names,
    imports_module,
    parse,
    register_blueprint,
)
from durable_app.errors import ConfigError

BLUEPRINT = '''"""A template."""

from typing import Any

import azure.functions as func
import durable_app as df

bp = df.Blueprint()


@bp.route(route="f")
def f(req: func.HttpRequest) -> Any:
    """Answer."""
    return "@bp stays"
'''


def tree(text):
    return ast.parse(text)


@pytest.mark.parametrize(
    ("source", "name", "is_durable"),
    [
        ("import durable_app as df\napp = df.DFApp()", "app", True),
        ("import durable_app\nthe_app: object = durable_app.DFApp()", "the_app", True),
        ("from durable_app import DFApp\nx = 1\napp = DFApp(a=1)", "app", True),
        ("import azure.functions as func\napp = func.FunctionApp()", "app", False),
        ("import azure.functions\napp = azure.functions.FunctionApp()", "app", False),
        ("import azure.durable_functions as df\napp = df.DFApp()", "app", False),
    ],
)
def test_the_app_is_found(source, name, is_durable):
    assert find_app(tree(source)) == (name, is_durable)


@pytest.mark.parametrize("source", ["", "app = make()", "a, b = f()", "a.b = df.DFApp()", "x: int"])
def test_a_file_without_an_app_has_none(source):
    assert find_app(tree(source)) is None


def test_a_blueprint_is_found():
    assert find_blueprint(tree(BLUEPRINT)) == ("bp", True)


def test_names_of_functions_are_those_that_azure_sees():
    source = (
        '@app.function_name(name="Given")\n@app.route(route="r")\ndef f(): pass\n'
        "@deco\nasync def G(): pass\n"
        '@app.activity_trigger(input_name="i", activity="Act")\ndef h(): pass\nx = 1\n'
    )
    assert function_names(tree(source)) == {"given", "f", "g", "act", "h"}


def test_functions_come_to_the_end_with_what_they_import():
    app = "import durable_app as df\n\nmy = df.DFApp()\n# a comment\n"
    text = append_functions(app, BLUEPRINT, "my")
    assert text == (
        "from typing import Any\n\n"
        "import azure.functions as func\nimport durable_app as df\n\n"
        "my = df.DFApp()\n# a comment\n\n\n"
        '@my.route(route="f")\ndef f(req: func.HttpRequest) -> Any:\n    """Answer."""\n'
        '    return "@bp stays"\n'
    )


def test_a_name_that_means_something_else_is_refused():
    app = "import azure.durable_functions as df\napp = df.DFApp()\n"
    with pytest.raises(ConfigError, match=r"'df' means azure.durable_functions in that file"):
        append_functions(app, BLUEPRINT, "app")


@pytest.mark.parametrize(
    ("before", "statement", "after"),
    [
        ("", "import a", "import a\n\n"),
        ('"""Doc."""\nx = 1\n', "import a", '"""Doc."""\n\nimport a\nx = 1\n'),
        (
            "from __future__ import annotations\n",
            "import a",
            "from __future__ import annotations\n\nimport a\n",
        ),
        ("import b\n", "import a", "import a\nimport b\n"),
        ("import b\n", "import c", "import b\nimport c\n"),
        ("import b\n", "import os", "import os\n\nimport b\n"),
        ("import sys\n\nimport b\n", "import os", "import os\nimport sys\n\nimport b\n"),
        ("import os\n", "import a", "import os\n\nimport a\n"),
        ("from a import (\n b\n)\n", "import c", "import c\nfrom a import (\n b\n)\n"),
        ("import a, \\\n  b\n", "import c", "import a, \\\n  b\nimport c\n"),
        ("from . import b\n", "import a", "import a\nfrom . import b\n"),
    ],
)
def test_an_import_stands_where_imports_stand(before, statement, after):
    assert add_import(before, statement) == after


def test_a_blueprint_is_registered_after_the_last_statement():
    app = "import durable_app as df\n\napp = df.DFApp()\n"
    text = register_blueprint(app, "app", "orders", "bp")
    assert text == (
        "import durable_app as df\nimport orders\n\napp = df.DFApp()\n"
        "app.register_functions(orders.bp)\n"
    )
    after_function = register_blueprint(f"{app}\n\ndef f():\n    pass\n", "app", "orders", "bp")
    assert after_function.endswith("    pass\n\n\napp.register_functions(orders.bp)\n")


def test_a_blueprint_of_a_package_is_registered_beside_another():
    app = "import triggers.a\n\napp = 1\n"
    text = register_blueprint(app, "app", "triggers.b", "bp")
    assert text.startswith("import triggers.a\nimport triggers.b\n")


@pytest.mark.parametrize("source", ["def orders(): pass\n", "orders = 1\n", "import x as orders\n"])
def test_a_module_whose_name_is_taken_is_refused(source):
    with pytest.raises(ConfigError, match="'orders' means something else"):
        register_blueprint(source, "app", "orders", "bp")


@pytest.mark.parametrize(
    ("source", "module", "found"),
    [
        ("import orders", "orders", True),
        ("from orders import bp", "orders", True),
        ("from triggers import orders, x", "triggers.orders", True),
        ("from triggers import x", "triggers.orders", False),
        ("from x import orders", "orders", False),
        ("x = 1", "orders", False),
    ],
)
def test_a_module_that_is_imported_is_known(source, module, found):
    assert imports_module(tree(source), module) is found


def test_a_file_that_is_no_python_is_named():
    with pytest.raises(ConfigError, match=r"function_app.py, line 1: .*Mend it first"):
        parse("def", "function_app.py")
