"""The reference page of host.json and local.settings.json, from their models."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, NamedTuple, Union

from annotated_types import Ge, Le
from pydantic import BeforeValidator

from durable_app.host.config.option_types import Options
from durable_app.host.config.settings import HostSettings, LocalSettings

if typing.TYPE_CHECKING:
    from pydantic.fields import FieldInfo

TITLE: Final = "Settings"
INTRO: Final = (
    "Every option of host.json and local.settings.json that is read, with its type and default."
    " What an option does, and whether it does anything on your machine, is told in the"
    " [guide](../guide/settings.md)."
)
_TYPES: Final[dict[Any, str]] = {
    bool: "`true` or `false`",
    str: "text",
    list[str]: "list of texts",
    dict[str, str]: "object of texts",
    dict[str, str | None]: "object of texts",
}
# What reads a text before pydantic checks the result -> what the text is.
_READERS: Final = {
    "parse_time_span": "time span",
    "parse_timeout": "time span of a second or more; `-1` for no limit",
    "parse_days": "time span, or a number of days",
}


class Option(NamedTuple):
    """One option: its path in the file, its type in words, its default as JSON."""

    path: str
    type: str
    default: str


def text() -> str:
    """The page without its header."""
    parts = [f"\n# {TITLE}", INTRO]
    for title, model in (("host.json", HostSettings), ("local.settings.json", LocalSettings)):
        parts.append(f"## {title}")
        rows = [f"| `{o.path}` | {o.type} | {o.default} |" for o in options_of(model)]
        parts.append("\n".join(["| option | type | default |", "|---|---|---|", *rows]))
        silent = [f"`{path}`" for path in silent_options(model)]
        if silent:
            parts.append(f"Known and without a meaning here: {', '.join(silent)}.")
    return "\n\n".join(parts) + "\n"


def options_of(model: type[Options], prefix: str = "") -> Iterator[Option]:
    """Every option of a model and of the objects in it, in the order of the source."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner = _inner_model(field.annotation)
        if inner is not None:
            yield from options_of(inner, f"{path}.")
        else:
            default = "required" if field.is_required() else _json(_default(field))
            yield Option(path, _type_text(field), default)


def silent_options(model: type[Options], prefix: str = "") -> Iterator[str]:
    """Options that are accepted without a word and do nothing."""
    for name, field in model.model_fields.items():
        inner = _inner_model(field.annotation)
        if inner is not None:
            yield from silent_options(inner, f"{prefix}{field.alias or name}.")
    read = {path.casefold() for path in model.fields_by_folded_name()}
    for name in sorted(name for name in model.known_names() if name.casefold() not in read):
        yield f"{prefix}{name}"


def _inner_model(annotation: Any) -> type[Options] | None:
    for part in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(part, type) and issubclass(part, Options):
            return part
    return None


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def _type_text(field: FieldInfo) -> str:
    parts = list(_parts(field.annotation)) + field.metadata
    choices = [choice for part in parts for choice in _choices(part)]
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    readers = [part.func.__name__.strip("_") for part in parts if isinstance(part, BeforeValidator)]
    known = [_READERS[name] for name in readers if name in _READERS]
    if known:
        return known[0]
    if int in parts:
        return _bounded(parts)
    return next(words for kind, words in _TYPES.items() if kind in parts)


def _parts(annotation: Any) -> Iterator[Any]:
    """What a type is made of: the members of a union, the marks of an annotated type."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _parts(member)
    elif typing.get_origin(annotation) is Annotated:
        inner, *marks = typing.get_args(annotation)
        yield from _parts(inner)
        for mark in marks:
            yield mark
            yield from getattr(mark, "metadata", ())
    else:
        yield annotation


def _choices(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()


def _bounded(parts: list[Any]) -> str:
    low = next((part.ge for part in parts if isinstance(part, Ge)), None)
    high = next((part.le for part in parts if isinstance(part, Le)), None)
    if low == -1:
        return "whole number; -1 for no limit"
    return f"whole number, {low} or more" if high is None else f"whole number, {low} to {high}"


def _json(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, timedelta):
        hours, seconds = divmod(value.seconds, 3600)
        days = f"{value.days}." if value.days else ""
        return f"`{days}{hours:02}:{seconds // 60:02}:{seconds % 60:02}`"
    return f"`{json.dumps(value)}`"
