"""What every trigger does with its function: run it, say why, and go on after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from durable_app.host.calls.invoke import FunctionFailedError
from durable_app.host.console.console import Level

if TYPE_CHECKING:
    from durable_app.functions.index import FunctionFacts
    from durable_app.host.calls.invocation_context import Retry


class TriggerCall(Protocol):
    """Runs one function; the part of ``invoke.Call`` that triggers use."""

    @property
    def facts(self) -> FunctionFacts:
        """The function."""
        ...

    async def __call__(self, value: Any, *, reason: str = "", retry: Retry | None = None) -> Any:
        """Run it once. Raises FunctionFailedError."""
        ...


class Journal(Protocol):
    """Where lines for the console go."""

    def log(self, level: Level, category: str, text: str, *args: object) -> None:
        """Show a line if its level is enabled for the category."""
        ...


async def run_once(
    call: TriggerCall,
    value: Any,
    journal: Journal,
    *,
    reason: str = "",
    details: str = "",
    retry: Retry | None = None,
) -> bool:
    """Run a function; a failure was reported by whoever runs it.

    Args:
        details: what set it off, for the line below the one that says that it begins.
        retry: which run it is, of a function with a retry policy.

    Returns:
        Whether it succeeded.
    """
    run = asyncio.ensure_future(_outcome(call, value, reason, retry))
    try:
        # The function begins here, and its line is written.
        await asyncio.sleep(0)
        if details:
            category = f"Function.{call.facts.name}"
            journal.log(Level.INFORMATION, category, "Trigger Details: %s", details)
        return await run
    finally:
        await cancel([run])


async def cancel(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel what is not done and wait for its end."""
    waiting = [task for task in tasks if not task.done()]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def _outcome(call: TriggerCall, value: Any, reason: str, retry: Retry | None) -> bool:
    try:
        await call(value, reason=reason, retry=retry)
    except FunctionFailedError:
        return False
    return True
