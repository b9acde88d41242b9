"""How an entity was written: as a function of one context, of two arguments, or as a class."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from durable_app.functions import signatures
from durable_app.functions.names import definition_error

#: Names of the context's class -> what the function is. Those of other packages count, too.
_BY_CONTEXT: Final[dict[str, Literal["context", "input"]]] = {
    "DurableEntityContext": "context",
    "EntityContext": "input",
}


class EntityForm(NamedTuple):
    """How to call an entity.

    Attributes:
        shape: "context" for a function of a ``DurableEntityContext``, "input" for one of an
            ``EntityContext`` and the input, "class" for a class derived from ``DurableEntity``.
        input_parameter: of shape "input", takes the input; None where the function takes none.
        has_default: so that it may be left out where a request has no input.
    """

    shape: Literal["context", "input", "class"]
    input_parameter: str | None = None
    has_default: bool = False


def entity_form(function: Callable[..., Any], parameter: str) -> EntityForm:
    """Look at a user's entity. The context's annotation decides, else the number of parameters.

    Args:
        parameter: that takes the context.

    Raises:
        DefinitionError: it cannot be an entity.
    """
    if inspect.isclass(function):
        return _class_form(function)
    if signatures.is_generator(function) or signatures.is_async_generator(function):
        raise definition_error(
            function,
            f"entity {signatures.plain_name(function)} is a generator: an operation returns its"
            " result once, only orchestrators yield",
        )
    own = signatures.parameters(function)
    others = [each for name, each in own.items() if name != parameter]
    required = [each for each in others if signatures.is_required(each)]
    shape = _BY_CONTEXT.get(signatures.annotated_name(function, parameter))
    if len(required) > 1 or (required and shape == "context"):
        _refuse_parameters(function, required[-1].name)
    if shape == "context" or (shape is None and not required):
        return EntityForm("context")
    candidates = required or [each for each in others if each.kind is not each.KEYWORD_ONLY]
    if not candidates:
        return EntityForm("input")
    taken = candidates[0]
    if taken.kind is taken.POSITIONAL_ONLY:
        raise definition_error(
            function, f"parameter '{taken.name}' is passed by name: remove the / after it"
        )
    return EntityForm("input", taken.name, has_default=not required)


def is_async_entity(function: Callable[..., Any]) -> bool:
    """True for an ``async def``, and for a class with such a method."""
    if not inspect.isclass(function):
        return signatures.is_async(function)
    return any(
        inspect.iscoroutinefunction(inspect.getattr_static(function, name))
        for name in dir(function)
        if not name.startswith("_")
    )


def declared_name(function: Callable[..., Any]) -> str | None:
    """The name that the function or class itself says, for want of one in the decorator."""
    # Its own alone: two classes with one parent would have one name.
    name = getattr(function, "__dict__", {}).get("__durable_entity_name__")
    return name if isinstance(name, str) else None


def _class_form(entity: type) -> EntityForm:
    if getattr(entity, "__durable_kind__", None) != "entity":
        raise definition_error(
            entity,
            f"class {entity.__name__} is no entity: derive it from durable_app.DurableEntity",
        )
    for name, parameter in signatures.parameters(entity).items():
        if signatures.is_required(parameter):
            raise definition_error(
                entity,
                f"{entity.__name__}() needs '{name}', but an object is made for every operation,"
                " without arguments; keep in the state what shall last",
            )
    return EntityForm("class")


def _refuse_parameters(function: Callable[..., Any], name: str) -> None:
    raise definition_error(
        function,
        f"parameter '{name}' of {signatures.plain_name(function)} has no binding: an entity"
        " function takes the context alone, or an EntityContext and the operation's input",
    )
