"""External events: those that wait for a reader, and the readers that wait for one.

Names are compared without regard to case. Both sides queue: the oldest wait takes the oldest event,
and every event is delivered once. At most one side of a name is not empty.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from durable_app.payload import from_text
from durable_app.replay.tasks import FAILED, SUCCEEDED

if TYPE_CHECKING:
    from durable_app.protocol import EventRaised
    from durable_app.replay.waits import ExternalEventTask


class Mailbox:
    """The external events of one execution."""

    __slots__ = ("_arrived", "_events", "_waits")

    def __init__(self) -> None:
        self._arrived = 0
        self._events: dict[str, deque[tuple[int, EventRaised]]] = {}
        self._waits: dict[str, deque[ExternalEventTask[Any]]] = {}

    def wait(self, task: ExternalEventTask[Any]) -> None:
        """Give the task the oldest event of its name, now or when one arrives."""
        name = task.name.casefold()
        events = self._events.get(name)
        if events is None:
            self._waits.setdefault(name, deque()).append(task)
            return
        _, event = events.popleft()
        if not events:
            del self._events[name]
        _hand_over(task, event)

    def forget(self, task: ExternalEventTask[Any]) -> None:
        """Take a pending wait out of the queue."""
        name = task.name.casefold()
        waits = self._waits[name]
        waits.remove(task)
        if not waits:
            del self._waits[name]

    def deliver(self, event: EventRaised) -> None:
        """Give the event to the oldest wait, or keep it."""
        name = event.name.casefold()
        waits = self._waits.get(name)
        if waits is None:
            self.keep(event)
            return
        task = waits.popleft()
        if not waits:
            del self._waits[name]
        _hand_over(task, event)

    def keep(self, event: EventRaised) -> None:
        """Keep the event although something may wait for it: the execution is over."""
        self._arrived += 1
        queue = self._events.setdefault(event.name.casefold(), deque())
        queue.append((self._arrived, event))

    def undelivered(self) -> tuple[EventRaised, ...]:
        """Return the events that nobody took, in the order of their arrival."""
        kept = [entry for queue in self._events.values() for entry in queue]
        kept.sort(key=lambda entry: entry[0])
        return tuple(event for _, event in kept)


def _hand_over(task: ExternalEventTask[Any], event: EventRaised) -> None:
    try:
        value = from_text(event.input, task.expected_type)
    except Exception as error:  # noqa: BLE001  decoding runs the user's classes
        task.end(FAILED, error)
    else:
        task.end(SUCCEEDED, value)
