"""Activities that wait for a slot.

Theory of operation. The queue in memory is a window on the table of tasks: when it is full, newer
tasks stay in the store and are read when the window has been worked off. Keys grow, so "what comes
after the last key in memory" is all it has to remember.

Tasks that were lost before (``attempts`` > 0) are suspects: a crash may be theirs. They come after
a back-off, and those that were lost twice run one at a time, so that one poisonous task does not
drag others along.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, Final

from durable_app.taskhub.instance import ActivityTask, TaskKey

if TYPE_CHECKING:
    from datetime import datetime

    from durable_app.ports import Store
    from durable_app.scheduler.streams import Streams

_WINDOW: Final = 20_000
_REFILL: Final = 2_000
#: From so many lost attempts on a task runs alone.
_QUARANTINE: Final = 2
#: With more discarded tasks than this it is looked up which of them are still here.
_SWEEP: Final = 4_096


class Backlog:
    """The queue of activities."""

    def __init__(self, store: Store, streams: Streams, max_attempts: int) -> None:
        """Everything that the store has is still to be read."""
        self._store = store
        self._streams = streams
        self._max_attempts = max_attempts
        #: Tasks that were lost too often to be tried again.
        self.exhausted: deque[ActivityTask] = deque()
        self._queue: deque[ActivityTask] = deque()
        self._delayed: list[tuple[datetime, int, ActivityTask]] = []
        self._suspects: deque[ActivityTask] = deque()
        self._suspect: TaskKey | None = None
        self._unserved: dict[str, list[ActivityTask]] = {}
        self._dead: set[TaskKey] = set()
        self._sweep_at = _SWEEP
        self._last_key = TaskKey(0)
        self._has_more = True

    def __len__(self) -> int:
        return len(self._queue) + len(self._suspects)

    def add(self, task: ActivityTask) -> None:
        """A committed task."""
        if self._has_more or len(self._queue) >= _WINDOW:
            self._has_more = True
            return
        self._last_key = task.key
        self._queue.append(task)

    def give_back(self, task: ActivityTask, now: datetime) -> None:
        """A task without an outcome; it goes to the front, or waits for its time."""
        if self._suspect == task.key:
            self._suspect = None
        if task.not_before > now:
            heapq.heappush(self._delayed, (task.not_before, task.key, task))
        elif task.attempts >= _QUARANTINE:
            self._suspects.append(task)
        else:
            self._queue.appendleft(task)

    def finished(self, task: ActivityTask) -> None:
        """A task has an outcome."""
        self._dead.discard(task.key)
        if self._suspect == task.key:
            self._suspect = None

    def discard(self, key: TaskKey) -> None:
        """A task that is not to run any more; one that runs is not interrupted."""
        if key <= self._last_key:
            self._dead.add(key)
            if len(self._dead) > self._sweep_at:
                self.sweep()

    def sweep(self) -> None:
        """Forget discarded tasks that are not here any more: they had ended before."""
        delayed = (entry[2] for entry in self._delayed)
        places = (self._queue, delayed, self._suspects, *self._unserved.values())
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
            self._queue.extend(tasks)
        self._unserved.clear()

    def dispatch(self, now: datetime) -> list[ActivityTask]:
        """Hand out what finds a slot; return those that were handed out."""
        if not self._streams.is_anybody_there:
            # Nor is the store read: tasks that nobody takes would all end up in memory.
            return []
        while self._delayed and self._delayed[0][0] <= now:
            self._suspects.append(heapq.heappop(self._delayed)[2])
        sent: list[ActivityTask] = []
        self._send_suspects(sent)
        while self._queue or self._refill(now):
            if not self._send(self._queue[0], sent):
                return sent
            self._queue.popleft()
        # What was read just now may have brought some.
        self._send_suspects(sent)
        return sent

    def _send_suspects(self, sent: list[ActivityTask]) -> None:
        while self._suspect is None and self._suspects and self._send_suspect(sent):
            pass

    def _send(self, task: ActivityTask, sent: list[ActivityTask]) -> bool:
        """True when the task has left the queue, wherever to."""
        if task.key in self._dead:
            self._dead.discard(task.key)
            return True
        if task.attempts >= self._max_attempts:
            self.exhausted.append(task)
            return True
        stream = self._streams.for_activity(task.name)
        if stream is not None:
            self._streams.hold_task(stream, task)
            sent.append(task)
            return True
        if self._streams.anybody_takes_activity(task.name):
            return False
        self._unserved.setdefault(task.name, []).append(task)
        return True

    def _send_suspect(self, sent: list[ActivityTask]) -> bool:
        """True when the first suspect has left its queue, wherever to."""
        task, before = self._suspects[0], len(sent)
        if not self._send(task, sent):
            return False
        self._suspects.popleft()
        if len(sent) > before and task.attempts >= _QUARANTINE:
            self._suspect = task.key
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
