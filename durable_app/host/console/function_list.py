"""The list of functions that is printed at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from durable_app.host.calls.invoke import HTTP_TRIGGER
from durable_app.host.console.colour import Paint
from durable_app.host.console.log_levels import Level

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from durable_app.functions.index import FunctionFacts
    from durable_app.host.app.roster import HostedApp
    from durable_app.host.console.console import Console

#: Triggers that the host itself runs; for others somebody has to say so.
RUN_HERE: Final = frozenset(
    {HTTP_TRIGGER, "orchestrationTrigger", "activityTrigger", "entityTrigger"}
)
_PLAIN: Final = Paint(is_on=False)


def show_functions(
    console: Console, app: HostedApp, origin: str, prefix: str, idle: Iterable[str] = ()
) -> None:
    """Print the list, then what does not run and why.

    Args:
        origin: address of the server, such as ``http://localhost:7071``.
        prefix: ``routePrefix`` of host.json.
        idle: a line per function whose trigger does not run locally.
    """
    for line in function_list(app, origin, prefix, console.paint):
        console.line(line)
    for line in disabled_functions(app):
        console.line(line, Level.WARNING)
    for line in functions_in_error(app):
        console.always(line, Level.ERROR)
    for line in idle:
        console.line(line, Level.WARNING)


def show_durable_functions(console: Console, app: HostedApp, served: Collection[str]) -> None:
    """Print the functions that a worker runs, and what it leaves to others.

    Args:
        served: types of triggers that it runs.
    """
    running = [function.facts for function in app.functions if function.runs]
    console.line()
    console.line(console.paint.yellow("Functions:"))
    for facts in running:
        if facts.trigger_type in served:
            console.line(f"\t{facts.name} {facts.trigger_type}")
    left = [facts.name for facts in running if facts.trigger_type not in served]
    if left:
        console.line(f"Left to a host with HTTP and other triggers: {', '.join(left)}.")
    for line in disabled_functions(app):
        console.line(line, Level.WARNING)
    for line in functions_in_error(app):
        console.always(line, Level.ERROR)
    console.line()


def function_list(app: HostedApp, origin: str, prefix: str, paint: Paint = _PLAIN) -> list[str]:
    """Lines: HTTP functions with method and URL first, then the others with their trigger."""
    http, others = [], []
    for function in app.functions:
        if not function.runs:
            continue
        facts = function.facts
        name = paint.yellow(f"{facts.name}:")
        if facts.trigger_type == HTTP_TRIGGER:
            methods = f"[{','.join(m.upper() for m in facts.methods)}]" if facts.methods else ""
            # Without methods the field stays empty: two blanks.
            url = paint.green(f"{origin}/{route_of(facts, prefix)}")
            http.append(f"\t{name} {methods} {url}")
        else:
            others.append(f"\t{name} {facts.trigger_type}")
    if not app.functions:
        return ["", "No functions found. `func new` adds one.", ""]
    lines = ["", paint.yellow("Functions:"), ""]
    for line in (*http, *others):
        lines += [line, ""]
    return lines


def disabled_functions(app: HostedApp) -> list[str]:
    """A line per function that a setting has disabled."""
    return [
        f"Function {function.facts.name} is disabled."
        for function in app.functions
        if function.is_disabled
    ]


def functions_in_error(app: HostedApp) -> list[str]:
    """A line per function that cannot run although the others do."""
    return [
        f"The '{function.facts.name}' function is in error: {function.error}"
        for function in app.functions
        if function.error is not None and not function.is_disabled
    ]


def idle_functions(app: HostedApp, running: Collection[str] = RUN_HERE) -> list[str]:
    """A line per function that is listed and that nothing here will ever call.

    Args:
        running: types of triggers that run here.
    """
    return [
        f"Function '{function.facts.name}' will not run: its {function.facts.trigger_type} is not"
        " run locally."
        for function in app.functions
        if function.runs and function.facts.trigger_type not in running
    ]


def route_of(function: FunctionFacts, prefix: str) -> str:
    """Template of an HTTP function, relative to the server's root."""
    route = function.name if function.route is None else function.route
    return "/".join(part for part in (prefix.strip("/"), route.strip("/")) if part)
