"""Apps that were written for other models of Durable Functions, and how to change them."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from durable_app.host.config.json_file import without_comments

if TYPE_CHECKING:
    from collections.abc import Iterable

FOREIGN_PACKAGE: Final = "azure.durable_functions"
_MANIFEST: Final = "function.json"
_SHOWN: Final = 5
_DECORATORS: Final = {
    "orchestrationTrigger": '@app.orchestration_trigger(context_name="{name}")',
    "activityTrigger": '@app.activity_trigger(input_name="{name}")',
    "entityTrigger": '@app.entity_trigger(context_name="{name}")',
    "durableClient": '@app.durable_client_input(client_name="{name}")',
    "orchestrationClient": '@app.durable_client_input(client_name="{name}")',
    "timerTrigger": '@app.timer_trigger(arg_name="{name}", schedule="{schedule}")',
}


def is_foreign(app: object) -> bool:
    """Whether an app object is of azure.durable_functions."""
    return any(
        base.__module__.split(".")[:2] == FOREIGN_PACKAGE.split(".") for base in type(app).__mro__
    )


def foreign_import_text(files: Iterable[Path]) -> str | None:
    """What to change in the first of these source files that imports azure.durable_functions.

    Returns:
        File, line, and the line as it is and as it shall be; None where no file imports it.
    """
    for file in files:
        found = _foreign_import(file)
        if found is not None:
            line, written, instead = found
            return (
                f"{file}:{line}: the app is written with azure.durable_functions. Write\n"
                f"    {instead}\nin place of\n    {written}\n"
                "and change requirements.txt from azure-functions-durable to durable-app."
            )
    return None


def _foreign_import(file: Path) -> tuple[int, str, str] | None:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            instead = _instead(node)
            if instead is not None:
                return node.lineno, ast.unparse(node), instead
    return None


def _instead(node: ast.Import | ast.ImportFrom) -> str | None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if _is_foreign_name(alias.name):
                return f"import durable_app as {alias.asname or 'df'}"
        return None
    if node.module == "azure":
        for alias in node.names:
            if alias.name == "durable_functions":
                return f"import durable_app as {alias.asname or 'durable_functions'}"
    if node.level == 0 and _is_foreign_name(node.module or ""):
        return ast.unparse(ast.ImportFrom(module="durable_app", names=node.names, level=0))
    return None


def _is_foreign_name(name: str) -> bool:
    return name == FOREIGN_PACKAGE or name.startswith(f"{FOREIGN_PACKAGE}.")


def function_json_text(folder: Path, script: str) -> str | None:
    """How to write an app of ``function.json`` files as one Python file.

    Returns:
        None where the folder has none.
    """
    manifests = sorted(folder.glob(f"*/{_MANIFEST}"))
    if not manifests:
        return None
    lines = [line for manifest in manifests[:_SHOWN] for line in ("", *_declaration(manifest))]
    names = ", ".join(f"{manifest.parent.name}/{_MANIFEST}" for manifest in manifests[:_SHOWN])
    more = f" and {len(manifests) - _SHOWN} more" if len(manifests) > _SHOWN else ""
    return (
        f"{folder} has no {script}, but {names}{more}: the programming model before decorators,"
        f" which durable_app does not run. Move the functions to {script}, decorate them, and"
        f" remove {_MANIFEST} as well as `main = df.Orchestrator.create(...)`:\n\n"
        "import durable_app as df\n\napp = df.DFApp()\n" + "\n".join(lines)
    )


def _declaration(manifest: Path) -> list[str]:
    bindings = _bindings(manifest)
    inputs = [each for each in bindings if each.get("direction", "in").lower() == "in"]
    # The trigger goes on top, as the documentation has it.
    inputs.sort(key=lambda each: not str(each.get("type", "")).endswith("Trigger"))
    names = [str(each.get("name", "context")) for each in inputs]
    return [
        *(_decorator(each) for each in inputs),
        f"def {manifest.parent.name.replace('-', '_')}({', '.join(names)}): ...",
    ]


def _bindings(manifest: Path) -> list[dict[str, Any]]:
    try:
        raw = json.loads(without_comments(manifest.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError):
        return []
    found = raw.get("bindings") if isinstance(raw, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _decorator(binding: dict[str, Any]) -> str:
    kind, name = str(binding.get("type", "")), str(binding.get("name", "context"))
    if kind == "httpTrigger":
        route, methods = binding.get("route"), binding.get("methods")
        parts = [
            f'trigger_arg_name="{name}"' if name != "req" else "",
            f'route="{route}"' if route else "",
            f"methods={methods!r}" if methods else "",
        ]
        return f"@app.route({', '.join(part for part in parts if part)})"
    known = _DECORATORS.get(kind)
    if known is not None:
        return known.format(name=name, schedule=binding.get("schedule", ""))
    return f'@app.generic_trigger(arg_name="{name}", type="{kind}")'
