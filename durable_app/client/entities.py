"""What the entity methods of a client return and take."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

from durable_app.entity_id import EntityId
from durable_app.payload import from_text

if TYPE_CHECKING:
    from durable_app.protocol import EntityMetadata as HubMetadata

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class EntityStateResponse:
    """What ``read_entity_state`` has found.

    Attributes:
        entity_exists: the entity has a state.
        entity_state: that state as plain JSON structure; None where it does not exist.
    """

    entity_exists: bool
    entity_state: Any = None


@dataclasses.dataclass(frozen=True)
class EntityMetadata:
    """An entity at one moment.

    Attributes:
        last_modified: when it last ran operations, aware UTC.
        backlog_queue_size: messages that wait for it.
        includes_state: the state was asked for.
        serialized_state: JSON text; None where there is none or it was not asked for.
        locked_by: id of the orchestration that holds its lock; None where it is free.
    """

    id: EntityId
    last_modified: datetime
    backlog_queue_size: int = 0
    includes_state: bool = False
    serialized_state: str | None = None
    locked_by: str | None = None

    @classmethod
    def from_hub(cls, found: HubMetadata, *, includes_state: bool) -> EntityMetadata:
        """An entity as the task hub knows it."""
        return cls(
            EntityId.parse(found.instance_id),
            found.last_modified,
            found.backlog,
            includes_state,
            found.state if includes_state else None,
            found.locked_by,
        )

    @overload
    def get_state(self, intended_type: type[_T]) -> _T | None: ...
    @overload
    def get_state(self, intended_type: None = None) -> str | None: ...
    def get_state(self, intended_type: Any = None) -> Any:
        """The state as JSON text, or read as a value of a type; None where there is none.

        Args:
            intended_type: None or str for the JSON text.

        Raises:
            PayloadError: the state does not fit the type.
        """
        if intended_type is None or intended_type is str:
            return self.serialized_state
        return self.get_typed_state(intended_type)

    @overload
    def get_typed_state(self, intended_type: type[_T]) -> _T | None: ...
    @overload
    def get_typed_state(self, intended_type: Any = None) -> Any: ...
    def get_typed_state(self, intended_type: Any = None) -> Any:
        """Read the state as a value of a type; None where there is none.

        Args:
            intended_type: any annotation; None for plain JSON structure.

        Raises:
            PayloadError: the state does not fit the type.
        """
        return from_text(self.serialized_state, intended_type)

    def get_locked_by(self) -> str | None:
        """Id of the orchestration that holds the lock of the entity; None where it is free."""
        return self.locked_by


@dataclasses.dataclass
class EntityQuery:
    """Which entities; all conditions must hold, None is no condition.

    Attributes:
        instance_id_starts_with: beginning of ``@name@key``. The ``@`` may be left out, and the
            case of the name does not matter.
        last_modified_from: inclusive. last_modified_to: exclusive. Naive times are UTC.
        include_state: with the states.
        include_transient: also those without a state, which wait for messages or are locked.
        page_size: rows that are asked for at a time, at most 1,000; the number of the results is
            not limited by it.
    """

    instance_id_starts_with: str | None = None
    last_modified_from: datetime | None = None
    last_modified_to: datetime | None = None
    include_state: bool = True
    include_transient: bool = False
    page_size: int | None = None


@dataclasses.dataclass(frozen=True)
class CleanEntityStorageResult:
    """What ``clean_entity_storage`` has done.

    Attributes:
        empty_entities_removed: entities without a state and without messages, of which nothing is
            kept any more.
        orphaned_locks_released: locks of orchestrations that do not run any more.
    """

    empty_entities_removed: int
    orphaned_locks_released: int


def id_prefix(text: str | None) -> str | None:
    """Beginning of an id as the hub keeps ids: with its ``@``, the name in lower case."""
    if not text:
        return None
    name, separator, key = text.removeprefix("@").partition("@")
    return f"@{name.lower()}{separator}{key}"
