"""Which methods of a class are operations of the entity, and what they take.

What must never happen: somebody outside calls what the class merely inherits from this package.
"""

from __future__ import annotations

import difflib
import inspect
import typing
from types import FunctionType
from typing import Any, Final, NamedTuple

from durable_app.errors import DefinitionError

_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


class Method(NamedTuple):
    """One operation.

    Attributes:
        parameter: that takes the input; None where there is none.
        is_required: the parameter has no default.
    """

    function: FunctionType
    parameter: str | None
    is_required: bool

    @property
    def input_type(self) -> Any:
        """What the input is decoded to; None for plain JSON.

        Read late: it may name a class that the module defines further down.
        """
        try:
            hints = typing.get_type_hints(self.function, include_extras=True)
        except Exception:  # noqa: BLE001  an annotation is any expression
            return None
        return hints.get(self.parameter or "")


def operations_of(entity: type, base: type) -> dict[str, Method]:
    """The operations of an entity class, by name.

    Args:
        base: the class that brings the machinery. Of its methods ``delete`` alone is an operation,
            and none of the others becomes one by being overridden.

    Raises:
        DefinitionError: a public method takes more than one input, or is a generator.
    """
    machinery = vars(base).keys() - {"delete"}
    return {
        name: _method(entity, name, member)
        for name in dir(entity)
        if not name.startswith("_")
        and name not in machinery
        and isinstance(member := inspect.getattr_static(entity, name), FunctionType)
    }


def _method(entity: type, name: str, function: FunctionType) -> Method:
    code = inspect.unwrap(function).__code__
    where = f"{code.co_filename}:{code.co_firstlineno}: operation {entity.__name__}.{name}"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError(
            f"{where} is a generator: an operation returns its result once. Name it _{name} if"
            " it is no operation."
        )
    # Behind `self`, which any function in a class has.
    taken = list(inspect.signature(function).parameters.values())[1:]
    positional = [each for each in taken if each.kind in _POSITIONAL]
    required = [
        each
        for each in taken
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(required) > 1 or any(each.kind is each.KEYWORD_ONLY for each in required):
        raise DefinitionError(
            f"{where} must take `self` and at most one input by position (a list, a dict or a"
            f" dataclass for several values). Name it _{name} if it is no operation."
        )
    if not positional:
        return Method(function, None, is_required=False)
    return Method(function, positional[0].name, is_required=bool(required))


def unknown_operation(entity: str, name: str, known: typing.Iterable[str]) -> AttributeError:
    """The error for an operation that a class has not, with the nearest name."""
    names = sorted(known)
    by_folded = {candidate.casefold(): candidate for candidate in names}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    hint = f" Did you mean '{by_folded[close[0]]}'?" if close else ""
    listed = ", ".join(f"'{each}'" for each in names) or "none"
    return AttributeError(
        f"Entity '{entity}' has no operation '{name}'.{hint} Its operations are: {listed}."
    )
