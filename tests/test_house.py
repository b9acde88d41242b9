"""The rules of the house that no linter knows: sizes, names, leftovers, lazy imports."""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Raise one only in a commit of its own that says why.
FILE_LINES = 500
FILE_LINES_OF = {"durable_app/protocol.py": 700}
FUNCTION_LINES = 60
CLASS_METHODS = 25

FORBIDDEN_NAMES = re.compile(
    r"^_?(utils?|helpers?|common|shared|base|core|misc|internals?|managers?|stuff)$"
)
FORBIDDEN_TEXT = {
    "a path of somebody's machine": re.compile(
        r"(?<![\w.])/(?:root|tmp|work|Users|home(?!/site))/\w"
    ),
    "a leftover": re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b"),
}
GENERATED = "durable_app/rpc/generated/"

DIRECTIVE = re.compile(
    r"(?:noqa|type: ignore|pragma: no (?:cover|branch)|fmt: off|fmt: skip|mypy:)[^\w]?"
)
NAMED_DIRECTIVE = re.compile(
    r"noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*"
    r"|type: ignore\[[a-z-]+(?:, ?[a-z-]+)*\]"
    r"|pragma: no (?:cover|branch)"
)
REASON = re.compile(r"[A-Za-z]{3,}")

# What must stay out of a bare import: it breaks workers that bring their own copy, or costs time.
HEAVY = {"grpc", "google.protobuf", "sqlite3", "aiohttp", "pydantic", "azure.functions"}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tracked_files() -> tuple[Path, ...]:
    """Files under version control; all source files where there is no repository."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    if listing.returncode == 0:
        names = [name for name in listing.stdout.split("\0") if name]
    else:
        names = [
            str(path.relative_to(ROOT))
            for folder in ("durable_app", "tests", "triggers", "benchmarks", "docs")
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ]
    return tuple(path for name in sorted(names) if (path := ROOT / name).is_file())


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def python_files() -> tuple[Path, ...]:
    return tuple(
        path
        for path in tracked_files()
        if path.suffix == ".py" and not relative(path).startswith(GENERATED)
    )


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def nodes(kind: type | tuple[type, ...]) -> list[tuple[Path, ast.AST]]:
    return [
        (path, node)
        for path in python_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, kind)
    ]


def is_property(function: FunctionNode) -> bool:
    names = {ast.unparse(decorator).split("(")[0] for decorator in function.decorator_list}
    return any(
        name.endswith(("property", ".setter", ".deleter")) or name == "overload" for name in names
    )


def is_delegation(function: FunctionNode) -> bool:
    """True for a method whose body is one call of another object's method."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if len(body) != 1 or not isinstance(body[0], ast.Return | ast.Expr):
        return False
    value = body[0].value
    if isinstance(value, ast.Await):
        value = value.value
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)


def test_the_house_is_looked_at() -> None:
    names = {relative(path) for path in python_files()}
    assert {"durable_app/protocol.py", "durable_app/ports/hubs.py", "tests/test_house.py"} <= names


def test_files_are_short() -> None:
    too_long = {
        relative(path): lines
        for path in python_files()
        if (lines := len(path.read_text(encoding="utf-8").splitlines()))
        > FILE_LINES_OF.get(relative(path), FILE_LINES)
    }
    assert too_long == {}


def test_functions_are_short() -> None:
    too_long = {
        f"{relative(path)}:{node.lineno} {node.name}": lines
        for path, node in nodes((ast.FunctionDef, ast.AsyncFunctionDef))
        if isinstance(node, FunctionNode)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    }
    assert too_long == {}


def test_classes_have_few_methods() -> None:
    too_wide = {}
    for path, node in nodes(ast.ClassDef):
        assert isinstance(node, ast.ClassDef)
        methods = [
            child
            for child in node.body
            if isinstance(child, FunctionNode)
            and not is_property(child)
            and not is_delegation(child)
        ]
        if len(methods) > CLASS_METHODS:
            too_wide[f"{relative(path)}:{node.lineno} {node.name}"] = len(methods)
    assert too_wide == {}


def test_modules_are_named_for_what_they_know() -> None:
    nameless = {
        relative(path)
        for path in python_files()
        for part in path.relative_to(ROOT).with_suffix("").parts
        if FORBIDDEN_NAMES.match(part)
    }
    assert nameless == set()


def test_every_module_of_the_package_says_what_it_is() -> None:
    silent = [
        relative(path)
        for path in python_files()
        if relative(path).startswith("durable_app/") and not ast.get_docstring(tree_of(path))
    ]
    assert silent == []


@pytest.mark.parametrize("what", FORBIDDEN_TEXT)
def test_no_tracked_text_holds(what: str) -> None:
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{relative(path)}:{number}: {line.strip()[:80]}"
            for number, line in enumerate(text.splitlines(), 1)
            if FORBIDDEN_TEXT[what].search(line)
        ]
    assert found == []


def comment_fault(comment: str) -> str | None:
    """What is wrong with the directives in one comment, or None."""
    rest = NAMED_DIRECTIVE.sub("", comment)
    if rest == comment and not DIRECTIVE.match(comment.lstrip("# ")):
        return None
    if DIRECTIVE.search(rest):
        return "names no rule"
    return None if REASON.search(rest) else "gives no reason"


@pytest.mark.parametrize(
    ("comment", "fault"),
    [
        ("# plain words about a type", None),
        ("# noqa: BLE001  user code may raise anything", None),
        ("# type: ignore[misc]  # untyped upstream", None),
        ("# noqa", "names no rule"),
        ("# type: ignore  # untyped upstream", "names no rule"),
        ("# noqa: BLE001", "gives no reason"),
        ("# type: ignore[misc]  # noqa: PGH003", "gives no reason"),
        ("# pragma: no cover", "gives no reason"),
    ],
)
def test_a_directive_without_rule_or_reason_is_noticed(comment: str, fault: str | None) -> None:
    assert comment_fault(comment) == fault


def test_every_ignore_names_its_rule_and_its_reason() -> None:
    faults = []
    for path in python_files():
        source = io.StringIO(path.read_text(encoding="utf-8"))
        faults += [
            f"{relative(path)}:{token.start[0]}: {token.string} {fault}"
            for token in tokenize.generate_tokens(source.readline)
            if token.type == tokenize.COMMENT and (fault := comment_fault(token.string))
        ]
    assert faults == []


def modules_after(statement: str) -> set[str]:
    """Names of all modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys; print('\\n'.join(sys.modules))"
    # -S: an editable install of another package may import things of its own at start-up.
    paths = [str(ROOT), *(entry for entry in sys.path if entry.endswith("site-packages"))]
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        check=True,
        text=True,
    )
    return set(done.stdout.split())


def test_a_bare_import_loads_nothing_heavy() -> None:
    assert modules_after("import durable_app") & HEAVY == set()


def test_the_vocabulary_loads_nothing_heavy() -> None:
    assert modules_after("import durable_app.ports, durable_app.errors") & HEAVY == set()


def test_an_app_loads_neither_wire_nor_database() -> None:
    loaded = modules_after("import durable_app; durable_app.DFApp()")
    assert loaded & (HEAVY - {"azure.functions"}) == set()
