"""``func new``: adds the functions of a template to an app. ``func templates list``: shows them."""

from __future__ import annotations

import itertools
import keyword
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from durable_app.cli import source_edit
from durable_app.cli.catalog import CATALOG, Template, find_template, unknown_template
from durable_app.cli.options import CommandParser, command_parser, did_you_mean, fail
from durable_app.cli.source_edit import APP_FILE
from durable_app.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

APP_SOURCE: Final = "import durable_app as df\n\napp = df.DFApp()\n"
_LEVELS: Final = ("ANONYMOUS", "FUNCTION", "ADMIN")
_DEFAULT_LEVEL: Final = "FUNCTION"
# Azure's rule, and what the name of a Python function may be.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,99}", re.IGNORECASE)


def new(argv: Sequence[str]) -> int:
    """Add functions; return the exit code."""
    args = _parser().parse_args(argv)
    try:
        _add(args)
    except ConfigError as error:
        return fail(error)
    except (OSError, UnicodeDecodeError) as error:
        return fail(f"The app's files cannot be used: {error}")
    except (EOFError, KeyboardInterrupt):
        return fail("Nothing was written.")
    return 0


def templates(argv: Sequence[str]) -> int:
    """List the templates; return the exit code."""
    parser = command_parser("func templates", "The templates of func new.")
    parser.add_argument("what", nargs="?", choices=["list"], default="list")
    parser.parse_args(argv)
    print("Python templates:")
    for template in CATALOG:
        print(f"  {template.title:<24}{template.summary}")
    return 0


def _parser() -> CommandParser:
    parser = command_parser("func new", "Add the functions of a template to the app.")
    parser.add_argument(
        "-t", "--template", metavar="NAME", help="which one; func templates list shows them"
    )
    parser.add_argument("-n", "--name", metavar="NAME", help="of the function")
    parser.add_argument(
        "-a", "--authlevel", metavar="LEVEL", help="anonymous, function (if not given) or admin"
    )
    parser.add_argument(
        "-f",
        "--file",
        metavar="FILE",
        help=f"where to write: {APP_FILE} (if not given), or a blueprint's file",
    )
    parser.add_argument("-l", "--language", metavar="NAME", help="Python")
    parser.add_argument("--csx", "--force", action="store_true", help="accepted, no effect")
    return parser


def _add(args: argparse.Namespace) -> None:
    if args.language and args.language.casefold() != "python":
        raise ConfigError(f"durable-app makes Python functions, none in {args.language}.")
    folder = Path(args.script_root).resolve()
    if not (folder / "host.json").is_file():
        raise ConfigError(
            f"{folder} is no Functions app: there is no host.json. Run `func init` there first."
        )
    template = _template(args.template)
    name = _name(args.name, template)
    level = _level(args.authlevel, template)
    path = _path(folder, args.file)
    source = template.render(name, level)
    _refuse_taken(folder, path, source)
    if path == folder / APP_FILE:
        _add_to_app(path, template, source)
    else:
        _add_to_blueprint(folder, path, template, source)
    print(f'The function "{name}" was created successfully from the "{template.title}" template.')


# -- what is wanted -------------------------------------------------------------------------------


def _template(given: str | None) -> Template:
    if given is None:
        print("Select a template:")
        for number, known in enumerate(CATALOG, 1):
            print(f"  {number:>2}. {known.title:<24}{known.summary}")
        given = _answer("Template: [1]", "--template NAME") or "1"
    template = find_template(given)
    if template is None:
        raise ConfigError(unknown_template(given))
    return template


def _name(given: str | None, template: Template) -> str:
    if given is None:
        given = _answer(f"Function name: [{template.file}]", "--name NAME") or template.file
    if _NAME.fullmatch(given) is None or keyword.iskeyword(given) or given.casefold() == "host":
        raise ConfigError(
            f"'{given}' cannot be the name of a function: letters, digits and underscores, a"
            " letter first, no word of Python's own."
        )
    return given


def _level(given: str | None, template: Template) -> str:
    if given is None:
        if not template.has_route or not sys.stdin.isatty():
            return _DEFAULT_LEVEL
        given = input(f"Authorization level: [{_DEFAULT_LEVEL}] ").strip() or _DEFAULT_LEVEL
    if given.upper() not in _LEVELS:
        raise ConfigError(
            f"'{given}' is no authorization level: {', '.join(_LEVELS)}."
            f"{did_you_mean(given, _LEVELS)}"
        )
    return given.upper()


def _answer(question: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigError(f"Nobody can be asked here: say it with {option}.")
    return input(f"{question} ").strip()


def _path(folder: Path, given: str | None) -> Path:
    if given is None:
        return folder / APP_FILE
    path = (folder / given).resolve()
    parts = path.relative_to(folder).with_suffix("").parts if folder in path.parents else ()
    if path.suffix != ".py" or not parts or not all(part.isidentifier() for part in parts):
        raise ConfigError(
            f"--file {given}: name a Python module within the app's folder, such as orders.py."
        )
    return path


def _refuse_taken(folder: Path, path: Path, source: str) -> None:
    """Names of functions must be unique within the app."""
    wanted = source_edit.function_names(source_edit.parse(source, "template"))
    for other in sorted({*folder.glob("*.py"), *path.parent.glob("*.py")}):
        taken = wanted & source_edit.function_names(
            source_edit.parse(other.read_text("utf-8"), other.name)
        )
        if taken:
            raise ConfigError(
                f"There is a function '{min(taken)}' in {other.name} already. Choose another name."
            )


# -- writing --------------------------------------------------------------------------------------


def _add_to_app(path: Path, template: Template, source: str) -> None:
    target = path.read_text("utf-8") if path.is_file() else APP_SOURCE
    app = source_edit.find_app(source_edit.parse(target, path.name))
    if app is None:
        raise ConfigError(
            f"{path.name} makes no app. Put `app = df.DFApp()` into it (import durable_app as df)."
        )
    if template.is_durable and not app.is_durable:
        raise ConfigError(
            f"'{app.name}' in {path.name} is no DFApp, which durable functions need. Make it one"
            " (import durable_app as df; app = df.DFApp()), or write them to a file of their own"
            " with --file NAME.py."
        )
    _write(path, source_edit.append_functions(target, source, app.name))


def _add_to_blueprint(folder: Path, path: Path, template: Template, source: str) -> None:
    name = "bp"
    if path.is_file():
        target = path.read_text("utf-8")
        found = source_edit.find_blueprint(source_edit.parse(target, path.name))
        if found is None or (template.is_durable and not found.is_durable):
            raise ConfigError(
                f"{path.name} exists and makes no durable_app blueprint. Put `bp ="
                " df.Blueprint()` into it (import durable_app as df), or choose another file."
            )
        name = found.name
        source = source_edit.append_functions(target, source, name)
    registered = _registered(folder, path, name)
    _make_packages(folder, path)
    _write(path, source)
    if registered is not None:
        _write(folder / APP_FILE, registered)


def _make_packages(folder: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for parent in itertools.takewhile(lambda each: each != folder, path.parents):
        # Without it an installed package of the same name would win over the app's own.
        (parent / "__init__.py").touch()


def _registered(folder: Path, path: Path, blueprint: str) -> str | None:
    """Text of an app that knows a blueprint; None where it does, or cannot be made to."""
    module = ".".join(path.relative_to(folder).with_suffix("").parts)
    app_file = folder / APP_FILE
    target = app_file.read_text("utf-8") if app_file.is_file() else APP_SOURCE
    tree = source_edit.parse(target, APP_FILE)
    if source_edit.imports_module(tree, module):
        return None
    app = source_edit.find_app(tree)
    if app is None:
        print(
            f"{APP_FILE} makes no app. Where yours is made, add: import {module};"
            f" app.register_functions({module}.{blueprint})"
        )
        return None
    return source_edit.register_blueprint(target, app.name, module, blueprint)


def _write(path: Path, text: str) -> None:
    verb = "Appending to" if path.exists() else "Creating a new file"
    print(f"{verb} {path}")
    path.write_text(text, encoding="utf-8")
