"""Options of a file that nobody reads: most are misspelt, so the nearest known name is told."""

from __future__ import annotations

import difflib
import typing
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from durable_app.host.config.option_types import Options
from durable_app.host.config.options import StorageProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Providers whose options are listed in StorageProvider; others bring their own.
_LISTED_PROVIDERS: Final = ("azurestorage", "azuremanaged")
_CLOSE: Final = 0.6
_VERY_CLOSE: Final = 0.8


class UnknownOption(NamedTuple):
    """One option without effect: its keys from the top of the file, and a line about it."""

    path: tuple[str, ...]
    text: str


def unknown_options(model: type[Options], raw: Mapping[str, Any]) -> list[UnknownOption]:
    """Options in a JSON object that its model does not know, in the order of the file.

    Args:
        model: what describes the object.
        raw: the object as read, before validation.
    """
    return list(_unknown(model, raw, ()))


def _unknown(
    model: type[Options], raw: Mapping[str, Any], above: tuple[str, ...]
) -> Iterator[UnknownOption]:
    known = {name.casefold(): name for name in model.known_names()}
    is_open = model.is_open() or _is_foreign(model, raw)
    for key, value in raw.items():
        path = (*above, key)
        name = known.get(key.casefold())
        if name is None:
            advice = _advice(model, key, _VERY_CLOSE if is_open else _CLOSE)
            if advice or not is_open:
                yield UnknownOption(path, f"{'.'.join(path)} is not known here.{advice}")
            continue
        child = _section(model.annotation_of(name))
        if child is not None and isinstance(value, dict):
            yield from _unknown(child, value, (*above, name))


def _is_foreign(model: type[Options], raw: Mapping[str, Any]) -> bool:
    if model is not StorageProvider:
        return False
    kind = next((value for key, value in raw.items() if key.casefold() == "type"), None)
    return kind is not None and str(kind).casefold() not in _LISTED_PROVIDERS


def _advice(model: type[Options], key: str, cutoff: float) -> str:
    for name in model.fields_by_folded_name().values():
        section = _section(model.annotation_of(name))
        if section is not None:
            inner = {known.casefold(): known for known in section.known_names()}
            if key.casefold() in inner:
                return f" Did you mean '{name}.{inner[key.casefold()]}'?"
    by_folded = {name.casefold(): name for name in model.known_names()}
    close = difflib.get_close_matches(key.casefold(), sorted(by_folded), n=1, cutoff=cutoff)
    return f" Did you mean '{by_folded[close[0]]}'?" if close else ""


def _section(annotation: Any) -> type[Options] | None:
    """The model behind an annotation, which may be a union with None."""
    for part in (annotation, *typing.get_args(annotation)):
        if isinstance(part, type) and issubclass(part, Options):
            return part
    return None
