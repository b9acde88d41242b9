"""Which entity is meant."""

from __future__ import annotations

from typing import overload
from urllib.parse import quote


class EntityId:
    """Which entity: its name (the case of which does not matter) and its key.

    Args:
        name: of the entity function; neither empty nor with an ``@``.
        key: any text but an empty one.
        entity: another word for ``name``.

    Raises:
        TypeError: both ``name`` and ``entity`` are given.
        ValueError: the name or the key breaks these rules.
    """

    __slots__ = ("entity", "key", "name")

    @overload
    def __init__(self, name: str, key: str) -> None: ...
    @overload
    def __init__(self, *, entity: str, key: str) -> None: ...
    def __init__(self, name: object = None, key: object = None, *, entity: object = None) -> None:
        if name is None:
            name = entity
        elif entity is not None:
            raise TypeError("EntityId takes 'name' or 'entity', which mean the same, not both.")
        if not (isinstance(name, str) and name and isinstance(key, str) and key):
            raise ValueError(f"An entity has a name and a key, both texts; not {name!r}, {key!r}.")
        if "@" in name:
            raise ValueError(f"The name of an entity has no '@': {name!r}.")
        self.name = name
        #: The name in lower case, as the hub keeps it.
        self.entity = name.lower()
        self.key = key

    @classmethod
    def parse(cls, instance_id: str) -> EntityId:
        """Inverse of ``str()``.

        Raises:
            ValueError: the text is no ``@name@key``.
        """
        name, separator, key = instance_id[1:].partition("@")
        if not instance_id.startswith("@") or not separator:
            raise ValueError(f"An entity's id looks like @name@key, not {instance_id!r}.")
        return cls(name, key)

    @staticmethod
    def get_scheduler_id(entity_id: EntityId) -> str:
        """Id under which a task hub keeps the entity: ``@name@key``, the same as ``str()``."""
        return str(entity_id)

    @staticmethod
    def get_entity_id(scheduler_id: str) -> EntityId:
        """Inverse of :meth:`get_scheduler_id`, the same as :meth:`parse`."""
        return EntityId.parse(scheduler_id)

    @staticmethod
    def get_entity_id_url_path(entity_id: EntityId) -> str:
        """Path of the entity below the management API, percent-encoded: ``entities/name/key``."""
        name, key = (quote(part, safe="") for part in (entity_id.name, entity_id.key))
        return f"entities/{name}/{key}"

    def __str__(self) -> str:
        return f"@{self.entity}@{self.key}"

    def __repr__(self) -> str:
        return f"EntityId({self.name!r}, {self.key!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntityId) and str(self) == str(other)

    def __lt__(self, other: EntityId) -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash(str(self))
