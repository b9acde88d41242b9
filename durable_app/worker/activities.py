"""Runs activities, each as a job of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from durable_app.functions.activity_context import ActivityContext
from durable_app.functions.facts import DurableFunction
from durable_app.functions.handles import call_activity_function, call_async_activity_function
from durable_app.payload import from_text, to_text
from durable_app.protocol import PATCH_MARKER, ActivityRequest, ActivityResponse, FailureDetails
from durable_app.replay.failures import failure_of
from durable_app.telemetry import tracing_for
from durable_app.worker.jobs import Job, JobPool, is_being_ended
from durable_app.worker.tracing import TracedActivity

if TYPE_CHECKING:
    from durable_app.functions.index import AppIndex
    from durable_app.ports import Clock
    from durable_app.telemetry import Tracing
    from durable_app.worker.invocations import Invocations

#: Gives the values of an activity's further bindings (a durable client, say) by name.
BindExtra = Callable[[DurableFunction], Mapping[str, Any]]


class ActivityPool(JobPool):
    """Runs activities: sync ones on threads, async ones on the event loop."""

    def __init__(
        self,
        index: AppIndex,
        most_threads: int,
        invocations: Invocations,
        clock: Clock,
        bind_extra: BindExtra | None,
        timeout_s: float | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """Nothing runs yet."""
        super().__init__(most_threads, "activity", clock, timeout_s)
        self._tracing = tracing
        self._index = index
        self._invocations = invocations
        self._bind_extra = bind_extra

    def submit(self, request: ActivityRequest) -> None:
        """Run one activity. Called on the hub's thread: returns at once."""
        if request.name.startswith(PATCH_MARKER):
            self.answer(_response(request))
            return
        found = self._index.find("activity", request.name)
        facts = found.durable if found is not None else None
        if found is None or facts is None:
            text = self._index.unknown("activity", request.name)
            failure = FailureDetails("ActivityNotRegisteredError", text)
            self.answer(_response(request, failure=failure))
            return
        job: Job[ActivityResponse] = _ActivityJob(
            request, found.name, facts, self._invocations, self._bind_extra
        )
        tracing = tracing_for(self._tracing, request.parent_trace_context)
        if tracing is not None:
            job = TracedActivity(job, request, tracing)
        self.take(job, is_async=facts.is_async)


class _ActivityJob(Job[ActivityResponse]):
    def __init__(
        self,
        request: ActivityRequest,
        function: str,
        facts: DurableFunction,
        invocations: Invocations,
        bind_extra: BindExtra | None,
    ) -> None:
        super().__init__(request.token, function, invocations)
        self._request = request
        self._facts = facts
        self._bind_extra = bind_extra

    def run(self) -> ActivityResponse:
        try:
            plain = from_text(self._request.input)
            outcome = call_activity_function(*self._call(plain))
            return _response(self._request, to_text(outcome))
        except BaseException as error:  # noqa: BLE001  user code may raise anything, SystemExit included
            return _response(self._request, failure=failure_of(error))

    async def run_async(self) -> ActivityResponse:
        try:
            plain = from_text(self._request.input)
            outcome = await call_async_activity_function(*self._call(plain))
            return _response(self._request, to_text(outcome))
        except BaseException as error:  # user code may raise anything, KeyboardInterrupt included
            if is_being_ended(error):
                raise
            return _response(self._request, failure=failure_of(error))

    def timed_out(self, timeout_s: float) -> ActivityResponse:
        text = (
            f"Timeout value of {timedelta(seconds=timeout_s)} exceeded by activity"
            f" '{self._request.name}' of instance {self._request.instance.instance_id}"
            " (functionTimeout of host.json)."
        )
        return _response(self._request, failure=FailureDetails("TimeoutError", text))

    def failure_in(self, result: ActivityResponse) -> FailureDetails | None:
        return result.failure

    def _call(self, plain: Any) -> tuple[DurableFunction, Any, Mapping[str, Any], ActivityContext]:
        request = self._request
        context = ActivityContext(
            request.instance.instance_id,
            request.task_id,
            self._facts.name,
            attempt=request.attempt,
            execution_id=request.instance.execution_id,
        )
        extra = {} if self._bind_extra is None else self._bind_extra(self._facts)
        return self._facts, plain, extra, context


def _response(
    request: ActivityRequest, result: str | None = None, *, failure: FailureDetails | None = None
) -> ActivityResponse:
    return ActivityResponse(
        request.instance.instance_id, request.task_id, request.token, result, failure
    )
