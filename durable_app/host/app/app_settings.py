"""App settings in the bindings of functions, and those that switch functions off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from durable_app.functions import bindings as durable_bindings
from durable_app.functions.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_PLACEHOLDER: Final = re.compile(r"%([^%]+)%")
_SWITCH: Final = re.compile(r"AzureWebJobs[._](.+)[._]Disabled", re.IGNORECASE)
_ON: Final = frozenset({"true", "1"})
_OFF: Final = frozenset({"false", "0", ""})
# Properties that are names, and no texts with settings in them.
_NAMES: Final = frozenset({"name", "type", "direction"})
_DURABLE_NAMES: Final = {
    durable_bindings.ORCHESTRATION_TRIGGER: "orchestration",
    durable_bindings.ACTIVITY_TRIGGER: "activity",
    durable_bindings.ENTITY_TRIGGER: "entityName",
}


class UnresolvedSettingError(Exception):
    """A binding names an app setting that does not exist."""

    def __init__(self, name: str) -> None:
        """Name the setting."""
        super().__init__(
            f"'%{name}%' does not resolve to a value. Set {name} in local.settings.json (Values) or"
            " in the environment."
        )


def app_setting(name: str, environ: Mapping[str, str]) -> str | None:
    """An app setting as .NET's configuration finds it: in any case, ``__`` for ``:``.

    Returns:
        None where there is none.
    """
    for wanted in (name, name.replace(":", "__")):
        if wanted in environ:
            return environ[wanted]
    folded = name.replace(":", "__").casefold()
    return next((value for key, value in environ.items() if key.casefold() == folded), None)


def with_settings(
    bindings: tuple[dict[str, Any], ...], environ: Mapping[str, str]
) -> tuple[dict[str, Any], ...]:
    """Bindings with each ``%NAME%`` replaced by the app setting; a single ``%`` stays.

    Raises:
        UnresolvedSettingError: there is no such setting.
    """
    return tuple(_resolved_binding(binding, environ) for binding in bindings)


def is_disabled(function: str, environ: Mapping[str, str]) -> bool:
    """Whether ``AzureWebJobs.NAME.Disabled`` is true or 1; ``_`` may stand for each dot."""
    names = (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled")
    values = (app_setting(name, environ) for name in names)
    return any(value is not None and value.strip().casefold() in _ON for value in values)


def useless_switches(functions: Iterable[str], environ: Mapping[str, str]) -> Iterator[str]:
    """A line per setting that looks as if it switched a function off, and does not.

    Args:
        functions: names of all functions of the app.
    """
    known = {name.casefold(): name for name in functions}
    for setting, value in environ.items():
        match = _SWITCH.fullmatch(setting)
        if match is None:
            continue
        if match[1].casefold() not in known:
            yield (
                f"{setting} switches nothing off: there is no function '{match[1]}'."
                f"{did_you_mean(match[1], known.values())}"
            )
        elif value.strip().casefold() not in _ON | _OFF:
            yield f"{setting} is '{value}' and switches nothing off: write true or false."


def _resolved_binding(binding: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    kept = _NAMES | {_DURABLE_NAMES.get(binding["type"], "name")}
    return {
        key: value if key in kept else _resolved(value, environ) for key, value in binding.items()
    }


def _resolved(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: _setting(found[1], environ), value)
    if isinstance(value, list):
        return [_resolved(item, environ) for item in value]
    if isinstance(value, dict):
        return {key: _resolved(item, environ) for key, item in value.items()}
    return value


def _setting(name: str, environ: Mapping[str, str]) -> str:
    value = app_setting(name, environ)
    if value is None:
        raise UnresolvedSettingError(name)
    return value
