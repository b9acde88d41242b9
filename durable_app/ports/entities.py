"""What clients do with entities."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from durable_app.protocol import EntityMetadata, TraceContext


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
