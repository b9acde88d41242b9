"""Runs functions that take their time: sync ones on daemon threads, async ones on the event loop.

There are as many threads as functions block at the same time, up to the worker's slots. They are
daemons: at the end of a drain the process does not wait for user code that never returns; the hub
gives such an item to somebody else.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from durable_app.worker.crew import Crew

if TYPE_CHECKING:
    from durable_app.ports import Clock, WorkResult, WorkStream
    from durable_app.protocol import CompletionToken, FailureDetails
    from durable_app.worker.invocations import Begun, Invocations

_log = logging.getLogger(__name__)

_TIME_CHECK_S: Final = 1.0


_R = TypeVar("_R", bound="WorkResult")


class Job(ABC, Generic[_R]):
    """One work item and the function that deals with it.

    Args:
        token: of the item.
        function: name of the function.
    """

    def __init__(self, token: CompletionToken, function: str, invocations: Invocations) -> None:
        self.token = token
        self.function = function
        self._invocations = invocations
        self._begun: Begun | None = None

    def begin(self) -> None:
        """The function is about to run, on this thread or task."""
        self._begun = self._invocations.begin(self.function)

    def end(self, result: _R) -> None:
        """The item has this outcome; called once, whoever has found it."""
        self._invocations.end(self.function, self._begun, self.failure_in(result))

    @abstractmethod
    def failure_in(self, result: _R) -> FailureDetails | None:
        """What an observer is told of the outcome; None for a success."""

    @abstractmethod
    def run(self) -> _R:
        """Run the sync function; never raises."""

    @abstractmethod
    async def run_async(self) -> _R:
        """Run the async function.

        Raises:
            BaseException: the one for which :func:`is_being_ended` is true, and no other.
        """

    @abstractmethod
    def timed_out(self, timeout_s: float) -> _R:
        """The outcome of a function that has run for too long; it may still run. Any thread."""


class JobPool:
    """Runs jobs; see the module's text.

    Args:
        most_threads: for sync functions, >= 1.
        name: of the threads, with a number behind.
        timeout_s: of one job; None for no limit.
    """

    def __init__(
        self, most_threads: int, name: str, clock: Clock, timeout_s: float | None = None
    ) -> None:
        """Nothing runs yet."""
        self._crew = Crew(self._run, most_threads, name)
        self._stream: WorkStream | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._taken: set[CompletionToken] = set()
        self._clock = clock
        self._timeout_s = timeout_s
        # Sync jobs that run, in the order in which they began. Whoever takes one out, its thread or
        # the watch over the time limit, hands back its outcome.
        self._begun: dict[CompletionToken, tuple[Job[Any], float]] = {}
        self._is_stopped = False

    @property
    def pending(self) -> int:
        """Items that were taken over and not handed back."""
        return len(self._taken)

    def start(self, stream: WorkStream, loop: asyncio.AbstractEventLoop) -> None:
        """Results go to ``stream``; async functions run on ``loop``."""
        self._stream = stream
        self._loop = loop
        if self._timeout_s is not None:
            self._watch_time(loop, self._timeout_s)

    def take(self, job: Job[Any], *, is_async: bool) -> None:
        """Run a job. Called on the hub's thread: returns at once."""
        self._taken.add(job.token)
        if is_async:
            self._take_async(job)
        else:
            self._crew.submit(job)

    def answer(self, result: WorkResult) -> None:
        """Hand back a result for which nothing has to run."""
        self._taken.add(result.token)
        self._hand_back(result)

    def stop(self) -> None:
        """Take nothing more: idle threads end, async functions are cancelled. Returns at once."""
        self._is_stopped = True
        self._crew.stop()
        for task in self._tasks:
            task.cancel()

    # -- sync --------------------------------------------------------------------------------

    def _run(self, job: Job[Any]) -> None:
        job.begin()
        if self._timeout_s is not None:
            self._begun[job.token] = (job, self._clock.monotonic())
        result = job.run()
        if self._timeout_s is not None and self._begun.pop(job.token, None) is None:
            self._crew.welcome_back()  # it has failed already
            return
        job.end(result)
        self._hand_back(result)

    def _watch_time(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        """Fail sync functions that run for too long, now and then until the end."""
        if self._is_stopped:
            return
        until = self._clock.monotonic() - timeout_s
        # A copy: threads begin and end functions meanwhile.
        for token, (job, began) in self._begun.copy().items():
            if began > until:
                break
            if self._begun.pop(token, None) is not None:
                result = job.timed_out(timeout_s)
                job.end(result)
                _log.warning(
                    "The thread of function '%s' goes on; its result will be dropped.", job.function
                )
                self._hand_back(result)
                # A thread cannot be stopped: it is left behind, and another one takes its place.
                self._crew.replace_one()
        loop.call_later(min(timeout_s, _TIME_CHECK_S), self._watch_time, loop, timeout_s)

    # -- async -------------------------------------------------------------------------------

    def _take_async(self, job: Job[Any]) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._start_task, job)
        except RuntimeError:
            # The loop is closed, and nobody has stopped this worker: its hub lives on.
            self._give_back(job, "the worker's event loop is closed")

    def _start_task(self, job: Job[Any]) -> None:
        if self._is_stopped:
            return
        task = asyncio.ensure_future(self._run_async(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_async(self, job: Job[Any]) -> None:
        job.begin()
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await job.run_async()
        except TimeoutError:
            # A job raises none of its own.
            result = job.timed_out(self._timeout_s or 0)
        # Shutdown raises: no outcome; the hub runs it again elsewhere.
        job.end(result)
        self._hand_back(result)

    # -- both --------------------------------------------------------------------------------

    def _give_back(self, job: Job[Any], reason: str) -> None:
        if self._stream is not None:
            self._stream.abandon(job.token, reason)
        self._taken.discard(job.token)

    def _hand_back(self, result: WorkResult) -> None:
        if self._stream is not None:
            self._stream.complete((result,))
        # Afterwards: while something is pending the stream is not closed.
        self._taken.discard(result.token)


def is_being_ended(error: BaseException) -> bool:
    """False for a CancelledError that comes out of user code, of a task that it awaited, say."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return True  # no loop runs: what is left of a closed one is put away
    is_asked = task is not None and task.cancelling() > 0
    return is_asked and isinstance(error, asyncio.CancelledError)
