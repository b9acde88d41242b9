"""The events that an execution has seen, for ``context.histories``.

Reading costs nothing per event: the sequences that the engine was given are kept as they are, and
put together when somebody asks. A warm execution never sees the events that record its own actions;
they are made from the actions, with the time of the turn, so that a warm and a cold execution see
the same number and kinds of events.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import assert_never

import msgspec

from durable_app.protocol import (
    CompleteOrchestration,
    CreateSubOrchestration,
    CreateTimer,
    EventSent,
    HistoryEvent,
    OrchestratorAction,
    OrchestratorStarted,
    RewindOrchestration,
    ScheduleTask,
    SendEntityMessage,
    SendEvent,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TerminateOrchestration,
    TimerCreated,
)


class Chronicle:
    """What has happened so far, in order.

    Attributes:
        turn_follows: behind the events that are being read comes a turn of its own.
    """

    __slots__ = ("_cursor", "_parts", "turn_follows")

    def __init__(self) -> None:
        self.turn_follows = False
        self._parts: list[
            tuple[Sequence[HistoryEvent], None] | tuple[Sequence[OrchestratorAction], datetime]
        ] = []
        self._cursor: Iterator[HistoryEvent] = iter(())

    def reading(self, events: Sequence[HistoryEvent]) -> Iterator[HistoryEvent]:
        """Return an iterator over the events; those that it has given count as seen."""
        self._parts.append((events, None))
        self._cursor = iter(events)
        return self._cursor

    def add_actions(self, actions: Sequence[OrchestratorAction], turn: datetime) -> None:
        """Take the actions of a turn, which the hub will record after its events."""
        if actions:
            self._parts.append((actions, turn))

    @property
    def is_old(self) -> bool:
        """True while the code comes by a place where it was in an earlier turn."""
        unread = operator.length_hint(self._cursor)
        if self.turn_follows or not unread:
            return self.turn_follows
        part, _ = self._parts[-1]
        return any(type(event) is OrchestratorStarted for event in part[len(part) - unread :])

    def everything(self) -> Iterator[HistoryEvent | OrchestratorAction]:
        """Give all that was ever given to it, read or not: events, and this execution's actions."""
        for part, _ in self._parts:
            yield from part

    def events(self) -> list[HistoryEvent]:
        """Return all events seen so far."""
        seen: list[HistoryEvent] = []
        for part, turn in self._parts:
            if turn is None:
                seen.extend(part)  # type: ignore[arg-type] # mypy does not narrow unpacked tuples
            else:
                seen.extend(
                    event
                    for action in part
                    if (event := recording(action, turn)) is not None  # type: ignore[arg-type] # as above
                )
        unread = operator.length_hint(self._cursor)
        return seen[: len(seen) - unread]


def recording(action: OrchestratorAction, timestamp: datetime) -> HistoryEvent | None:
    """Return the event that records an action, None if there is none of its own."""
    match action:
        case ScheduleTask():
            return TaskScheduled(
                action.id,
                timestamp,
                action.name,
                action.version,
                action.input,
                action.parent_trace_context,
                action.tags,
            )
        case CreateSubOrchestration():
            return SubOrchestrationInstanceCreated(
                action.id,
                timestamp,
                action.instance_id or "",
                action.name,
                action.version,
                action.input,
                action.parent_trace_context,
                action.tags,
            )
        case CreateTimer():
            return TimerCreated(action.id, timestamp, action.fire_at)
        case SendEvent():
            return EventSent(
                action.id, timestamp, action.instance.instance_id, action.name, action.data
            )
        case SendEntityMessage():
            return msgspec.structs.replace(action.message, event_id=action.id, timestamp=timestamp)
        case CompleteOrchestration() | TerminateOrchestration() | RewindOrchestration():
            return None
        case never:
            assert_never(never)
