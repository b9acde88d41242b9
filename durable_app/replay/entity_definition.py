"""What an entity is made of, and how one operation of it is called."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from durable_app.replay.entity_context import (
    DurableEntity,
    DurableEntityContext,
    EntityContext,
    made_for,
)
from durable_app.replay.entity_methods import Method, operations_of, unknown_operation

if TYPE_CHECKING:
    from durable_app.replay.entity_operation import Operation


class EntityShape(Enum):
    """How the user wrote an entity."""

    CONTEXT = "context"
    """A function of a ``DurableEntityContext``."""
    INPUT = "input"
    """A function of an ``EntityContext`` and, as a rule, the input."""
    CLASS = "class"
    """A class derived from ``DurableEntity``."""


class EntityDefinition:
    """An entity as the user wrote it.

    Args:
        name: of the entity.
        function: the user's function or class.
        shape: how to call it.
        parameter: that takes the context; for a class of no importance.
        input_parameter: that takes the input, None where the function has none.
        input_type: what the input is decoded to; None for plain JSON.
        input_has_default: so that it is left out where a request has no input.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        shape: EntityShape,
        parameter: str = "context",
        input_parameter: str | None = None,
        input_type: Any = None,
        *,
        input_has_default: bool = False,
    ) -> None:
        self.name = name
        self._function = function
        self._parameter = parameter
        self._input_parameter = input_parameter
        self._input_type = input_type
        self._input_has_default = input_has_default
        self._call = {
            EntityShape.CONTEXT: self._call_with_context,
            EntityShape.INPUT: self._call_with_input,
            EntityShape.CLASS: self._call_method,
        }[shape]

    def call(self, operation: Operation) -> Any:
        """Run an operation; of an ``async def`` the coroutine is returned.

        Raises:
            AttributeError: the class has no such operation.
            PayloadError: the input does not fit. Whatever user code raises passes through.
        """
        return self._call(operation)

    def _call_with_context(self, operation: Operation) -> Any:
        return self._function(**{self._parameter: DurableEntityContext(operation)})

    def _call_with_input(self, operation: Operation) -> Any:
        given: dict[str, Any] = {self._parameter: EntityContext(operation)}
        name = self._input_parameter
        if name is not None and operation.has_input:
            given[name] = operation.read_input(self._input_type, name)
        elif name is not None and not self._input_has_default:
            # None, whatever the annotation: one function serves operations with and without input.
            given[name] = None
        return self._function(**given)

    @cached_property
    def _methods(self) -> dict[str, Method]:
        return operations_of(self._class, DurableEntity)

    @property
    def _class(self) -> type[DurableEntity]:
        entity: Any = self._function
        return entity  # type: ignore[no-any-return]  # its shape says so

    def _call_method(self, operation: Operation) -> Any:
        method = self._methods.get(operation.name)
        if method is None:
            raise unknown_operation(self.name, operation.name, self._methods)
        bound = getattr(made_for(self._class, operation), operation.name)
        if method.parameter is None or not (method.is_required or operation.has_input):
            return bound()
        return bound(operation.read_input(method.input_type, method.parameter))
