"""Every option of local.settings.json, with its type and its default."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import ConfigDict, Field, PrivateAttr, field_validator
from pydantic.alias_generators import to_camel

from durable_app.host.config.option_types import Options, Port


def _to_pascal(name: str) -> str:
    camel = to_camel(name)
    return camel[:1].upper() + camel[1:]


_PASCAL: Final = ConfigDict(alias_generator=_to_pascal)


class LocalHostOptions(Options):
    """``Host`` of local.settings.json; the command line wins over it."""

    model_config = _PASCAL

    local_http_port: Port | None = None
    local_http_address: str | None = None
    cors: str | None = Field(default=None, alias="CORS")
    cors_credentials: bool = Field(default=False, alias="CORSCredentials")

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """Origins that browsers may call from; ``*`` for all."""
        return tuple(origin for part in (self.cors or "").split(",") if (origin := part.strip()))


class LocalSettings(Options):
    """local.settings.json.

    Attributes:
        values: app settings; None for one that is not to be set.
        connection_strings: likewise, under ``ConnectionStrings:NAME``.
    """

    model_config = _PASCAL

    is_encrypted: bool = False
    values: dict[str, str | None] = Field(default_factory=dict)
    host: LocalHostOptions = LocalHostOptions()
    connection_strings: dict[str, str | None] = Field(default_factory=dict)

    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines about what is in the file and will have no effect."""
        return self._warnings

    def with_warnings(self, *lines: str) -> LocalSettings:
        """The same settings with these warnings."""
        copy = self.model_copy()
        copy._warnings = lines  # noqa: SLF001  of the same class
        return copy

    @field_validator("values", mode="before")
    @classmethod
    def _flat_values(cls, raw: Any) -> Any:
        return _flat(raw, "write one value per setting, nested names as A__B")

    @field_validator("connection_strings", mode="before")
    @classmethod
    def _flat_strings(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        strings = {}
        for name, value in raw.items():
            if isinstance(value, dict):
                inner = {str(key).casefold(): text for key, text in value.items()}
                strings[name] = inner.get("connectionstring", value)
            else:
                strings[name] = value
        return _flat(strings, 'write a text, or {"ConnectionString": "..."}')


def _flat(raw: Any, advice: str) -> Any:
    """Settings as text; .NET writes true and false in lower case here."""
    if not isinstance(raw, dict):
        return raw
    texts = {}
    for name, value in raw.items():
        if isinstance(value, dict | list):
            kind = "an object" if isinstance(value, dict) else "a list"
            raise ValueError(f"'{name}' is {kind}: {advice}")  # noqa: TRY004  pydantic reports it
        text = value if value is None or isinstance(value, str) else json.dumps(value)
        if not _fits_environment(name, text or ""):
            raise ValueError(
                f"'{name}' cannot be an environment variable: its name is empty or has '=', or"
                " name or value hold a NUL or half a character"
            )
        texts[name] = text
    return texts


def _fits_environment(name: str, text: str) -> bool:
    try:
        both = f"{name}{text}".encode()
    except UnicodeEncodeError:
        return False
    return bool(name) and "=" not in name and b"\0" not in both
