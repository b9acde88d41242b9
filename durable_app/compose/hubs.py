"""Several task hubs in one process, each with a thread of its own, isolated from each other."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from durable_app.errors import ConfigError, TaskHubExistsError, TaskHubNotFoundError
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore
from durable_app.storage.sqlite import SqliteStore
from durable_app.storage.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from durable_app.ports import Clock, Store
    from durable_app.scheduler.state import HubStatistics

DEFAULT_HUB: Final = "default"
#: Each has a thread and a share of the memory; a client that makes up names must not take it all.
MOST_HUBS: Final = 256
_NAME: Final = re.compile(r"[\w.-]{1,64}")
_GRACE_S: Final = 5.0


class Hubs:
    """The task hubs of one store. Implements ``ports.TaskHubs``.

    Args:
        path: of the SQLite file that holds them all; None for memory.
        names: of the hubs that are served from the start, besides those that the file knows; none
            for ``default``.
        is_dynamic: a hub is made when somebody asks for it for the first time.
        on_fatal: told when a hub ends because of an unexpected error.
    """

    def __init__(
        self,
        path: Path | None,
        names: Sequence[str],
        clock: Clock,
        on_fatal: Callable[[BaseException], None],
        *,
        is_dynamic: bool = False,
    ) -> None:
        """Nothing is opened yet."""
        self._file = None if path is None else SqliteFile(path)
        # Never none at all: the first hub is what takes hold of the file.
        self._names = tuple(_checked(name) for name in names) or (DEFAULT_HUB,)
        self._clock = clock
        self._on_fatal = on_fatal
        self._is_dynamic = is_dynamic
        self._hubs: dict[str, TaskHub] = {}
        # Hubs come and go one at a time.
        self._change = asyncio.Lock()
        self._is_closed = False

    @property
    def names(self) -> list[str]:
        """Of the hubs that are served, in order."""
        return sorted(self._hubs)

    async def open(self) -> None:
        """Open all hubs that are known.

        Raises:
            ConfigError: another process owns the file.
            StoreCorruptError, StoreUnavailableError: it cannot be used.
        """
        async with self._change:
            for name in self._names:
                await self._add(name)
            if self._file is not None:
                for name in await asyncio.to_thread(self._file.hub_names):
                    await self._add(name)

    async def close(self) -> None:
        """Stop them all. Idempotent."""
        async with self._change:
            self._is_closed = True
            hubs, self._hubs = self._hubs, {}
            await asyncio.gather(*(hub.stop(_GRACE_S) for hub in hubs.values()))

    def announce(self, url: str) -> None:
        """Write down where the process that holds the file can be reached."""
        if self._file is not None:
            self._file.ownership.announce(url)

    def statistics(self) -> dict[str, HubStatistics]:
        """How busy the hubs are, by name."""
        return {name: self._hubs[name].statistics for name in self.names}

    def end_waits(self) -> None:
        """See ``TaskHub.end_waits``, for all of them."""
        for hub in self._hubs.values():
            hub.end_waits()

    async def find(self, name: str) -> TaskHub:
        """See ``ports.TaskHubs.find``."""
        key = name.casefold()
        found = self._hubs.get(key)
        if found is not None:
            return found
        async with self._change:
            if key not in self._hubs:
                key = _checked(name)
                if not self._is_dynamic or self._is_closed:
                    raise TaskHubNotFoundError(
                        f"There is no task hub '{name}' here. Start it with --task-hubs {name}, or"
                        " with --dynamic to have hubs made when they are used (as variables:"
                        f" DTS_TASK_HUB_NAMES={name}, DTS_USE_DYNAMIC_TASK_HUBS=true)."
                    )
                await self._add(key)
            return self._hubs[key]

    async def create(self, name: str, *, recreate: bool = False) -> None:
        """See ``ports.TaskHubs.create``."""
        key = _checked(name)
        async with self._change:
            if key in self._hubs:
                if not recreate:
                    raise TaskHubExistsError(f"There is a task hub '{name}' already.")
                await self._remove(key)
            await self._add(key)

    async def delete(self, name: str) -> None:
        """See ``ports.TaskHubs.delete``."""
        key = name.casefold()
        async with self._change:
            if key not in self._hubs:
                raise TaskHubNotFoundError(f"There is no task hub '{name}' here.")
            await self._remove(key)

    async def _add(self, key: str) -> None:
        if key in self._hubs:
            return
        if len(self._hubs) >= MOST_HUBS:
            raise ConfigError(f"{MOST_HUBS} task hubs are as many as one process serves.")
        hub = TaskHub(self._store(key), HubOptions(name=key), self._clock, self._on_fatal)
        await asyncio.to_thread(hub.open)
        self._hubs[key] = hub

    async def _remove(self, key: str) -> None:
        hub = self._hubs.pop(key)
        hub.end_waits()
        await hub.stop(_GRACE_S)
        if self._file is not None:
            await asyncio.to_thread(_drop, self._store(key))

    def _store(self, key: str) -> Store:
        return MemoryStore(key) if self._file is None else SqliteStore(self._file, key)


def _drop(store: Store) -> None:
    store.open()
    try:
        store.drop()
    finally:
        store.close()


def _checked(name: str) -> str:
    """The name in the form that is looked up.

    Raises:
        ValueError: it is no name for a task hub.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name[:80]!a} is no name for a task hub: 1 to 64 letters, digits, '-', '_' and '.'."
        )
    return name.casefold()
