"""What is known of a function that our decorators have touched."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, NamedTuple

from durable_app.errors import DefinitionError
from durable_app.functions import signatures
from durable_app.functions.activity_context import context_parameter, is_annotated
from durable_app.functions.entity_form import EntityForm, is_async_entity
from durable_app.functions.names import quoted
from durable_app.functions.orchestrator_form import WithInput

Kind = Literal["orchestration", "activity", "entity", "client"]


class Orchestrator(NamedTuple):
    """One version of an orchestration.

    Attributes:
        function: takes the context alone: the user's, or one that gives the user's its input, too.
        input_type: what the input is decoded to; None for plain JSON.
    """

    function: Callable[..., Any]
    input_type: Any = None


@dataclasses.dataclass(frozen=True)
class DurableFunction:
    """One decorated function; every handle carries one as ``handle.durable``.

    Attributes:
        kind: what its trigger makes it; "client" for a function of another trigger that takes a
            durable client.
        name_of: gives the final name; a function's name is settled when its app is indexed.
        function: the user's callable.
        parameter: name of the context or of the activity's input; None for "client".
        clients: names of the parameters that take a durable client.
        input_type: what ``context.get_input()`` decodes to; None for plain JSON.
        version: the orchestration's version that this function is; None for the unversioned one.
        entity: how an entity was written; None for other kinds.
        versions: every version of the orchestration, this one included; empty for other kinds.
        version_names: names of the functions of these versions; empty where there is one alone.
        bound: parameters of an activity that have a binding, as far as its decorators are known.
    """

    kind: Kind
    name_of: Callable[[], str]
    function: Callable[..., Any]
    parameter: str | None = None
    clients: tuple[str, ...] = ()
    input_type: Any = None
    version: str | None = None
    entity: EntityForm | None = None
    versions: Mapping[str | None, Orchestrator] = dataclasses.field(default_factory=dict)
    version_names: Mapping[str | None, str] = dataclasses.field(default_factory=dict)
    bound: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Name of the orchestration, the activity or the entity; else of the function."""
        return self.name_of()

    @cached_property
    def is_async(self) -> bool:
        """True when the user's function is ``async def``, or its class has such a method."""
        return is_async_entity(self.function) if self.entity else signatures.is_async(self.function)

    @cached_property
    def input_annotation(self) -> Any:
        """Resolved annotation of an activity's or an entity function's input; None for none.

        Resolved late: it may name a class that the module defines further down.
        """
        parameter = self.entity.input_parameter if self.entity else self.parameter
        return signatures.hints(self.function).get(parameter or "")

    @cached_property
    def context_parameter(self) -> str | None:
        """Name of the parameter that takes an activity's context, None where none does."""
        if self.kind != "activity" or self.parameter is None:
            return None
        name = context_parameter(self.function, self.parameter)
        if name in self.bound and not is_annotated(self.function, name):
            return None
        return name

    def for_version(self, version: str | None) -> Orchestrator:
        """What runs an instance of this version: exactly that one, else the unversioned one.

        Args:
            version: of the instance; None or "" for an instance without one.

        Raises:
            DefinitionError: the app has neither.
        """
        found = self.versions.get(version or None) or self.versions.get(None)
        if found is not None:
            function, input_type = found
            if input_type is None and isinstance(function, WithInput):
                return Orchestrator(function, function.input_annotation)
            return found
        wanted = f"no version '{version}'" if version else "no orchestrator without a version"
        known = quoted(known for known in self.versions if known is not None)
        raise DefinitionError(
            f"Orchestration '{self.name}' has {wanted}; the app knows {known}. Keep the"
            " orchestrator of a version until its last instance has finished, or add one without"
            " version=... for all others."
        )
