"""When the hub has to look again, without being asked.

Theory of operation. A timer is a message that is not visible yet. The store is asked for messages
in order of time, each once: ``cursor`` is the position up to which everything has been found. Only
the moment of the next one is kept in memory, so that a million timers cost nothing here.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

from durable_app.protocol import EPOCH

if TYPE_CHECKING:
    from datetime import datetime

    from durable_app.ports import Store

_SLICE: Final = 500
_LAST_ID: Final = 2**63 - 1


class Wakeups:
    """Messages that become visible, and instances whose back-off ends."""

    def __init__(self, store: Store) -> None:
        """Everything that is due already is found by the first scan."""
        self._store = store
        self._cursor = (EPOCH, 0)
        self._next_message: datetime | None = EPOCH
        self._alarms: list[tuple[datetime, str]] = []
        self._alarmed: set[tuple[datetime, str]] = set()

    def note(self, visible_at: datetime) -> None:
        """A message was committed that is not visible yet."""
        if self._next_message is None or visible_at < self._next_message:
            self._next_message = visible_at
        if visible_at <= self._cursor[0]:
            # The clock went backwards: look again from there; what was found is known as found.
            self._cursor = (visible_at, 0)

    def alarm(self, instance_id: str, when: datetime) -> None:
        """Look at an instance again. Each message that it gets meanwhile may ask for the same."""
        alarm = (when, instance_id)
        if alarm not in self._alarmed:
            self._alarmed.add(alarm)
            heapq.heappush(self._alarms, alarm)

    def next(self) -> datetime | None:
        """The moment to look again."""
        alarm = self._alarms[0][0] if self._alarms else None
        if alarm is None or self._next_message is None:
            return alarm or self._next_message
        return min(alarm, self._next_message)

    def due_alarms(self, now: datetime) -> list[str]:
        """Instances whose back-off has ended."""
        due = []
        while self._alarms and self._alarms[0][0] <= now:
            alarm = heapq.heappop(self._alarms)
            self._alarmed.discard(alarm)
            due.append(alarm[1])
        return due

    def due_messages(self, now: datetime) -> list[tuple[int, str]]:
        """(message id, instance id) of messages that have become visible; a slice of them."""
        if self._next_message is None or self._next_message > now:
            return []
        rows = self._store.due(self._cursor, now, _SLICE)
        if len(rows) == _SLICE:
            self._cursor = rows[-1][0], rows[-1][1]
            self._next_message = now
        else:
            # Asked first: where the store refuses, nothing counts as found.
            self._next_message = self._store.next_due(now)
            self._cursor = (now, _LAST_ID)
        return [(message_id, instance_id) for _, message_id, instance_id in rows]
