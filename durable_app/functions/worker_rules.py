"""What Azure's Python worker checks of a function's parameters and annotations when it loads it.

It refuses the whole app where one function fails; so does this host, in the same words, with the
place and a way out. Handles of durable functions carry annotations that pass.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from azure.functions import Out, get_binding_registry

from durable_app.functions.names import INVOCATION_CONTEXT, RETURN_BINDING, definition_error
from durable_app.functions.signatures import underlying

if TYPE_CHECKING:
    from durable_app.errors import DefinitionError

_TEXT_ONLY: Final = (str, bytes)
# Of generic aliases the worker knows those of the module typing; these two it takes for no class.
_TYPING_ALIASES: Final = (type(typing.List[int]), type(typing.List))  # noqa: UP006  the old form is meant
# Packages that bring converters of their own, with checks of their own.
_EXTENSIONS: Final = "azurefunctions."

_Binding = Mapping[str, Any]


def check_callable(
    name: str,
    function: Callable[..., Any],
    shown: Callable[..., Any],
    bindings: Sequence[_Binding],
) -> None:
    """Check what the worker would call.

    Args:
        name: of the function.
        function: what the worker calls.
        shown: the user's function, whose place is told.
        bindings: as their JSON says.

    Raises:
        DefinitionError: the worker would refuse it.
    """
    check = _Check(name, shown)
    hints = check.hints(function)
    parameters = dict(inspect.signature(function).parameters)
    bound = {binding["name"]: binding for binding in bindings if binding["name"] != RETURN_BINDING}
    if INVOCATION_CONTEXT in parameters and INVOCATION_CONTEXT not in bound:
        del parameters[INVOCATION_CONTEXT]
        check.context(hints)
    if any(_is_of_extension(hint) for hint in hints.values()):
        return
    check.names(set(parameters), set(bound))
    for parameter, binding in bound.items():
        if parameter in hints:
            check.parameter(binding, hints[parameter])
    for binding in bindings:
        if binding["name"] == RETURN_BINDING and "return" in hints:
            check.result(binding["type"], hints["return"])


class _Check:
    """The checks of one function; each raises DefinitionError with the function's place."""

    def __init__(self, name: str, shown: Callable[..., Any]) -> None:
        self._name = name
        self._shown = shown

    def hints(self, function: Callable[..., Any]) -> dict[str, Any]:
        """Annotations with their strings resolved, as the worker does it."""
        try:
            return typing.get_type_hints(underlying(function))
        except Exception as error:
            raise self._refused(
                f"an annotation cannot be resolved ({type(error).__name__}: {error})",
                "import the name at the top of the module, outside of TYPE_CHECKING",
            ) from error

    def context(self, hints: Mapping[str, Any]) -> None:
        hint = hints.get(INVOCATION_CONTEXT, ...)
        if hint is not ... and not (isinstance(hint, type) and hint.__name__ == "Context"):
            raise self._refused(
                'the "context" parameter is expected to be of type azure.functions.Context, got'
                f" {hint!r}",
                "annotate it so, or give the parameter another name and a binding",
            )

    def names(self, parameters: set[str], bound: set[str]) -> None:
        if parameters - bound:
            raise self._refused(
                "the following parameters are declared in Python but not in the function"
                f" definition (function.json or function decorators): {_set(parameters - bound)}",
                "add a binding decorator for each, or remove the parameter",
            )
        if bound - parameters:
            raise self._refused(
                "the following parameters are declared in the function definition (function.json"
                f" or function decorators) but not in Python: {_set(bound - parameters)}",
                "give the function a parameter of that name for each",
            )

    def parameter(self, binding: _Binding, hint: Any) -> None:
        name, kind = binding["name"], binding["type"]
        is_out = binding["direction"] == "OUT"
        annotated_out = typing.get_origin(hint) is Out or hint is Out
        found = hint
        if annotated_out:
            arguments = typing.get_args(hint)
            if len(arguments) != 1:
                raise self._refused(
                    f"binding {name} has invalid Out annotation {hint!r}",
                    "say what it takes, as in Out[str]",
                )
            found = arguments[0]
        if not isinstance(found, type) and not _is_generic(found):
            raise self._refused(
                f"binding {name} has invalid non-type annotation {hint!r}",
                "annotate it with a class, such as dict for dict[str, Any], or leave the"
                " annotation out",
            )
        if is_out != annotated_out:
            raise self._refused(
                f'binding {name} is declared to have the "{"out" if is_out else "in"}" direction,'
                f" but its annotation in Python is {'not ' if is_out else ''}a subclass of"
                " azure.functions.Out",
                "write Out[str] for an output and the plain class for an input",
            )
        if not _accepts("output" if is_out else "input", kind, found):
            raise self._refused(
                f'type of {name} binding in the binding decorator "{kind}" does not match its'
                f' Python annotation "{_shown(found)}"',
                "annotate it with the class that azure.functions has for this binding, or leave"
                " the annotation out",
            )

    def result(self, kind: str, hint: Any) -> None:
        if not isinstance(hint, type):
            raise self._refused(
                f"has invalid non-type return annotation {hint!r}",
                "annotate it with a class, or leave the annotation out",
            )
        if not _accepts("output", kind, hint):
            raise self._refused(
                f'Python return annotation "{hint.__name__}" does not match binding type "{kind}"',
                "annotate it with the class that azure.functions has for this binding, or leave"
                " the annotation out",
            )

    def _refused(self, reason: str, way_out: str) -> DefinitionError:
        return definition_error(
            self._shown, f"cannot load the {self._name} function: {reason}; {way_out}."
        )


def _accepts(direction: str, kind: str, found: Any) -> bool:
    converter = get_binding_registry().get(kind)  # type: ignore[no-untyped-call]  # upstream
    has_implicit = getattr(converter, "has_implicit_output", lambda: False)()
    if converter is None or (direction == "input" and found in _TEXT_ONLY and not has_implicit):
        # The worker's own converter for all that azure.functions has none for.
        texts = _TEXT_ONLY if direction == "input" else (*_TEXT_ONLY, bytearray)
        return isinstance(found, type) and issubclass(found, texts)
    check = getattr(converter, f"check_{direction}_type_annotation", None)
    if check is None:
        return True
    try:
        return bool(check(found))
    except TypeError:
        # issubclass() of something that is no class: the worker fails with this very error.
        return False


def _is_generic(hint: Any) -> bool:
    """Whether the worker takes what is no class for a generic one."""
    return isinstance(hint, _TYPING_ALIASES) and typing.get_origin(hint) not in (
        typing.Union,
        tuple,
        Callable,
    )


def _is_of_extension(hint: Any) -> bool:
    parts = (hint, *typing.get_args(hint))
    return any(str(getattr(part, "__module__", "")).startswith(_EXTENSIONS) for part in parts)


def _shown(found: Any) -> str:
    return found.__name__ if isinstance(found, type) else repr(found)


def _set(names: set[str]) -> str:
    return "{" + ", ".join(repr(name) for name in sorted(names)) + "}"
