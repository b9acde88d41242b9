"""Where an orchestrator stands, and what is wrong with what it gave us there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any

from durable_app.errors import OrchestratorError
from durable_app.replay.tasks import Task


def line_of(generator: Generator[Any, Any, Any] | None) -> str | None:
    """Return ``file:line`` of the innermost ``yield`` or, while it runs, of the running line."""
    found: str | None = None
    inner: Any = generator
    while inner is not None:
        frame = getattr(inner, "gi_frame", None)
        if frame is None:
            break
        found = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        inner = getattr(inner, "gi_yieldfrom", None)
    return found


def start_of(fn: Callable[..., Any]) -> str:
    """Return ``file:line (name)`` of a function; only its name where the source is unknown."""
    name = getattr(fn, "__qualname__", None) or type(fn).__name__
    code = getattr(fn, "__code__", None)
    if code is None:
        return name
    return f"{code.co_filename}:{code.co_firstlineno} (the end of {name})"


def wrong_yield(value: Any, where: str) -> OrchestratorError:
    """Return the error for a yield of something that is no task."""
    if isinstance(value, Coroutine):
        value.close()  # or Python warns that it was never awaited
    return OrchestratorError(
        f"The orchestrator yielded {_described(value)} at {where}; it can only wait for tasks."
        f" {_hint(value)}"
    )


def wrong_result(fn: Callable[..., Any], value: Any) -> OrchestratorError:
    """Return the error for a function whose call did not give a generator or a value."""
    if isinstance(value, Task):
        return OrchestratorError(
            f"The orchestrator returned {value!r} at {start_of(fn)}; a result is a value. Write"
            " `result = yield task` and return the result."
        )
    if isinstance(value, Coroutine):
        value.close()  # or Python warns that it was never awaited
    return OrchestratorError(
        f"The orchestrator at {start_of(fn)} is an `async def`. Orchestrators are generators:"
        " write `def`, and `yield` where you wrote `await`."
    )


def _described(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _hint(value: Any) -> str:
    if value is None:
        return "Was a function that returns a task called without return?"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "Did you mean context.task_all([...])?"
    if isinstance(value, Generator):
        return "Did you mean `yield from`?"
    if isinstance(value, (Coroutine, AsyncGenerator)):
        return "Call the activity with context.call_activity(...) instead of calling its function."
    return "Yield what a method of the context returns, such as context.call_activity(...)."
