"""Work items on their way from a task hub's thread to the stream of a remote worker."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

import msgspec

from durable_app.protocol import OrchestratorRequest
from durable_app.rpc.codec.work import UNKNOWN_COUNT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable_app.protocol import WorkItem

#: Instances whose next turn must not go on warm; most of those that were forgotten have ended.
_MOST_FORGOTTEN: Final = 10_000


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
        # Of the hub's thread alone.
        self._forgotten: OrderedDict[str, None] = OrderedDict()

    def push(self, items: Sequence[WorkItem]) -> None:
        """See ``WorkSink.push``."""
        if self._forgotten:
            items = [self._cold(item) for item in items]
        try:
            self._loop.call_soon_threadsafe(self._take, items)
        except RuntimeError:
            """The loop is closed, and the stream with it: the hub gets the items back."""

    def forget(self, instance_id: str) -> None:
        """See ``WorkSink.forget``.

        The wire has no word for it: the next turn of the instance does not say how long its history
        is, and a worker goes on warm only where that fits.
        """
        self._forgotten[instance_id] = None
        if len(self._forgotten) > _MOST_FORGOTTEN:
            self._forgotten.popitem(last=False)

    def _cold(self, item: WorkItem) -> WorkItem:
        if not isinstance(item, OrchestratorRequest) or item.instance_id not in self._forgotten:
            return item
        del self._forgotten[item.instance_id]
        if not item.requires_history_streaming:
            return item
        return msgspec.structs.replace(item, past_count=UNKNOWN_COUNT)

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
