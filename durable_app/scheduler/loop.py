"""The thread that owns a hub.

One thread takes inputs from a queue, lets the hub handle them and sleeps until there is more, or
until something is due. It is supervised: an unexpected error ends the hub loudly, and everybody who
waits is told.
"""

from __future__ import annotations

import logging
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from durable_app.errors import SchedulerUnavailableError
from durable_app.scheduler.inputs import READS, WRITES, Input

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.scheduler.hub import Hub

_log = logging.getLogger(__name__)

#: Without a cap all instances move in lockstep and the fastest is as slow as the slowest.
_DRAIN_LIMIT: Final = 64
_LONGEST_SLEEP_S: Final = 3_600.0


class OwnerLoop:
    """Runs a hub on a thread of its own."""

    def __init__(
        self, hub: Hub, flush: Callable[[], None], on_fatal: Callable[[BaseException], None]
    ) -> None:
        """Args: the hub; what to call after each drain; whom to tell of an unexpected end."""
        self._hub = hub
        self._flush = flush
        self._on_fatal = on_fatal
        self._queue: SimpleQueue[Input | None] = SimpleQueue()
        self._started = threading.Event()
        self._start_error: BaseException | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="task-hub", daemon=True)

    def start(self) -> None:
        """Open the hub on its thread; raises what opening it raises."""
        self._thread.start()
        self._started.wait()
        if self._start_error is not None:
            raise self._start_error

    def post(self, item: Input) -> None:
        """Send the owner a message. Any thread."""
        if self._is_closed:
            self._refuse(item)
        else:
            self._queue.put(item)

    def stop(self, timeout_s: float) -> None:
        """Handle what has arrived, close the store, end the thread."""
        if not self._is_closed:
            self._queue.put(None)
        self._thread.join(timeout_s)

    # -- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._hub.state.open()
        except BaseException as error:  # noqa: BLE001  handed to the caller of start()
            self._start_error = error
            self._is_closed = True
            self._started.set()
            return
        self._started.set()
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001  top of a loop: it must not end silently
            _log.critical("task_hub_failed", exc_info=error)
            self._end()
            self._on_fatal(error)
        else:
            self._end()

    def _serve(self) -> None:
        # What was there before the start.
        self._hub.handle(())
        self._flush()
        while True:
            batch, is_last = self._next_batch()
            self._hub.handle(batch)
            self._flush()
            if is_last:
                return

    def _next_batch(self) -> tuple[list[Input], bool]:
        wait_s = self._hub.wait_s()
        timeout = _LONGEST_SLEEP_S if wait_s is None else min(wait_s, _LONGEST_SLEEP_S)
        batch: list[Input] = []
        try:
            item = self._queue.get(timeout=timeout) if timeout else self._queue.get_nowait()
            while item is not None:
                batch.append(item)
                if len(batch) >= _DRAIN_LIMIT:
                    return batch, False
                item = self._queue.get_nowait()
        except Empty:
            return batch, False
        return batch, True

    def _end(self) -> None:
        self._is_closed = True
        error = SchedulerUnavailableError("The task hub has stopped.")
        self._hub.state.watchers.close(error)
        while True:
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
            if item is not None:
                self._refuse(item)
        self._hub.state.store.close()
        self._flush()

    @staticmethod
    def _refuse(item: Input) -> None:
        if isinstance(item, (*WRITES, *READS)):
            item.reply.reject(SchedulerUnavailableError("The task hub has stopped."))
