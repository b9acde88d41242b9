"""Daemon threads that work off a queue, as many as it takes.

Theory of operation. Waking a thread costs more than a short activity. So at most one thread is on
its way at any time: whoever is woken takes an item and, if more wait, wakes the next before it
begins. A burst of short items is worked off by a thread or two; when an item blocks, the next
thread is already coming. A thread that finds nothing goes to sleep.

What must never happen: an item waits while a thread sleeps and none is on its way. Therefore a
thread says that it has arrived before it looks at the queue for the last time.
"""

from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Crew(Generic[T]):
    """Runs items on threads; see the module's text.

    Args:
        run: what to do with an item; must not raise.
        most: threads at the most, >= 1.
        name: of the threads, with a number behind.
    """

    def __init__(self, run: Callable[[T], None], most: int, name: str) -> None:
        """No thread yet."""
        self._run = run
        self._most = most
        self._name = name
        self._items: deque[T] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._is_coming = False
        # The lock guards these; it is taken to sleep and to wake, not for each item.
        self._lock = threading.Lock()
        self._sleeping = 0
        self._threads = 0
        self._is_stopped = False

    @property
    def size(self) -> int:
        """Threads that there are."""
        return self._threads

    def submit(self, item: T) -> None:
        """Run an item; after :meth:`stop` it is dropped. Any thread; returns at once."""
        self._items.append(item)
        if not self._is_coming:
            self._summon()

    def stop(self) -> None:
        """Begin nothing more; threads end with the item that they are at. Returns at once."""
        with self._lock:
            self._is_stopped = True
            self._items.clear()
            sleeping, self._sleeping = self._sleeping, 0
        for _ in range(sleeping):
            self._wake.put(None)

    def replace_one(self) -> None:
        """Allow one thread more, in the place of one that does not come back."""
        with self._lock:
            self._most += 1
        if self._items:
            self._summon()

    def welcome_back(self) -> None:
        """A thread that was replaced has come back after all: one less is allowed."""
        with self._lock:
            self._most -= 1

    def _summon(self) -> None:
        """Wake a thread, or start one where all are at work and more are allowed."""
        with self._lock:
            if self._is_stopped:
                self._items.clear()
            elif self._sleeping:
                self._sleeping -= 1
                self._is_coming = True
                self._wake.put(None)
            elif self._threads < self._most:
                self._threads += 1
                self._is_coming = True
                name = f"{self._name}-{self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while True:
            self._is_coming = False
            item = self._next()
            if item is not None and self._items and not self._is_coming:
                self._summon()
            while item is not None:
                self._run(item[0])
                item = self._next()
            if not self._sleep():
                return

    def _next(self) -> tuple[T] | None:
        try:
            return (self._items.popleft(),)
        except IndexError:
            return None

    def _sleep(self) -> bool:
        """Until somebody is needed; False at the end."""
        with self._lock:
            if self._is_stopped:
                return False
            if self._items:
                return True
            self._sleeping += 1
        self._wake.get()
        return not self._is_stopped
