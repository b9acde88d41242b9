"""Writes docs/reference from the docstrings and signatures of the public names.

    python docs/build_reference.py            write the pages
    python docs/build_reference.py --check    exit code 1 where a page is not what would be written

Signatures and docstrings are taken from the syntax tree of the source, never from live objects:
how Python renders those differs from release to release, and the pages must not.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a script, Python looks beside this file only
    sys.path.insert(0, str(ROOT))

from docs import settings_reference  # noqa: E402  found through the path above
from docs.reference_pages import PAGES, Page  # noqa: E402  likewise

FOLDER: Final = ROOT / "docs" / "reference"
_HEADER: Final = "<!-- Written by docs/build_reference.py from the docstrings; do not edit. -->\n"
_LINE: Final = 88
_SECTIONS: Final = ("Args", "Attributes", "Returns", "Raises")
_SECTION: Final = re.compile(rf"({'|'.join(_SECTIONS)}):[ ]*(.*)")
_ITEM: Final = re.compile(r"([\w*, ]+?): (.*)")
_ROLE: Final = re.compile(r":\w+:`~?([^`]+)`")
# Methods between the parts of the package, which users have no use for.
_INNER: Final = frozenset(
    {
        "from_hub",
        "from_state",
        "note",
        "signal_encoded",
        "start_encoded",
        "to_protocol",
        "to_status",
        "wait",
    }
)
_ALIASES: Final = frozenset({"EntityInstanceId"})
# How names of the source read for those who use the package.
_TYPES: Final = {
    "DecoratorApi": "DFApp | Blueprint",
    "HubState": "OrchestrationState",
    "OrchestrationContext": "DurableOrchestrationContext",
    "Orchestrator": "str | Callable[..., Any]",
    "Readable": "dict[str, Any]",
    "Statuses": "Status | Iterable[Status] | None",
    "Stubs": "Mapping[str | Callable[..., Any], Callable[[Any], Any]]",
    "Trace": "str",
}


class Entry(NamedTuple):
    """What to describe: its name for users, where its source is, and whether they import it."""

    name: str
    module: str
    source_name: str
    is_imported: bool = True


def pages() -> dict[str, str]:
    """Text of every page by its file name."""
    found = {page.file: _page(page) for page in PAGES}
    found["settings.md"] = _HEADER + settings_reference.text()
    index = [(page.file, page.title, page.intro) for page in PAGES]
    index.append(("settings.md", settings_reference.TITLE, settings_reference.INTRO))
    lines = [f"- [{title}]({file}): {_first_sentence(intro)}" for file, title, intro in index]
    found["README.md"] = (
        f"{_HEADER}\n# Reference\n\nThe public names of `durable_app`, as their docstrings describe"
        " them. `import durable_app as df` is all that an app needs.\n\n" + "\n".join(lines) + "\n"
    )
    return found


def main(argv: list[str]) -> int:
    """Write the pages, or compare them; return the exit code."""
    stale = []
    for file, text in pages().items():
        path = FOLDER / file
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale.append(file)
        if "--check" not in argv:
            FOLDER.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale and "--check" in argv:
        sys.stderr.write(
            f"docs/reference is not what the docstrings say: {', '.join(stale)}."
            " Run `make docs` (python docs/build_reference.py) and commit the result.\n"
        )
        return 1
    sys.stdout.write(f"docs/reference: {', '.join(stale) or 'nothing'} written.\n")
    return 0


# ---------------------------------------------------------------------------------------------
# Pages and classes
# ---------------------------------------------------------------------------------------------


def _page(page: Page) -> str:
    package = importlib.import_module(page.package)
    entries = [_entry_of(package, name) for name in page.names]
    entries += [Entry(name, module, name, is_imported=False) for module, name in page.extras]
    links = " · ".join(f"[`{entry.name}`](#{entry.name.lower()})" for entry in entries)
    parts = [f"{_HEADER}\n# {page.title}", page.intro, links]
    for entry in entries:
        found = getattr(importlib.import_module(entry.module), entry.source_name)
        parts += _class_parts(entry) if isinstance(found, type) else _function_parts(entry)
    return "\n\n".join(parts) + "\n"


def _entry_of(package: ModuleType, name: str) -> Entry:
    home = getattr(package, name)
    return Entry(name, home.__module__, home.__name__)


@cache
def _module(name: str) -> ast.Module:
    source = inspect.getsourcefile(importlib.import_module(name))
    return ast.parse(Path(source or "").read_text("utf-8"))


def _function_parts(entry: Entry) -> Iterator[str]:
    # The last one of that name: overloads come first.
    *_, node = (
        node
        for node in _module(entry.module).body
        if isinstance(node, ast.FunctionDef) and node.name == entry.source_name
    )
    yield f"## {entry.name}"
    yield from list(_function(node))[1:]


def _class_node(module: str, name: str) -> ast.ClassDef:
    return next(
        node
        for node in _module(module).body
        if isinstance(node, ast.ClassDef) and node.name == name
    )


def _class_parts(entry: Entry) -> Iterator[str]:
    cls = getattr(importlib.import_module(entry.module), entry.source_name)
    node = _class_node(entry.module, entry.source_name)
    yield f"## {entry.name}"
    if entry.name in _ALIASES:
        yield f"Another name of [`{cls.__name__}`](#{cls.__name__.lower()})."
        return
    if not entry.is_imported:
        yield "Not imported: calls return it or errors carry it."
    bases = _public_bases(cls)
    if bases:
        yield f"Inherits from {', '.join(bases)}."
    if issubclass(cls, enum.Enum):
        yield _docstring(node)
        yield "\n".join(f"- `{member.name}` = `{member.value!r}`" for member in cls)
        return
    fields = _fields(node)
    if fields:
        yield _code(entry.name, fields, "")
    elif not issubclass(cls, BaseException):
        yield from _constructor(entry, cls)
    yield _docstring(node)
    if issubclass(cls, BaseException) and hasattr(cls, "code"):
        yield f"`code` is `{cls.code!r}`, `retriable` is `{cls.retriable}`."
    for part in _own_classes(cls):
        yield from _members(part)


def _own_classes(cls: type) -> list[ast.ClassDef]:
    """The class, and those of its bases that no entry of another class describes."""
    nodes = []
    told = {part for base in cls.__mro__[1:] if _public_name(base) for part in base.__mro__}
    for base in cls.__mro__:
        is_ours = base.__module__.partition(".")[0] == "durable_app"
        if is_ours and base not in told:
            nodes.append(_class_node(base.__module__, base.__name__))
    return nodes


def _public_name(cls: type) -> str | None:
    for page in PAGES:
        package = importlib.import_module(page.package)
        for name in page.names:
            if getattr(package, name) is cls:
                return name
        if (cls.__module__, cls.__name__) in page.extras:
            return cls.__name__
    return None


def _public_bases(cls: type) -> list[str]:
    found = []
    for base in cls.__bases__:
        name = _public_name(base)
        if name is not None:
            page = next(
                page
                for page in PAGES
                if name in page.names or (base.__module__, name) in page.extras
            )
            found.append(f"[`{name}`]({page.file}#{name.lower()})")
        elif base.__module__ == "builtins" and base not in (object, Exception):
            found.append(f"`{base.__name__}`")
    return found


def _fields(node: ast.ClassDef) -> list[str]:
    """Fields of a dataclass, or of a struct."""
    is_record = any("dataclass" in ast.unparse(each) for each in node.decorator_list) or any(
        ast.unparse(base) in ("_Value", "NamedTuple") for base in node.bases
    )
    if not is_record:
        return []
    return [
        f"{ast.unparse(each.target)}: {_annotation(each.annotation)}{_default(each.value)}"
        for each in node.body
        if isinstance(each, ast.AnnAssign)
    ]


def _default(value: ast.expr | None) -> str:
    if value is None:
        return ""
    text = ast.unparse(value)
    factory = re.fullmatch(r"dataclasses\.field\(default_factory=(\w+)\)", text)
    return f" = {factory[1]}()" if factory else f" = {text}"


def _constructor(entry: Entry, cls: type) -> Iterator[str]:
    if issubclass(cls, dict) or not entry.is_imported:
        return
    if entry.name in ("DurableOrchestrationContext", "OrchestrationContext"):
        return  # it is given, never made
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] != "durable_app":
            continue
        for node in _class_node(base.__module__, base.__name__).body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                yield _code(entry.name, _parameters(node.args), "")
                return


# ---------------------------------------------------------------------------------------------
# Members
# ---------------------------------------------------------------------------------------------


def _members(node: ast.ClassDef) -> Iterator[str]:
    waiting = []
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _function(each)
        elif isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
            name, value = each.targets[0].id, ast.unparse(each.value)
            if value.startswith("_waiting("):
                waiting.append(name)
            elif isinstance(each.value, ast.Name) and not name.startswith("_"):
                yield f"### {name}"
                yield f"The same as `{value}`."
    if waiting:
        lines = [f"- [`{name}`](#{name})" for name in waiting]
        yield (
            "Methods with the parameters, results and errors of the awaitable ones; each waits for"
            " its result:\n\n" + "\n".join(lines)
        )


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    marks = {ast.unparse(mark) for mark in node.decorator_list}
    is_setter = any(mark.endswith(".setter") for mark in marks)
    if node.name.startswith("_") or node.name in _INNER or "overload" in marks or is_setter:
        return
    yield f"### {node.name}"
    result = f" -> {_annotation(node.returns)}" if node.returns else ""
    if "property" in marks:
        yield f"```python\n{node.name}: {result.removeprefix(' -> ')}\n```"
    else:
        lead = "async def " if isinstance(node, ast.AsyncFunctionDef) else "def "
        lead = f"@classmethod\n{lead}" if "classmethod" in marks else lead
        yield _code(f"{lead}{node.name}", _parameters(node.args), result)
    yield _docstring(node)


def _parameters(args: ast.arguments) -> list[str]:
    found = []
    positional = [*args.posonlyargs, *args.args]
    missing = len(positional) - len(args.defaults)
    defaults: list[ast.expr | None] = [*([None] * missing), *args.defaults]
    for arg, default in zip(positional, defaults, strict=True):
        if arg.arg not in ("self", "cls"):
            found.append(_parameter(arg, default))
    if args.vararg:
        found.append(f"*{_parameter(args.vararg, None)}")
    elif args.kwonlyargs:
        found.append("*")
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        found.append(_parameter(arg, default))
    if args.kwarg:
        found.append(f"**{_parameter(args.kwarg, None)}")
    return found


def _parameter(arg: ast.arg, default: ast.expr | None) -> str:
    if arg.annotation is None:
        return arg.arg + ("" if default is None else f"={ast.unparse(default)}")
    text = f"{arg.arg}: {_annotation(arg.annotation)}"
    return text if default is None else f"{text} = {ast.unparse(default)}"


def _annotation(node: ast.expr) -> str:
    text = ast.unparse(node).replace("retry.", "").replace("| Connection", "| object")
    return re.sub(r"\b\w+\b", lambda found: _TYPES.get(found[0], found[0]), text)


def _code(name: str, parts: list[str], result: str) -> str:
    line = f"{name}({', '.join(parts)}){result}"
    if max(map(len, line.splitlines())) > _LINE:
        line = f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"
    return f"```python\n{line}\n```"


# ---------------------------------------------------------------------------------------------
# Docstrings
# ---------------------------------------------------------------------------------------------


def _docstring(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """A docstring of Google's style as Markdown."""
    text = _ROLE.sub(
        lambda found: f"`{found[1].rpartition('.')[2]}`", ast.get_docstring(node) or ""
    )
    text = text.replace("``", "`")
    blocks: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        section = _SECTION.match(block)
        if section is None:
            blocks.append(block)
        else:
            rest = [section[2]] if section[2] else []
            blocks.append(_section(section[1], rest + block.splitlines()[1:]))
    return "\n\n".join(blocks).strip()


def _section(title: str, lines: list[str]) -> str:
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    items: list[str] = []
    for line in lines:
        is_deeper = len(line) - len(line.lstrip()) > indent
        if items and (is_deeper or title == "Returns"):
            items[-1] += " " + line.strip()
        else:
            items.append(line.strip())
    if title == "Returns":
        return f"**Returns:** {' '.join(items)}"
    return f"**{title}:**\n\n" + "\n".join(f"- {_item(item)}" for item in items)


def _item(text: str) -> str:
    found = _ITEM.match(text)
    return text if found is None else f"`{found[1]}`: {found[2]}"


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".") + "."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
