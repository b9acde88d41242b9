"""Adds the functions of scheduled tasks to an app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from durable_app.functions.builder import function_name, function_of
from durable_app.functions.handles import handle_of
from durable_app.functions.names import definition_error
from durable_app.schedules import functions as built_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from azure.functions.decorators.function_app import FunctionBuilder

    from durable_app.functions.index import AppIndex

_ORCHESTRATORS: Final = (
    built_in.execute_schedule_operation_orchestrator,
    built_in.scheduled_run_orchestrator,
)
_OURS: Final = frozenset({built_in.scheduled_task_entity, *_ORCHESTRATORS})
_NAMES: Final = frozenset(function.__name__ for function in _OURS)


class _Decorators(Protocol):
    def entity_trigger(
        self, context_name: str, entity_name: str | None = None
    ) -> Callable[..., Any]: ...
    def orchestration_trigger(self, context_name: str) -> Callable[..., Any]: ...


def add_scheduled_tasks(app: _Decorators) -> None:
    """Decorate the entity and the orchestrators."""
    app.entity_trigger("context", built_in.ENTITY_NAME)(built_in.scheduled_task_entity)
    for orchestrator in _ORCHESTRATORS:
        app.orchestration_trigger("context")(orchestrator)


def is_of_scheduled_tasks(builder: FunctionBuilder) -> bool:
    """Whether this is one of them."""
    handle = handle_of(function_of(builder))
    return handle is not None and handle.durable.function in _OURS


def serves_scheduled_tasks(index: AppIndex) -> bool:
    """Whether all that schedules are made of is among the functions that run."""
    entity = index.entities.get(built_in.ENTITY_NAME)
    found = [entity, *(index.orchestrations.get(each.__name__) for each in _ORCHESTRATORS)]
    return all(
        facts is not None and facts.durable is not None and facts.durable.function in _OURS
        for facts in found
    )


def check_names_are_free(builders: Iterable[FunctionBuilder]) -> None:
    """Raise DefinitionError if a function of the user has a name that these have."""
    for builder in builders:
        handle = handle_of(function_of(builder))
        facts = None if handle is None else handle.durable
        if facts is not None and facts.function in _OURS:
            continue
        is_entity = facts is not None and facts.kind == "entity"
        if is_entity and facts is not None and facts.name.lower() == built_in.ENTITY_NAME:
            what, name = "entity", built_in.ENTITY_NAME
        elif function_name(builder).casefold() in _NAMES:
            what, name = "function", function_name(builder)
        else:
            continue
        raise definition_error(
            function_of(builder) if facts is None else facts.function,
            f"{what} '{name}' is the name of one that configure_scheduled_tasks adds; give this"
            " one another name",
        )
