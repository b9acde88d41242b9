"""Reads an app once, and says what is in it."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from durable_app.errors import DefinitionError
from durable_app.functions import bindings, signatures
from durable_app.functions.builder import builders_in, check_functions
from durable_app.functions.facts import DurableFunction
from durable_app.functions.handles import handle_of
from durable_app.functions.names import (
    INVOCATION_CONTEXT,
    definition_error,
    did_you_mean,
    quoted,
)
from durable_app.functions.worker_rules import check_callable

if TYPE_CHECKING:
    from azure.functions import FunctionRegister
    from azure.functions.decorators.core import Trigger
    from azure.functions.decorators.function_app import Function

DurableKind = Literal["orchestration", "activity", "entity"]

_HTTP_TRIGGER: Final = "httpTrigger"
_FUNCTION_TRIGGERS: Final = frozenset(
    {bindings.ORCHESTRATION_TRIGGER, bindings.ACTIVITY_TRIGGER, bindings.ENTITY_TRIGGER}
)
_HOST_WORDS: Final[Mapping[DurableKind, str]] = {
    "orchestration": "orchestrator",
    "activity": "activity",
    "entity": "entity",
}


@dataclasses.dataclass(frozen=True)
class FunctionFacts:
    """One function of an app, as the host needs to know it.

    Attributes:
        trigger_type: as in the metadata: "httpTrigger", "orchestrationTrigger".
        bindings: the trigger's and all others, innermost decorator first, as their JSON says.
        route: of an HTTP function, without the prefix; None for others.
        methods: of an HTTP function, upper case; empty for all.
        auth_level: "ANONYMOUS", "FUNCTION" or "ADMIN" of an HTTP function; None for others.
        is_async: the handle is ``async def``.
        handle: what Azure's worker would call, with one keyword per binding.
        durable: None where none of our decorators was used.
        script_file: the file that azure-functions names.
        retry: what ``@app.retry`` says, as azure-functions keeps it; None for nothing.
    """

    name: str
    trigger_type: str
    bindings: tuple[dict[str, Any], ...]
    route: str | None
    methods: tuple[str, ...]
    auth_level: str | None
    is_async: bool
    handle: Callable[..., Any]
    durable: DurableFunction | None
    script_file: str
    retry: Mapping[str, Any] | None = None

    @cached_property
    def takes_invocation_context(self) -> bool:
        """True with an unbound parameter ``context``: Azure's worker passes the invocation's."""
        bound = {binding["name"] for binding in self.bindings}
        return INVOCATION_CONTEXT in inspect.signature(self.handle).parameters.keys() - bound

    def name_of_version(self, version: str | None) -> str:
        """Name of the user's function that runs instances of a version, for the console.

        Several versions of an orchestration are one function for Azure's host, which has the name
        of the first; see ``versions``.
        """
        names = {} if self.durable is None else self.durable.version_names
        return names.get(version or None) or names.get(None) or self.name

    def with_bindings(self, bindings: tuple[dict[str, Any], ...]) -> FunctionFacts:
        """The same function with other properties of its bindings."""
        trigger = next(each for each in bindings if each["type"] == self.trigger_type)
        is_http = self.trigger_type == _HTTP_TRIGGER
        return dataclasses.replace(
            self,
            bindings=bindings,
            route=trigger.get("route") if is_http else None,
            methods=tuple(str(method).upper() for method in trigger.get("methods") or ()),
            auth_level=trigger.get("authLevel") if is_http else None,
        )


@dataclasses.dataclass(frozen=True)
class AppIndex:
    """All functions of an app, and the durable ones by their durable names.

    ``entities`` has lower-case keys: the case of an entity's name does not matter. ``built_in``
    has what is found under its exact name although it is listed nowhere.
    """

    functions: tuple[FunctionFacts, ...]
    orchestrations: Mapping[str, FunctionFacts]
    activities: Mapping[str, FunctionFacts]
    entities: Mapping[str, FunctionFacts]
    built_in: Mapping[tuple[DurableKind, str], FunctionFacts] = dataclasses.field(
        default_factory=dict
    )

    @cached_property
    def _folded(self) -> Mapping[tuple[DurableKind, str], FunctionFacts]:
        kinds: tuple[tuple[DurableKind, Mapping[str, FunctionFacts]], ...] = (
            ("orchestration", self.orchestrations),
            ("activity", self.activities),
        )
        return {
            (kind, name.casefold()): facts for kind, known in kinds for name, facts in known.items()
        }

    def find(self, kind: DurableKind, name: str) -> FunctionFacts | None:
        """The function of that durable name, or None. Case does not matter, as in Azure."""
        if kind == "entity":
            return self.entities.get(name.lower())
        known = self.orchestrations if kind == "orchestration" else self.activities
        return (
            known.get(name)
            or self._folded.get((kind, name.casefold()))
            or self.built_in.get((kind, name))
        )

    def with_built_in(self, functions: Iterable[FunctionFacts]) -> AppIndex:
        """The same index with durable functions that the app need not define.

        Those of a name that is built in already are left out.
        """
        built_in = {
            (facts.durable.kind, facts.durable.name): facts
            for facts in functions
            if facts.durable is not None and facts.durable.kind != "client"
        }
        return dataclasses.replace(self, built_in={**built_in, **self.built_in})

    def unknown(self, kind: DurableKind, name: str) -> str:
        """What to say about a name that :meth:`find` does not find."""
        known = {
            "orchestration": self.orchestrations,
            "activity": self.activities,
            "entity": self.entities,
        }[kind]
        return unknown_function_text(kind, name, known)


def unknown_function_text(kind: DurableKind, name: str, known: Iterable[str]) -> str:
    """The host's text for a name that no function has, with the nearest name at its end."""
    word = _HOST_WORDS[kind]
    names = list(known)
    listed = (
        f"The following are the known {word} functions: {quoted(names)}."
        if names
        else f"No {word} functions are currently registered!"
    )
    return (
        f"The function '{name}' doesn't exist, is disabled, or is not an {word} function."
        f" Additional info: {listed}{did_you_mean(name, names)}"
    )


_INDEX: Final = "__durable_index__"


class ForeignDecoratorError(DefinitionError):
    """A function was decorated by another durable package."""


def index_app(app: FunctionRegister) -> AppIndex:
    """Read a ``DFApp`` or a ``FunctionApp``; later calls give the same index.

    Raises:
        DefinitionError: Azure would refuse the app or a function of it.
        ForeignDecoratorError: a function was decorated by another durable package.
        ValueError: azure-functions refuses the app.
    """
    # Kept in the app itself: both are forgotten together.
    found = vars(app).get(_INDEX)
    if found is None:
        check_functions(builders_in(app))
        found = vars(app)[_INDEX] = index_of(
            _function_facts(function) for function in app.get_functions()
        )
    return cast("AppIndex", found)


def index_of(functions: Iterable[FunctionFacts]) -> AppIndex:
    """The index of these functions alone, in this order.

    Raises:
        DefinitionError: two of them have the same durable name.
    """
    facts = tuple(functions)
    return AppIndex(
        functions=facts,
        orchestrations=_by_name(facts, "orchestration"),
        activities=_by_name(facts, "activity"),
        entities=_by_name(facts, "entity"),
    )


def _by_name(facts: Iterable[FunctionFacts], kind: DurableKind) -> dict[str, FunctionFacts]:
    found: dict[str, FunctionFacts] = {}
    for function in facts:
        durable = function.durable
        if durable is None or durable.kind != kind:
            continue
        key = durable.name.lower() if kind == "entity" else durable.name
        if key in found:
            raise definition_error(
                durable.function,
                f"{kind} '{durable.name}' is defined twice; a plain FunctionApp cannot join the"
                " versions of several blueprints, a DFApp can",
            )
        found[key] = function
    return found


def _function_facts(function: Function) -> FunctionFacts:
    raw = tuple(json.loads(text) for text in function.get_raw_bindings())
    trigger = cast("Trigger", function.get_trigger())
    name = cast("str", function.get_function_name())
    trigger_type = next(binding for binding in raw if binding["name"] == trigger.name)["type"]
    callee = function.get_user_function()
    handle = handle_of(callee)
    durable = None if handle is None else handle.durable
    if durable is None and any(binding["type"] in _FUNCTION_TRIGGERS for binding in raw):
        raise ForeignDecoratorError(
            f"{signatures.location(callee)}: Function {name} has a durable decorator that is not of"
            " durable_app; declare it on durable_app.DFApp or durable_app.Blueprint"
        )
    check_callable(name, callee, callee if durable is None else durable.function, raw)
    facts = FunctionFacts(
        name=name,
        trigger_type=trigger_type,
        bindings=(),
        route=None,
        methods=(),
        auth_level=None,
        is_async=signatures.is_async(callee),
        handle=callee,
        durable=durable,
        script_file=function.function_script_file,
        retry=function.get_settings_dict("retry_policy"),
    )
    return facts.with_bindings(raw)
