"""What an activity may know of the call that it is running for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

from durable_app.errors import UnsupportedOnHostError
from durable_app.functions import signatures
from durable_app.functions.names import definition_error

_NAME: Final = "ActivityContext"
_ANYTHING: Final = ("", "Any", "object")


class ActivityContext:
    """The call that an activity runs for; a parameter annotated with it gets it.

    Without annotation the first of two parameters gets it, where the second one takes the input.
    Azure's host tells an activity nothing but its input: there every attribute but
    ``function_name`` raises UnsupportedOnHostError. Tests make one of their own.

    Args:
        instance_id: of the orchestration that called the activity; None where it is not known.
        task_id: of the call in that orchestration.
        function_name: name of the activity.
        attempt: how often this call was handed to a worker, this time included, from 1. A retry
            policy makes a new call, with a ``task_id`` of its own.
        execution_id: of the orchestration's present execution; None for ``instance_id``.
    """

    __slots__ = ("_attempt", "_execution_id", "_instance_id", "_task_id", "function_name")

    def __init__(
        self,
        instance_id: str | None = None,
        task_id: int = 0,
        function_name: str = "",
        *,
        attempt: int = 1,
        execution_id: str | None = None,
    ) -> None:
        self._instance_id = instance_id
        self._task_id = task_id
        self._attempt = attempt
        self._execution_id = execution_id
        self.function_name = function_name

    @property
    def instance_id(self) -> str:
        """Id of the orchestration that called the activity."""
        return self._known("instance_id")

    @property
    def orchestration_id(self) -> str:
        """The same as ``instance_id``."""
        return self._known("orchestration_id")

    @property
    def task_id(self) -> int:
        """Number of the call in the orchestration's execution."""
        self._known("task_id")
        return self._task_id

    @property
    def attempt(self) -> int:
        """How often this call was handed to a worker, this time included, from 1."""
        self._known("attempt")
        return self._attempt

    @property
    def idempotency_key(self) -> str:
        """The same text however often this call is run, and another one for every other call.

        Give it to a service that refuses to do one thing twice: a crash between the work and its
        record makes the activity run again.
        """
        instance_id = self._known("idempotency_key")
        return f"{self._execution_id or instance_id}:{self._task_id}"

    def _known(self, name: str) -> str:
        if self._instance_id is None:
            raise UnsupportedOnHostError(
                f"This host does not tell an activity its {name}. Put what the activity has to know"
                " into its input: the orchestrator knows context.instance_id, and"
                " context.new_uuid() gives a key that is the same in every replay."
            )
        return self._instance_id

    def __repr__(self) -> str:
        return (
            f"ActivityContext({self._instance_id!r}, {self._task_id},"
            f" {self.function_name!r}, attempt={self._attempt})"
        )


def context_parameter(function: Callable[..., Any], input_name: str) -> str | None:
    """Name of the parameter that takes the activity's context, None where none does.

    Args:
        input_name: of the parameter that takes the input.
    """
    own = signatures.parameters(function)
    for name in own:
        if name != input_name and is_annotated(function, name):
            return name
    names = list(own)
    if names[1:2] != [input_name]:
        return None
    first = own[names[0]]
    is_free = signatures.annotated_name(function, first.name) in _ANYTHING
    return first.name if is_free and signatures.is_required(first) else None


def is_annotated(function: Callable[..., Any], name: str) -> bool:
    """True when the parameter says that it takes the activity's context."""
    return signatures.annotated_name(function, name) == _NAME


def check_context(function: Callable[..., Any], input_name: str) -> None:
    """Raise DefinitionError if the context could not be passed, or is taken for the input."""
    if is_annotated(function, input_name):
        raise definition_error(
            function,
            f"parameter '{input_name}' is annotated as the activity's context; input_name names"
            " the parameter that takes the input",
        )
    name = context_parameter(function, input_name)
    found = signatures.parameters(function).get(name or "")
    if found is not None and found.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise definition_error(
            function, f"parameter '{found.name}' is passed by name: remove the / after it"
        )
