"""Adds functions to a user's Python file and leaves the rest of it as it is.

Works on text and syntax trees; reads and writes nothing.
"""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: What Azure's Python worker imports.
APP_FILE: Final = "function_app.py"
_APPS: Final = frozenset({"DFApp", "FunctionApp"})
_BLUEPRINTS: Final = frozenset({"Blueprint"})
#: Classes that know durable triggers and bindings, with the package that they must come from.
_OURS: Final = "durable_app"


class Register(NamedTuple):
    """The object in a file whose decorators make functions.

    Attributes:
        name: of the variable.
        is_durable: it knows durable triggers.
    """

    name: str
    is_durable: bool


def parse(source: str, path: str) -> ast.Module:
    """The syntax tree.

    Raises:
        ConfigError: it is no Python.
    """
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise ConfigError(f"{path}, line {error.lineno}: {error.msg}. Mend it first.") from error


def find_app(tree: ast.Module) -> Register | None:
    """The app that a file makes."""
    return _find_register(tree, _APPS)


def find_blueprint(tree: ast.Module) -> Register | None:
    """The first blueprint that a file makes."""
    return _find_register(tree, _BLUEPRINTS)


def function_names(tree: ast.Module) -> set[str]:
    """Names of the functions of a file, in lower case: Azure takes a and A for one."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name.casefold())
            names |= {name.casefold() for name in _given_names(node.decorator_list)}
    return names


def append_functions(target: str, blueprint: str, register: str) -> str:
    """The target with the functions of a blueprint at its end.

    Args:
        target: source of the user's file.
        blueprint: source with imports, ``bp = ...`` and functions.
        register: name in the target that takes the place of ``bp``.

    Raises:
        ConfigError: a name that the functions need means something else in the target.
    """
    tree = ast.parse(blueprint)
    made = next(
        node for node in tree.body if isinstance(node, ast.Assign) and _target_of(node) == "bp"
    )
    lines = blueprint.splitlines()[made.end_lineno :]
    functions = "\n".join(lines).strip().replace("@bp.", f"@{register}.")
    wanted = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for statement in _missing(ast.parse(target), wanted):
        target = add_import(target, statement)
    return f"{target.rstrip()}\n\n\n{functions}\n"


def register_blueprint(target: str, app: str, module: str, blueprint: str) -> str:
    """The target with a blueprint of another module registered at its end.

    Args:
        app: name of the app in the target.
        module: dotted name.
        blueprint: its name there.

    Raises:
        ConfigError: the target uses the module's name for something else.
    """
    bound = module.split(".", maxsplit=1)[0]
    tree = ast.parse(target)
    if bound in _bound_names(tree) - _imported_packages(tree):
        raise ConfigError(
            f"'{bound}' means something else in {APP_FILE} already. Choose another file name."
        )
    target = add_import(target, f"import {module}").rstrip()
    ends_with_def = isinstance(tree.body[-1], ast.FunctionDef | ast.AsyncFunctionDef)
    gap = "\n\n\n" if ends_with_def else "\n"
    return f"{target}{gap}{app}.register_functions({module}.{blueprint})\n"


def imports_module(tree: ast.Module, module: str) -> bool:
    """Whether a file imports a module, as a whole or something of it."""
    package, _, name = module.rpartition(".")
    for node in tree.body:
        if isinstance(node, ast.Import) and any(alias.name == module for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom):
            if node.module == module:
                return True
            if package and node.module == package:
                return any(alias.name == name for alias in node.names)
    return False


def add_import(target: str, statement: str) -> str:
    """The target with an import statement where imports stand: standard library first."""
    tree = ast.parse(target)
    imports = [
        node
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom) and not _is_future(node)
    ]
    (wanted,) = ast.parse(statement).body
    group = [node for node in imports if _is_standard(node) == _is_standard(wanted)]
    later = [node for node in group if _sort_key(node) > _sort_key(wanted)]
    lines = target.splitlines()
    if later:
        lines.insert(later[0].lineno - 1, statement)
    elif group:
        lines.insert(_end(group[-1]), statement)
    elif imports and _is_standard(wanted):
        lines[imports[0].lineno - 1 : imports[0].lineno - 1] = [statement, ""]
    else:
        at = _end(imports[-1]) if imports else _header_end(tree)
        lines[at:at] = ["", statement] if at else [statement, ""]
    return "\n".join(lines) + "\n"


def _find_register(tree: ast.Module, classes: frozenset[str]) -> Register | None:
    origins = dict(_origins(tree.body))
    for node in tree.body:
        name = _target_of(node)
        value = getattr(node, "value", None)
        if name is None or not isinstance(value, ast.Call):
            continue
        made = ast.unparse(value.func)
        owner, _, short = made.rpartition(".")
        if short in classes:
            origin = origins.get(owner or short, "")
            return Register(name, origin.split(".")[0] == _OURS)
    return None


def _bound_names(tree: ast.Module) -> set[str]:
    names = {name for name, _ in _origins(tree.body)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        names.add(_target_of(node) or "")
    return names


def _imported_packages(tree: ast.Module) -> set[str]:
    """Packages of which a module is imported already: another one of it does no harm."""
    return {name for name, origin in _origins(tree.body) if name == origin}


def _target_of(node: ast.stmt) -> str | None:
    """The variable that a statement assigns."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target: ast.expr = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def _origins(body: Iterable[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Each name that an import binds, with what it stands for."""
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    yield alias.asname, alias.name
                else:
                    yield alias.name.split(".")[0], alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module or ''}.{alias.name}"


def _missing(tree: ast.Module, wanted: Iterable[ast.Import | ast.ImportFrom]) -> Iterator[str]:
    """Statements for what is not imported yet."""
    there = dict(_origins(tree.body))
    for node in wanted:
        for alias in node.names:
            single = (
                ast.Import([alias])
                if isinstance(node, ast.Import)
                else ast.ImportFrom(node.module, [alias], 0)
            )
            ((name, origin),) = _origins([single])
            if name not in there:
                yield ast.unparse(single)
            elif there[name] != origin:
                raise ConfigError(
                    f"'{name}' means {there[name]} in that file, and the template needs it for"
                    f" {origin}. Rename it there, or write to another file with --file."
                )


def _given_names(decorators: Iterable[ast.expr]) -> Iterator[str]:
    """Names that decorators give to a function in place of its own."""
    for decorator in decorators:
        if isinstance(decorator, ast.Call):
            for keyword in decorator.keywords:
                value = keyword.value
                if keyword.arg in {"name", "orchestration", "activity"} and isinstance(
                    value, ast.Constant
                ):
                    yield str(value.value)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _module_of(node: ast.stmt) -> str:
    if isinstance(node, ast.ImportFrom):
        return node.module or ""
    return node.names[0].name if isinstance(node, ast.Import) else ""


def _is_standard(node: ast.stmt) -> bool:
    return _module_of(node).split(".")[0] in sys.stdlib_module_names


def _sort_key(node: ast.stmt) -> tuple[bool, str]:
    # As isort does: plain imports before those of names.
    return isinstance(node, ast.ImportFrom), _module_of(node).casefold()


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _header_end(tree: ast.Module) -> int:
    """Number of lines of the docstring and the imports from __future__."""
    end = 0
    for node in tree.body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (_is_future(node) or (is_text and end == 0)):
            break
        end = _end(node)
    return end
