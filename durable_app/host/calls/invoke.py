"""Runs one function as Azure's Python worker would: binds its parameters, calls it, reports it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from azure.functions import meta

from durable_app.errors import DefinitionError
from durable_app.functions.names import INVOCATION_CONTEXT
from durable_app.host.calls.invocation_context import InvocationContexts, trace_context_of
from durable_app.host.calls.outputs import RETURN, Bindings, Output, Sinks, deliver, fresh
from durable_app.host.console.console import dashed
from durable_app.host.console.tracebacks import user_traceback
from durable_app.telemetry import Invocation, current_invocation

if TYPE_CHECKING:
    from pathlib import Path

    from durable_app.functions.index import FunctionFacts
    from durable_app.host.calls.daemon_pool import DaemonPool
    from durable_app.host.calls.invocation_context import Retry
    from durable_app.ports import Clock
    from durable_app.protocol import TraceContext
    from durable_app.telemetry import InvocationObserver, Tracing

HTTP_REASON: Final = "This function was programmatically called via the host APIs."
HTTP_TRIGGER: Final = "httpTrigger"
_CLIENT: Final = "durableClient"
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_NO_SINKS: Final[Sinks] = MappingProxyType({})
_R = TypeVar("_R")


class FunctionFailedError(Exception):
    """A function raised or took too long; it was reported already."""


def _as_it_is(result: Any) -> Any:
    return result


class UnavailableBindingError(DefinitionError):
    """A function needs a value that this host cannot get; the others can run."""


class _Plan(NamedTuple):
    """How to call one function.

    Attributes:
        trigger: name of the parameter that takes the trigger's value.
        fixed: arguments that are the same at every call.
        outputs: output bindings by name, ``$return`` among them.
        may_return: a result needs no binding, as the trigger takes it (an activity's).
    """

    function: FunctionFacts
    trigger: str
    fixed: Mapping[str, str]
    outputs: Bindings
    may_return: bool


class Call:
    """One function, ready to be called with values of its trigger. Made by :class:`Invoker`."""

    def __init__(self, invoker: Invoker, plan: _Plan) -> None:
        self._invoker = invoker
        self._plan = plan

    @property
    def facts(self) -> FunctionFacts:
        """The function."""
        return self._plan.function

    @property
    def outputs(self) -> Bindings:
        """Its output bindings by name, ``$return`` among them."""
        return self._plan.outputs

    async def __call__(
        self,
        value: Any,
        *,
        reason: str = "",
        headers: Mapping[str, str] = _NO_HEADERS,
        finish: Callable[[Any], _R] = _as_it_is,
        retry: Retry | None = None,
    ) -> _R:
        """Run the function once and report it to the observer.

        Args:
            value: of the trigger's parameter, as Azure's worker would pass it.
            reason: why it runs, in the Functions host's words; "" is shown as ``(null)``.
            headers: of the HTTP request that led here, for the trace context.
            finish: makes of the function's result what the caller wants; an error that it raises
                is the function's.
            retry: which run it is, of a function with a retry policy.

        Raises:
            FunctionFailedError: the function raised or took too long; it was reported.
        """
        return await self._invoker.call(self._plan, value, reason, headers, finish, retry)


class Invoker:
    """Calls functions with their bindings, one :class:`Call` per function.

    Args:
        client_binding: JSON text that a durable client parameter gets, as Azure passes it.
        timeout_s: ``functionTimeout``; None for no limit.
        sinks: what takes the values of output bindings, by type of the binding.
        tracing: knows the trace that a call belongs to; None for nobody.
    """

    def __init__(
        self,
        folder: Path,
        client_binding: str,
        pool: DaemonPool,
        observer: InvocationObserver,
        clock: Clock,
        timeout_s: float | None,
        sinks: Sinks = _NO_SINKS,
        *,
        tracing: Tracing | None = None,
    ) -> None:
        self._tracing = tracing
        self._sinks = sinks
        #: What functions get as their parameter ``context``.
        self.contexts = InvocationContexts(folder)
        self._client_binding = client_binding
        self._pool = pool
        self._observer = observer
        self._clock = clock
        self._timeout_s = timeout_s

    def bind(self, function: FunctionFacts) -> Call:
        """Prepare the calls of a function.

        Raises:
            UnavailableBindingError: it has an input that is not available locally.
        """
        trigger = ""
        clients: list[str] = []
        outputs: dict[str, Mapping[str, Any]] = {}
        for binding in function.bindings:
            kind, name = binding["type"], binding["name"]
            if kind == function.trigger_type:
                trigger = name
            elif kind == _CLIENT:
                clients.append(name)
            elif binding["direction"] == "OUT":
                outputs[name] = binding
            else:
                raise UnavailableBindingError(
                    f"Its input '{name}' of type '{kind}' is not available locally."
                )
        fixed = dict.fromkeys(clients, self._client_binding)
        return Call(
            self,
            _Plan(function, trigger, fixed, outputs, _has_implicit_output(function)),
        )

    async def call(
        self,
        plan: _Plan,
        value: Any,
        reason: str,
        headers: Mapping[str, str],
        finish: Callable[[Any], _R],
        retry: Retry | None = None,
    ) -> _R:
        """See :class:`Call`."""
        function = plan.function
        new_id = self._clock.new_id()
        invocation_id = dashed(new_id)
        outputs = fresh(plan.outputs)
        arguments: dict[str, Any] = {plan.trigger: value, **plan.fixed, **outputs}
        if function.takes_invocation_context:
            arguments[INVOCATION_CONTEXT] = self.contexts.make(
                function.name, invocation_id, headers, retry
            )
        started = self._clock.monotonic()
        # Never reset: the variable belongs to this task and to the threads that it calls.
        trace = trace_context_of(headers)
        current_invocation.set(Invocation(function.name, new_id, trace_context=trace))
        self._observer.executing(function.name, invocation_id, reason)
        error: str | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                with self._within(trace):
                    result = await self._run(function, arguments)
                if plan.outputs or result is not None:
                    result = await self._deliver(plan, outputs, result)
                return finish(result)
        except TimeoutError as raised:
            error = self._timed_out(function.name, invocation_id, started, raised)
            raise FunctionFailedError from raised
        except BaseException as raised:  # a function may raise anything, SystemExit included
            if _is_being_ended(raised):
                error = "The host shut down before the function had ended."
                raise
            error = user_traceback(raised)
            raise FunctionFailedError from raised
        finally:
            duration_s = self._clock.monotonic() - started
            self._observer.executed(function.name, invocation_id, duration_s, error)

    def _within(self, trace: TraceContext | None) -> contextlib.AbstractContextManager[None]:
        """What the function does belongs to the trace of the request."""
        if self._tracing is None:
            return contextlib.nullcontext()
        return self._tracing.within(trace)

    async def _run(self, function: FunctionFacts, arguments: Mapping[str, Any]) -> Any:
        if function.is_async:
            return await function.handle(**arguments)
        return await self._pool.run(functools.partial(function.handle, **arguments))

    async def _deliver(self, plan: _Plan, outputs: Mapping[str, Output], result: Any) -> Any:
        """Send the values of output bindings; the value of an HTTP output comes back."""
        values = {name: output.get() for name, output in outputs.items()}
        if result is not None and not plan.may_return and RETURN not in plan.outputs:
            raise RuntimeError(
                f"function '{plan.function.name}' without a $return binding returned a non-None"
                " value"
            )
        return await deliver(plan.outputs, {**values, RETURN: result}, self._sinks)

    def _timed_out(
        self, name: str, invocation_id: str, started: float, raised: BaseException
    ) -> str:
        limit_s = self._timeout_s
        if limit_s is None or self._clock.monotonic() - started < limit_s:
            return user_traceback(raised)  # the function's own TimeoutError
        return (
            f"Timeout value of {limit_s:g} s exceeded by function 'Functions.{name}'"
            f" (Id: '{invocation_id}')."
        )


def _is_being_ended(error: BaseException) -> bool:
    """False for what comes out of user code, such as the end of a task that it waited for."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return True  # no loop runs: what is left of a closed one is put away
    is_asked = task is not None and task.cancelling() > 0
    return is_asked and isinstance(error, asyncio.CancelledError)


def _has_implicit_output(function: FunctionFacts) -> bool:
    registry = meta.get_binding_registry()  # type: ignore[no-untyped-call]  # upstream
    converter = registry.get(function.trigger_type)
    return converter is not None and bool(converter.has_implicit_output())
