"""How work reaches a worker, and how its results come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from durable_app.protocol import (
    ActivityResponse,
    CompletionToken,
    EntityBatchResult,
    HistoryEvent,
    OrchestratorResponse,
    WorkItem,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class WorkFilter(msgspec.Struct, frozen=True):
    """What a worker can run: exact names; None for everything.

    Attributes:
        orchestration_versions: versions that it can run, by name; any version of a name that is
            missing here. "" stands for instances without a version.
        activity_versions: likewise; an activity without a version fits all of them.
    """

    orchestrations: frozenset[str] | None = None
    activities: frozenset[str] | None = None
    entities: frozenset[str] | None = None
    orchestration_versions: Mapping[str, frozenset[str]] = {}
    activity_versions: Mapping[str, frozenset[str]] = {}

    def takes_orchestration(self, name: str, version: str | None) -> bool:
        """Whether it lets an orchestration pass."""
        if self.orchestrations is not None and name not in self.orchestrations:
            return False
        versions = self.orchestration_versions.get(name)
        return versions is None or (version or "") in versions

    def takes_activity(self, name: str, version: str | None) -> bool:
        """Whether it lets an activity pass."""
        if self.activities is not None and name not in self.activities:
            return False
        versions = self.activity_versions.get(name)
        return versions is None or not version or version in versions

    def takes_entity(self, name: str) -> bool:
        """Whether it lets an entity pass."""
        return self.entities is None or name in self.entities


class Capacity(msgspec.Struct, frozen=True):
    """How many items a worker holds at the same time, each >= 1."""

    orchestrations: int
    activities: int
    entities: int = 1


WorkResult = OrchestratorResponse | ActivityResponse | EntityBatchResult


class WorkSink(Protocol):
    """A worker, as the hub sees it. Called on the hub's own thread: must return at once."""

    def push(self, items: Sequence[WorkItem]) -> None:
        """Take over these items. Their slots stay in use until each is completed or abandoned."""
        ...

    def forget(self, instance_id: str) -> None:
        """The instance was ended or removed from outside: drop what is kept warm for it."""
        ...


class WorkDesk(Protocol):
    """Where results are handed in. Callable from any thread, never blocks."""

    def complete(self, results: Sequence[WorkResult]) -> None:
        """Hand back results. One with an outdated token is dropped silently."""
        ...

    def abandon(self, token: CompletionToken, reason: str) -> None:
        """Give an item back without a result: it is tried again after a back-off."""
        ...

    def decline(self, token: CompletionToken) -> None:
        """Give a turn back that this worker must not run: it waits for another worker.

        It was not tried, so that nothing is held against it. It is not offered to this worker
        again, unless it was forgotten meanwhile.
        """
        ...

    def put_back(self, token: CompletionToken) -> None:
        """Give an item back that was not run: it is offered again, to any worker, after a while.

        Nothing is held against it, however often that happens.
        """
        ...


class WorkStream(WorkDesk, Protocol):
    """The way back, one per connected worker. Callable from any thread, never blocks."""

    def load_history(self, instance_id: str, execution_id: str) -> list[HistoryEvent]:
        """Committed history of an execution. The one call here that blocks (a database read)."""
        ...

    def pause(self) -> None:
        """Take no further items; results of those in flight are still welcome."""
        ...

    def close(self) -> None:
        """Disconnect; items in flight are given back at once, without a penalty."""
        ...


class ServedStream(WorkStream, Protocol):
    """A stream whose owner knows what becomes of the worker's process."""

    def lose(self) -> None:
        """Disconnect because the process has died, perhaps of what it ran.

        Items in flight are given back at once, and each has lost one attempt: what kills process
        after process is given up in the end.
        """
        ...


class WorkSource(Protocol):
    """Where workers connect."""

    def connect(
        self,
        sink: WorkSink,
        capacity: Capacity,
        only: WorkFilter | None = None,
        *,
        whole_history: bool = False,
    ) -> WorkStream:
        """Register a worker; items flow from now on.

        Args:
            whole_history: each turn comes with all events before it. Else the worker keeps
                executions that it has begun, and loads the history where it does not.
        """
        ...
