"""What a user's callable looks like: parameters, annotations, whether it is async, where it is.

A callable may be a function, a ``functools.partial``, a bound method or an object with
``__call__``; nothing here fails on annotations that cannot be resolved.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from azure.functions import Out

from durable_app.errors import PayloadError

Parameters = Mapping[str, inspect.Parameter]

_NO_DEFAULT = inspect.Parameter.empty
_COLLECTIONS = (Iterable, Sequence)
# Any: they are indexed with what is known only when the code runs.
_LIST: Any = typing.List  # noqa: UP006  the form that the worker knows
_OUT: Any = Out
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def underlying(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that holds the code: behind partials, methods and objects with __call__."""
    found: Any = function
    while True:
        if isinstance(found, functools.partial):
            found = found.func
        elif inspect.ismethod(found):
            found = found.__func__
        elif inspect.isroutine(found) or inspect.isclass(found):
            return found
        elif callable(found):
            found = type(found).__call__
        else:
            return function


def plain_name(function: Callable[..., Any]) -> str:
    """Its ``__name__``; for an object with ``__call__`` the name of its class."""
    found: Any = function
    while isinstance(found, functools.partial):
        found = found.func
    return str(getattr(found, "__name__", type(found).__name__))


def location(function: Callable[..., Any]) -> str:
    """``file:line`` of its definition, or its module where it has no Python code."""
    found = inspect.unwrap(underlying(function))
    if inspect.isclass(found):
        # Python before 3.13 keeps no line of a class: that of its first method is near.
        found = next(filter(inspect.isfunction, vars(found).values()), found)
    code = getattr(found, "__code__", None)
    if code is None:
        return str(getattr(found, "__module__", None) or "<unknown>")
    return f"{code.co_filename}:{code.co_firstlineno}"


def is_async(function: Callable[..., Any]) -> bool:
    """True when calling it gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        underlying(function)
    )


def is_generator(function: Callable[..., Any]) -> bool:
    """True when calling it gives a generator."""
    return inspect.isgeneratorfunction(underlying(function))


def is_async_generator(function: Callable[..., Any]) -> bool:
    """True when it has both ``async`` and ``yield``."""
    return inspect.isasyncgenfunction(underlying(function))


def parameters(function: Callable[..., Any]) -> Parameters:
    """Parameters that can be passed by name, in order; ``*args`` and ``**kwargs`` are left out."""
    return {
        name: parameter
        for name, parameter in _all_parameters(function).items()
        if parameter.kind not in _VARIADIC
    }


def takes_any_keyword(function: Callable[..., Any]) -> bool:
    """True when it has a ``**kwargs``."""
    kinds = {parameter.kind for parameter in _all_parameters(function).values()}
    return inspect.Parameter.VAR_KEYWORD in kinds


def is_required(parameter: inspect.Parameter) -> bool:
    """True when a call must give it a value."""
    return parameter.default is _NO_DEFAULT


def _all_parameters(function: Callable[..., Any]) -> Parameters:
    return inspect.signature(function).parameters


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotations with their strings resolved; one that cannot be resolved is left out."""
    found = underlying(function)
    try:
        return typing.get_type_hints(found, include_extras=True)
    except Exception:  # noqa: BLE001  resolving runs whatever the annotation says
        return _hints_one_by_one(found)


def _hints_one_by_one(function: Callable[..., Any]) -> dict[str, Any]:
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    resolved: dict[str, Any] = {}
    for name, annotation in inspect.get_annotations(function).items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            resolved |= typing.get_type_hints(alone, scope, include_extras=True)
        except Exception:  # noqa: BLE001, S112  as above; the others are still of use
            continue
    return resolved


def annotated_name(function: Callable[..., Any], parameter: str) -> str:
    """Last name of a parameter's annotation, "" for none; it may be one that has no meaning."""
    hint = hints(function).get(parameter)
    if hint is None:
        found = parameters(function).get(parameter)
        hint = "" if found is None or found.annotation is found.empty else found.annotation
    text = hint if isinstance(hint, str) else getattr(hint, "__name__", repr(hint))
    return str(text).strip("'\" ").rpartition(".")[2]


def named(error: PayloadError, parameter: str, what: str) -> PayloadError:
    """The same error, told of a function's input.

    Args:
        parameter: that takes the input; the path begins with it.
        what: "input of activity 'pay'".
    """
    inside = error.path
    path = parameter + inside if inside.startswith("[") or not inside else f"{parameter}.{inside}"
    return PayloadError(f"{error.reason} ({what}, parameter '{parameter}')", path)


def bare_type(hint: Any) -> type | None:
    """The class behind an annotation: ``dict`` for ``dict[str, int]``; None for ``int | None``.

    Azure's worker refuses an annotation that is no class on a parameter of a trigger.
    """
    hint = _without_metadata(hint)
    origin = typing.get_origin(hint)
    found = hint if origin is None else origin
    # Any is a class since Python 3.11.
    no_class = not isinstance(found, type) or found in (Any, types.UnionType)
    return None if no_class else found


def binding_type(hint: Any) -> Any:
    """An annotation of another binding as Azure's worker takes it; None for nothing.

    ``Out[str]`` and ``list[EventHubEvent]`` mean something to it. It knows generic types of the
    module typing alone; a union, ``Any``, a type variable, a ``Literal``, a ``dict[K, V]`` or a
    list of the user's own classes would make it refuse the whole app.
    """
    hint = _without_metadata(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is None:
        return None if bare_type(hint) is None else hint
    if origin is Out:
        inner = binding_type(arguments[0])
        return None if inner is None else _OUT[inner]
    if origin is list:
        return _LIST[arguments] if _is_of_worker(arguments[0]) else None
    is_known = isinstance(hint, type(typing.Iterable[int])) and origin in _COLLECTIONS
    return hint if is_known and _is_of_worker(arguments[0]) else None


def _is_of_worker(item: Any) -> bool:
    """Whether the worker can make lists of it: a class of azure-functions, or plain data."""
    return item in (str, bytes, int, dict) or str(getattr(item, "__module__", "")).startswith(
        "azure.functions"
    )


def _without_metadata(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
