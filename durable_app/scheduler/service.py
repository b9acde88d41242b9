"""The task hub, as its users hold it: an asyncio face over the owner's thread."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from durable_app.ports import (
    Capacity,
    CleanedEntities,
    EntityPage,
    EntityQuery,
    IdPage,
    IdQuery,
    InstanceQuery,
    Page,
    Purged,
    PurgeFilter,
    ServedStream,
    StartRequest,
    Store,
    WorkFilter,
    WorkResult,
    WorkSink,
)
from durable_app.protocol import (
    ActivityResponse,
    CompletionToken,
    EntityBatchResult,
    EntityMetadata,
    EventRaised,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    OrchestrationState,
    OrchestratorResponse,
    TraceContext,
)
from durable_app.scheduler.answers import FutureReply, Outbox, Settled, settle, stopped
from durable_app.scheduler.entity_requests import EntityRequests, checked_entity_id
from durable_app.scheduler.hub import Hub
from durable_app.scheduler.inputs import (
    Abandon,
    Ask,
    Clean,
    Connect,
    Decline,
    Disconnect,
    Get,
    GetEntity,
    Input,
    Pause,
    Purge,
    PurgeBy,
    PutBack,
    Reply,
    Restart,
    Results,
    Signal,
    Start,
    Unwatch,
    WaitFor,
    Watch,
)
from durable_app.scheduler.loop import OwnerLoop
from durable_app.scheduler.requests import Requests
from durable_app.scheduler.state import HubStatistics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from durable_app.ports import Clock
    from durable_app.scheduler.state import HubOptions

_log = logging.getLogger(__name__)

#: What is left to a wait that begins while the host shuts down.
_HURRIED_WAIT_S = 0.2
#: How long a rewind waits for the instance to leave its failed state before it returns.
_REWIND_WAIT_S = 5.0

_KINDS: Final[dict[type[WorkResult], str]] = {
    OrchestratorResponse: "orchestration",
    ActivityResponse: "activity",
    EntityBatchResult: "entity",
}

_T = TypeVar("_T")


class Owner(Protocol):
    """Whoever owns a hub and lets it work; see :class:`OwnerLoop`."""

    def start(self) -> None:
        """Open the hub."""
        ...

    def post(self, item: Input) -> bool:
        """Send the owner a message; False where it is refused. Any thread."""
        ...

    def stop(self, timeout_s: float) -> None:
        """Handle what has arrived, and close the store."""
        ...


#: Of a hub, what to call after each drain and at the end, and whom to tell of a failure.
MakeOwner = Callable[
    [Hub, Callable[[], None], Callable[[], None], Callable[[BaseException], None]], Owner
]


class _Desk:
    """Where results are handed in. Implements ``ports.WorkDesk``."""

    def __init__(self, post: Callable[[Input], object]) -> None:
        self._post = post

    def complete(self, results: Sequence[WorkResult]) -> None:
        """See ``WorkDesk.complete``."""
        self._post(Results(results))

    def abandon(self, token: CompletionToken, reason: str) -> None:
        """See ``WorkDesk.abandon``."""
        self._post(Abandon(token, reason))

    def decline(self, token: CompletionToken) -> None:
        """See ``WorkDesk.decline``."""
        self._post(Decline(token))

    def put_back(self, token: CompletionToken) -> None:
        """See ``WorkDesk.put_back``."""
        self._post(PutBack(token))


class _Stream(_Desk):
    """A connected worker's way back. Implements ``ports.ServedStream``."""

    def __init__(self, stream_id: int, store: Store, post: Callable[[Input], object]) -> None:
        super().__init__(post)
        self._id = stream_id
        self._store = store

    def load_history(self, instance_id: str, execution_id: str) -> list[HistoryEvent]:
        return self._store.read_history(instance_id, execution_id)

    def pause(self) -> None:
        self._post(Pause(self._id))

    def close(self) -> None:
        self._post(Disconnect(self._id))

    def lose(self) -> None:
        self._post(Disconnect(self._id, is_lost=True))


class TaskHub(_Desk):
    """A task hub in this process. Implements ``ports.ServedHub``.

    Args:
        store: where its rows are; owned by the hub from now on.
        on_fatal: told (on the hub's thread) when the hub ends because of an unexpected error.
        make_owner: makes what lets the hub work: a thread, unless somebody drives time by hand.
    """

    def __init__(
        self,
        store: Store,
        options: HubOptions,
        clock: Clock,
        on_fatal: Callable[[BaseException], None] | None = None,
        make_owner: MakeOwner = OwnerLoop,
    ) -> None:
        """See the class."""
        self.name = options.name
        self._store = store
        self._clock = clock
        self._outbox = Outbox()
        self._hub = hub = Hub(store, clock, options)
        requests = Requests(hub)
        entity_requests = EntityRequests(hub)
        outbox = self._outbox
        self._loop = make_owner(hub, outbox.flush, outbox.close, on_fatal or _ignore)
        super().__init__(self._loop.post)
        requests.continue_with(self._loop.post)
        entity_requests.continue_with(self._loop.post)
        self._stream_ids = itertools.count(1)
        self._waits: set[asyncio.Future[Any]] = set()
        self._hurries = False
        self._has_worker = False
        # Long reads happen beside the owner; two threads are what one database reader can feed.
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="task-hub-reader")
        self._is_running = False

    def open(self) -> None:
        """Open the store and go to work.

        Raises:
            ConfigError: another process owns the database.
            StoreCorruptError, StoreUnavailableError: it cannot be used.
        """
        self._loop.start()
        self._is_running = True

    async def stop(self, grace_s: float = 5.0) -> None:
        """Finish what has arrived, close the store. Idempotent."""
        if self._is_running:
            self._is_running = False
            await asyncio.to_thread(self._loop.stop, grace_s)
            # Reads that wait for a thread are not cancelled: the closed store refuses them.
            self._readers.shutdown(wait=False)

    @property
    def statistics(self) -> HubStatistics:
        """How busy it is. Any thread."""
        state = self._hub.state
        return HubStatistics(
            len(state.streams),
            state.streams.in_flight,
            self._hub.steps.ready_count,
            len(state.backlog),
            len(state.cache),
            {name: state.completed[kind] for kind, name in _KINDS.items()},
        )

    def end_waits(self) -> None:
        """Tell everybody who waits for an instance that the time is up, now and from now on.

        The host is about to end, and an answer that says "not yet" is better than none.
        """
        self._hurries = True
        # A copy: functions with an event loop of their own wait on other threads.
        waits: Settled = [(future, None, None) for future in tuple(self._waits)]
        for wait in waits:
            # A loop that is closed has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                wait[0].get_loop().call_soon_threadsafe(settle, [wait])

    # -- workers -----------------------------------------------------------------------------

    def connect(
        self,
        sink: WorkSink,
        capacity: Capacity,
        only: WorkFilter | None = None,
        *,
        whole_history: bool = False,
    ) -> ServedStream:
        """See ``WorkSource.connect``."""
        self._has_worker = True
        stream_id = next(self._stream_ids)
        self._loop.post(Connect(stream_id, sink, capacity, only or WorkFilter(), whole_history))
        return _Stream(stream_id, self._store, self._loop.post)

    # -- clients -----------------------------------------------------------------------------

    async def _call(self, make: Callable[[Reply], Input]) -> Any:
        return await self._answer(make, FutureReply(self._outbox))

    async def _answer(self, make: Callable[[Reply], Input], reply: FutureReply) -> Any:
        awaited = self._outbox.awaited
        awaited.add(reply.future)
        try:
            is_taken = self._loop.post(make(reply))
            if not is_taken or self._outbox.is_closed:
                raise stopped()
            return await reply.future
        finally:
            awaited.discard(reply.future)

    async def start(self, request: StartRequest) -> str:
        """See ``Orchestrations.start``."""
        found: str = await self._call(lambda reply: Start(request, reply))
        return found

    async def get(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """See ``Orchestrations.get``."""
        state: OrchestrationState | None = await self._call(
            lambda reply: Get(instance_id, fetch_payloads, reply)
        )
        return state

    async def wait_for_start(
        self, instance_id: str, *, timeout_s: float | None = None
    ) -> OrchestrationState | None:
        """See ``Orchestrations.wait_for_start``."""
        return await self._watch(instance_id, WaitFor.START, timeout_s)

    async def wait_for_completion(
        self, instance_id: str, *, timeout_s: float | None = None
    ) -> OrchestrationState | None:
        """See ``Orchestrations.wait_for_completion``."""
        return await self._watch(instance_id, WaitFor.COMPLETION, timeout_s)

    async def _watch(
        self, instance_id: str, until: WaitFor, timeout_s: float | None
    ) -> OrchestrationState | None:
        reply = FutureReply(self._outbox)
        if self._hurries:
            timeout_s = _HURRIED_WAIT_S if timeout_s is None else min(timeout_s, _HURRIED_WAIT_S)
        self._waits.add(reply.future)
        try:
            async with asyncio.timeout(timeout_s):
                state: OrchestrationState | None = await self._answer(
                    lambda reply: Watch(instance_id, until, reply), reply
                )
                return state
        except TimeoutError:
            return None
        finally:
            self._waits.discard(reply.future)
            if not reply.is_answered:
                self._loop.post(Unwatch(instance_id, reply))

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """See ``Orchestrations.raise_event``."""
        await self._ask(instance_id, EventRaised(name=name, input=data), "receive events")

    async def terminate(
        self, instance_id: str, output: str | None, *, recursive: bool = True
    ) -> None:
        """See ``Orchestrations.terminate``."""
        event = ExecutionTerminated(input=output, recurse=recursive)
        await self._ask(instance_id, event, "be terminated")

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """See ``Orchestrations.suspend``."""
        await self._ask(instance_id, ExecutionSuspended(input=reason), "be suspended")

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """See ``Orchestrations.resume``."""
        await self._ask(instance_id, ExecutionResumed(input=reason), "be resumed")

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """See ``Orchestrations.rewind``."""
        await self._ask(instance_id, ExecutionRewound(reason=reason), "be rewound")
        if self._has_worker:  # nobody else can say what of its history failed
            await self._watch(instance_id, WaitFor.RECOVERY, _REWIND_WAIT_S)

    async def _ask(self, instance_id: str, event: HistoryEvent, action: str) -> None:
        await self._call(lambda reply: Ask(instance_id, event, action, reply))

    async def restart(self, instance_id: str, *, new_instance_id: bool = True) -> str:
        """See ``Orchestrations.restart``."""
        fresh = self._clock.new_id() if new_instance_id else None
        found: str = await self._call(lambda reply: Restart(instance_id, fresh, reply))
        return found

    async def purge(self, instance_id: str, *, recursive: bool = True) -> int:
        """See ``Orchestrations.purge``."""
        count: int = await self._call(lambda reply: Purge(instance_id, recursive, reply))
        return count

    async def purge_by(self, which: PurgeFilter) -> Purged:
        """See ``Orchestrations.purge_by``."""
        limit = which.timeout_s
        until = None if limit is None else self._clock.monotonic() + limit
        purged: Purged = await self._call(lambda reply: PurgeBy(which, reply, until))
        return purged

    async def query(self, query: InstanceQuery) -> Page:
        """See ``Orchestrations.query``."""
        return await self._read(self._store.query, query)

    async def list_ids(self, query: IdQuery) -> IdPage:
        """See ``Orchestrations.list_ids``."""
        return await self._read(self._store.list_ids, query)

    async def history(
        self, instance_id: str, execution_id: str | None = None
    ) -> list[HistoryEvent] | None:
        """See ``Orchestrations.history``."""
        if await self.get(instance_id, fetch_payloads=False) is None:
            return None
        return await self._read(self._store.read_history, instance_id, execution_id)

    # -- entities ----------------------------------------------------------------------------

    async def signal(
        self,
        instance_id: str,
        operation: str,
        data: str | None,
        *,
        signal_time: datetime | None = None,
        trace: TraceContext | None = None,
    ) -> None:
        """See ``Entities.signal``."""
        await self._call(
            lambda reply: Signal(instance_id, operation, data, signal_time, reply, trace)
        )

    async def get_entity(
        self, instance_id: str, *, include_state: bool = True
    ) -> EntityMetadata | None:
        """See ``Entities.get_entity``."""
        wanted = checked_entity_id(instance_id)
        found: EntityMetadata | None = await self._call(
            lambda reply: GetEntity(wanted, include_state, reply)
        )
        return found

    async def query_entities(self, query: EntityQuery) -> EntityPage:
        """See ``Entities.query_entities``."""
        return await self._read(self._store.query_entities, query)

    async def clean(
        self, *, remove_empty: bool = True, release_orphaned_locks: bool = True
    ) -> CleanedEntities:
        """See ``Entities.clean``."""
        cleaned: CleanedEntities = await self._call(
            lambda reply: Clean(remove_empty, release_orphaned_locks, reply)
        )
        return cleaned

    async def _read(self, function: Callable[..., _T], *arguments: Any) -> _T:
        if self._outbox.is_closed or not self._is_running:
            raise stopped()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, function, *arguments)


def _ignore(_error: BaseException) -> None:
    """The default for ``on_fatal``: the loop has logged it."""
