"""Finds the app: imports function_app.py and picks the one app object in it.

The rules and most texts are those of the Python worker in Azure, so that what starts here is
indexed there. What goes wrong in the app's own code is reported with its file and line.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Final

from azure.functions import FunctionRegister

from durable_app.errors import DefinitionError
from durable_app.functions.index import AppIndex, index_app
from durable_app.host.tracebacks import user_traceback

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

_FILE_NAME: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_\-]*\.py")


def load_app(folder: Path, environ: Mapping[str, str]) -> AppIndex:
    """Import the app of a folder and index its functions.

    The folder goes to the front of ``sys.path``: the app's own modules win over installed ones
    of the same name. Importing runs the app's code.

    Raises:
        DefinitionError: there is no app, more than one, or its code is broken.
    """
    name = environ.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py"
    if _FILE_NAME.fullmatch(name) is None:
        raise DefinitionError(
            f"PYTHON_SCRIPT_FILE_NAME '{name}' is no valid file name: letters, digits, '_' and"
            " '-', ending in '.py'."
        )
    path = folder / name
    if not path.is_file():
        raise DefinitionError(
            f"There is no {name} in {folder}. Create one with `import durable_app as df` and"
            " `app = df.DFApp()`, or name the app's folder with --script-root."
        )
    module = _import(path)
    app = _find_app(module, name)
    try:
        return index_app(app)
    except DefinitionError:
        raise
    except (ValueError, TypeError) as error:
        raise DefinitionError(f"{name}: {type(error).__name__}: {error}") from error


def _import(path: Path) -> ModuleType:
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{path} cannot be imported as a Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except DefinitionError:
        raise  # of a decorator: its message has the place already
    except ModuleNotFoundError as error:
        raise DefinitionError(
            f"{user_traceback(error)}\nCannot find module '{error.name}'. Install it"
            f" (pip install ...) and add it to {path.parent / 'requirements.txt'}."
        ) from error
    except (Exception, SystemExit) as error:
        raise DefinitionError(f"{path.name} failed to load:\n{user_traceback(error)}") from error
    return module


def _find_app(module: ModuleType, name: str) -> FunctionRegister:
    values = vars(module).values()
    apps = {id(value): value for value in values if isinstance(value, FunctionRegister)}
    if not apps:
        raise DefinitionError(
            f"Could not find top level function app instances in {name}. Write"
            " `app = df.DFApp()` at the top level."
        )
    if len(apps) > 1:
        raise DefinitionError(
            "More than one FunctionApp or other top level function app instances are defined."
            f" Keep one in {name}; make the others blueprints (df.Blueprint) and register them"
            " with app.register_functions."
        )
    return next(iter(apps.values()))
