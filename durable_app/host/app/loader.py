"""Loads an app: imports it, applies the app settings, and says which of its functions run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_app.errors import ConfigError
from durable_app.functions.index import index_of
from durable_app.functions.names import did_you_mean, quoted
from durable_app.host.app.app_modules import fresh_modules
from durable_app.host.app.app_settings import (
    UnresolvedSettingError,
    is_disabled,
    useless_switches,
    with_settings,
)
from durable_app.host.app.importer import ImportedApp, import_app
from durable_app.host.app.roster import HostedApp, HostedFunction
from durable_app.host.triggers.values import TIMER_TRIGGER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from durable_app.functions.index import FunctionFacts


def load_app(folder: Path, environ: Mapping[str, str], only: Collection[str] = ()) -> HostedApp:
    """Import the app of a folder anew, and say which of its functions run.

    May be called again, on any thread, for a folder whose files have changed: the app's own modules
    are imported afresh. Where that fails, the modules of the load before are in place again.

    Args:
        environ: app settings.
        only: names of the only functions that shall be known, in any case; empty for all.

    Raises:
        DefinitionError: there is no app, more than one, or its code is broken.
        ConfigError: ``only`` names a function that the app has not got.
    """
    with fresh_modules(folder):
        imported = import_app(folder, environ)
        declared = _chosen(imported.declared.functions, only)
        functions = tuple(_hosted(facts, environ) for facts in declared)
        running = [function.facts for function in functions if function.runs]
        warnings = (
            *useless_switches((each.name for each in imported.declared.functions), environ),
            *_unretried(running),
            *_unregistered(imported),
        )
        return HostedApp(imported.script_file, functions, index_of(running), warnings)


def _unregistered(imported: ImportedApp) -> list[str]:
    return [
        f"Blueprint '{name}' of {imported.script_file} is not registered: its functions do not run."
        f" Write app.register_functions({name})."
        for name in imported.left_out
    ]


def _unretried(running: Iterable[FunctionFacts]) -> list[str]:
    return [
        f"Function '{facts.name}' has a retry policy, which has no effect: of functions that run"
        " here the host repeats those of timers alone."
        for facts in running
        if facts.retry is not None and facts.trigger_type != TIMER_TRIGGER
    ]


def _chosen(
    functions: tuple[FunctionFacts, ...], only: Collection[str]
) -> tuple[FunctionFacts, ...]:
    names = [function.name for function in functions]
    known = {name.casefold() for name in names}
    for wanted in only:
        if wanted.casefold() not in known:
            raise ConfigError(
                f"Function '{wanted}', which --functions or \"functions\" of host.json names, does"
                f" not exist.{did_you_mean(wanted, names)} The app has: {quoted(names) or 'none'}."
            )
    chosen = {wanted.casefold() for wanted in only} or known
    return tuple(function for function in functions if function.name.casefold() in chosen)


def _hosted(facts: FunctionFacts, environ: Mapping[str, str]) -> HostedFunction:
    disabled = is_disabled(facts.name, environ)
    try:
        resolved = facts.with_bindings(with_settings(facts.bindings, environ))
    except UnresolvedSettingError as error:
        return HostedFunction(facts, disabled, str(error))
    return HostedFunction(resolved, disabled)
