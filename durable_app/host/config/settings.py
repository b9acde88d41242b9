"""Reads host.json and local.settings.json, and says what in them is wrong or without effect.

Environment variables ``AzureFunctionsJobHost__a__b`` override ``{"a": {"b"}}`` of host.json; a
number as a part of the name is the index of a list.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from pydantic import ValidationError

from durable_app.errors import ConfigError
from durable_app.functions.names import did_you_mean
from durable_app.host.config.json_file import json_word, read_json_object
from durable_app.host.config.local_options import LocalSettings
from durable_app.host.config.option_types import Options
from durable_app.host.config.options import (
    DurableTaskOptions,
    Extensions,
    HostSettings,
    HttpOptions,
    StorageProvider,
)
from durable_app.host.config.unknown_options import unknown_options

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping
    from pathlib import Path

__all__ = [
    "DurableTaskOptions",
    "Extensions",
    "HostSettings",
    "HttpOptions",
    "LocalSettings",
    "StorageProvider",
    "apply_values",
    "environment",
    "expand_setting",
    "read_host_settings",
    "read_local_settings",
]

_OVERRIDE_PREFIX: Final = re.compile(r"azurefunctionsjobhost(?:__|:)(?=.)", re.IGNORECASE)
_SEPARATOR: Final = re.compile(r"__|:")
_VERSION: Final = "2.0"
_M = TypeVar("_M", bound=Options)
_LEVELS: Final = ("Trace", "Debug", "Information", "Warning", "Error", "Critical", "None")


class _Override(NamedTuple):
    """An environment variable that sets an option of host.json."""

    variable: str
    path: tuple[str, ...]
    value: str


def read_host_settings(folder: Path, environ: MutableMapping[str, str]) -> HostSettings:
    """Read ``folder/host.json`` and the overrides in ``environ``; defaults where it is absent.

    Returns:
        The settings; their ``warnings`` name what in them has no effect.

    Raises:
        ConfigError: it is no JSON, or an option has a wrong type or an unknown value.
    """
    path = folder / "host.json"
    raw = read_json_object(path)
    if not raw:
        # One that nobody has written yet; the host fills it in.
        raw["version"] = _VERSION
    overrides = _overrides(environ)
    for override in overrides:
        _override(raw, override.path, override.value)
    _check_version(raw, _source(["version"], str(path), overrides))
    settings = _validate(HostSettings, raw, path, overrides)
    levels, level_warnings = _log_levels(settings.logging.log_level)
    settings = settings.model_copy(
        update={"logging": settings.logging.model_copy(update={"log_level": levels})}
    )
    unknown = [
        f"{_source(option.path, path.name, overrides)}: {option.text}"
        for option in unknown_options(HostSettings, raw)
    ]
    return settings.with_warnings(*unknown, *level_warnings)


def read_local_settings(folder: Path) -> LocalSettings:
    """Read ``folder/local.settings.json``; empty where it is absent.

    Raises:
        ConfigError: it is no JSON, is encrypted, or has a wrong type somewhere.
    """
    path = folder / "local.settings.json"
    raw = read_json_object(path)
    if any(
        key.casefold() == "isencrypted" and str(value).casefold() == "true"
        for key, value in raw.items()
    ):
        raise ConfigError(
            f"{path} is encrypted, and only Azure Functions Core Tools hold the key. Run"
            " `func settings decrypt` with them first."
        )
    settings = _validate(LocalSettings, raw, path)
    unknown = [f"{path.name}: {option.text}" for option in unknown_options(LocalSettings, raw)]
    return settings.with_warnings(*unknown)


def apply_values(settings: LocalSettings, environ: MutableMapping[str, str]) -> list[str]:
    """Put ``Values`` and ``ConnectionStrings`` into the environment; what is there already wins.

    Returns:
        One line for each value that was skipped.
    """
    skipped = []
    for key, value in settings.values.items():
        if value is None:
            continue
        if key in environ:
            skipped.append(
                f"Skipping '{key}' from local settings as it's already defined in current"
                " environment variables."
            )
        else:
            environ[key] = value
    for name, text in settings.connection_strings.items():
        if text is not None:
            # .NET reads the first form, shells can only write the second.
            environ.setdefault(f"ConnectionStrings:{name}", text)
            environ.setdefault(f"ConnectionStrings__{name}", text)
    environ["AZURE_FUNCTIONS_ENVIRONMENT"] = "Development"
    return skipped


def expand_setting(text: str, environ: MutableMapping[str, str], option: str) -> str:
    """``%NAME%`` as a whole stands for the app setting NAME; anything else is itself.

    Raises:
        ConfigError: there is no such setting.
    """
    match = re.fullmatch(r"%([^%]+)%", text.strip())
    if match is None:
        return text
    value = environ.get(match[1])
    if not value:
        raise ConfigError(
            f"host.json: {option}: '{text}' does not resolve to a value. Set {match[1]} in"
            " local.settings.json (Values) or in the environment."
        )
    return value


def environment() -> MutableMapping[str, str]:
    """The process's own environment, which the app's code sees too."""
    return os.environ


def _check_version(raw: dict[str, Any], source: str) -> None:
    version = next((value for key, value in raw.items() if key.casefold() == "version"), None)
    if version in (None, ""):
        raise ConfigError(
            f'{source}: the required property \'version\' is missing. Write "version": "2.0".'
        )
    if str(version) != _VERSION:
        raise ConfigError(
            f'{source}: version {json.dumps(version)} is not supported. Write "version": "2.0".'
        )


def _validate(
    model: type[_M], raw: dict[str, Any], path: Path, overrides: Iterable[_Override] = ()
) -> _M:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = [str(part) for part in first["loc"]]
        source = _source(where, str(path), overrides)
        if first["type"] == "missing":
            raise ConfigError(f"{source}: {'.'.join(where)}: is required.") from error
        reason = first["msg"].removeprefix("Value error, ").removesuffix(".")
        if first["type"] == "model_type":
            reason = "Input should be an object"
        raise ConfigError(
            f"{source}: {'.'.join(where)}: {reason} (it is {_shown(first['input'])})."
        ) from error


def _shown(value: Any) -> str:
    return json_word(value) if isinstance(value, dict | list) else json.dumps(value, default=str)


def _log_levels(levels: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Known levels with their proper names, and a line for each of the others."""
    by_name = {name.casefold(): name for name in _LEVELS}
    by_name |= {str(number): name for number, name in enumerate(_LEVELS)}
    known, warnings = {}, []
    for category, level in levels.items():
        name = by_name.get(level.strip().casefold())
        if name is not None:
            known["default" if category.casefold() == "default" else category] = name
        else:
            warnings.append(
                f"host.json: logging.logLevel.{category}: '{level}' is no log level and is ignored."
                f"{did_you_mean(level, _LEVELS) or ' Known levels: ' + ', '.join(_LEVELS) + '.'}"
            )
    return known, warnings


# ---------------------------------------------------------------------------------------------
# Overrides
# ---------------------------------------------------------------------------------------------


def _overrides(environ: MutableMapping[str, str]) -> list[_Override]:
    found = []
    for variable, value in environ.items():
        match = _OVERRIDE_PREFIX.match(variable)
        if match is not None:
            path = tuple(_SEPARATOR.split(variable[match.end() :]))
            found.append(_Override(variable, path, value))
    return found


def _source(path: Iterable[str], file: str, overrides: Iterable[_Override]) -> str:
    """Who has set an option: a variable of the environment, or the file."""
    folded = [part.casefold() for part in path]
    for override in overrides:
        if [part.casefold() for part in override.path][: len(folded)] == folded:
            return override.variable
    return file


def _override(raw: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    for part in path[:-1]:
        key = _existing_key(raw, part)
        child = raw.get(key)
        if isinstance(child, list):
            child = {str(index): item for index, item in enumerate(child)}
        elif not isinstance(child, dict):
            child = {}
        raw[key] = child
        raw = child
    raw[_existing_key(raw, path[-1])] = value


def _existing_key(raw: dict[str, Any], wanted: str) -> str:
    return next((key for key in raw if key.casefold() == wanted.casefold()), wanted)
