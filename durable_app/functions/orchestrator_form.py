"""How an orchestrator was written: as a function of the context alone, or of context and input."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from durable_app.errors import PayloadError
from durable_app.functions import signatures
from durable_app.functions.names import definition_error

#: Last name of the context's annotation -> whether the function takes the input, too. It decides
#: about a second parameter that has a default; names of other packages count as well.
_TAKES_INPUT: Final = {"DurableOrchestrationContext": False, "OrchestrationContext": True}


class OrchestratorForm(NamedTuple):
    """How to call an orchestrator.

    Attributes:
        context_parameter: takes the context.
        input_parameter: takes the decoded input; None where ``context.get_input()`` gives it.
        has_default: the input may be left out where there is none.
    """

    context_parameter: str
    input_parameter: str | None = None
    has_default: bool = False


def orchestrator_form(function: Callable[..., Any], parameter: str) -> OrchestratorForm:
    """Look at a user's orchestrator.

    A further parameter without default takes the input. One that has a default does so if the
    context is annotated as ``OrchestrationContext``; otherwise it keeps its default.

    Args:
        parameter: that takes the context.

    Raises:
        DefinitionError: it cannot be an orchestrator.
    """
    if signatures.is_async_generator(function):
        raise definition_error(
            function,
            f"orchestrator {signatures.plain_name(function)} has both `async` and `yield`: write"
            " `await` in place of each `yield`, or `def` in place of `async def`",
        )
    own = signatures.parameters(function)
    others = [each for name, each in own.items() if name != parameter]
    required = [each for each in others if signatures.is_required(each)]
    if len(required) > 1:
        raise definition_error(
            function,
            f"parameter '{required[-1].name}' of {signatures.plain_name(function)} has no binding:"
            " an orchestrator takes the context alone, or the context and the input",
        )
    candidates = required
    if not required and _TAKES_INPUT.get(signatures.annotated_name(function, parameter)):
        candidates = [each for each in others if each.kind is not each.KEYWORD_ONLY]
    if not candidates:
        return OrchestratorForm(parameter)
    taken = candidates[0]
    if taken.kind is taken.POSITIONAL_ONLY:
        raise definition_error(
            function, f"parameter '{taken.name}' is passed by name: remove the / after it"
        )
    return OrchestratorForm(parameter, taken.name, has_default=not required)


def of_context_alone(function: Callable[..., Any], parameter: str) -> Callable[..., Any]:
    """The orchestrator as a function of one argument, the context.

    Args:
        parameter: that takes the context.
    """
    form = orchestrator_form(function, parameter)
    if form.input_parameter is not None:
        return WithInput(function, form)
    if next(iter(signatures.parameters(function)), parameter) == parameter:
        return function

    @functools.wraps(inspect.unwrap(signatures.underlying(function)))
    def by_name(context: Any) -> Any:
        return function(**{parameter: context})

    return by_name


class WithInput:
    """A two-argument orchestrator as a function of the context.

    Args:
        function: the user's.
        form: of it, with an input.
    """

    def __init__(self, function: Callable[..., Any], form: OrchestratorForm) -> None:
        # Whoever says where the code stands looks through to it.
        self.__wrapped__ = inspect.unwrap(signatures.underlying(function))
        self.__qualname__ = signatures.plain_name(function)
        self.function = function
        self._form = form

    @functools.cached_property
    def input_annotation(self) -> Any:
        """Resolved annotation of the input; None for none.

        Resolved late: it may name a class that the module defines further down.
        """
        return signatures.hints(self.function).get(self._form.input_parameter or "")

    def __call__(self, context: Any) -> Any:
        """Call the user's function.

        Raises:
            PayloadError: the input does not fit the annotation; the path begins with the parameter.
        """
        name = self._form.input_parameter or ""
        try:
            value = context.get_input()
        except PayloadError as error:
            raise signatures.named(error, name, "input of the orchestrator") from error
        given = {self._form.context_parameter: context}
        if value is not None or not self._form.has_default:
            given[name] = value
        return self.function(**given)
