"""Time that passes when somebody says so, and a task hub that lives in it.

Theory of operation. There is no owner's thread: the hub drains its inputs on the event loop of the
test. Time stands still while there is anything to do. When nothing can go on (no input, no item in
the hands of the worker, and nobody on the event loop who has something to say) whoever waits lets
time leap to the moment at which the hub wants to look again: that of the next timer, delayed
message or retry.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from durable_app.clock import SystemClock
from durable_app.protocol import ActivityRequest, OrchestrationState, OrchestratorRequest
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from durable_app.ports import Capacity, ServedStream, WorkFilter, WorkSink
    from durable_app.protocol import WorkItem
    from durable_app.scheduler.hub import Hub
    from durable_app.scheduler.inputs import Input, WaitFor

_log = logging.getLogger(__name__)

_TICK: Final = timedelta(microseconds=1)
#: How often others on the event loop get their turn before nobody is said to have anything to do.
_ROUNDS: Final = 20


class VirtualClock:
    """A clock that stands still until it is set. Implements ``ports.Clock``.

    Args:
        start_at: its first time, naive ones are UTC; None for the machine's.
    """

    def __init__(self, start_at: datetime | None = None) -> None:
        now = SystemClock().now() if start_at is None else start_at
        self._now = now.replace(tzinfo=UTC) if now.tzinfo is None else now.astimezone(UTC)
        self._began = self._now
        self._ids = 0

    def now(self) -> datetime:
        """Virtual time, aware UTC."""
        return self._now

    def monotonic(self) -> float:
        """Virtual seconds since the beginning."""
        return (self._now - self._began).total_seconds()

    def new_id(self) -> str:
        """A number as 32 hex digits: the same ones in every run."""
        self._ids += 1
        return f"{self._ids:032x}"

    def set(self, moment: datetime) -> None:
        """Go on to a moment; one that is past changes nothing."""
        self._now = max(self._now, moment)


class Timeline:
    """Owns a hub on the event loop on which it is started. Implements ``service.Owner``."""

    def __init__(
        self, clock: VirtualClock, hub: Hub, flush: Callable[[], None], close: Callable[[], None]
    ) -> None:
        """Args: the clock of the hub; what to call after each drain, and at the end."""
        self._clock = clock
        self._hub = hub
        self._flush = flush
        self._close = close
        self._inputs: deque[Input] = deque()
        self._moved = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._is_closed = False

    # -- service.Owner -----------------------------------------------------------------------

    def start(self) -> None:
        """Open the hub."""
        self._hub.state.open()
        self._handle(())

    def post(self, item: Input) -> bool:
        """Handle a message as soon as the event loop comes to it. Any thread."""
        if self._is_closed:
            return False
        self._inputs.append(item)
        self._loop.call_soon_threadsafe(self._drain)
        return True

    def stop(self, timeout_s: float) -> None:  # noqa: ARG002  nothing here takes time
        """End the hub; called beside the event loop, which waits for it."""
        self._is_closed = True
        self._hub.finish()
        self._hub.state.store.close()
        self._close()

    def _drain(self) -> None:
        if self._inputs and not self._is_closed:
            batch = list(self._inputs)
            self._inputs.clear()
            self._handle(batch)

    def _handle(self, batch: Sequence[Input]) -> None:
        try:
            self._hub.handle(batch)
        except BaseException:
            _log.critical("The task hub has failed.")
            self._is_closed = True
            self._close()
            raise
        finally:
            self._flush()
            self._moved.set()

    # -- time --------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether something goes on that needs no time to pass."""
        in_flight = self._hub.state.streams.in_flight
        return not self._is_closed and bool(self._inputs or in_flight)

    async def settle(self) -> None:
        """Return when nothing can go on without time."""
        quiet = 0
        while quiet < _ROUNDS:
            if self.is_busy:
                quiet = 0
                await self.movement()
            else:
                quiet += 1
                await asyncio.sleep(0)

    async def movement(self) -> None:
        """Wait until the hub has done something."""
        self._moved.clear()
        await self._moved.wait()

    def leap(self, until: datetime | None) -> bool:
        """Let time pass until something happens.

        Args:
            until: but not beyond this moment; None for no limit.

        Returns:
            False where nothing happens by then; the time is that moment, if there is one.
        """
        if self.is_busy:
            return True
        wait_s = self._hub.wait_s()
        if wait_s is not None:
            moment = self._clock.now() + max(timedelta(seconds=wait_s), _TICK)
            if until is None or moment <= until:
                self._clock.set(moment)
                self._handle(())
                return True
        if until is not None:
            self._clock.set(until)
        return False


class VirtualHub(TaskHub):
    """A task hub in memory on virtual time. Made, and used, on a running event loop.

    Args:
        replays: let workers begin every turn with a replay of the whole history.

    Attributes:
        timeline: lets time pass.
        activities: requests that were handed to workers, the oldest first.
    """

    def __init__(self, clock: VirtualClock, *, replays: bool) -> None:
        """Nothing is opened yet."""
        self._replays = replays
        self.activities: list[ActivityRequest] = []
        options = HubOptions(name="Testing")
        super().__init__(MemoryStore(), options, clock, make_owner=self._make_owner)

    def _make_owner(
        self,
        hub: Hub,
        flush: Callable[[], None],
        close: Callable[[], None],
        _on_fatal: Callable[[BaseException], None],
    ) -> Timeline:
        assert isinstance(self._clock, VirtualClock)  # noqa: S101  the one of __init__
        self.timeline = Timeline(self._clock, hub, flush, close)
        return self.timeline

    def connect(
        self,
        sink: WorkSink,
        capacity: Capacity,
        only: WorkFilter | None = None,
        *,
        whole_history: bool = False,
    ) -> ServedStream:
        """See ``WorkSource.connect``."""
        witness = _Witness(sink, self.activities, replays=self._replays)
        return super().connect(witness, capacity, only, whole_history=whole_history)

    async def _watch(
        self, instance_id: str, until: WaitFor, timeout_s: float | None
    ) -> OrchestrationState | None:
        """Wait, and let time pass meanwhile."""
        limit = None if timeout_s is None else self._clock.now() + timedelta(seconds=timeout_s)
        waiting = asyncio.ensure_future(super()._watch(instance_id, until, None))
        try:
            while True:
                await self.timeline.settle()
                if waiting.done():
                    return waiting.result()
                if self.timeline.leap(limit):
                    continue
                if limit is not None:
                    return None
                await self.timeline.movement()
        finally:
            waiting.cancel()


class _Witness:
    """Stands between hub and worker, and keeps the activities. Implements ``ports.WorkSink``."""

    def __init__(self, sink: WorkSink, seen: list[ActivityRequest], *, replays: bool) -> None:
        self._sink = sink
        self._seen = seen
        self._replays = replays
        self.forget = sink.forget

    def push(self, items: Sequence[WorkItem]) -> None:
        for item in items:
            if isinstance(item, ActivityRequest):
                self._seen.append(item)
            elif isinstance(item, OrchestratorRequest) and self._replays:
                self._sink.forget(item.instance_id)
        self._sink.push(items)
