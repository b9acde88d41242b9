"""What the commands share that serve until a signal comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable_app.cli.options import fail

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def run_until_done(serve: Callable[[], Coroutine[Any, Any, int]], *, debug: bool) -> int:
    """Serve on an event loop; return the exit code.

    Args:
        serve: reads the options and gives what serves; both may raise a DurableError.
        debug: let that error out, instead of its text alone.
    """
    import asyncio

    from durable_app.errors import DurableError

    try:
        return asyncio.run(serve())
    except DurableError as error:
        if debug:
            raise
        return fail(error)
    except KeyboardInterrupt:
        return 0  # Ctrl+C before anything was up: most of that time goes into imports
