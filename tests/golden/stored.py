"""Every kind of event in the bytes in which it was once stored.

Databases keep such bytes for years, so each form here must be readable for ever. A kind has one
form per generation of its fields; a new field appends a form, and no form is ever removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from durable_app.protocol import HistoryEvent, OrchestrationStatus, decode_events, encode_events
from tests.golden.golden import (
    KINDS,
    STORED,
    from_readable,
    options_of,
    struct_in,
    to_readable,
    write_json,
)

_TIME = datetime(2026, 5, 4, 12, 30, 15, 123456, tzinfo=UTC)


class Form(NamedTuple):
    """One stored event, and what it says."""

    blob: bytes
    event: Any


def read_forms() -> dict[str, list[Form]]:
    """Return all forms of each kind, the oldest first."""
    written = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    return {
        kind: [Form(bytes.fromhex(form["hex"]), from_readable(form["event"])) for form in forms]
        for kind, forms in written.items()
    }


def record_forms() -> list[str]:
    """Append a form for each kind that lacks one, or has one without a newer field.

    Returns:
        The kinds that got one.
    """
    forms = read_forms()
    stale = [kind for kind in KINDS if not forms.get(kind) or unset(forms[kind][-1].event)]
    for kind in stale:
        event = _example(KINDS[kind])
        forms.setdefault(kind, []).append(Form(encode_events([event]), event))
    STORED.parent.mkdir(exist_ok=True)
    readable = {
        kind: [{"hex": form.blob.hex(), "event": to_readable(form.event)} for form in forms[kind]]
        for kind in sorted(forms)
    }
    write_json(STORED, readable)
    return stale


def read_stored(blob: bytes) -> HistoryEvent:
    """Return the one event of a blob, as the product reads it."""
    (event,) = decode_events(blob)
    return event


def unset(value: msgspec.Struct, path: str = "") -> list[str]:
    """Return the fields, also of structs within, that have their defaults: ``parent.key``."""
    found = []
    for field in msgspec.structs.fields(value):
        held = getattr(value, field.name)
        if held == field.default and not _ends_recursion(value, field):
            found.append(path + field.name)
        elif isinstance(held, msgspec.Struct):
            found += unset(held, f"{path}{field.name}.")
    return found


def _ends_recursion(value: msgspec.Struct, field: msgspec.structs.FieldInfo) -> bool:
    return struct_in(field.type) is type(value)


def _example(kind: type[msgspec.Struct], *, inner: bool = True) -> Any:
    """Build an instance with every field set; a struct of its own type within, once."""
    values = {}
    for field in msgspec.structs.fields(kind):
        struct = struct_in(field.type)
        if struct is kind and not inner:
            continue
        if struct is not None:
            values[field.name] = _example(struct, inner=struct is not kind)
        else:
            values[field.name] = _sample(field)
    return kind(**values)


def _sample(field: msgspec.structs.FieldInfo) -> Any:
    samples: dict[Any, Any] = {
        str: f"a {field.name} with \u00e9 and \U0001f680",
        int: 70_000,
        bool: True,
        datetime: _TIME,
        OrchestrationStatus: OrchestrationStatus.TERMINATED,
        tuple[str, ...]: ("first", "second"),
        dict[str, str]: {"key": "value"},
        Mapping[str, str]: {"key": "value"},
        dict[str, Any]: {"text": "value", "number": 1.5, "list": [1, None, True]},
    }
    return next(samples[kind] for kind in options_of(field.type) if kind in samples)
