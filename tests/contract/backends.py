"""How each kind of store is opened and crashed, and what can be seen of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from durable_app.ports import InstanceQuery, Recovery, Store
from durable_app.protocol import EPOCH
from durable_app.storage.memory import MemoryStore
from durable_app.storage.sqlite import SqliteStore
from durable_app.taskhub.instance import TaskKey
from tests.unit.taskhub.builders import later

if TYPE_CHECKING:
    from pathlib import Path

FAR = later(10**9)


class Backend(Protocol):
    """Rows that outlive the stores that work on them; one store is open at a time."""

    recovery: Recovery

    def open(self, hub: str = "default") -> Store:
        """Open a store on the rows of a hub."""
        ...

    def crash(self) -> None:
        """The open store's process dies: it is not closed, and others may open it."""
        ...

    def dispose(self) -> None:
        """Release everything."""
        ...


class MemoryBackend:
    def __init__(self, _folder: Path) -> None:
        self._stores: dict[str, MemoryStore] = {}
        self.recovery = Recovery(0, unclean=False)

    def open(self, hub: str = "default") -> Store:
        store = self._stores.setdefault(hub, MemoryStore(hub))
        self.recovery = store.open()
        return store

    def crash(self) -> None:
        """Nothing to do: it is open, and will be opened again."""

    def dispose(self) -> None:
        """Nothing is held."""


class SqliteBackend:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "hub.db"
        self.recovery = Recovery(0, unclean=False)
        self._stores: list[SqliteStore] = []

    def open(self, hub: str = "default") -> Store:
        store = SqliteStore(self.path, hub)
        self.recovery = store.open()
        self._stores.append(store)
        return store

    def crash(self) -> None:
        self._stores[-1].file.close()

    def dispose(self) -> None:
        for store in self._stores:
            store.close()


BACKENDS: dict[str, type[MemoryBackend | SqliteBackend]] = {
    "memory": MemoryBackend,
    "sqlite": SqliteBackend,
}


def snapshot(store: Store, instance_ids: list[str]) -> dict[str, Any]:
    """All that can be seen of the rows."""
    pages = store.query(InstanceQuery(fetch_payloads=True, page_size=1_000))
    return {
        "instances": {i: store.load(i) for i in instance_ids},
        "history": {i: store.read_history(i, None) for i in instance_ids},
        "children": {i: store.children(i) for i in instance_ids},
        "tasks": store.tasks(TaskKey(0), 10_000),
        "due": store.due((EPOCH, 0), FAR, 10_000),
        "query": pages.items,
    }
