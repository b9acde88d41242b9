"""The thread that owns a hub.

One thread takes inputs, lets the hub handle them and sleeps until there is more, or until something
is due. Where results come in company it waits a moment for more, since what is handled together is
committed together. While enough is under way, new instances are let in by twos: those that run are
finished first, instead of all advancing in lockstep and none being done before the last.

The thread is supervised: an unexpected error ends the hub loudly, and everybody who waits is told.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from durable_app.errors import DurableError, SchedulerUnavailableError
from durable_app.scheduler.inputs import READS, WRITES, Input, Results, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable_app.scheduler.hub import Hub

_log = logging.getLogger(__name__)

#: Most inputs of one drain, by kind.
_WORK_LIMIT: Final = 64
_START_LIMIT: Final = 32
_START_LIMIT_BUSY: Final = 2
#: With so many items still out, and fewer inputs than enough, a drain waits for a moment. A commit
#: costs about as much, and a step of one of so many that wait for each other does not notice it.
#: One that runs alone beside many long activities would: its results come one by one, and then
#: nothing waits.
_CROWD: Final = 16
_ENOUGH: Final = 16
_GATHER_S: Final = 0.001
_LONGEST_SLEEP_S: Final = 3_600.0
#: What is due is due by the wall clock, which may jump (the machine slept, somebody set it): with
#: something to wait for it is looked at this often. The store is not read for that.
_CLOCK_LOOK_S: Final = 1.0
#: Clocks differ by some microseconds; a shorter sleep would spin until they agree.
_SHORTEST_SLEEP_S: Final = 0.0005
_OF_CLIENTS: Final = (*WRITES, *READS)


class OwnerLoop:
    """Runs a hub on a thread of its own."""

    def __init__(
        self,
        hub: Hub,
        flush: Callable[[], None],
        close: Callable[[], None],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        """Args: the hub; what to call after each drain, the last too; whom to tell of a failure."""
        self._hub = hub
        self._flush = flush
        self._close = close
        self._on_fatal = on_fatal
        self._work: deque[Input] = deque()
        self._starts: deque[Input] = deque()
        # A token wakes the thread; one is enough however much has arrived since it slept.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._is_awake = False
        self._is_stopping = False
        self._started = threading.Event()
        self._start_error: BaseException | None = None
        self._is_closed = False
        # The last drain had results of several items that ran at the same time.
        self._is_in_company = False
        self._thread = threading.Thread(target=self._run, name="task-hub", daemon=True)

    def start(self) -> None:
        """Open the hub on its thread; raises what opening it raises."""
        self._thread.start()
        self._started.wait()
        if self._start_error is not None:
            raise self._start_error

    def post(self, item: Input) -> bool:
        """Send the owner a message. Any thread.

        Returns:
            False where it is refused: the end has come, or comes, and a client asks for more.
        """
        if self._is_closed or (self._is_stopping and isinstance(item, _OF_CLIENTS)):
            return False
        queue = self._starts if isinstance(item, Start) else self._work
        queue.append(item)
        self._rouse()
        return True

    def stop(self, timeout_s: float) -> None:
        """Handle what has arrived, close the store, end the thread."""
        self._is_stopping = True
        self._rouse()
        self._thread.join(timeout_s)

    def _rouse(self) -> None:
        if not self._is_awake:
            self._is_awake = True
            self._wake.put(None)

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
            # Where we know the error, its text says all.
            trace = None if isinstance(error, DurableError) else error
            _log.critical("The task hub has failed: %s", error, exc_info=trace)
            self._hub.commits.send_acks()
            self._hub.commits.refuse_all(SchedulerUnavailableError("The task hub has stopped."))
            self._end()
            self._on_fatal(error)
        else:
            self._end()

    def _serve(self) -> None:
        # What was there before the start.
        self._hub.handle(())
        self._flush()
        while True:
            self._sleep()
            self._gather()
            # Read before the queues: what was posted before the stop is still handled.
            is_last = self._is_stopping
            if is_last:
                self._hub.state.streams.pause_all()
            self._hub.handle(self._next_batch())
            self._flush()
            if is_last and not self._work and not self._starts:
                self._hub.finish()
                return

    def _sleep(self) -> None:
        """Until something arrives or is due."""
        wait_s = self._hub.wait_s()
        self._is_awake = False
        # Looked at after the flag: whoever posts later sees it and leaves a token.
        if self._work or self._starts or self._is_stopping:
            self._is_awake = True
            return
        timeout = _LONGEST_SLEEP_S if wait_s is None else min(wait_s, _CLOCK_LOOK_S)
        with contextlib.suppress(Empty):
            self._wake.get(timeout=max(timeout, _SHORTEST_SLEEP_S))
        self._is_awake = True

    def _gather(self) -> None:
        """Let more arrive, where more is about to."""
        in_flight = self._hub.state.streams.in_flight
        if not self._is_in_company or in_flight < _CROWD or self._is_stopping:
            return
        if len(self._work) >= _ENOUGH:
            return
        # Other threads of this process only need the interpreter to say what they have to say.
        time.sleep(0)  # noqa: TID251  gives it to them
        arrived = len(self._work)
        if arrived < _ENOUGH and in_flight - arrived >= _CROWD:
            time.sleep(_GATHER_S)  # noqa: TID251  any event would end it, and many are to come

    def _next_batch(self) -> list[Input]:
        batch: list[Input] = []
        starts = _START_LIMIT_BUSY if self._hub.is_saturated else _START_LIMIT
        for queue, limit in ((self._work, _WORK_LIMIT), (self._starts, starts)):
            for _ in range(min(limit, len(queue))):
                batch.append(queue.popleft())  # noqa: PERF401  a deque is not taken in slices
        self._is_in_company = sum(type(item) is Results for item in batch) > 1
        return batch

    def _end(self) -> None:
        self._is_closed = True
        error = SchedulerUnavailableError("The task hub has stopped.")
        self._hub.state.watchers.close(error)
        for queue in (self._work, self._starts):
            while queue:
                self._refuse(queue.popleft())
        try:
            self._hub.state.store.close()
        finally:
            self._close()

    @staticmethod
    def _refuse(item: Input) -> None:
        if isinstance(item, _OF_CLIENTS):
            item.reply.reject(SchedulerUnavailableError("The task hub has stopped."))
