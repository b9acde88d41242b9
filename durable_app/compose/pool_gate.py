"""The host's task hub as one of its worker processes sees it.

Theory of operation. Each process has a server and a gate of its own, so that whatever comes through
is surely its own. The end of a stream says little: only whoever watches the process knows whether
it died, perhaps of what it ran. So a stream that has ended takes nothing more, and what it held
stays its own until the fate of the process is known, which takes milliseconds:

* it died: all that it held has lost an attempt, and goes to others;
* it said goodbye: what is left goes to others, and nothing is held against it;
* it lives, and is no more than disconnected: after a moment likewise;
* it drains: its results still come, as calls of their own. It keeps what it holds until it ends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from durable_app.errors import ConfigError, TaskHubNotFoundError
from durable_app.ports import Capacity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable_app.ports import ServedHub, ServedStream, WorkFilter, WorkResult, WorkSink
    from durable_app.protocol import CompletionToken, HistoryEvent
    from durable_app.scheduler.service import TaskHub

#: A process that has lost its connection and lives for so long has not died of what it ran.
PATIENCE_S: Final = 1.0


class Gate:
    """Lets one worker process in. Implements ``ports.TaskHubs``.

    Args:
        share: the most that the process may hold of each kind; 0 for nothing of a kind.
    """

    def __init__(self, hub: TaskHub, share: Capacity) -> None:
        """Belongs to the running event loop."""
        self._hub = hub
        self._share = share
        self._streams: set[GatedStream] = set()
        self._is_draining = False

    async def find(self, name: str) -> ServedHub:
        """See ``ports.TaskHubs.find``: there is one hub."""
        if name.casefold() != self._hub.name.casefold():
            raise TaskHubNotFoundError(f"This host serves task hub '{self._hub.name}' only.")
        # All but ``connect`` is the hub's own.
        return cast("ServedHub", _Gated(self._hub, self))

    async def create(self, name: str, *, recreate: bool = False) -> None:  # noqa: ARG002  a port
        """See ``ports.TaskHubs.create``: refused."""
        raise ConfigError(f"A host has one task hub: '{name}' cannot be made.")

    async def delete(self, name: str) -> None:
        """See ``ports.TaskHubs.delete``: refused."""
        raise ConfigError(f"A host keeps its task hub: '{name}' cannot be deleted.")

    def connect(
        self, sink: WorkSink, capacity: Capacity, only: WorkFilter | None, *, whole_history: bool
    ) -> GatedStream:
        """A stream of the process."""
        share = Capacity(
            min(capacity.orchestrations, self._share.orchestrations),
            min(capacity.activities, self._share.activities),
            min(capacity.entities, self._share.entities),
        )
        stream = self._hub.connect(sink, share, only, whole_history=whole_history)
        gated = GatedStream(stream, self)
        self._streams.add(gated)
        return gated

    def drain(self) -> None:
        """The process is about to end: it takes nothing more, and keeps what it holds till then."""
        self._is_draining = True
        for stream in self._streams:
            stream.pause()

    def ended(self, *, is_lost: bool) -> None:
        """The process has ended.

        Args:
            is_lost: it died, and nobody had wanted it to.
        """
        streams, self._streams = self._streams, set()
        for stream in streams:
            stream.settle(is_lost=is_lost)
        self._is_draining = False

    def disconnected(self, stream: GatedStream) -> None:
        """A stream has ended; why, remains to be seen."""
        stream.pause()
        if not self._is_draining:
            asyncio.get_running_loop().call_later(PATIENCE_S, self._still_alive, stream)

    def _still_alive(self, stream: GatedStream) -> None:
        if stream in self._streams and not self._is_draining:
            self._streams.discard(stream)
            stream.settle(is_lost=False)


class _Gated:
    """The hub, with a ``connect`` that passes the gate."""

    def __init__(self, hub: TaskHub, gate: Gate) -> None:
        self._hub = hub
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hub, name)

    def connect(
        self,
        sink: WorkSink,
        capacity: Capacity,
        only: WorkFilter | None = None,
        *,
        whole_history: bool = False,
    ) -> GatedStream:
        """See ``WorkSource.connect``."""
        return self._gate.connect(sink, capacity, only, whole_history=whole_history)


class GatedStream:
    """A stream whose end the gate decides about. Implements ``ports.WorkStream``."""

    def __init__(self, stream: ServedStream, gate: Gate) -> None:
        self._stream = stream
        self._gate = gate

    def close(self) -> None:
        """See ``WorkStream.close``: the connection has ended."""
        self._gate.disconnected(self)

    def settle(self, *, is_lost: bool) -> None:
        """What it holds goes to others."""
        if is_lost:
            self._stream.lose()
        else:
            self._stream.close()

    def pause(self) -> None:
        """See ``WorkStream.pause``."""
        self._stream.pause()

    def load_history(self, instance_id: str, execution_id: str) -> list[HistoryEvent]:
        """See ``WorkStream.load_history``."""
        return self._stream.load_history(instance_id, execution_id)

    def complete(self, results: Sequence[WorkResult]) -> None:
        """See ``WorkDesk.complete``."""
        self._stream.complete(results)

    def abandon(self, token: CompletionToken, reason: str) -> None:
        """See ``WorkDesk.abandon``."""
        self._stream.abandon(token, reason)

    def decline(self, token: CompletionToken) -> None:
        """See ``WorkDesk.decline``."""
        self._stream.decline(token)

    def put_back(self, token: CompletionToken) -> None:
        """See ``WorkDesk.put_back``."""
        self._stream.put_back(token)
