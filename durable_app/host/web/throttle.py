"""How many requests functions work on at a time: ``extensions.http`` of host.json."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from durable_app.host.web.requests import RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_TOO_MANY: Final = 429


class Throttle:
    """Lets requests in one after the other. Belongs to one event loop.

    Args:
        concurrent: most requests that run at a time; the others wait. None for no limit.
        outstanding: most requests that run or wait; the others are refused. None for no limit.
    """

    def __init__(self, concurrent: int | None = None, outstanding: int | None = None) -> None:
        self._slots = None if concurrent is None else asyncio.Semaphore(concurrent)
        self._outstanding = outstanding
        self._inside = 0

    @contextlib.asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """Hold a slot while the block runs.

        Raises:
            RefusedError: with 429, too many are here already.
        """
        if self._outstanding is not None and self._inside >= self._outstanding:
            raise RefusedError(_TOO_MANY, "Too many requests: try again later.")
        self._inside += 1
        try:
            async with self._slots or contextlib.nullcontext():
                yield
        finally:
            self._inside -= 1
