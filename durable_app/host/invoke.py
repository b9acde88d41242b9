"""Runs one function as Azure's Python worker would: binds its parameters, calls it, reports it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from azure.functions import Context

from durable_app.errors import DefinitionError
from durable_app.host.console import dashed
from durable_app.host.tracebacks import user_traceback
from durable_app.telemetry import Invocation, current_invocation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from durable_app.functions.index import FunctionFacts
    from durable_app.host.daemon_pool import DaemonPool
    from durable_app.ports import Clock
    from durable_app.telemetry import InvocationObserver

HTTP_REASON: Final = "This function was programmatically called via the host APIs."
HTTP_TRIGGER: Final = "httpTrigger"
_CLIENT: Final = "durableClient"
_RESULTS: Final = frozenset({"http"})
_CONTEXT: Final = "context"
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_R = TypeVar("_R")


class FunctionFailedError(Exception):
    """A function raised or took too long; it was reported already."""


def _as_it_is(result: Any) -> Any:
    return result


class _Plan(NamedTuple):
    """How to call one function; ``fixed``: arguments that are the same at every call."""

    function: FunctionFacts
    trigger: str
    fixed: Mapping[str, str]
    wants_context: bool


class _TraceContext:
    """W3C trace headers of the request that led here; all optional."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.trace_parent = headers.get("traceparent")
        self.Traceparent = self.trace_parent
        self.trace_state = headers.get("tracestate")
        self.Tracestate = self.trace_state
        self.attributes: dict[str, str] = {}
        self.Attributes = self.attributes


class InvocationContext(Context):
    """What a function gets as its parameter ``context``."""

    def __init__(
        self,
        function: str,
        directory: Path,
        invocation_id: str,
        headers: Mapping[str, str],
        storage: threading.local,
    ) -> None:
        self._function = function
        self._directory = directory
        self._invocation_id = invocation_id
        self._trace_context = _TraceContext(headers)
        self._storage = storage

    @property
    def invocation_id(self) -> str:
        """Id of this invocation."""
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        """A place where user threads may note the invocation they work for."""
        return self._storage

    @property
    def function_name(self) -> str:
        """Name of the function."""
        return self._function

    @property
    def function_directory(self) -> str:
        """Folder of the app."""
        return str(self._directory)

    @property
    def trace_context(self) -> Any:
        """Trace headers of the request."""
        return self._trace_context

    @property
    def retry_context(self) -> Any:
        """None: HTTP functions are not retried."""
        return None


class Call:
    """One function, ready to be called with values of its trigger. Made by :class:`Invoker`."""

    def __init__(self, invoker: Invoker, plan: _Plan) -> None:
        self._invoker = invoker
        self._plan = plan

    @property
    def facts(self) -> FunctionFacts:
        """The function."""
        return self._plan.function

    async def __call__(
        self,
        value: Any,
        *,
        reason: str = "",
        headers: Mapping[str, str] = _NO_HEADERS,
        finish: Callable[[Any], _R] = _as_it_is,
    ) -> _R:
        """Run the function once and report it to the observer.

        Args:
            value: of the trigger's parameter, as Azure's worker would pass it.
            reason: why it runs, in the Functions host's words; "" is shown as ``(null)``.
            headers: of the HTTP request that led here, for the trace context.
            finish: makes of the function's result what the caller wants; an error that it raises
                is the function's.

        Raises:
            FunctionFailedError: the function raised or took too long; it was reported.
        """
        return await self._invoker.call(self._plan, value, reason, headers, finish)


class Invoker:
    """Calls functions with their bindings, one :class:`Call` per function.

    Args:
        client_binding: JSON text that a durable client parameter gets, as Azure passes it.
        timeout_s: ``functionTimeout``; None for no limit.
    """

    def __init__(
        self,
        folder: Path,
        client_binding: str,
        pool: DaemonPool,
        observer: InvocationObserver,
        clock: Clock,
        timeout_s: float | None,
    ) -> None:
        self._folder = folder
        self._client_binding = client_binding
        self._pool = pool
        self._observer = observer
        self._clock = clock
        self._timeout_s = timeout_s
        self._storage = threading.local()

    def bind(self, function: FunctionFacts) -> Call:
        """Prepare the calls of a function.

        Raises:
            DefinitionError: it has a binding that is not available locally, or its parameters are
                not its bindings, which Azure's worker refuses too.
        """
        trigger = ""
        clients = []
        for binding in function.bindings:
            kind, name = binding["type"], binding["name"]
            if kind == function.trigger_type:
                trigger = name
            elif kind == _CLIENT:
                clients.append(name)
            elif kind not in _RESULTS:
                raise DefinitionError(
                    f"Function {function.name} has a binding of type {kind} ('{name}'), which"
                    " this host does not offer."
                )
        fixed = dict.fromkeys(clients, self._client_binding)
        bound = {trigger, *clients}
        parameters = set(inspect.signature(function.handle).parameters)
        # A parameter of that name without a binding gets the invocation's context.
        wants_context = _CONTEXT in parameters - bound
        _check_parameters(function.name, parameters - {_CONTEXT}, bound - {_CONTEXT})
        return Call(self, _Plan(function, trigger, fixed, wants_context))

    async def call(
        self,
        plan: _Plan,
        value: Any,
        reason: str,
        headers: Mapping[str, str],
        finish: Callable[[Any], _R],
    ) -> _R:
        """See :class:`Call`."""
        function = plan.function
        new_id = self._clock.new_id()
        invocation_id = dashed(new_id)
        arguments: dict[str, Any] = {plan.trigger: value, **plan.fixed}
        if plan.wants_context:
            arguments[_CONTEXT] = InvocationContext(
                function.name, self._folder, invocation_id, headers, self._storage
            )
        started = self._clock.monotonic()
        # Never reset: the variable belongs to this task and to the threads that it calls.
        current_invocation.set(Invocation(function.name, new_id))
        self._observer.executing(function.name, invocation_id, reason)
        error: str | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                return finish(await self._run(function, arguments))
        except TimeoutError as raised:
            error = self._timed_out(function.name, invocation_id, started, raised)
            raise FunctionFailedError from raised
        except asyncio.CancelledError:
            error = "The host shut down before the function had ended."
            raise
        except BaseException as raised:  # a function may raise anything, SystemExit included
            error = user_traceback(raised)
            if isinstance(raised, KeyboardInterrupt):
                raise
            raise FunctionFailedError from raised
        finally:
            duration_s = self._clock.monotonic() - started
            self._observer.executed(function.name, invocation_id, duration_s, error)

    async def _run(self, function: FunctionFacts, arguments: Mapping[str, Any]) -> Any:
        if function.is_async:
            return await function.handle(**arguments)
        return await self._pool.run(functools.partial(function.handle, **arguments))

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


def _check_parameters(function: str, parameters: set[str], bound: set[str]) -> None:
    if unbound := sorted(parameters - bound):
        raise DefinitionError(
            f"Function {function} has a parameter '{unbound[0]}' without a binding. Add the"
            " decorator that gives it a value (a client: durable_client_input), or leave it out."
        )
    if absent := sorted(bound - parameters):
        raise DefinitionError(
            f"Function {function} has a binding '{absent[0]}' without a parameter. Write"
            f" `def {function}({absent[0]}, ...)`."
        )
