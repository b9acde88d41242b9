"""What clients do with orchestrations."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from durable_app.protocol import (
    HistoryEvent,
    OrchestrationState,
    OrchestrationStatus,
    TraceContext,
)


class StartRequest(msgspec.Struct, frozen=True):
    """A new instance.

    Attributes:
        instance_id: None for a generated one (32 hex digits).
        start_at: None or a time in the past for "now".
        replaceable: statuses of an existing instance of that id which may be replaced; a running
            one is terminated first. None for the hub's default: all terminal ones.
    """

    name: str
    instance_id: str | None = None
    input: str | None = None
    version: str | None = None
    start_at: datetime | None = None
    tags: dict[str, str] | None = None
    replaceable: frozenset[OrchestrationStatus] | None = None
    parent_trace_context: TraceContext | None = None


class InstanceQuery(msgspec.Struct, frozen=True):
    """Which instances, newest last. All conditions must hold; None is no condition.

    Attributes:
        created_from: inclusive. created_to: exclusive.
        page_size: 1 to 1,000 rows.
        continuation_token: of the previous page.
    """

    statuses: frozenset[OrchestrationStatus] | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    instance_id_prefix: str | None = None
    page_size: int = 100
    continuation_token: str | None = None
    fetch_payloads: bool = False


class Page(msgspec.Struct, frozen=True):
    """Rows of a query; ``continuation_token`` is None on the last page."""

    items: tuple[OrchestrationState, ...]
    continuation_token: str | None = None


class PurgeFilter(msgspec.Struct, frozen=True):
    """Which finished instances to remove; ``statuses`` None for every terminal one.

    Attributes:
        timeout_s: after so many seconds no further ones are removed; None for no limit.
    """

    created_from: datetime | None = None
    created_to: datetime | None = None
    statuses: frozenset[OrchestrationStatus] | None = None
    timeout_s: float | None = None


class Purged(msgspec.Struct, frozen=True):
    """What a purge has done; ``is_complete`` is False where its time was up before its end."""

    count: int
    is_complete: bool = True


class IdQuery(msgspec.Struct, frozen=True):
    """Ids of ended instances, in the order of their ends. None is no condition.

    Attributes:
        completed_from: inclusive. completed_to: exclusive.
        page_size: 1 to 1,000.
        continuation_token: of the previous page.
    """

    statuses: frozenset[OrchestrationStatus] | None = None
    completed_from: datetime | None = None
    completed_to: datetime | None = None
    page_size: int = 100
    continuation_token: str | None = None


class IdPage(msgspec.Struct, frozen=True):
    """Ids; ``continuation_token`` is None on the last page."""

    items: tuple[str, ...]
    continuation_token: str | None = None


class Orchestrations(Protocol):
    """What clients do with orchestration instances.

    Every call may raise ``SchedulerUnavailableError`` and ``StoreUnavailableError``; then nothing
    was changed and the call can be repeated.
    """

    async def start(self, request: StartRequest) -> str:
        """Create an instance durably and return its id.

        Raises:
            InstanceExistsError: the id is taken by an instance that may not be replaced.
            ValueError: the id breaks the rules for ids.
        """
        ...

    async def get(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """The committed state, or None where there is no such instance."""
        ...

    async def wait_for_start(
        self, instance_id: str, *, timeout_s: float | None = None
    ) -> OrchestrationState | None:
        """Wait until the instance is no longer pending; None when the time is up.

        An unknown id is waited for too: somebody may be about to start it.
        """
        ...

    async def wait_for_completion(
        self, instance_id: str, *, timeout_s: float | None = None
    ) -> OrchestrationState | None:
        """Wait until the instance is terminal; None when the time is up."""
        ...

    async def raise_event(self, instance_id: str, name: str, data: str | None) -> None:
        """Post an external event. A pending instance gets it with its first turn.

        Raises:
            InstanceNotFoundError: no such instance.
            WrongStatusError: it has finished.
        """
        ...

    async def terminate(
        self, instance_id: str, output: str | None, *, recursive: bool = True
    ) -> None:
        """End the instance with ``output`` as its result; ``recursive`` ends its children too.

        Raises:
            InstanceNotFoundError: no such instance.
            WrongStatusError: it has finished.
        """
        ...

    async def suspend(self, instance_id: str, reason: str | None) -> None:
        """Hold back all messages until :meth:`resume`. Raises as :meth:`terminate`."""
        ...

    async def resume(self, instance_id: str, reason: str | None) -> None:
        """End a suspension; nothing happens where there is none. Raises as :meth:`terminate`."""
        ...

    async def rewind(self, instance_id: str, reason: str | None) -> None:
        """Run a failed instance on from the point of its failure; only what failed runs again.

        Raises:
            InstanceNotFoundError: no such instance.
            WrongStatusError: it is not failed.
        """
        ...

    async def restart(self, instance_id: str, *, new_instance_id: bool = True) -> str:
        """Start it again with the same name, version, input and tags; return the id.

        Raises:
            InstanceNotFoundError: no such instance.
            WrongStatusError: the same id is wanted and it has not finished.
        """
        ...

    async def query(self, query: InstanceQuery) -> Page:
        """One page of instances in a stable order."""
        ...

    async def list_ids(self, query: IdQuery) -> IdPage:
        """One page of ids of instances that have ended, in the order of (their end, id)."""
        ...

    async def purge(self, instance_id: str, *, recursive: bool = True) -> int:
        """Remove a finished instance and (``recursive``) its finished children.

        Returns:
            How many were removed; 0 where there is none or it has not finished.
        """
        ...

    async def purge_by(self, which: PurgeFilter) -> Purged:
        """Remove all finished instances that match."""
        ...

    async def history(
        self, instance_id: str, execution_id: str | None = None
    ) -> list[HistoryEvent] | None:
        """The committed history; None where there is no such instance.

        Args:
            execution_id: None for the present execution; the history of another one is empty.
        """
        ...
