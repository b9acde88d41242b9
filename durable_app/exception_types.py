"""Exception classes by the names that failures carry.

A failure comes as text from another process. An orchestrator catches it by its type all the same,
as far as the type is known here: built-in exceptions, and classes that the app has registered.
Nothing is ever imported because of a name, and what else happens to be loaded makes no difference:
an orchestration must take the same way in every replay.
"""

from __future__ import annotations

import builtins
from typing import Any, Final, TypeVar

from durable_app.errors import (
    DefinitionError,
    DurableError,
    NonRetriableError,
    TaskFailedError,
    TaskTimeoutError,
)

E = TypeVar("E", bound=Exception)

_BUILTINS: Final = "builtins."
#: To a generator these mean something else than a failure.
_NOT_RAISED: Final = (StopIteration, StopAsyncIteration, BaseExceptionGroup)

_registered: Final[dict[str, type[BaseException]]] = {
    "NonRetriableError": NonRetriableError,
    "TaskTimeoutError": TaskTimeoutError,
}
_raised: Final[dict[str, type[TaskFailedError]]] = {}


def register_exception(kind: type[E]) -> type[E]:
    """Let orchestrators catch a failure by this class: ``except OutOfStock:``.

    The failure of a task whose code raised exactly this class is raised as a TaskFailedError that
    is of this class, too. It is no object of the class's own making: no constructor was called, so
    that only ``details`` and ``task_id`` can be read from it.

    Args:
        kind: a class that derives from Exception. A class of the same module and name replaces an
            earlier one.

    Returns:
        The class: this is a decorator, too.

    Raises:
        DefinitionError: it is no such class, or it cannot be a base class beside TaskFailedError.
    """
    given: object = kind
    if not (isinstance(given, type) and issubclass(given, Exception)):
        raise DefinitionError(f"register_exception takes a class of exceptions, not {given!r}.")
    name = type_name(kind)
    try:
        _raised[name] = _both(kind)
    except Exception as error:
        raise DefinitionError(
            f"register_exception: {name} cannot be a base class beside TaskFailedError: {error}"
        ) from error
    _registered[name] = kind
    return kind


def known_class(name: str) -> type[BaseException] | None:
    """Return the class of that name, as failures write it; None where it is not known."""
    name = name.removeprefix(_BUILTINS)
    found: Any = _registered.get(name) or getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def class_to_raise(name: str) -> type[TaskFailedError]:
    """Return TaskFailedError, or the class that is both that and the known class of the name."""
    name = name.removeprefix(_BUILTINS)
    made = _raised.get(name)
    if made is None:
        kind = known_class(name)
        # SystemExit and its like would end more than the orchestrator.
        if kind is None or not issubclass(kind, Exception) or issubclass(kind, _NOT_RAISED):
            return TaskFailedError
        made = _raised[name] = _both(kind)
    return made


def type_name(kind: type[BaseException]) -> str:
    """Name an exception class as failures do.

    The bare name for built-in exceptions and for those of this package, else qualified.
    """
    if getattr(builtins, kind.__name__, None) is kind or (
        issubclass(kind, DurableError) and kind.__module__.startswith("durable_app.")
    ):
        return kind.__name__
    return f"{kind.__module__}.{kind.__qualname__}"


def base_names(kind: type[BaseException]) -> tuple[str, ...]:
    """Name the classes that an exception class derives from, nearest first, as failures do.

    Those that every error has are left out, and all of Python's own: who reads the name of such a
    class knows its bases.
    """
    if getattr(builtins, kind.__name__, None) is kind:
        return ()
    if issubclass(kind, TaskFailedError):
        # Made to be caught by another class, too; of that one is what has failed, not this error.
        kind = TaskFailedError
    untold = {kind, object, *(Exception.__mro__ if issubclass(kind, Exception) else ())}
    bases = [each for each in kind.__mro__ if each not in untold]
    return tuple(type_name(each) for each in bases if issubclass(each, BaseException))


def _both(kind: type[BaseException]) -> type[TaskFailedError]:
    if issubclass(TaskFailedError, kind):
        return TaskFailedError
    # To those who read its name it is a TaskFailedError like any other.
    names = {
        "__doc__": TaskFailedError.__doc__,
        "__module__": TaskFailedError.__module__,
        "__qualname__": TaskFailedError.__qualname__,
    }
    both: Any = type(TaskFailedError.__name__, (TaskFailedError, kind), names)
    made: type[TaskFailedError] = both
    return made
