"""The task hub of a host: inside its process, or elsewhere. The host cannot tell which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from durable_app.compose.extras import needs_grpc
from durable_app.compose.link_lines import LinkLines
from durable_app.host.config.hub_choice import memory_mark
from durable_app.scheduler.service import TaskHub
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore
from durable_app.storage.ownership import HostMark
from durable_app.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable_app.compose.plan import Plan
    from durable_app.connection.target import HubTarget
    from durable_app.host.console.console import Console
    from durable_app.host.lifecycle import Stop
    from durable_app.ports import Clock, Entities, Orchestrations, WorkSource


class HubSide(Protocol):
    """A task hub as a host uses it."""

    @property
    def orchestrations(self) -> Orchestrations:
        """For clients."""
        ...

    @property
    def entities(self) -> Entities:
        """For clients."""
        ...

    @property
    def work(self) -> WorkSource:
        """For workers."""
        ...

    def open(self) -> None:
        """Begin.

        Raises:
            DurableError: it cannot.
        """
        ...

    def announce(self, origin: str) -> None:
        """Let commands of this machine find the host at that address."""
        ...

    def end_waits(self) -> None:
        """Whoever waits for an instance is told that it goes on; whoever comes later, too."""
        ...

    async def stop(self, grace_s: float) -> None:
        """End it; what was accepted is safe. Idempotent."""
        ...


def make_hub_side(
    plan: Plan, environ: Mapping[str, str], clock: Clock, console: Console, shutdown: Stop
) -> HubSide:
    """The hub that was chosen; on the running event loop.

    Raises:
        ConfigError: gRPC is not installed, or a credential does not fit.
    """
    if plan.choice.target is None:
        return EmbeddedSide(plan, clock, shutdown)
    return RemoteSide(plan.choice.target, environ, clock, console, shutdown)


def hub_options(plan: Plan) -> HubOptions:
    """What host.json says of an embedded hub."""
    settings = plan.settings.extensions.durable_task
    return HubOptions(
        name=plan.choice.name,
        max_attempts=settings.max_lost_attempts,
        max_batch=settings.max_entity_operation_batch_size,
    )


class EmbeddedSide:
    """A hub of this process. Implements ``HubSide``."""

    def __init__(self, plan: Plan, clock: Clock, shutdown: Stop) -> None:
        choice = plan.choice
        self._store = (
            MemoryStore(choice.name)
            if choice.store is None
            else SqliteStore(choice.store, choice.name)
        )
        self._mark = HostMark(memory_mark(plan.folder, choice.name))
        self._hub = TaskHub(self._store, hub_options(plan), clock, on_fatal=shutdown.fail)
        self.orchestrations: Orchestrations = self._hub
        self.entities: Entities = self._hub
        self.work: WorkSource = self._hub

    def open(self) -> None:
        """See ``HubSide``."""
        self._hub.open()

    def announce(self, origin: str) -> None:
        """See ``HubSide``."""
        if isinstance(self._store, SqliteStore):
            self._store.file.ownership.announce(origin)
        else:
            self._mark.announce(origin)

    def end_waits(self) -> None:
        """See ``HubSide``."""
        self._hub.end_waits()

    async def stop(self, grace_s: float) -> None:
        """See ``HubSide``."""
        self._mark.remove()
        await self._hub.stop(grace_s)


class RemoteSide:
    """A hub of another process. Implements ``HubSide``."""

    def __init__(
        self,
        target: HubTarget,
        environ: Mapping[str, str],
        clock: Clock,
        console: Console,
        shutdown: Stop,
    ) -> None:
        with needs_grpc():
            from durable_app.compose.remote import open_client, open_work
        lines = LinkLines(console, target)
        self._hub = open_client(target, clock, environ)
        self._work = open_work(target, clock, environ, shutdown.fail, lines)
        self.orchestrations: Orchestrations = self._hub
        self.entities: Entities = self._hub
        self.work: WorkSource = self._work

    def open(self) -> None:
        """See ``HubSide``; the worker connects when it starts."""

    def announce(self, origin: str) -> None:
        """See ``HubSide``; commands ask the hub itself."""

    def end_waits(self) -> None:
        """See ``HubSide``."""
        self._hub.end_waits()

    async def stop(self, grace_s: float) -> None:  # noqa: ARG002  both ends have bounds of their own
        """See ``HubSide``."""
        self._hub.end_waits()
        await self._work.close()
        await self._hub.close()
