"""Where the scheduler keeps its rows."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import msgspec

from durable_app.taskhub.instance import ActivityTask, Decision, Instance, Message, TaskKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable_app.ports.entities import EntityPage, EntityQuery
    from durable_app.ports.orchestrations import IdPage, IdQuery, InstanceQuery, Page, PurgeFilter
    from durable_app.protocol import HistoryEvent


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
