"""The messages that others send to the owner of the hub's state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

import msgspec

from durable_app.ports import Capacity, PurgeFilter, StartRequest, WorkFilter, WorkResult, WorkSink
from durable_app.protocol import CompletionToken, HistoryEvent, TraceContext


class Reply(Protocol):
    """Whoever waits for an answer. Exactly one of the two is called, on the owner's thread."""

    def resolve(self, value: Any) -> None:
        """It is done, durably."""
        ...

    def reject(self, error: Exception) -> None:
        """It was refused, or could not be done; nothing was changed."""
        ...


class Ack(msgspec.Struct, frozen=True):
    """What to answer once a step is committed."""

    reply: Reply
    value: Any = None

    def send(self) -> None:
        """The step is durable."""
        self.reply.resolve(self.value)


class Connect(msgspec.Struct, frozen=True):
    """A worker is there."""

    stream_id: int
    sink: WorkSink
    capacity: Capacity
    only: WorkFilter
    whole_history: bool = False


class Disconnect(msgspec.Struct, frozen=True):
    """A worker is gone; what it held is given back.

    Attributes:
        is_lost: its process has died, perhaps of what it held.
    """

    stream_id: int
    is_lost: bool = False


class Pause(msgspec.Struct, frozen=True):
    """A worker takes no further items."""

    stream_id: int


class Results(msgspec.Struct, frozen=True):
    """Outcomes of work items."""

    results: Sequence[WorkResult]


class Abandon(msgspec.Struct, frozen=True):
    """A work item comes back without an outcome."""

    token: CompletionToken
    reason: str


class Decline(msgspec.Struct, frozen=True):
    """A turn comes back that its worker must not run."""

    token: CompletionToken


class PutBack(msgspec.Struct, frozen=True):
    """A work item comes back that was not run."""

    token: CompletionToken


class Start(msgspec.Struct, frozen=True):
    """A client starts an instance."""

    request: StartRequest
    reply: Reply


class Ask(msgspec.Struct, frozen=True):
    """A client posts an event to an instance: external, terminate, suspend, resume, rewind.

    Attributes:
        action: what the refusal says that a finished instance cannot do.
    """

    instance_id: str
    event: HistoryEvent
    action: str
    reply: Reply


class Restart(msgspec.Struct, frozen=True):
    """A client starts an instance again."""

    instance_id: str
    new_instance_id: str | None
    reply: Reply


class Get(msgspec.Struct, frozen=True):
    """A client reads the committed row."""

    instance_id: str
    fetch_payloads: bool
    reply: Reply


class WaitFor(Enum):
    """What somebody waits for."""

    START = "start"
    COMPLETION = "completion"
    RECOVERY = "recovery"
    """The instance is no longer failed."""


class Watch(msgspec.Struct, frozen=True):
    """A client waits until an instance has reached a status; answered with its state."""

    instance_id: str
    until: WaitFor
    reply: Reply


class Unwatch(msgspec.Struct, frozen=True):
    """It waits no longer."""

    instance_id: str
    reply: Reply


class Signal(msgspec.Struct, frozen=True):
    """A client posts an operation to an entity."""

    instance_id: str
    operation: str
    data: str | None
    signal_time: datetime | None
    reply: Reply
    trace: TraceContext | None = None


class GetEntity(msgspec.Struct, frozen=True):
    """A client reads the committed row of an entity."""

    instance_id: str
    include_state: bool
    reply: Reply


class Clean(msgspec.Struct, frozen=True):
    """A client removes empty entities and releases orphaned locks; done in slices.

    Attributes:
        after: id of the last entity that was looked at.
    """

    remove_empty: bool
    release_locks: bool
    reply: Reply
    after: str = ""
    removed: int = 0
    released: int = 0


class Purge(msgspec.Struct, frozen=True):
    """A client removes a finished instance."""

    instance_id: str
    recursive: bool
    reply: Reply


class PurgeBy(msgspec.Struct, frozen=True):
    """A client removes finished instances; done in slices, ``done`` counts them.

    Attributes:
        until: on the monotonic clock, in seconds; no slice begins later. None for no limit.
    """

    which: PurgeFilter
    reply: Reply
    until: float | None = None
    done: int = 0


Input = (
    Connect
    | Disconnect
    | Pause
    | Results
    | Abandon
    | Decline
    | PutBack
    | Start
    | Ask
    | Restart
    | Get
    | Watch
    | Unwatch
    | Signal
    | GetEntity
    | Clean
    | Purge
    | PurgeBy
)
#: These change rows on behalf of a client, who can be told that it did not work.
WRITES = (Start, Ask, Restart, Signal, Clean, Purge, PurgeBy)
#: These read on behalf of a client.
READS = (Get, GetEntity, Watch, Unwatch)
