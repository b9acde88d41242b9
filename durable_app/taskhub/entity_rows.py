"""Entities as others see them: ids, rows that they are born with, locks to be released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from durable_app.protocol import EntityUnlockSent, OrchestrationStatus
from durable_app.taskhub.instance import EntityRow, Ids, Instance, Message, MessageId, OpenWork

if TYPE_CHECKING:
    from datetime import datetime

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
