"""The callables that Azure's Python worker calls in place of the users' functions.

The worker compares a callable's parameters with the bindings and reads its annotations, then
calls it with one keyword per binding. A handle therefore is a real ``def`` or ``async def`` with
an explicit signature of bare types, and translates between what the worker passes and what the
user's function takes. It needs something above this floor for that: a :class:`Runtime`, made on
first use. Our own host reads ``handle.durable`` and calls through it, by the same functions.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

from durable_app.errors import DefinitionError, PayloadError, UnsupportedOnHostError
from durable_app.functions import signatures
from durable_app.functions.activity_context import ActivityContext
from durable_app.functions.facts import DurableFunction
from durable_app.functions.names import (
    INVOCATION_CONTEXT,
    RETURN_BINDING,
    definition_error,
    did_you_mean,
)
from durable_app.payload import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping


class Handle(Protocol):
    """A callable with the facts of the function that it stands for."""

    durable: DurableFunction

    def __call__(self, *args: Any, **bound: Any) -> Any:
        """Run the function. Keywords are names of bindings."""
        ...


class Runtime(Protocol):
    """What a handle needs when somebody else's worker calls it. Any thread may call."""

    def orchestrate(self, handle: Handle, context_json: str) -> str:
        """Run one turn of an orchestration as the host describes it; returns its actions."""
        ...

    def client(self, binding: str, *, sync: bool) -> object:
        """The client that a ``durableClient`` binding's JSON text describes."""
        ...

    def connection(self, binding: str) -> object:
        """What a client that is made of this JSON text talks to."""
        ...


class _RuntimeSlot:
    """Holds the factory, and what it made on first use."""

    def __init__(self) -> None:
        self._factory: Callable[[], Runtime] | None = None
        self._made: dict[str, Runtime] = {}

    def fill(self, factory: Callable[[], Runtime] | None) -> None:
        self._factory = factory
        self._made = {}

    def get(self, absent: str) -> Runtime:
        made = self._made.get("runtime")
        if made is not None:
            return made
        if self._factory is None:
            raise UnsupportedOnHostError(absent)
        # setdefault: of two threads that come first, both get the same one.
        return self._made.setdefault("runtime", self._factory())


_slot = _RuntimeSlot()


def set_runtime_factory(factory: Callable[[], Runtime] | None) -> None:
    """Say where handles get their runtime; it is called once, on first use.

    Args:
        factory: None takes the present one away. It may be called twice when two threads come at
            the same moment; one of the two runtimes is then dropped unused.
    """
    _slot.fill(factory)


def connection_of_binding(binding: str) -> object:
    """What the JSON text of a ``durableClient`` binding stands for in this process.

    Raises:
        UnsupportedOnHostError: nothing here can tell, or the text is of another host.
    """
    return _slot.get(
        "A durable client was made of the text of a binding, and nothing in this process knows the"
        " task hub behind it. Start the app with `func start`; in a test pass a client of your own."
    ).connection(binding)


# ---------------------------------------------------------------------------------------------
# Handles
# ---------------------------------------------------------------------------------------------


def handle_of(function: Callable[..., Any]) -> Handle | None:
    """``function`` itself if it is one of our handles."""
    facts = getattr(function, "durable", None)
    return cast("Handle", function) if isinstance(facts, DurableFunction) else None


def make_handle(facts: DurableFunction) -> Handle:
    """The callable for Azure's worker. Its signature is settled by :func:`fit`."""
    makers = {
        "orchestration": _orchestration_handle,
        "activity": _async_activity_handle if facts.is_async else _activity_handle,
        "entity": _entity_handle,
        "client": _async_client_handle if facts.is_async else _client_handle,
    }
    handle = makers[facts.kind](facts)
    name = signatures.plain_name(facts.function)
    # The worker must not look through to the user's function, so there is no __wrapped__.
    handle.__name__ = handle.__qualname__ = name
    handle.__module__ = getattr(facts.function, "__module__", None) or __name__
    handle.__doc__ = facts.function.__doc__
    handle.__dict__.update(_test_hooks(facts), durable=facts)
    bindings = {name for name in (facts.parameter, *facts.clients) if name is not None}
    if _takes_more_bindings(facts):
        # Decorators above this one may bring the bindings of the other parameters.
        bindings |= set(signatures.parameters(facts.function))
    fit(cast("Handle", handle), bindings)
    return cast("Handle", handle)


def _takes_more_bindings(facts: DurableFunction) -> bool:
    return facts.kind in ("activity", "client")


def _test_hooks(facts: DurableFunction) -> dict[str, Callable[..., Any]]:
    hooks = {f"{facts.kind}_function": facts.function}
    if facts.kind == "orchestration":
        hooks = {"orchestrator_function": facts.function}
    if facts.clients:
        hooks["client_function"] = facts.function
    return hooks


def fit(handle: Handle, bindings: Iterable[str]) -> None:
    """Give a handle exactly the parameters that have a binding, as the worker demands.

    Args:
        bindings: names of all bindings of the function.

    Raises:
        DefinitionError: a binding has no parameter, or a parameter has neither a binding nor a
            default.
    """
    bound = {name for name in bindings if name != RETURN_BINDING}
    handle.durable = facts = dataclasses.replace(handle.durable, bound=frozenset(bound))
    given = bound | {INVOCATION_CONTEXT} if _takes_more_bindings(facts) else bound
    own = _own_parameters(facts)
    for name in sorted(bound - set(own)):
        _check_parameter(name, facts.function, own)
    for name, parameter in own.items():
        if name == facts.context_parameter:
            given.discard(name)
        elif name not in given and signatures.is_required(parameter):
            raise definition_error(
                facts.function,
                f"parameter '{name}' of {signatures.plain_name(facts.function)} has no binding:"
                f" {_advice(facts)}",
            )
    ordered = [name for name in own if name in given]
    _settle(handle, [*ordered, *sorted(bound - set(own))])


def _own_parameters(facts: DurableFunction) -> signatures.Parameters:
    """Parameters of the user's function, as far as they are of interest to the worker.

    Of orchestrators and entities that is the context: their input is no binding, and a class takes
    nothing at all.
    """
    if facts.kind in ("orchestration", "entity") and facts.parameter is not None:
        context = inspect.Parameter(facts.parameter, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return {facts.parameter: context}
    return signatures.parameters(facts.function)


def _advice(facts: DurableFunction) -> str:
    if facts.kind == "activity":
        return (
            "an activity takes one input (a list, a dict or a dataclass for several values) and,"
            " in front of it, an ActivityContext;"
            " give the parameter a default or a binding decorator"
        )
    return "give the parameter a default or a binding decorator"


def check_parameter(name: str, function: Callable[..., Any]) -> None:
    """Raise DefinitionError unless ``function`` can take the binding ``name`` by keyword."""
    _check_parameter(name, function, signatures.parameters(function))


def _check_parameter(name: str, function: Callable[..., Any], own: signatures.Parameters) -> None:
    found = own.get(name)
    if found is not None and found.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise definition_error(
            function, f"parameter '{name}' is passed by name: remove the / after it"
        )
    if found is None and not signatures.takes_any_keyword(function):
        has = ", ".join(own) or "none"
        raise definition_error(
            function,
            f"{signatures.plain_name(function)} has no parameter '{name}' (it has: {has})."
            f"{did_you_mean(name, own)}",
        )


def _settle(handle: Handle, names: Iterable[str]) -> None:
    facts = handle.durable
    hints = signatures.hints(facts.function)
    annotations = {
        name: kept
        for name in (*names, "return")
        if (kept := _annotation(facts, name, hints.get(name, ...))) is not None
    }
    handle.__annotations__ = annotations
    handle.__dict__["__signature__"] = inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                annotation=annotations.get(name, inspect.Parameter.empty),
            )
            for name in names
        ],
        return_annotation=annotations.get("return", inspect.Signature.empty),
    )


def _annotation(facts: DurableFunction, name: str, hint: Any) -> Any:
    """What the worker shall see of one annotation; None for nothing."""
    if name in facts.clients:
        return str
    if hint is ... or not _takes_more_bindings(facts):
        # Of orchestrations and entities the worker accepts its own class of context alone.
        return None
    if name == "return" and facts.kind == "client":
        # The worker compares it with the output binding; without it, it takes any result.
        return None
    if facts.kind == "activity" and name in (facts.parameter, "return"):
        return signatures.bare_type(hint)
    return signatures.binding_type(hint)


def _bound(handle: Handle, args: tuple[Any, ...], bound: dict[str, Any]) -> dict[str, Any]:
    if not args:
        return bound
    return inspect.signature(handle).bind(*args, **bound).arguments


def _orchestration_handle(facts: DurableFunction) -> Callable[..., Any]:
    parameter = facts.parameter or ""

    def handle(*args: Any, **bound: Any) -> str:
        this = cast("Handle", handle)
        context = _bound(this, args, bound)[parameter]
        absent = (
            f"Orchestration '{facts.name}' was called by a host that is not `func start` of"
            " durable_app. This version runs orchestrations there; it does not speak the protocol"
            " of Azure's classic durable extension. To test the orchestrator, call the decorated"
            " function itself with a context."
        )
        return _slot.get(absent).orchestrate(this, getattr(context, "body", context))

    return handle


def _entity_handle(facts: DurableFunction) -> Callable[..., Any]:
    def handle(*args: Any, **bound: Any) -> NoReturn:  # noqa: ARG001  what it is called with
        raise UnsupportedOnHostError(
            f"Entity '{facts.name}' was called by a host that is not `func start` of durable_app."
            " This version runs entities there; it does not speak the protocol of Azure's classic"
            " durable extension."
        )

    return handle


def _client_handle(facts: DurableFunction) -> Callable[..., Any]:
    def handle(*args: Any, **bound: Any) -> Any:
        return facts.function(**_with_clients(facts, _bound(cast("Handle", handle), args, bound)))

    return handle


def _async_client_handle(facts: DurableFunction) -> Callable[..., Any]:
    async def handle(*args: Any, **bound: Any) -> Any:
        given = _with_clients(facts, _bound(cast("Handle", handle), args, bound))
        return await facts.function(**given)

    return handle


def _activity_handle(_facts: DurableFunction) -> Callable[..., Any]:
    def handle(*args: Any, **bound: Any) -> Any:
        this = cast("Handle", handle)
        return call_activity_function(this.durable, *_activity_call(this, args, bound))

    return handle


def _async_activity_handle(_facts: DurableFunction) -> Callable[..., Any]:
    async def handle(*args: Any, **bound: Any) -> Any:
        this = cast("Handle", handle)
        call = _activity_call(this, args, bound)
        return await call_async_activity_function(this.durable, *call)

    return handle


def _activity_call(
    handle: Handle, args: tuple[Any, ...], bound: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    extra = _with_clients(handle.durable, _bound(handle, args, bound))
    return extra.pop(handle.durable.parameter or ""), extra


def _with_clients(facts: DurableFunction, bound: dict[str, Any]) -> dict[str, Any]:
    """The same arguments with a client in place of each binding's JSON text.

    What is no text is a client already: a test that passes its own.
    """
    clients = {
        name: _slot.get(
            f"Function '{facts.name}' takes a durable client, and nothing in this process can make"
            " one. Start the app with `func start`; in a test pass a client of your own."
        ).client(bound[name], sync=not facts.is_async)
        for name in facts.clients
        if isinstance(bound.get(name), str)
    }
    return {**bound, **clients}


# ---------------------------------------------------------------------------------------------
# Calling an activity
# ---------------------------------------------------------------------------------------------


def call_activity_function(
    facts: DurableFunction,
    plain_input: Any,
    extra: Mapping[str, Any],
    context: ActivityContext | None = None,
) -> Any:
    """Run a sync activity on a decoded JSON value and return a value that JSON can hold.

    Args:
        plain_input: what ``json.loads`` made of the input.
        extra: values of the other bindings, by name; clients as objects.
        context: for a function that takes one; None where the host tells nothing.

    Raises:
        PayloadError: the input does not fit the parameter's annotation, or the result cannot be
            encoded. Whatever the user's function raises passes through.
    """
    return _plain_result(facts, facts.function(**_arguments(facts, plain_input, extra, context)))


async def call_async_activity_function(
    facts: DurableFunction,
    plain_input: Any,
    extra: Mapping[str, Any],
    context: ActivityContext | None = None,
) -> Any:
    """The same for an ``async def`` activity."""
    running: Awaitable[Any] = facts.function(**_arguments(facts, plain_input, extra, context))
    return _plain_result(facts, await running)


def _arguments(
    facts: DurableFunction,
    plain_input: Any,
    extra: Mapping[str, Any],
    context: ActivityContext | None,
) -> dict[str, Any]:
    if facts.kind != "activity" or facts.parameter is None:
        raise DefinitionError(f"'{facts.name}' is no activity")
    try:
        value = from_plain(plain_input, facts.input_annotation)
    except PayloadError as error:
        what = f"input of activity '{facts.name}'"
        # The same error with its place: it is not the cause of itself.
        raise signatures.named(error, facts.parameter, what) from error.__cause__
    given = {facts.parameter: value, **extra}
    if facts.context_parameter is not None:
        given.setdefault(
            facts.context_parameter, context or ActivityContext(function_name=facts.name)
        )
    return given


def _plain_result(facts: DurableFunction, result: Any) -> Any:
    try:
        return to_plain(result)
    except PayloadError as error:
        raise PayloadError(
            f"{error.reason} (result of activity '{facts.name}')", error.path
        ) from error.__cause__
