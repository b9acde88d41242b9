"""Instances that wait for a slot of a worker.

Those that the same workers take are a group. Within a group the longest waiting comes first; among
groups the one whose first instance waits longest, and can go. So an instance for which no worker
has a slot holds up its own group and no other: entities do not wait for turns of orchestrations,
nor does what one worker takes wait for what only another one does.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.taskhub.instance import Instance


class Group(NamedTuple):
    """What decides which workers take an instance."""

    is_entity: bool
    name: str
    version: str | None


def group_of(instance: Instance) -> Group:
    """The group that an instance belongs to at the moment."""
    return Group(instance.entity is not None, instance.name, instance.version)


class ReadyQueue:
    """See the module's text."""

    def __init__(self) -> None:
        """Empty."""
        self._groups: dict[Group, deque[tuple[int, str]]] = {}
        self._count = 0
        self._number = 0

    def __len__(self) -> int:
        return self._count

    def append(self, group: Group, instance_id: str) -> None:
        """An instance begins to wait."""
        self._number += 1
        self._count += 1
        self._groups.setdefault(group, deque()).append((self._number, instance_id))

    def pop(self, can_go: Callable[[str], bool]) -> str | None:
        """Take out the instance that waits longest of those that can go; None for nobody.

        Args:
            can_go: asked about the first instance of a group; may raise, and nothing is changed.
        """
        if not self._count:
            return None
        for _first, group in sorted((queue[0], group) for group, queue in self._groups.items()):
            queue = self._groups[group]
            instance_id = queue[0][1]
            if can_go(instance_id):
                queue.popleft()
                self._count -= 1
                if not queue:
                    del self._groups[group]
                return instance_id
        return None
