"""Entities as others see them: ids, rows that they are born with, locks to be released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from durable_app.protocol import (
    EPOCH,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityUnlockSent,
    OrchestrationStatus,
)
from durable_app.taskhub.instance import EntityRow, Ids, Instance, Message, MessageId, OpenWork

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_AT_ONCE: Final = frozenset(
    {EntityOperationSignaled, EntityOperationCalled, EntityLockRequested, EntityUnlockSent}
)
#: An id of this form is an entity's.
ENTITY_MARK: Final = "@"


def is_entity_id(instance_id: str) -> bool:
    """Whether an id is an entity's (of an orchestration's it is refused)."""
    return instance_id.startswith(ENTITY_MARK)


def new_entity(instance_id: str, now: datetime) -> Instance:
    """The row of an entity without a state. The name is the part between the two ``@``."""
    name = instance_id[1:].partition(ENTITY_MARK)[0]
    return Instance(
        instance_id, "", name, OrchestrationStatus.RUNNING, now, now, entity=EntityRow()
    )


def is_unused_entity(instance: Instance) -> bool:
    """Whether it is an entity's row in which nothing was ever kept, as a sender bears it."""
    return instance.entity is not None and instance.revision == 0


def is_due(message: Message, now: datetime) -> bool:
    """Whether it may be delivered.

    What an entity is sent without a time waits for none, not even where the clock went back after
    it was sent: a release, or a call under a lock, must not be overtaken by what came later.
    """
    return message.visible_at <= now or not _is_delayed(message)


def in_order(messages: Iterable[Message]) -> list[Message]:
    """An entity's messages in the order in which they were sent; the delayed ones come last."""
    return sorted(messages, key=lambda m: (m.visible_at if _is_delayed(m) else EPOCH, m.id))


def _is_delayed(message: Message) -> bool:
    event = message.event
    return type(event) not in _AT_ONCE or getattr(event, "scheduled_time", None) is not None


def releases(work: OpenWork, holder: str, now: datetime, ids: Ids) -> list[Message]:
    """Messages that release all that an execution holds or waits for; it has ended."""
    return [
        Message(
            MessageId(ids.next_key()),
            entity_id,
            None,
            EntityUnlockSent(-1, now, section_id, holder, entity_id),
            now,
        )
        for section_id, held in work.sections.items()
        for entity_id in held
    ]
