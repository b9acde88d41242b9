"""Functions that are added one by one, without an app: those of a worker of its own."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from durable_app.functions import bindings, signatures
from durable_app.functions.activity_context import check_context
from durable_app.functions.entity_form import declared_name, entity_form
from durable_app.functions.facts import DurableFunction, Orchestrator
from durable_app.functions.index import AppIndex, FunctionFacts, index_of
from durable_app.functions.names import definition_error
from durable_app.functions.orchestrator_form import of_context_alone
from durable_app.schedules import functions as schedules

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.functions.facts import Kind

_TRIGGERS: Final[dict[Kind, str]] = {
    "orchestration": bindings.ORCHESTRATION_TRIGGER,
    "activity": bindings.ACTIVITY_TRIGGER,
    "entity": bindings.ENTITY_TRIGGER,
}
_LAMBDA: Final = "<lambda>"
#: (context, input).
_WITH_INPUT: Final = 2


class Registry:
    """The functions of a worker. They need no decorator, and keep their names."""

    def __init__(self) -> None:
        self._functions: dict[tuple[Kind, str], FunctionFacts] = {}

    def add_orchestrator(self, function: Callable[..., Any]) -> str:
        """Add ``f(context)`` or ``f(context, input)``; return its name.

        Raises:
            ValueError: there is one of that name, or it has none.
            DefinitionError: it cannot be an orchestrator.
        """
        name = _name(function)
        context = _parameters(function, "an orchestrator")[0]
        versions: dict[str | None, Orchestrator] = {
            None: Orchestrator(of_context_alone(function, context))
        }
        facts = DurableFunction("orchestration", lambda: name, function, context, versions=versions)
        return self._add(facts)

    def add_activity(self, function: Callable[..., Any]) -> str:
        """Add ``f(input)`` or ``f(context, input)``; return its name. Raises likewise."""
        name = _name(function)
        own = _parameters(function, "an activity")
        if len(own) > _WITH_INPUT:
            raise definition_error(function, "an activity takes the input, or context and input")
        check_context(function, own[-1])
        return self._add(DurableFunction("activity", lambda: name, function, own[-1]))

    def add_entity(self, function: Callable[..., Any], name: str | None = None) -> str:
        """Add ``f(context)``, ``f(context, input)`` or a class derived from ``DurableEntity``.

        Args:
            name: None for the function's or class's own. Case does not matter.

        Returns:
            The name in lower case.

        Raises:
            ValueError: there is one of that name, or it has none.
            DefinitionError: it cannot be an entity.
        """
        wanted = (name or declared_name(function) or _name(function)).lower()
        is_class = inspect.isclass(function)
        context = "context" if is_class else _parameters(function, "an entity")[0]
        form = entity_form(function, context)
        return self._add(DurableFunction("entity", lambda: wanted, function, context, entity=form))

    def add_scheduled_tasks(self) -> None:
        """Add what schedules are made of; again it does nothing."""
        if ("entity", schedules.ENTITY_NAME) in self._functions:
            return
        self.add_entity(schedules.scheduled_task_entity, schedules.ENTITY_NAME)
        self.add_orchestrator(schedules.execute_schedule_operation_orchestrator)
        self.add_orchestrator(schedules.scheduled_run_orchestrator)

    def index(self) -> AppIndex:
        """All of them."""
        return index_of(self._functions.values())

    def _add(self, durable: DurableFunction) -> str:
        key = (durable.kind, durable.name)
        if key in self._functions:
            raise ValueError(f"A '{durable.name}' {durable.kind} already exists.")
        self._functions[key] = FunctionFacts(
            name=durable.name,
            trigger_type=_TRIGGERS[durable.kind],
            bindings=(),
            route=None,
            methods=(),
            auth_level=None,
            is_async=durable.is_async,
            handle=durable.function,
            durable=durable,
            script_file="",
        )
        return durable.name


def _name(function: Callable[..., Any]) -> str:
    name = signatures.plain_name(function).rpartition(".")[2]
    if name == _LAMBDA:
        raise ValueError("A lambda has no name of its own: define a function with def.")
    return name


def _parameters(function: Callable[..., Any], what: str) -> list[str]:
    found = list(signatures.parameters(function))
    if not found:
        raise definition_error(function, f"{what} takes at least one argument")
    return found
