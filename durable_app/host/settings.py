"""host.json and local.settings.json: what they may say, and what this host makes of it.

Keys are matched without regard to case, as .NET's configuration does. Options without a meaning
here are ignored. Environment variables ``AzureFunctionsJobHost__a__b`` override ``{"a": {"b"}}``.
"""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from durable_app.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path

_OVERRIDE_PREFIX: Final = "azurefunctionsjobhost__"
_M = TypeVar("_M", bound="_Options")


class _Options(BaseModel):
    """A JSON object with camelCase keys in any case."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _fold_keys(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        known = {
            (field.alias or name).casefold(): field.alias or name
            for name, field in cls.model_fields.items()
        }
        return {known.get(str(key).casefold(), key): value for key, value in raw.items()}


def _parse_timeout(raw: Any) -> Any:
    """``[d.]hh:mm:ss`` as .NET writes it; -1 for no limit."""
    if raw in {"-1", -1}:
        return None
    if not isinstance(raw, str):
        return raw
    match = re.fullmatch(r"(?:(\d+)\.)?(\d+):(\d{1,2}):(\d{1,2})(?:\.\d+)?", raw.strip())
    if match is None:
        raise ValueError("is no time span such as 00:30:00 (hours, minutes, seconds)")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


TimeSpan = Annotated[timedelta | None, BeforeValidator(_parse_timeout)]
Slots = Annotated[int, Field(ge=1)]


class StorageProvider(_Options):
    """Where Azure keeps the hub; here it only names the connection string."""

    type: str = "AzureStorage"
    connection_name: str | None = None
    connection_string_name: str | None = None


class DurableTaskOptions(_Options):
    """``extensions.durableTask``."""

    hub_name: str | None = None
    storage_provider: StorageProvider = StorageProvider()
    max_concurrent_activity_functions: Slots | None = None
    max_concurrent_orchestrator_functions: Slots | None = None
    max_concurrent_entity_functions: Slots | None = None
    max_orchestration_actions: Slots = 100_000
    overridable_existing_instance_states: Literal["NonRunningStates", "AnyState"] = (
        "NonRunningStates"
    )
    default_version: str | None = None


class HttpOptions(_Options):
    """``extensions.http``."""

    route_prefix: str = "api"


class Extensions(_Options):
    """``extensions``."""

    http: HttpOptions = HttpOptions()
    durable_task: DurableTaskOptions = DurableTaskOptions()


class Logging(_Options):
    """``logging``; levels by category, as in .NET (``Information``, ``Warning``, ...)."""

    log_level: dict[str, str] = {}


class HostSettings(_Options):
    """host.json."""

    version: str = "2.0"
    function_timeout: TimeSpan = timedelta(minutes=30)
    extensions: Extensions = Extensions()
    logging: Logging = Logging()


class LocalHostOptions(_Options):
    """``Host`` of local.settings.json."""

    local_http_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    local_http_address: str | None = None


class LocalSettings(_Options):
    """local.settings.json."""

    model_config = ConfigDict(
        alias_generator=lambda name: to_camel(name)[:1].upper() + to_camel(name)[1:]
    )

    is_encrypted: bool = False
    values: dict[str, str | int | float | bool | None] = {}
    host: LocalHostOptions = LocalHostOptions()


def read_host_settings(folder: Path, environ: MutableMapping[str, str]) -> HostSettings:
    """Read ``folder/host.json`` and the overrides in ``environ``; defaults where it is absent.

    Raises:
        ConfigError: it is no JSON, or an option has a wrong type or an unknown value.
    """
    path = folder / "host.json"
    raw = _read_json(path)
    for key, value in environ.items():
        if key.casefold().startswith(_OVERRIDE_PREFIX):
            _override(raw, key[len(_OVERRIDE_PREFIX) :].split("__"), value)
    settings = _validate(HostSettings, raw, path)
    if settings.version != "2.0":
        raise ConfigError(
            f'{path}: version \'{settings.version}\' is not supported. Write "version": "2.0".'
        )
    return settings


def read_local_settings(folder: Path) -> LocalSettings:
    """Read ``folder/local.settings.json``; empty where it is absent.

    Raises:
        ConfigError: it is no JSON, is encrypted, or has a wrong type somewhere.
    """
    path = folder / "local.settings.json"
    settings = _validate(LocalSettings, _read_json(path), path)
    if settings.is_encrypted:
        raise ConfigError(
            f"{path} is encrypted, and only Azure Functions Core Tools hold the key. Run"
            " `func settings decrypt` with them first."
        )
    return settings


def apply_values(settings: LocalSettings, environ: MutableMapping[str, str]) -> list[str]:
    """Put ``Values`` into the environment; what is set there already wins.

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
            environ[key] = str(value).lower() if isinstance(value, bool) else str(value)
    environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    try:
        raw = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}, line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}."
        ) from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: must be a JSON object, not {type(raw).__name__}.")
    return raw


def _validate(model: type[_M], raw: dict[str, Any], path: Path) -> _M:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(f"{path}: {where}: {first['msg']} (it is {first['input']!r}).") from error


def _override(raw: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        key = _existing_key(raw, part)
        child = raw.get(key)
        if not isinstance(child, dict):
            child = raw[key] = {}
        raw = child
    raw[_existing_key(raw, path[-1])] = value


def _existing_key(raw: dict[str, Any], wanted: str) -> str:
    return next((key for key in raw if key.casefold() == wanted.casefold()), wanted)


def environment() -> MutableMapping[str, str]:
    """The process's own environment, which the app's code sees too."""
    return os.environ
