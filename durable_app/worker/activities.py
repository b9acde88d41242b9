"""Runs activities: sync ones on daemon threads, async ones on the event loop.

There are as many threads as activities block at the same time, up to the worker's slots. They are
daemons: at the end of a drain the process does not wait for user code that never returns; the hub
gives such an activity to somebody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

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
    from durable_app.ports import WorkStream
    from durable_app.worker.invocations import Invocations

#: Gives the values of an activity's further bindings (a durable client, say) by name.
BindExtra = Callable[[DurableFunction], Mapping[str, Any]]


class ActivityPool:
    """Runs activities; see the module's text."""

    def __init__(
        self,
        index: AppIndex,
        most_threads: int,
        invocations: Invocations,
        bind_extra: BindExtra | None,
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
        self._is_stopped = False

    @property
    def pending(self) -> int:
        """Activities that were taken over and not handed back."""
        return len(self._taken)

    def start(self, stream: WorkStream, loop: asyncio.AbstractEventLoop) -> None:
        """Results go to ``stream``; async activities run on ``loop``."""
        self._stream = stream
        self._loop = loop

    def submit(self, request: ActivityRequest) -> None:
        """Run one activity. Called on the hub's thread: returns at once."""
        found = self._index.find("activity", request.name)
        facts = found.durable if found is not None else None
        self._taken.add(request.token)
        if facts is None:
            text = self._index.unknown("activity", request.name)
            failure = FailureDetails("ActivityNotRegisteredError", text)
            self._hand_back(request, _response(request, failure=failure))
        elif not facts.is_async:
            self._crew.submit((request, facts))
        else:
            self._submit_async(request, facts)

    def stop(self) -> None:
        """Take nothing more: idle threads end, async activities are cancelled. Returns at once."""
        self._is_stopped = True
        self._crew.stop()
        for task in self._tasks:
            task.cancel()

    # -- sync --------------------------------------------------------------------------------

    def _run(self, item: tuple[ActivityRequest, DurableFunction]) -> None:
        self._hand_back(item[0], self._call(*item))

    def _call(self, request: ActivityRequest, facts: DurableFunction) -> ActivityResponse:
        begun = self._invocations.begin(request.name)
        try:
            plain = from_text(request.input)
            outcome = call_activity_function(facts, plain, self._extra(facts))
            response = _response(request, to_text(outcome))
        except BaseException as error:  # noqa: BLE001  user code may raise anything, SystemExit included
            response = _response(request, failure=failure_of(error))
        self._invocations.end(request.name, begun, response.failure)
        return response

    def _extra(self, facts: DurableFunction) -> Mapping[str, Any]:
        if self._bind_extra is None or not facts.clients:
            return {}
        return self._bind_extra(facts)

    # -- async -------------------------------------------------------------------------------

    def _submit_async(self, request: ActivityRequest, facts: DurableFunction) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._start_task, request, facts)
        except RuntimeError:
            # The loop is closed, and nobody has stopped this worker: its hub lives on.
            self._give_back(request, "the worker's event loop is closed")

    def _start_task(self, request: ActivityRequest, facts: DurableFunction) -> None:
        if self._is_stopped:
            return
        task = asyncio.ensure_future(self._run_async(request, facts))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_async(self, request: ActivityRequest, facts: DurableFunction) -> None:
        begun = self._invocations.begin(request.name)
        try:
            plain = from_text(request.input)
            outcome = await call_async_activity_function(facts, plain, self._extra(facts))
            response = _response(request, to_text(outcome))
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            if _is_being_cancelled(error):
                # Shutdown: no outcome; the hub runs it again elsewhere.
                raise
            response = _response(request, failure=failure_of(error))
        self._invocations.end(request.name, begun, response.failure)
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


def _is_being_cancelled(error: BaseException) -> bool:
    """False for a CancelledError that comes out of user code, of a task that it awaited, say."""
    task = asyncio.current_task()
    is_asked = task is not None and task.cancelling() > 0
    return is_asked and isinstance(error, asyncio.CancelledError)
