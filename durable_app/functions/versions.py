"""Several versions of one orchestration behind one function, and names that are used twice."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from azure.functions.decorators.function_app import FunctionBuilder

from durable_app.functions.builder import function_name, function_of
from durable_app.functions.handles import Handle, handle_of
from durable_app.functions.names import definition_error
from durable_app.functions.signatures import location

if TYPE_CHECKING:
    from collections.abc import Sequence

_Declared = tuple[FunctionBuilder, Handle]


def joined(builders: Sequence[FunctionBuilder]) -> list[FunctionBuilder]:
    """The builders that become functions: of each orchestration the first version alone.

    The first one's handle learns of the others. A name is final only when the app is indexed, so
    this is done then; doing it again, or earlier, does no harm.

    Raises:
        DefinitionError: two functions have the same durable name and the same version.
    """
    followers: set[int] = set()
    for (kind, _), group in _by_name(builders).items():
        if kind == "orchestration":
            followers |= _join(group)
        else:
            for later in group[1:]:
                _refuse_clash(group[0], later)
    return [builder for builder in builders if id(builder) not in followers]


def _by_name(builders: Sequence[FunctionBuilder]) -> dict[tuple[str, str], list[_Declared]]:
    groups: dict[tuple[str, str], list[_Declared]] = {}
    for builder in builders:
        handle = handle_of(function_of(builder))
        if handle is not None and handle.durable.kind != "client":
            facts = handle.durable
            # Entity names are the same whatever their case: the hub writes them in lower case.
            name = facts.name.lower() if facts.kind == "entity" else facts.name
            groups.setdefault((facts.kind, name), []).append((builder, handle))
    return groups


def _join(group: list[_Declared]) -> set[int]:
    """Gather all versions in the first handle; returns the ids of the other builders."""
    by_version: dict[str | None, _Declared] = {}
    for declared in group:
        version = declared[1].durable.version
        earlier = by_version.setdefault(version, declared)
        if earlier is not declared:
            _refuse_clash(earlier, declared)
    first = group[0][1]
    first.durable = dataclasses.replace(
        first.durable,
        versions={
            version: handle.durable.versions[version] for version, (_, handle) in by_version.items()
        },
        version_names={
            version: function_name(builder)
            for version, (builder, _) in by_version.items()
            if len(by_version) > 1
        },
    )
    return {id(builder) for builder, _ in by_version.values()} - {id(group[0][0])}


def _refuse_clash(earlier: _Declared, later: _Declared) -> None:
    """Raise DefinitionError, but leave two equal function names to azure-functions' own error."""
    if function_name(earlier[0]) == function_name(later[0]):
        return
    facts = later[1].durable
    which = f" version '{facts.version}'" if facts.version is not None else ""
    way_out = " or another version" if facts.kind == "orchestration" else ""
    raise definition_error(
        facts.function,
        f"{facts.kind} '{facts.name}'{which} is defined already at"
        f" {location(earlier[1].durable.function)}; give one of them another name{way_out}",
    )
