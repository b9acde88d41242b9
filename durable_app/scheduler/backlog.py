"""Activities that wait for a slot.

Theory of operation. The queue in memory is a window on the table of tasks: when it is full, newer
tasks stay in the store and are read when the window has been worked off. Keys grow, so "what comes
after the last key in memory" is all it has to remember.

A task for which no worker has a slot is put aside as soon as a worker has slots for others: what
comes behind it is not held up.

Tasks that were lost wait for the end of their back-off. Those that were lost again and again are
suspects, and each has to wait for its place in the :mod:`~durable_app.scheduler.quarantine`.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, Final

from durable_app.taskhub.instance import ActivityTask, TaskKey

if TYPE_CHECKING:
    from datetime import datetime

    from durable_app.ports import Store
    from durable_app.scheduler.quarantine import Quarantine
    from durable_app.scheduler.streams import Streams

#: Name and version: what decides which workers take a task.
_Group = tuple[str, str | None]

_WINDOW: Final = 20_000
_REFILL: Final = 2_000
#: With more discarded tasks than this it is looked up which of them are still here.
_SWEEP: Final = 4_096


class Backlog:
    """The queue of activities."""

    def __init__(self, store: Store, streams: Streams, quarantine: Quarantine) -> None:
        """Everything that the store has is still to be read."""
        self._store = store
        self._streams = streams
        self._quarantine = quarantine
        #: Tasks that were lost too often to be tried again.
        self.exhausted: deque[ActivityTask] = deque()
        self._queue: deque[ActivityTask] = deque()
        self._delayed: list[tuple[datetime, int, ActivityTask]] = []
        self._suspects: deque[ActivityTask] = deque()
        self._unserved: dict[_Group, list[ActivityTask]] = {}
        self._aside: dict[_Group, deque[ActivityTask]] = {}
        self._aside_count = 0
        self._dead: set[TaskKey] = set()
        self._sweep_at = _SWEEP
        self._last_key = TaskKey(0)
        self._has_more = True

    def __len__(self) -> int:
        return len(self._queue) + len(self._suspects) + self._aside_count

    def add(self, task: ActivityTask) -> None:
        """A committed task."""
        if self._has_more or len(self._queue) >= _WINDOW:
            self._has_more = True
            return
        self._last_key = task.key
        self._queue.append(task)

    def give_back(self, task: ActivityTask, now: datetime) -> None:
        """A task without an outcome; it goes to the front, or waits for its time."""
        due = self._quarantine.due(task.attempts, task.not_before)
        if due > now:
            heapq.heappush(self._delayed, (due, task.key, task))
        else:
            self._enqueue(task)

    def finished(self, task: ActivityTask) -> None:
        """A task has an outcome."""
        self._dead.discard(task.key)

    def discard(self, key: TaskKey) -> None:
        """A task that is not to run any more; one that runs is not interrupted."""
        if key <= self._last_key:
            self._dead.add(key)
            if len(self._dead) > self._sweep_at:
                self.sweep()

    def sweep(self) -> None:
        """Forget discarded tasks that are not here any more: they had ended before."""
        delayed = (entry[2] for entry in self._delayed)
        aside = self._aside.values()
        places = (self._queue, delayed, self._suspects, *aside, *self._unserved.values())
        here = {task.key for place in places for task in place}
        self._dead &= here | self._streams.task_keys()
        # Twice what is left, so that the cost of a look stays in proportion.
        self._sweep_at = max(_SWEEP, 2 * len(self._dead))

    def next_due(self) -> datetime | None:
        """When a delayed task becomes ready; None also where nobody could take it."""
        is_awaited = self._delayed and self._streams.is_anybody_there
        return self._delayed[0][0] if is_awaited else None

    def workers_changed(self) -> None:
        """A worker has come: tasks that nobody took may have found somebody."""
        for tasks in self._unserved.values():
            for task in reversed(tasks):
                self._enqueue(task)
        self._unserved.clear()

    def dispatch(self, now: datetime) -> list[ActivityTask]:
        """Hand out what finds a slot; return those that were handed out."""
        if not self._streams.is_anybody_there:
            # Nor is the store read: tasks that nobody takes would all end up in memory.
            return []
        while self._delayed and self._delayed[0][0] <= now:
            self._enqueue(heapq.heappop(self._delayed)[2])
        sent: list[ActivityTask] = []
        self._send_suspects(sent)
        if self._quarantine.is_closed:
            return sent
        # They have waited for longer than what is in the queue.
        self._send_aside(sent)
        while self._queue or self._refill(now):
            task = self._queue[0]
            if not self._send(task, sent) and not self._put_aside(task):
                return sent
            self._queue.popleft()
        # What was read just now may have brought some.
        self._send_suspects(sent)
        return sent

    def _enqueue(self, task: ActivityTask) -> None:
        if self._quarantine.is_suspect(task.attempts):
            self._suspects.append(task)
        else:
            self._queue.appendleft(task)

    def _send_suspects(self, sent: list[ActivityTask]) -> None:
        while self._suspects and self._quarantine.admits() and self._send(self._suspects[0], sent):
            self._suspects.popleft()

    def _put_aside(self, task: ActivityTask) -> bool:
        """False where nothing behind the task could go either, or too many are put aside."""
        if self._aside_count >= _WINDOW or not self._streams.has_slot_for_activity:
            return False
        self._aside.setdefault((task.name, task.version), deque()).append(task)
        self._aside_count += 1
        return True

    def _send_aside(self, sent: list[ActivityTask]) -> None:
        for group, tasks in list(self._aside.items()):
            while tasks and self._send(tasks[0], sent):
                tasks.popleft()
                self._aside_count -= 1
            if not tasks:
                del self._aside[group]

    def _send(self, task: ActivityTask, sent: list[ActivityTask]) -> bool:
        """True when the task has left the queue, wherever to."""
        if task.key in self._dead:
            self._dead.discard(task.key)
            return True
        if self._quarantine.is_spent(task.attempts):
            self.exhausted.append(task)
            return True
        stream = self._streams.for_activity(task.name, task.version)
        if stream is not None:
            token = self._streams.hold_task(stream, task)
            if self._quarantine.is_suspect(task.attempts):
                self._quarantine.enter(token, task.instance.instance_id)
            sent.append(task)
            return True
        if self._streams.anybody_takes_activity(task.name, task.version):
            return False
        self._unserved.setdefault((task.name, task.version), []).append(task)
        return True

    def _refill(self, now: datetime) -> bool:
        if not self._has_more:
            return False
        tasks = self._store.tasks(self._last_key, _REFILL)
        self._has_more = len(tasks) == _REFILL
        for task in tasks:
            self._last_key = task.key
            if task.attempts or task.not_before > now:
                self.give_back(task, now)
            else:
                self._queue.append(task)
        return bool(self._queue)
