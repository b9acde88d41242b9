"""Several task hubs in one process."""

from __future__ import annotations

from typing import Protocol

from durable_app.ports.entities import Entities
from durable_app.ports.orchestrations import Orchestrations
from durable_app.ports.workers import WorkDesk, WorkSource


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
