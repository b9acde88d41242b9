"""Where an orchestrator stands, and what is wrong with what it gave us there."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from types import FrameType
from typing import Any, Final

from durable_app.errors import OrchestratorError
from durable_app.replay.tasks import Task

UserFrames = Generator[Any, Any, Any] | Coroutine[Any, Any, Any]

# What asyncio says where no event loop runs; an orchestrator never has one.
_WITHOUT_LOOP: Final = ("no running event loop", "There is no current event loop")
_NOT_OF_USER: Final = ("asyncio", "durable_app")
_INSTEAD: Final = (
    "An `async def` orchestrator awaits only what the methods of its context return. Write"
    " `await context.create_timer(timedelta(seconds=5))` in place of asyncio.sleep, `await"
    " context.task_all([...])` in place of asyncio.gather, context.task_any with a timer in place"
    " of a timeout, and call an activity for everything else, such as I/O."
)


def line_of(code: UserFrames | None) -> str | None:
    """Return ``file:line`` of the innermost ``yield`` or ``await`` or, while it runs, its line."""
    found: str | None = None
    inner: Any = code
    while inner is not None:
        frame = getattr(inner, "gi_frame", None) or getattr(inner, "cr_frame", None)
        if frame is None:
            break
        if _is_of_user(frame):
            found = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        inner = getattr(inner, "gi_yieldfrom", None) or getattr(inner, "cr_await", None)
    return found


def _is_of_user(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] not in _NOT_OF_USER


def start_of(fn: Callable[..., Any]) -> str:
    """Return ``file:line (name)`` of a function; only its name where the source is unknown."""
    name = getattr(fn, "__qualname__", None) or type(fn).__name__
    code = getattr(inspect.unwrap(fn), "__code__", None)
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


def wrong_await(value: Any, where: str) -> OrchestratorError:
    """Return the error for an await of something that is no task."""
    what = "something" if value is None else f"something ({type(value).__name__})"
    return OrchestratorError(
        f"The orchestrator awaited {what} at {where} that is no task of its context. {_INSTEAD}"
    )


def without_loop(error: BaseException) -> OrchestratorError | None:
    """Return what to say in place of asyncio's error that no event loop runs, None of others."""
    if type(error) is not RuntimeError or not str(error).startswith(_WITHOUT_LOOP):
        return None
    where = ""
    step = error.__traceback__
    while step is not None:
        frame = step.tb_frame
        if _is_of_user(frame):
            where = f" at {frame.f_code.co_filename}:{step.tb_lineno}"
        step = step.tb_next
    refusal = OrchestratorError(
        f"The orchestrator used asyncio{where}, but no event loop runs it. {_INSTEAD}"
    )
    refusal.__cause__ = error
    return refusal


def wrong_result(fn: Callable[..., Any], value: Any) -> OrchestratorError:
    """Return the error for a function that gave neither a generator, a coroutine nor a value."""
    if isinstance(value, Task):
        return OrchestratorError(
            f"The orchestrator returned {value!r} at {start_of(fn)}; a result is a value. Write"
            " `result = yield task` (in an `async def`, `await task`) and return the result."
        )
    if isinstance(value, Coroutine):
        value.close()  # or Python warns that it was never awaited
        return OrchestratorError(
            f"The orchestrator returned a coroutine at {start_of(fn)}: write `return await ...`."
        )
    return OrchestratorError(
        f"The orchestrator at {start_of(fn)} has both `async` and `yield`. Write `await` in place"
        " of each `yield`, or `def` in place of `async def`."
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
