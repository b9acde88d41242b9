"""Finds the app: imports function_app.py and picks the one app object in it.

The rules and most texts are those of the Python worker in Azure, so that what starts here is
indexed there. What goes wrong in the app's own code is reported with its file and line.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from azure.functions import FunctionRegister
from azure.functions.decorators.function_app import DecoratorApi

import durable_app
from durable_app.errors import DefinitionError, missing
from durable_app.functions.app import is_read
from durable_app.functions.builder import builders_in, builders_of
from durable_app.functions.index import AppIndex, ForeignDecoratorError, index_app
from durable_app.functions.names import did_you_mean
from durable_app.host.app.app_modules import app_modules, source_of
from durable_app.host.app.classic_apps import (
    FOREIGN_PACKAGE,
    foreign_import_text,
    function_json_text,
    is_foreign,
)
from durable_app.host.console.tracebacks import user_place, user_traceback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_FILE_NAME: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_\-]*\.py")
_NOT_EXPORTED: Final = re.compile(r"cannot import name '(\w+)' from 'durable_app'")
_FOREIGN_NAME: Final = FOREIGN_PACKAGE.rpartition(".")[2]
_OWN_PACKAGE: Final = "durable_app"
_PLACE: Final = re.compile(r"[^\n]+\.py:\d+: ")


class ImportedApp(NamedTuple):
    """What was found.

    Attributes:
        script_file: name of the file.
        declared: all that its app has.
        left_out: names of the module's blueprints that were not registered.
    """

    script_file: str
    declared: AppIndex
    left_out: tuple[str, ...] = ()


def import_app(folder: Path, environ: Mapping[str, str]) -> ImportedApp:
    """Import the app of a folder and index its functions.

    The folder goes to the front of ``sys.path``: the app's own modules win over installed ones
    of the same name. Importing runs the app's code. Modules that were imported before stay as they
    are, unless ``fresh_modules`` has put them aside.

    Raises:
        DefinitionError: there is no app, more than one, or its code is broken.
    """
    path = _script(folder, environ)
    module = _import(path)
    app = _find_app(module, path)
    if is_foreign(app):
        raise DefinitionError(_foreign_text(path))
    try:
        return ImportedApp(path.name, index_app(app), _left_out(module, app))
    except ForeignDecoratorError as error:
        raise DefinitionError(f"{_foreign_text(path)}\n({error}.)") from error
    except DefinitionError:
        raise
    except (ValueError, TypeError) as error:
        raise DefinitionError(f"{path.name}: {type(error).__name__}: {error}") from error


def _script(folder: Path, environ: Mapping[str, str]) -> Path:
    name = environ.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py"
    if _FILE_NAME.fullmatch(name) is None:
        raise DefinitionError(
            f"PYTHON_SCRIPT_FILE_NAME '{name}' is no valid file name: letters, digits, '_' and"
            " '-', ending in '.py'."
        )
    path = folder / name
    if path.stem in sys.stdlib_module_names or _is_installed(path.stem):
        raise DefinitionError(
            f"PYTHON_SCRIPT_FILE_NAME '{name}': '{path.stem}' is the name of a module of Python or"
            " of a package that is in use. Give the file another name, such as function_app.py."
        )
    if not path.is_file():
        raise DefinitionError(
            function_json_text(folder, name)
            or f"There is no {name} in {folder}. Create one with `func init`, or by hand with"
            " `import durable_app as df` and `app = df.DFApp()`; or name the app's folder with"
            " --script-root."
        )
    return path


def _is_installed(name: str) -> bool:
    """Whether a module of that name was imported from an installed package."""
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return "site-packages" in Path(file).parts


def _import(path: Path) -> ModuleType:
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    loader = SourceFileLoader(path.stem, str(path))
    spec = importlib.util.spec_from_file_location(path.stem, path, loader=loader)
    module = importlib.util.module_from_spec(cast("ModuleSpec", spec))
    sys.modules[path.stem] = module
    try:
        loader.exec_module(module)
    except DefinitionError as error:
        place = "" if _PLACE.match(str(error)) else user_place(error)
        if not place:
            raise
        raise DefinitionError(f"{place}{error}") from error
    except ModuleNotFoundError as error:
        raise DefinitionError(_missing_module_text(path, error)) from error
    except ImportError as error:
        # What `from azure import ...` says where the package is not installed.
        if error.name == "azure" and _FOREIGN_NAME in str(error):
            raise DefinitionError(_foreign_text(path, error)) from error
        raise DefinitionError(_broken_text(path, error)) from error
    except (Exception, SystemExit) as error:
        raise DefinitionError(_broken_text(path, error)) from error
    return module


def _broken_text(path: Path, error: BaseException) -> str:
    return f"{path.name} failed to load:\n{user_traceback(error)}{_advice(error)}"


def _missing_module_text(path: Path, error: ModuleNotFoundError) -> str:
    name = error.name or ""
    if name.startswith(FOREIGN_PACKAGE):
        return _foreign_text(path, error)
    if name.startswith(f"{_OWN_PACKAGE}."):
        return (
            f"{user_traceback(error)}. All names of {_OWN_PACKAGE} are those of the package itself:"
            f" write `import {_OWN_PACKAGE} as df` or `from {_OWN_PACKAGE} import ...`."
        )
    return (
        f"{user_traceback(error)}. Cannot find module. Please check the requirements.txt file for"
        " the missing module. For more info, please refer the troubleshooting guide:"
        f" https://aka.ms/functions-modulenotfound. Current sys.path: {sys.path}\nInstall '{name}'"
        f" (pip install ...) and add it to {path.parent / 'requirements.txt'}."
        f"{_environment_advice(path.parent)}"
    )


def _environment_advice(folder: Path) -> str:
    """What to do where the app has a virtual environment that is not the one in use."""
    for mark in sorted(folder.glob("*/pyvenv.cfg")):
        environment = mark.parent.resolve()
        if environment != Path(sys.prefix).resolve():
            return (
                f" The app has a virtual environment, {environment}, and this process runs in"
                f" {sys.prefix}: activate it, install durable-app there, and start again."
            )
    return ""


def _advice(error: BaseException) -> str:
    """Python's own text for a name that a package lacks does not carry what the package says."""
    found = _NOT_EXPORTED.search(str(error)) if isinstance(error, ImportError) else None
    if found is None:
        return ""
    text = missing(_OWN_PACKAGE, found[1]).removesuffix(".")
    return f"\n{text}.{did_you_mean(found[1], durable_app.__all__)}"


def _find_app(module: ModuleType, path: Path) -> FunctionRegister:
    values = vars(module).values()
    apps = {id(value): value for value in values if isinstance(value, FunctionRegister)}
    if not apps:
        foreign = foreign_import_text([path])
        if foreign is not None:
            raise DefinitionError(foreign)
        raise DefinitionError(
            f"Could not find top level function app instances in {path.name}. Write"
            " `app = df.DFApp()` at the top level."
        )
    if len(apps) > 1:
        names = ", ".join(f"'{name}'" for name, value in vars(module).items() if id(value) in apps)
        raise DefinitionError(
            "More than one FunctionApp or other top level function app instances are defined."
            f" They are {names}. Keep one in {path.name}; make the others blueprints (df.Blueprint)"
            " and register them with app.register_functions."
        )
    return next(iter(apps.values()))


def _left_out(module: ModuleType, app: FunctionRegister) -> tuple[str, ...]:
    """Names of blueprints whose functions nobody will find; the app has been indexed."""
    known = {id(builder) for builder in builders_in(app)}
    return tuple(
        name
        for name, value in vars(module).items()
        if isinstance(value, DecoratorApi)
        and not isinstance(value, FunctionRegister)
        and not is_read(value)
        and not known.intersection(map(id, builders_of(value)))
    )


def _foreign_text(path: Path, error: BaseException | None = None) -> str:
    return foreign_import_text([path, *_other_sources(path.parent, error)]) or (
        f"{path}: the app is written with azure.durable_functions. Write `import durable_app as df`"
        " in place of `import azure.durable_functions as df`."
    )


def _other_sources(folder: Path, error: BaseException | None) -> Iterator[Path]:
    trace = None if error is None else error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(folder):
            yield file
        trace = trace.tb_next
    for module in app_modules(folder).values():
        file_of_module = source_of(module)
        if file_of_module is not None:
            yield file_of_module
