"""Runs activities: sync ones on daemon threads, async ones on the event loop.

Threads are started when all are busy, up to the worker's slots, and take from one queue. They are
daemons: at the end of a drain the process does not wait for user code that never returns; the hub
gives such an activity to somebody else.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from durable_app.functions.facts import DurableFunction
from durable_app.functions.handles import call_activity_function, call_async_activity_function
from durable_app.payload import from_text, to_text
from durable_app.protocol import ActivityRequest, ActivityResponse, FailureDetails
from durable_app.replay.failures import failure_of

if TYPE_CHECKING:
    from durable_app.functions.index import AppIndex
    from durable_app.ports import Clock, WorkStream
    from durable_app.telemetry import InvocationObserver

_log = logging.getLogger(__name__)

#: Gives the values of an activity's further bindings (a durable client, say) by name.
BindExtra = Callable[[DurableFunction], Mapping[str, Any]]


class ActivityPool:
    """Runs activities; see the module's text."""

    def __init__(
        self,
        index: AppIndex,
        most_threads: int,
        clock: Clock,
        observer: InvocationObserver | None,
        bind_extra: BindExtra | None,
    ) -> None:
        """Nothing runs yet."""
        self._index = index
        self._most_threads = most_threads
        self._clock = clock
        self._observer = observer
        self._bind_extra = bind_extra
        self._queue: SimpleQueue[tuple[ActivityRequest, DurableFunction] | None] = SimpleQueue()
        self._threads = 0
        self._idle = 0
        self._stream: WorkStream | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()
        self._pending = 0

    @property
    def pending(self) -> int:
        """Activities that were taken over and not handed back."""
        return self._pending

    def start(self, stream: WorkStream, loop: asyncio.AbstractEventLoop) -> None:
        """Results go to ``stream``; async activities run on ``loop``."""
        self._stream = stream
        self._loop = loop

    def submit(self, request: ActivityRequest) -> None:
        """Run one activity. Called on the hub's thread: returns at once."""
        self._pending += 1
        found = self._index.find("activity", request.name)
        facts = found.durable if found is not None else None
        if facts is None:
            text = self._index.unknown("activity", request.name)
            failure = FailureDetails("ActivityNotRegisteredError", text)
            self._hand_back(request, None, failure)
        elif facts.is_async:
            self._submit_async(request, facts)
        else:
            if self._idle <= self._queue.qsize() and self._threads < self._most_threads:
                self._threads += 1
                name = f"activity-{self._threads}"
                threading.Thread(target=self._run, name=name, daemon=True).start()
            self._queue.put((request, facts))

    def stop(self) -> None:
        """Take nothing more: idle threads end, async activities are cancelled. Returns at once."""
        for _ in range(self._threads):
            self._queue.put(None)
        for task in self._tasks:
            task.cancel()

    # -- sync --------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._idle += 1
            item = self._queue.get()
            self._idle -= 1
            if item is None:
                return
            request, facts = item
            result: str | None = None
            failure: FailureDetails | None = None
            observed = self._begin(request)
            try:
                plain = from_text(request.input)
                result = to_text(call_activity_function(facts, plain, self._extra(facts)))
            except BaseException as error:  # noqa: BLE001  user code may raise anything, SystemExit included
                failure = failure_of(error)
            self._finish(request, observed, failure)
            self._hand_back(request, result, failure)

    def _extra(self, facts: DurableFunction) -> Mapping[str, Any]:
        if self._bind_extra is None or not facts.clients:
            return {}
        return self._bind_extra(facts)

    # -- async -------------------------------------------------------------------------------

    def _submit_async(self, request: ActivityRequest, facts: DurableFunction) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._start_task, request, facts)

    def _start_task(self, request: ActivityRequest, facts: DurableFunction) -> None:
        task = asyncio.ensure_future(self._run_async(request, facts))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_async(self, request: ActivityRequest, facts: DurableFunction) -> None:
        result: str | None = None
        failure: FailureDetails | None = None
        observed = self._begin(request)
        try:
            plain = from_text(request.input)
            outcome = await call_async_activity_function(facts, plain, self._extra(facts))
            result = to_text(outcome)
        except asyncio.CancelledError:
            # Shutdown: no outcome; the hub runs it again elsewhere.
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything
            failure = failure_of(error)
        self._finish(request, observed, failure)
        self._hand_back(request, result, failure)

    # -- both --------------------------------------------------------------------------------

    def _hand_back(
        self, request: ActivityRequest, result: str | None, failure: FailureDetails | None
    ) -> None:
        response = ActivityResponse(
            request.instance.instance_id, request.task_id, request.token, result, failure
        )
        with self._lock:
            self._pending -= 1
        if self._stream is not None:
            self._stream.complete((response,))

    def _begin(self, request: ActivityRequest) -> tuple[str, float] | None:
        if self._observer is None:
            return None
        invocation_id = self._clock.new_id()
        self._observer.executing(request.name, invocation_id, "(null)")
        return invocation_id, self._clock.monotonic()

    def _finish(
        self,
        request: ActivityRequest,
        observed: tuple[str, float] | None,
        failure: FailureDetails | None,
    ) -> None:
        if self._observer is None or observed is None:
            return
        invocation_id, began = observed
        text: str | None = None
        if failure is not None:
            text = failure.stack_trace or f"{failure.error_type}: {failure.error_message}"
        duration_s = self._clock.monotonic() - began
        self._observer.executed(request.name, invocation_id, duration_s, text)
