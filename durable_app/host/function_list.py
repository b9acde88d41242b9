"""The list of functions that is printed at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from durable_app.host.invoke import HTTP_TRIGGER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from durable_app.functions.index import FunctionFacts


_RUN: Final = frozenset({HTTP_TRIGGER, "orchestrationTrigger", "activityTrigger"})


def idle_functions(functions: Iterable[FunctionFacts]) -> list[str]:
    """A line per function that is listed and that nothing here will ever call."""
    return [
        f"Function '{function.name}' will not run: this version has no {function.trigger_type}."
        for function in functions
        if function.trigger_type not in _RUN
    ]


def function_list(functions: Iterable[FunctionFacts], origin: str, prefix: str) -> list[str]:
    """Lines: HTTP functions with method and URL first, then the others with their trigger."""
    http, others = [], []
    for function in functions:
        if function.trigger_type == HTTP_TRIGGER:
            methods = (
                f"[{','.join(m.upper() for m in function.methods)}]" if function.methods else ""
            )
            url = f"{origin}/{route_of(function, prefix)}"
            http.append(f"\t{function.name}: {methods} {url}")
        else:
            others.append(f"\t{function.name}: {function.trigger_type}")
    lines = ["", "Functions:", ""]
    for line in (*http, *others):
        lines += [line, ""]
    return lines


def route_of(function: FunctionFacts, prefix: str) -> str:
    """Template of an HTTP function, relative to the server's root."""
    route = function.name if function.route is None else function.route
    return "/".join(part for part in (prefix.strip("/"), route.strip("/")) if part)
