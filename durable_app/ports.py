"""The task hub as its users see it: what a client, a worker and a scheduler may ask for.

Three sides, each with its own port, so that an adapter implements only what it can:

* :class:`Orchestrations`: what clients do with instances (asyncio).
* :class:`WorkSource`, :class:`WorkStream`, :class:`WorkSink`: how work reaches a worker and comes
  back (threads; nothing here blocks).
* :class:`Store`: where the scheduler keeps rows (one owner thread; every call may block).

Errors are those of ``durable_app.errors``. Times are aware UTC datetimes. Payloads are JSON text.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import msgspec

from durable_app.protocol import (
    ActivityResponse,
    CompletionToken,
    EntityBatchResult,
    EntityMetadata,
    HistoryEvent,
    OrchestrationState,
    OrchestrationStatus,
    OrchestratorResponse,
    TraceContext,
    WorkItem,
)
from durable_app.taskhub.instance import ActivityTask, Decision, Instance, Message, TaskKey

if TYPE_CHECKING:
    from collections.abc import Sequence


class Clock(Protocol):
    """Time and randomness, replaceable by virtual ones."""

    def now(self) -> datetime:
        """Wall-clock time, aware UTC; may jump, even backwards."""
        ...

    def monotonic(self) -> float:
        """Seconds since some point; never goes backwards."""
        ...

    def new_id(self) -> str:
        """32 random lower-case hex digits."""
        ...


# ---------------------------------------------------------------------------------------------
# Clients
# ---------------------------------------------------------------------------------------------


class StartRequest(msgspec.Struct, frozen=True):
    """A new instance.

    Attributes:
        instance_id: None for a generated one (32 hex digits).
        start_at: None or a time in the past for "now".
        replaceable: statuses of an existing instance of that id which may be replaced; a running
            one is terminated first. None for the hub's default: all terminal ones.
    """

    name: str
    instance_id: str | None = None
    input: str | None = None
    version: str | None = None
    start_at: datetime | None = None
    tags: dict[str, str] | None = None
    replaceable: frozenset[OrchestrationStatus] | None = None
    parent_trace_context: TraceContext | None = None


class InstanceQuery(msgspec.Struct, frozen=True):
    """Which instances, newest last. All conditions must hold; None is no condition.

    Attributes:
        created_from: inclusive. created_to: exclusive.
        page_size: 1 to 1,000 rows.
        continuation_token: of the previous page.
    """

    statuses: frozenset[OrchestrationStatus] | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    instance_id_prefix: str | None = None
    page_size: int = 100
    continuation_token: str | None = None
    fetch_payloads: bool = False


class Page(msgspec.Struct, frozen=True):
    """Rows of a query; ``continuation_token`` is None on the last page."""

    items: tuple[OrchestrationState, ...]
    continuation_token: str | None = None


class PurgeFilter(msgspec.Struct, frozen=True):
    """Which finished instances to remove; ``statuses`` None for every terminal one.

    Attributes:
        timeout_s: after so many seconds no further ones are removed; None for no limit.
    """

    created_from: datetime | None = None
    created_to: datetime | None = None
    statuses: frozenset[OrchestrationStatus] | None = None
    timeout_s: float | None = None


class Purged(msgspec.Struct, frozen=True):
    """What a purge has done; ``is_complete`` is False where its time was up before its end."""

    count: int
    is_complete: bool = True


class IdQuery(msgspec.Struct, frozen=True):
    """Ids of ended instances, in the order of their ends. None is no condition.

    Attributes:
        completed_from: inclusive. completed_to: exclusive.
        page_size: 1 to 1,000.
        continuation_token: of the previous page.
    """

    statuses: frozenset[OrchestrationStatus] | None = None
    completed_from: datetime | None = None
    completed_to: datetime | None = None
    page_size: int = 100
    continuation_token: str | None = None


class IdPage(msgspec.Struct, frozen=True):
    """Ids; ``continuation_token`` is None on the last page."""

    items: tuple[str, ...]
    continuation_token: str | None = None


class Orchestrations(Protocol):
    """What clients do with orchestration instances.

    Every call may raise ``SchedulerUnavailableError`` and ``StoreUnavailableError``; then nothing
    was changed and the call can be repeated.
    """

    async def start(self, request: StartRequest) -> str:
        """Create an instance durably and return its id.

        Raises:
            InstanceExistsError: the id is taken by an instance that may not be replaced.
            ValueError: the id breaks the rules for ids.
        """
        ...

    async def get(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """The committed state, or None where there is no such instance."""
        ...

    async def wait_for_start(
        self, instance_id: str, *, timeout_s: float | None = None
    ) -> OrchestrationState | None:
        """Wait until the instance is no longer pending; None when the time is up.

        An unknown id is waited for too: somebody may be about to start it.
        """
        ...

    async def wait_for_completion(
        self, instance_id: str, *, timeout_s: float | None = None
    ) -> OrchestrationState | None:
        """Wait until the instance is terminal; None when the time is up."""
        ...

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """Post an external event. A pending instance gets it with its first turn.

        Raises:
            InstanceNotFoundError: no such instance.
            WrongStatusError: it has finished.
        """
        ...

    async def terminate(
        self, instance_id: str, output: str | None, *, recursive: bool = True
    ) -> None:
        """End the instance with ``output`` as its result; ``recursive`` ends its children too.

        Raises:
            InstanceNotFoundError: no such instance.
            WrongStatusError: it has finished.
        """
        ...

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """Hold back all messages until :meth:`resume`. Raises as :meth:`terminate`."""
        ...

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """End a suspension; nothing happens where there is none. Raises as :meth:`terminate`."""
        ...

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """Run a failed instance on from the point of its failure; only what failed runs again.

        Raises:
            InstanceNotFoundError: no such instance.
            WrongStatusError: it is not failed.
        """
        ...

    async def restart(self, instance_id: str, *, new_instance_id: bool = True) -> str:
        """Start it again with the same name, version, input and tags; return the id.

        Raises:
            InstanceNotFoundError: no such instance.
            WrongStatusError: the same id is wanted and it has not finished.
        """
        ...

    async def query(self, query: InstanceQuery) -> Page:
        """One page of instances in a stable order."""
        ...

    async def list_ids(self, query: IdQuery) -> IdPage:
        """One page of ids of instances that have ended, in the order of (their end, id)."""
        ...

    async def purge(self, instance_id: str, *, recursive: bool = True) -> int:
        """Remove a finished instance and (``recursive``) its finished children.

        Returns:
            How many were removed; 0 where there is none or it has not finished.
        """
        ...

    async def purge_by(self, which: PurgeFilter) -> Purged:
        """Remove all finished instances that match."""
        ...

    async def history(
        self, instance_id: str, execution_id: str | None = None
    ) -> list[HistoryEvent] | None:
        """The committed history; None where there is no such instance.

        Args:
            execution_id: None for the present execution; the history of another one is empty.
        """
        ...


class EntityQuery(msgspec.Struct, frozen=True):
    """Which entities, in the order of their ids. All conditions must hold; None is no condition.

    Attributes:
        instance_id_prefix: of ``@name@key``; ``@name@`` for all entities of a name.
        modified_from: inclusive. modified_to: exclusive.
        include_transient: also those without a state, which wait for messages or are locked.
        page_size: 1 to 1,000 rows.
        continuation_token: of the previous page.
    """

    instance_id_prefix: str | None = None
    modified_from: datetime | None = None
    modified_to: datetime | None = None
    include_state: bool = True
    include_transient: bool = False
    page_size: int = 100
    continuation_token: str | None = None


class EntityPage(msgspec.Struct, frozen=True):
    """Rows of a query; ``continuation_token`` is None on the last page."""

    items: tuple[EntityMetadata, ...]
    continuation_token: str | None = None


class CleanedEntities(msgspec.Struct, frozen=True):
    """What :meth:`Entities.clean` has done."""

    empty_entities_removed: int
    orphaned_locks_released: int


class Entities(Protocol):
    """What clients do with entities. Ids are those of ``str(EntityId)``: ``@name@key``.

    Raises as :class:`Orchestrations` does.
    """

    async def signal(
        self,
        instance_id: str,
        operation: str,
        data: str | None,
        *,
        signal_time: datetime | None = None,
        trace: TraceContext | None = None,
    ) -> None:
        """Post an operation; it is kept until the entity has run it.

        Args:
            signal_time: aware; not run earlier. None for "now".
            trace: to which the operation belongs.

        Raises:
            ValueError: the id is none of an entity.
        """
        ...

    async def get_entity(
        self, instance_id: str, *, include_state: bool = True
    ) -> EntityMetadata | None:
        """The committed state; None where the entity has none."""
        ...

    async def query_entities(self, query: EntityQuery) -> EntityPage:
        """One page of entities."""
        ...

    async def clean(
        self, *, remove_empty: bool = True, release_orphaned_locks: bool = True
    ) -> CleanedEntities:
        """Remove rows of entities without state, messages and lock; release orphaned locks.

        A lock is orphaned when the orchestration that holds it does not run any more.
        """
        ...


# ---------------------------------------------------------------------------------------------
# Workers
# ---------------------------------------------------------------------------------------------


class WorkFilter(msgspec.Struct, frozen=True):
    """What a worker can run: exact names; None for everything."""

    orchestrations: frozenset[str] | None = None
    activities: frozenset[str] | None = None
    entities: frozenset[str] | None = None


class Capacity(msgspec.Struct, frozen=True):
    """How many items a worker holds at the same time, each >= 1."""

    orchestrations: int
    activities: int
    entities: int = 1


WorkResult = OrchestratorResponse | ActivityResponse | EntityBatchResult


class WorkSink(Protocol):
    """A worker, as the hub sees it. Called on the hub's own thread: must return at once."""

    def push(self, items: Sequence[WorkItem]) -> None:
        """Take over these items. Their slots stay in use until each is completed or abandoned."""
        ...

    def forget(self, instance_id: str) -> None:
        """The instance was ended or removed from outside: drop what is kept warm for it."""
        ...


class WorkDesk(Protocol):
    """Where results are handed in. Callable from any thread, never blocks."""

    def complete(self, results: Sequence[WorkResult]) -> None:
        """Hand back results. One with an outdated token is dropped silently."""
        ...

    def abandon(self, token: CompletionToken, reason: str) -> None:
        """Give an item back without a result: it is tried again after a back-off."""
        ...

    def decline(self, token: CompletionToken) -> None:
        """Give a turn back that this worker must not run: it waits for another worker.

        It was not tried, so that nothing is held against it. It is not offered to this worker
        again, unless it was forgotten meanwhile.
        """
        ...


class WorkStream(WorkDesk, Protocol):
    """The way back, one per connected worker. Callable from any thread, never blocks."""

    def load_history(self, instance_id: str, execution_id: str) -> list[HistoryEvent]:
        """Committed history of an execution. The one call here that blocks (a database read)."""
        ...

    def pause(self) -> None:
        """Take no further items; results of those in flight are still welcome."""
        ...

    def close(self) -> None:
        """Disconnect; items in flight are given back at once, without a penalty."""
        ...


class WorkSource(Protocol):
    """Where workers connect."""

    def connect(
        self, sink: WorkSink, capacity: Capacity, only: WorkFilter | None = None
    ) -> WorkStream:
        """Register a worker; items flow from now on."""
        ...


# ---------------------------------------------------------------------------------------------
# Several task hubs
# ---------------------------------------------------------------------------------------------


class ServedHub(Orchestrations, Entities, WorkSource, WorkDesk, Protocol):
    """A task hub with all its sides."""


class TaskHubs(Protocol):
    """The task hubs that one process serves, by name; letter case makes no difference."""

    async def find(self, name: str) -> ServedHub:
        """The hub of that name, open.

        Raises:
            TaskHubNotFoundError: none is served under it.
            ValueError: it is no name for a task hub.
        """
        ...

    async def create(self, name: str, *, recreate: bool = False) -> None:
        """Serve another hub from now on.

        Args:
            recreate: where there is one, remove it with all it holds.

        Raises:
            TaskHubExistsError: there is one.
            ValueError: it is no name for a task hub.
        """
        ...

    async def delete(self, name: str) -> None:
        """Remove a hub with all it holds.

        Raises:
            TaskHubNotFoundError: none is served under the name.
        """
        ...


# ---------------------------------------------------------------------------------------------
# Storage
# ---------------------------------------------------------------------------------------------


class StoredInstance(msgspec.Struct, frozen=True):
    """All that is stored of one instance but its history; messages ordered by visible_at, id."""

    instance: Instance
    messages: tuple[Message, ...]


class Recovery(msgspec.Struct, frozen=True):
    """What a store knows when it is opened.

    Attributes:
        last_key: highest number of the hub's sequence that was ever used.
        unclean: the previous owner did not close the store.
    """

    last_key: int
    unclean: bool


class Mark(Enum):
    """What may be marked as "being tried", so that a crash counts against it."""

    TASK = 1
    INSTANCE = 2


class Store(Protocol):
    """Rows of one task hub. No rule lives here.

    One thread owns a store and calls it; ``read_history``, ``query`` and ``query_entities`` may be
    called from any other thread at the same time and see committed rows only. Unless said
    otherwise calls raise StoreUnavailableError (try again later, nothing was changed) or
    StoreCorruptError (give up).
    """

    def open(self) -> Recovery:
        """Create or migrate the schema and take ownership.

        After an unclean end everything that was marked as being tried has one more attempt.
        """
        ...

    def close(self) -> None:
        """Note the clean end and release everything. Idempotent."""
        ...

    def commit(self, decisions: Sequence[Decision]) -> list[Exception | None]:
        """Apply all in one transaction; where that fails for one of them, the others live.

        Returns:
            Per decision None, or why it was not applied: LeaseLostError where the revision was
            another one. Raises only where nothing at all could be written.
        """
        ...

    def load(self, instance_id: str) -> StoredInstance | None:
        """Row and inbox of one instance."""
        ...

    def read_history(self, instance_id: str, execution_id: str | None) -> list[HistoryEvent]:
        """History in order; empty for another execution than the present one. Any thread."""
        ...

    def due(
        self, after: tuple[datetime, int], until: datetime, limit: int
    ) -> list[tuple[datetime, int, str]]:
        """(visible_at, id, instance id) of messages later than ``after``, visible by ``until``."""
        ...

    def orphans(self, message_ids: Sequence[int]) -> None:
        """Delete messages whose instance does not exist."""
        ...

    def next_due(self, after: datetime) -> datetime | None:
        """Earliest ``visible_at`` later than ``after``."""
        ...

    def tasks(self, after: TaskKey, limit: int) -> list[ActivityTask]:
        """Queued activities with a greater key, in order."""
        ...

    def mark(self, what: Mark, keys: Sequence[int] | Sequence[str]) -> None:
        """Note that these tasks (by key) or instances (by id) are being tried from now on."""
        ...

    def postpone(self, task: ActivityTask) -> None:
        """Write back a task's attempts and not_before after it was given back."""
        ...

    def children(self, instance_id: str) -> list[str]:
        """Ids of the instances whose parent is this one."""
        ...

    def query(self, query: InstanceQuery) -> Page:
        """One page in the order of (created_at, instance id). Any thread."""
        ...

    def list_ids(self, query: IdQuery) -> IdPage:
        """One page in the order of (completed_at, instance id). Any thread."""
        ...

    def entities(self, after: str, limit: int) -> list[Instance]:
        """Rows of entities with a greater id, in the order of their ids."""
        ...

    def query_entities(self, query: EntityQuery) -> EntityPage:
        """One page of entities in the order of their ids. Any thread."""
        ...

    def select_purgeable(self, which: PurgeFilter, limit: int) -> list[str]:
        """Ids of terminal instances that match, at most ``limit``."""
        ...

    def purge(self, instance_ids: Sequence[str]) -> int:
        """Remove these instances with their history, messages; return how many existed."""
        ...

    def drop(self) -> None:
        """Remove all rows of the hub."""
        ...
