"""Output bindings: what a function sets or returns goes to where the binding says.

HTTP functions and those of other triggers deliver their outputs after the call, as part of it: if
one cannot be written, the function has failed. So do activities, whose calls the worker makes:
:func:`delivering` puts the delivery around the user's function.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from azure.functions import Out

if TYPE_CHECKING:
    from durable_app.functions.facts import DurableFunction

#: Sends the values of an output binding to where they go, given the binding as its JSON says.
Sink = Callable[[Mapping[str, Any], Any], Awaitable[None]]
Sinks = Mapping[str, Sink]
Bindings = Mapping[str, Mapping[str, Any]]

RETURN: Final = "$return"
_HTTP: Final = "http"


class Output(Out[Any]):
    """Takes what a function sets for an output binding."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        """Take a value, in place of an earlier one."""
        self._value = val

    def get(self) -> Any:
        """The value, None before one was set."""
        return self._value


def fresh(outputs: Bindings) -> dict[str, Output]:
    """An empty output for each binding that is a parameter."""
    return {name: Output() for name in outputs if name != RETURN}


async def deliver(outputs: Bindings, values: Mapping[str, Any], sinks: Sinks) -> Any:
    """Send all values that were set; the value of an HTTP output comes back.

    Args:
        outputs: bindings by name.
        values: by the same names; None for what was not set.
        sinks: by type of the binding.

    Raises:
        RuntimeError: there is no sink for a value.
    """
    response = None
    for name, binding in outputs.items():
        value = values.get(name)
        if binding["type"] == _HTTP:
            response = value
        elif value is not None:
            await _sink(name, binding, sinks)(binding, value)
    return response


def _sink(name: str, binding: Mapping[str, Any], sinks: Sinks) -> Sink:
    sink = sinks.get(binding["type"])
    if sink is None:
        raise RuntimeError(
            f"The output '{name}' of type '{binding['type']}' is not available locally: its value"
            " was not written."
        )
    return sink


def delivering(
    durable: DurableFunction,
    outputs: Bindings,
    sinks: Sinks,
    loop: asyncio.AbstractEventLoop,
) -> DurableFunction:
    """The same activity, whose outputs are delivered before it has ended.

    Args:
        loop: the running one, on which sinks work.
    """
    function = durable.function

    async def finish(values: Mapping[str, Output], result: Any) -> Any:
        given = {name: output.get() for name, output in values.items()}
        await deliver(outputs, {**given, RETURN: result}, sinks)
        return result

    @functools.wraps(function)
    def call(*args: Any, **bound: Any) -> Any:
        values = fresh(outputs)
        result = function(*args, **bound, **values)
        # An activity that is no coroutine runs on a thread, never on the loop.
        return asyncio.run_coroutine_threadsafe(finish(values, result), loop).result()

    @functools.wraps(function)
    async def call_async(*args: Any, **bound: Any) -> Any:
        values = fresh(outputs)
        return await finish(values, await function(*args, **bound, **values))

    return dataclasses.replace(durable, function=call_async if durable.is_async else call)
