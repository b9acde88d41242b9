"""Runs activities: sync ones on daemon threads, async ones on the event loop.

There are as many threads as activities block at the same time, up to the worker's slots. They are
daemons: at the end of a drain the process does not wait for user code that never returns; the hub
gives such an activity to somebody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from durable_app.functions.facts import DurableFunction
from durable_app.functions.handles import call_activity_function, call_async_activity_function
from durable_app.payload import from_text, to_text
from durable_app.protocol import (
    ActivityRequest,
    ActivityResponse,
    CompletionToken,
    FailureDetails,
)
from durable_app.replay.failures import failure_of
from durable_app.worker.crew import Crew

if TYPE_CHECKING:
    from durable_app.functions.index import AppIndex
    from durable_app.ports import Clock, WorkStream
    from durable_app.worker.invocations import Begun, Invocations

_log = logging.getLogger(__name__)

_TIME_CHECK_S: Final = 1.0
#: Gives the values of an activity's further bindings (a durable client, say) by name.
BindExtra = Callable[[DurableFunction], Mapping[str, Any]]


class _Job(NamedTuple):
    """An activity to run; ``function`` is the name of its function."""

    request: ActivityRequest
    function: str
    facts: DurableFunction


class ActivityPool:
    """Runs activities; see the module's text."""

    def __init__(
        self,
        index: AppIndex,
        most_threads: int,
        invocations: Invocations,
        clock: Clock,
        bind_extra: BindExtra | None,
        timeout_s: float | None = None,
    ) -> None:
        """Nothing runs yet."""
        self._index = index
        self._invocations = invocations
        self._bind_extra = bind_extra
        self._crew = Crew(self._run, most_threads, "activity")
        self._stream: WorkStream | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._taken: set[CompletionToken] = set()
        self._clock = clock
        self._timeout_s = timeout_s
        # Sync activities that run, in the order in which they began. Whoever takes one out, its
        # thread or the watch over the time limit, hands back its outcome.
        self._begun: dict[CompletionToken, tuple[_Job, float, Begun | None]] = {}
        self._is_stopped = False

    @property
    def pending(self) -> int:
        """Activities that were taken over and not handed back."""
        return len(self._taken)

    def start(self, stream: WorkStream, loop: asyncio.AbstractEventLoop) -> None:
        """Results go to ``stream``; async activities run on ``loop``."""
        self._stream = stream
        self._loop = loop
        if self._timeout_s is not None:
            self._watch_time(loop, self._timeout_s)

    def submit(self, request: ActivityRequest) -> None:
        """Run one activity. Called on the hub's thread: returns at once."""
        found = self._index.find("activity", request.name)
        facts = found.durable if found is not None else None
        self._taken.add(request.token)
        if found is None or facts is None:
            text = self._index.unknown("activity", request.name)
            failure = FailureDetails("ActivityNotRegisteredError", text)
            self._hand_back(request, _response(request, failure=failure))
        elif not facts.is_async:
            self._crew.submit(_Job(request, found.name, facts))
        else:
            self._submit_async(_Job(request, found.name, facts))

    def stop(self) -> None:
        """Take nothing more: idle threads end, async activities are cancelled. Returns at once."""
        self._is_stopped = True
        self._crew.stop()
        for task in self._tasks:
            task.cancel()

    # -- sync --------------------------------------------------------------------------------

    def _run(self, job: _Job) -> None:
        request, name = job.request, job.function
        begun = self._invocations.begin(name)
        if self._timeout_s is not None:
            self._begun[request.token] = (job, self._clock.monotonic(), begun)
        response = self._call(job)
        if self._timeout_s is not None and self._begun.pop(request.token, None) is None:
            self._crew.welcome_back()  # it has failed already
            return
        self._invocations.end(name, begun, response.failure)
        self._hand_back(request, response)

    def _watch_time(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        """Fail sync activities that run for too long, now and then until the end."""
        if self._is_stopped:
            return
        until = self._clock.monotonic() - timeout_s
        # A copy: threads begin and end activities meanwhile.
        for token, (job, began, begun) in self._begun.copy().items():
            if began > until:
                break
            if self._begun.pop(token, None) is not None:
                response = _timed_out(job.request, timeout_s)
                self._invocations.end(job.function, begun, response.failure)
                _log.warning(
                    "The thread of activity '%s' goes on; its result will be dropped.", job.function
                )
                self._hand_back(job.request, response)
                # A thread cannot be stopped: it is left behind, and another one takes its place.
                self._crew.replace_one()
        loop.call_later(min(timeout_s, _TIME_CHECK_S), self._watch_time, loop, timeout_s)

    def _call(self, job: _Job) -> ActivityResponse:
        request, facts = job.request, job.facts
        try:
            plain = from_text(request.input)
            outcome = call_activity_function(facts, plain, self._extra(facts))
            return _response(request, to_text(outcome))
        except BaseException as error:  # noqa: BLE001  user code may raise anything, SystemExit included
            return _response(request, failure=failure_of(error))

    def _extra(self, facts: DurableFunction) -> Mapping[str, Any]:
        return {} if self._bind_extra is None else self._bind_extra(facts)

    # -- async -------------------------------------------------------------------------------

    def _submit_async(self, job: _Job) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._start_task, job)
        except RuntimeError:
            # The loop is closed, and nobody has stopped this worker: its hub lives on.
            self._give_back(job.request, "the worker's event loop is closed")

    def _start_task(self, job: _Job) -> None:
        if self._is_stopped:
            return
        task = asyncio.ensure_future(self._run_async(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_async(self, job: _Job) -> None:
        request, facts = job.request, job.facts
        begun = self._invocations.begin(job.function)
        try:
            plain = from_text(request.input)
            async with asyncio.timeout(self._timeout_s) as limit:
                outcome = await call_async_activity_function(facts, plain, self._extra(facts))
            response = _response(request, to_text(outcome))
        except TimeoutError as error:
            own = self._timeout_s is None or not limit.expired()
            response = (
                _response(request, failure=failure_of(error))
                if own
                else _timed_out(request, self._timeout_s or 0)
            )
        except BaseException as error:  # user code may raise anything, KeyboardInterrupt included
            if _is_being_ended(error):
                # Shutdown: no outcome; the hub runs it again elsewhere.
                raise
            response = _response(request, failure=failure_of(error))
        self._invocations.end(job.function, begun, response.failure)
        self._hand_back(request, response)

    # -- both --------------------------------------------------------------------------------

    def _give_back(self, request: ActivityRequest, reason: str) -> None:
        if self._stream is not None:
            self._stream.abandon(request.token, reason)
        self._taken.discard(request.token)

    def _hand_back(self, request: ActivityRequest, response: ActivityResponse) -> None:
        if self._stream is not None:
            self._stream.complete((response,))
        # Afterwards: while something is pending the stream is not closed.
        self._taken.discard(request.token)


def _response(
    request: ActivityRequest, result: str | None = None, *, failure: FailureDetails | None = None
) -> ActivityResponse:
    return ActivityResponse(
        request.instance.instance_id, request.task_id, request.token, result, failure
    )


def _late(request: ActivityRequest, timeout_s: float) -> str:
    return (
        f"Timeout value of {timedelta(seconds=timeout_s)} exceeded by activity '{request.name}' of"
        f" instance {request.instance.instance_id} (functionTimeout of host.json)."
    )


def _timed_out(request: ActivityRequest, timeout_s: float) -> ActivityResponse:
    failure = FailureDetails("TimeoutError", _late(request, timeout_s))
    return _response(request, failure=failure)


def _is_being_ended(error: BaseException) -> bool:
    """False for a CancelledError that comes out of user code, of a task that it awaited, say."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return True  # no loop runs: what is left of a closed one is put away
    is_asked = task is not None and task.cancelling() > 0
    return is_asked and isinstance(error, asyncio.CancelledError)
