"""One thread runs all orchestrator code.

Never the event loop, where HTTP lives, and never a thread hop per step: requests are taken in
batches. An orchestrator must not block; one that does holds up all others, and the watchdog says
which line it is.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import sys
import threading
from collections import deque
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

import msgspec

from durable_app.errors import DurableError
from durable_app.protocol import (
    CompleteOrchestration,
    CompletionToken,
    ExecutionStarted,
    FailureDetails,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorRequest,
    OrchestratorResponse,
)
from durable_app.replay.engine import Execution
from durable_app.replay.failures import failure_of
from durable_app.replay.tracing import ExecutionTrace
from durable_app.telemetry import tracing_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from durable_app.functions.index import AppIndex, FunctionFacts
    from durable_app.functions.version_match import VersionMatch
    from durable_app.ports import Clock, WorkStream
    from durable_app.replay.environment import ReplayEnv
    from durable_app.replay.spans import Span
    from durable_app.telemetry import Tracing
    from durable_app.worker.invocations import Invocations
    from durable_app.worker.sessions import Sessions

_log = logging.getLogger(__name__)

#: Results of a batch are handed back in portions, so that the hub commits while the rest runs.
_PORTION: Final = 16
_SLOW_S: Final = 1.0
#: Where code lives that is not the user's: this package, the standard library, what is installed.
_NOT_OF_USER: Final = (
    os.path.join(str(Path(__file__).parent.parent), ""),
    os.path.join(str(Path(threading.__file__).parent), ""),
    "<frozen ",
)
_INSTALLED: Final = f"{os.sep}site-packages{os.sep}"


class OrchestratorThread:
    """Runs turns; see the module's text."""

    def __init__(
        self,
        index: AppIndex,
        env: ReplayEnv,
        sessions: Sessions,
        clock: Clock,
        invocations: Invocations,
        versions: VersionMatch,
        tracing: Tracing | None = None,
    ) -> None:
        """Nothing runs yet."""
        self._versions = versions
        self._tracing = tracing
        self._declined: set[tuple[str, str | None]] = set()
        self._index = index
        self._env = env
        self._sessions = sessions
        self._clock = clock
        self._invocations = invocations
        self._stream: WorkStream | None = None
        self._queue: SimpleQueue[OrchestratorRequest | str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="orchestrators", daemon=True)
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._stopped = threading.Event()
        self._running: tuple[OrchestratorRequest, float] | None = None
        self._execution: Execution | None = None
        self._finished: deque[tuple[OrchestratorResponse, Sequence[Span]]] = deque()
        # A set, since two threads count: adding to a number is not atomic.
        self._taken: set[CompletionToken] = set()

    @property
    def pending(self) -> int:
        """Turns that were taken over and not handed back."""
        return len(self._taken)

    def start(self, stream: WorkStream) -> None:
        """Results go to ``stream``."""
        self._stream = stream
        self._thread.start()
        self._watchdog.start()

    def submit(self, request: OrchestratorRequest) -> None:
        """Run a turn."""
        self._taken.add(request.token)
        self._queue.put(request)

    def forget(self, instance_id: str) -> None:
        """Drop what is kept warm for an instance."""
        self._queue.put(instance_id)

    def stop(self) -> None:
        """Take nothing more; returns at once."""
        self._stopped.set()
        self._queue.put(None)

    # -- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            while item is not None:
                if isinstance(item, str):
                    self._sessions.drop(item)
                else:
                    self._run_turn(item)
                    if len(self._finished) >= _PORTION:
                        self._hand_back()
                try:
                    item = self._queue.get_nowait()
                except Empty:
                    break
            self._hand_back()
            if item is None:
                self._sessions.clear()
                return

    def _hand_back(self) -> None:
        """Give the hub what is finished. Called by this thread, and by the watchdog."""
        responses: list[OrchestratorResponse] = []
        spans: list[Span] = []
        with contextlib.suppress(IndexError):
            while True:
                response, ended = self._finished.popleft()
                responses.append(response)
                spans += ended
        if responses and self._stream is not None:
            self._stream.complete(responses)
        # Afterwards: while something is pending the stream is not closed.
        self._taken.difference_update([response.token for response in responses])
        if spans and self._tracing is not None:
            self._tracing.emit(spans)

    def _run_turn(self, request: OrchestratorRequest) -> None:
        self._running = (request, self._clock.monotonic())
        try:
            self._turn(request)
        except BaseException as error:  # noqa: BLE001  top of a loop: the item is given back, others go on
            _log.exception(
                "A turn of orchestration '%s' (instance %s) was lost; it will be tried again.",
                request.name,
                request.instance_id,
            )
            if self._stream is not None:
                failure = failure_of(error)
                reason = f"{failure.error_type}: {failure.error_message}"
                self._stream.abandon(request.token, reason)
            self._taken.discard(request.token)
        finally:
            self._running = None

    def _turn(self, request: OrchestratorRequest) -> None:
        """Run a turn, unless another worker has to."""
        execution = self._sessions.take(request)
        past = self._past(request) if execution is None else ()
        found = self._index.find("orchestration", request.name)
        version = _version_of(past, request) if execution is None else execution.version
        durable = None if execution is not None or found is None else found.durable
        if durable is not None and not self._versions.takes(version, durable.versions):
            self._refuse(request, version, self._trace(request, None, past))
            return
        name = request.name if found is None else found.name_of_version(version)
        begun = self._invocations.begin(name, self._is_replaying)
        trace = self._trace(request, execution, past)
        response = self._replay(request, found, execution, past, trace)
        self._finish(request, response, trace)
        self._invocations.end(name, begun, _failure_of(response))

    def _trace(
        self,
        request: OrchestratorRequest,
        execution: Execution | None,
        past: Sequence[HistoryEvent],
    ) -> ExecutionTrace | None:
        if execution is not None:
            # One that began untraced stays so: only who sees its whole history can trace it.
            return execution.trace
        if self._tracing is None:
            return None
        started = _started(past, request)
        parent = None if started is None else started.parent_trace_context
        tracing = tracing_for(self._tracing, parent)
        if tracing is None:
            return None
        samples = tracing.samples if tracing.is_on else None
        return ExecutionTrace(request, past, samples, shows_payloads=tracing.shows_payloads)

    def _finish(
        self,
        request: OrchestratorRequest,
        response: OrchestratorResponse,
        trace: ExecutionTrace | None,
    ) -> None:
        if trace is None:
            self._finished.append((response, ()))
            return
        spans = trace.turn(request.new_events, response.actions, self._clock.now())
        kept = msgspec.structs.replace(response, trace_context=trace.kept)
        self._finished.append((kept, spans))

    def _refuse(
        self, request: OrchestratorRequest, version: str | None, trace: ExecutionTrace | None
    ) -> None:
        """Fail an instance of another version, or leave it to other hosts."""
        text = self._versions.refusal(request.name, version)
        if self._versions.fails:
            self._finish(request, _failed(request, "VersionMismatchError", text), trace)
            return
        if (request.name, version) not in self._declined:
            self._declined.add((request.name, version))
            _log.warning(
                "%s Such instances wait for a host that takes them; the first one is %s.",
                text,
                request.instance_id,
            )
        if self._stream is not None:
            self._stream.decline(request.token)
        self._taken.discard(request.token)

    def _replay(
        self,
        request: OrchestratorRequest,
        found: FunctionFacts | None,
        execution: Execution | None,
        past: Sequence[HistoryEvent],
        trace: ExecutionTrace | None,
    ) -> OrchestratorResponse:
        if execution is None:
            if found is None or found.durable is None:
                text = self._index.unknown("orchestration", request.name)
                return _failed(request, "OrchestratorNotRegisteredError", text)
            try:
                fn, input_type = found.durable.for_version(_version_of(past, request))
            except DurableError as error:
                return _failed(request, type(error).__name__, str(error))
            execution = Execution(fn, self._env, input_type)
            execution.trace = trace
        self._execution = execution
        try:
            result = execution.advance(past, request.new_events)
        except KeyboardInterrupt as error:
            # Ctrl+C reaches the main thread alone: here it is the function's own failure.
            failure = failure_of(error)
            return _failed(request, failure.error_type, failure.error_message)
        finally:
            self._execution = None
        for warning in result.warnings:
            _log.warning(
                "Orchestration '%s' (instance %s): %s", request.name, request.instance_id, warning
            )
        self._sessions.keep(request, execution, result)
        return OrchestratorResponse(
            request.instance_id, request.token, result.actions, result.custom_status
        )

    def _is_replaying(self) -> bool:
        """Whether orchestrator code that logs now did so before.

        Code that runs on this thread outside of a turn cleans up after an execution that was put
        out of memory, and will come to the same place again.
        """
        return self._execution is None or self._execution.is_replaying

    def _past(self, request: OrchestratorRequest) -> list[HistoryEvent]:
        if not request.requires_history_streaming or self._stream is None:
            return list(request.past_events)
        return self._stream.load_history(request.instance_id, request.execution_id)

    # -- the watchdog ------------------------------------------------------------------------

    def _watch(self) -> None:
        warned: OrchestratorRequest | None = None
        while not self._stopped.wait(_SLOW_S / 2):
            running = self._running
            if running is None or running[0] is warned:
                continue
            request, began = running
            if self._clock.monotonic() - began < _SLOW_S:
                continue
            warned = request
            # What others have finished in the same batch need not wait for this one.
            self._hand_back()
            where = self._location()
            _log.warning(
                "Orchestrator '%s' (instance %s) has been blocking for more than %.0f s%s. All"
                " orchestrators share one thread: move slow work into an activity.",
                request.name,
                request.instance_id,
                _SLOW_S,
                f" at {where}" if where else "",
            )

    def _location(self) -> str | None:
        """File and line that the thread is in, the innermost of the user's own."""
        frame: FrameType | None = sys._current_frames().get(  # noqa: SLF001  the documented way to look at another thread
            self._thread.ident or 0
        )
        while frame is not None:
            filename = frame.f_code.co_filename
            if _is_of_user(filename):
                return f"{filename}:{frame.f_lineno}"
            frame = frame.f_back
        return None


def _is_of_user(filename: str) -> bool:
    return not filename.startswith(_NOT_OF_USER) and _INSTALLED not in filename


def _version_of(past: Sequence[HistoryEvent], request: OrchestratorRequest) -> str | None:
    started = _started(past, request)
    return None if started is None else started.version


def _started(past: Sequence[HistoryEvent], request: OrchestratorRequest) -> ExecutionStarted | None:
    events = itertools.chain(past, request.new_events)
    return next((each for each in events if isinstance(each, ExecutionStarted)), None)


def _failed(request: OrchestratorRequest, error_type: str, message: str) -> OrchestratorResponse:
    action = CompleteOrchestration(
        -1, OrchestrationStatus.FAILED, failure=FailureDetails(error_type, message)
    )
    return OrchestratorResponse(request.instance_id, request.token, (action,))


def _failure_of(response: OrchestratorResponse) -> FailureDetails | None:
    for action in response.actions:
        if isinstance(action, CompleteOrchestration) and action.failure is not None:
            return action.failure
    return None
