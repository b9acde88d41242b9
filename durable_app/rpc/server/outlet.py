"""Work items on their way from a task hub's thread to the stream of a remote worker."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable_app.protocol import WorkItem


class Outlet:
    """Holds items until the stream takes them. Implements ``ports.WorkSink``.

    What it holds is bounded by the worker's slots: an item takes one until it is answered.
    """

    def __init__(self) -> None:
        """Belongs to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._items: deque[WorkItem] = deque()
        self._has_items = asyncio.Event()
        self.is_closing = False

    def push(self, items: Sequence[WorkItem]) -> None:
        """See ``WorkSink.push``."""
        try:
            self._loop.call_soon_threadsafe(self._take, items)
        except RuntimeError:
            """The loop is closed, and the stream with it: the hub gets the items back."""

    def forget(self, instance_id: str) -> None:
        """See ``WorkSink.forget``; remote workers compare executions and counts of events."""

    def close(self) -> None:
        """No more items; whoever waits for some is woken."""
        self.is_closing = True
        self._has_items.set()

    async def take(self, timeout_s: float) -> list[WorkItem]:
        """All items that are here, waiting for the first one; none when the time is up."""
        if not self._items and not self.is_closing:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._has_items.wait()
            except TimeoutError:
                return []
        taken = list(self._items)
        self._items.clear()
        if not self.is_closing:
            self._has_items.clear()
        return taken

    def _take(self, items: Sequence[WorkItem]) -> None:
        self._items.extend(items)
        self._has_items.set()
