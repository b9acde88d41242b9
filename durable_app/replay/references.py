"""Functions by reference: the name under which one is registered, and what it returns."""

from __future__ import annotations

import typing
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator
from types import FunctionType
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from durable_app.errors import DefinitionError

_NAME_MARK: Final = "__durable_name__"
_FUNCTION_MARK: Final = "__durable_function__"
_STREAMS: Final = (Generator, Iterator, Iterable, AsyncGenerator)

T_co = TypeVar("T_co", covariant=True)


class Callee(Protocol[T_co]):
    """What a decorator makes of an activity or an orchestrator, for type checkers alone.

    A method that takes one has two overloads for it. Where the type is declared that the result
    goes to, mypy binds ``T`` by that declaration, so that a wrong one makes it pass by
    ``Callee[T]``. Then ``Callee[object]`` takes the call, and what it gives fits no declaration;
    the overloads for names, further on, would give ``Any``, which fits every one.

    Attributes:
        __durable_result__: of the type that a call of it gives; no object has such an attribute.
    """

    @property
    def __durable_result__(self) -> T_co: ...


# Reading annotations costs some 10 us; a fan-out refers to one function thousands of times.
_return_types: Final[WeakKeyDictionary[Callable[..., Any], Any]] = WeakKeyDictionary()


def name_and_type(reference: Any, expected_type: Any, api: str) -> tuple[str, Any]:
    """Resolve what a user gave as the function to call.

    Args:
        reference: a name; a decorated function (it has ``__durable_name__``); or a plain function,
            which stands for its ``__name__``.
        expected_type: what the user wants the result decoded as, None for the function's own
            return annotation.
        api: name of the method that was called, for messages.

    Returns:
        The name, and the type to decode as.

    Raises:
        DefinitionError: a lambda, or an empty name.
        TypeError: anything else.
    """
    name: Any
    if isinstance(reference, str):
        name = reference
    elif hasattr(reference, _NAME_MARK):
        mark = getattr(reference, _NAME_MARK)
        name = mark() if callable(mark) else mark
    elif isinstance(reference, FunctionType):
        name = reference.__name__
    else:
        raise TypeError(
            f"{api}: the function is given by its name, by the decorated function or by the"
            f" function itself, not by {_described(reference)}."
        )
    if name == "<lambda>":
        raise DefinitionError(f"{api}: a lambda has no name to be found by; use a def.")
    name = exact_text(name, f"{api}: the name of a function")
    if expected_type is None:
        expected_type = Any if isinstance(reference, str) else return_type(reference)
    return name, expected_type


def exact_text(text: Any, what: str) -> str:
    """Return a text as exactly a str; members of text enums are texts too.

    Raises:
        DefinitionError: it is no text, or empty, or holds half of a surrogate pair.
    """
    if not isinstance(text, str) or not text:
        raise DefinitionError(f"{what} is a text of at least 1 character, not {text!r}.")
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise DefinitionError(
            f"{what} holds half of a surrogate pair, which no store takes: {text!r}."
        )
    return str.__str__(text)


def return_type(reference: Any) -> Any:
    """Return what a function's result is decoded as by default; Any where nothing is known.

    Of a generator it is what it returns, not what it yields.
    """
    function = getattr(reference, _FUNCTION_MARK, reference)
    if not isinstance(function, FunctionType):
        return Any
    known = _return_types.get(function)
    if known is None:
        known = _return_types[function] = _annotated(function)
    return known


def _annotated(function: FunctionType) -> Any:
    try:
        kind = typing.get_type_hints(function, include_extras=True).get("return", Any)
    except Exception:  # noqa: BLE001  an annotation is any expression
        return Any
    origin = typing.get_origin(kind)
    if (kind if origin is None else origin) in _STREAMS:
        arguments = typing.get_args(kind)
        kind = arguments[2] if len(arguments) > 2 else Any  # noqa: PLR2004  yield, send, return
    return Any if kind in (None, type(None)) else kind


def _described(reference: Any) -> str:
    name = getattr(reference, "__qualname__", None)
    kind = type(reference).__name__
    return f"{kind} '{name}'" if name else kind
