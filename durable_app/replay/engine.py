"""The replay engine: an orchestrator's code as a fold over its history.

Theory of operation. An ``Execution`` takes events one at a time. An event may settle a task; if it
settles what the code waits for, the code is resumed, and runs until it yields or awaits a task that
is still running. All that it asks for on the way goes to the ledger, which compares it with what
history holds (see there). The execution may be kept between turns and given only what is new, or
be made again from the whole history: both give the same actions.

Layers: ``user_code`` drives the code, be it a generator or a coroutine, ``answers`` settles tasks,
``fold`` looks at events, this module makes turns of it. ``advance`` raises only for a misuse by the
caller.

What must never happen: two replays of one history differ; a closed execution asks for anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from durable_app.errors import NonDeterminismError, OrchestratorError
from durable_app.protocol import (
    CompleteOrchestration,
    ExecutionRewound,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorAction,
    OrchestratorStarted,
    RewindOrchestration,
)
from durable_app.replay.determinism import MATCHING
from durable_app.replay.environment import (
    Emit,
    ReplayEnv,
    ReplayResult,
    RetryMode,
    ScheduleAt,
    YieldTrace,
)
from durable_app.replay.fold import Fold
from durable_app.replay.rewind import Inquest, before_completion

if TYPE_CHECKING:
    from durable_app.replay.tracing import ExecutionTrace
    from durable_app.replay.user_code import Orchestrator, Outcome

__all__ = [
    "Emit",
    "Execution",
    "ReplayEnv",
    "ReplayResult",
    "RetryMode",
    "ScheduleAt",
    "YieldTrace",
    "replay",
    "rewind_history",
]

_Status = OrchestrationStatus


class Execution(Fold):
    """One execution of one orchestrator, suspended between turns.

    Args:
        fn: a function of the context: a generator function, an ``async def``, or a plain function
            that returns a value.
        env: the rules of the host.
        input_type: what ``get_input`` decodes as by default.

    Attributes:
        trace: gives what is asked for its trace context; None for none.
    """

    __slots__ = ("_closed", "_is_settled", "_reported", "trace")

    def __init__(self, fn: Orchestrator, env: ReplayEnv, input_type: Any = None) -> None:
        super().__init__(fn, env, input_type)
        self._closed = False
        self._is_settled = False
        self._reported = False
        self.trace: ExecutionTrace | None = None

    @property
    def is_complete(self) -> bool:
        """True when the execution has ended and needs no further turn."""
        return self._outcome is not None or self._ended

    @property
    def version(self) -> str | None:
        """Version that the instance was started with; None before the first turn."""
        return self._context.version

    @property
    def is_replaying(self) -> bool:
        """True while the code runs over steps that it has run before."""
        return self._context.is_replaying

    def advance(self, past: Sequence[HistoryEvent], new: Sequence[HistoryEvent]) -> ReplayResult:
        """Run one turn.

        Args:
            past: committed history that this execution has not seen; empty when it is warm.
            new: what has happened since, an OrchestratorStarted first.

        Returns:
            What the code asks for; a failure of the code is a completion among the actions.

        Raises:
            OrchestratorError: the execution is closed, or the events lack the ExecutionStarted.
        """
        if self._closed:
            raise OrchestratorError("The execution is closed: make a new one from its history.")
        ledger = self._ledger
        context = self._context
        ledger.custom_status = None
        try:
            if past:
                context.is_replaying = True
                self._chronicle.turn_follows = self._is_settled or _begins_turn(new)
                self._feed(past)
            context.is_replaying = False
            self._chronicle.turn_follows = False
            self._feed(new)
        except (NonDeterminismError, OrchestratorError) as error:
            self._break_off(error)
            # Not looked at any more, but it asks for another answer than this error.
            self._rewound = any(isinstance(event, ExecutionRewound) for event in new)
        if self._is_over or self._awaited is None:
            return self._conclude(past)
        actions = tuple(ledger.flush())
        if self.trace is not None:
            actions = self.trace.stamped(actions)
        if self._env.emit is Emit.NEW:
            self._chronicle.add_actions(actions, context.current_utc_datetime)
        return ReplayResult(
            actions,
            ledger.custom_status,
            ledger.trace() if self._observes_yields else (),
            self._take_warnings() if self._warnings else (),
            False,
        )

    def close(self) -> None:
        """Throw the code's state away; its clean-up code can ask for nothing any more."""
        self._closed = True
        self._stop()

    # -- the turn's end ----------------------------------------------------------------------

    def _conclude(self, past: Sequence[HistoryEvent]) -> ReplayResult:
        """End a turn after which the execution is over, or has not begun."""
        actions: tuple[OrchestratorAction, ...]
        if self._rewound:
            actions = (RewindOrchestration(self._ledger.next_id, self._rewind(past)),)
            return self._result(actions)
        outcome = self._outcome
        asked = self._ledger.flush()
        if outcome is None and not self._ended and self._table is self._RUNNING:
            raise OrchestratorError(
                "The events given to the execution have no ExecutionStarted: a cold execution"
                " needs its whole history."
            )
        if outcome is None or self._ended or self._reported:
            everything = self._env.emit is Emit.ALL
            return self._result(tuple(asked) if everything else ())
        self._reported = self._env.emit is Emit.NEW
        completion = self._completion(outcome)
        return self._result((completion,) if outcome.alone else (*asked, completion))

    def _completion(self, outcome: Outcome) -> CompleteOrchestration:
        goes_on = outcome.status is _Status.CONTINUED_AS_NEW
        restart = self._ledger.restart if goes_on else None
        return CompleteOrchestration(
            self._ledger.next_id if outcome.failure is None or not outcome.alone else -1,
            outcome.status,
            outcome.result,
            outcome.failure,
            None if restart is None else restart.version,
            self._ledger.mailbox.undelivered() if restart and restart.keeps_events else (),
        )

    def _result(self, actions: tuple[OrchestratorAction, ...]) -> ReplayResult:
        if self.trace is not None:
            actions = self.trace.stamped(actions)
        return ReplayResult(
            actions,
            self._ledger.custom_status,
            self._ledger.trace() if self._observes_yields else (),
            self._take_warnings() if self._warnings else (),
            self._is_over,
        )

    def _take_warnings(self) -> tuple[str, ...]:
        warnings = tuple(self._warnings)
        self._warnings.clear()
        return warnings

    # -- rewind ------------------------------------------------------------------------------

    def _rewind(self, past: Sequence[HistoryEvent]) -> tuple[HistoryEvent, ...]:
        return rewind_history(self._fn, past, self._env, self._input_type)

    def _asked(self) -> int:
        """Count what the code has asked for so far."""
        recorded = sum(type(event) in MATCHING for event in self._chronicle.events())
        return recorded + self._ledger.queued

    def _hold_inquest(self, past: Sequence[HistoryEvent]) -> tuple[HistoryEvent, ...]:
        history = before_completion(past)
        inquest = Inquest(self._asked)
        self._inquest = inquest
        self._context.is_replaying = True
        self._chronicle.turn_follows = True
        try:
            self._feed(history)
        except (NonDeterminismError, OrchestratorError) as error:
            self._break_off(error)
        fatal = None if self._broke_off else self._fatal
        self.close()
        if fatal is not None:
            for unseen in (True, False):
                shorter = inquest.without_failures(history, fatal, unseen=unseen)
                if self._fits(shorter):
                    return shorter
        return tuple(history)

    def _fits(self, history: Sequence[HistoryEvent]) -> bool:
        """Tell whether the code follows a history that was shortened.

        It does not if it went on because of a failure that it never looked at (``is_completed``).
        """
        execution = Execution(self._fn, self._env, self._input_type)
        execution._is_settled = True
        execution.advance(history, ())
        execution.close()
        return not execution._broke_off

    @property
    def _broke_off(self) -> bool:
        return self._outcome is not None and self._outcome.alone


def _begins_turn(events: Sequence[HistoryEvent]) -> bool:
    return bool(events) and type(events[0]) is OrchestratorStarted


def replay(
    fn: Orchestrator,
    past: Sequence[HistoryEvent],
    new: Sequence[HistoryEvent],
    env: ReplayEnv,
    input_type: Any = None,
) -> ReplayResult:
    """Run one turn of an execution that nobody has kept."""
    execution = Execution(fn, env, input_type)
    try:
        return execution.advance(past, new)
    finally:
        execution.close()


def rewind_history(
    fn: Orchestrator, past: Sequence[HistoryEvent], env: ReplayEnv, input_type: Any = None
) -> tuple[HistoryEvent, ...]:
    """Return the history from which a failed execution can go on; see ``rewind``."""
    return Execution(fn, env, input_type)._hold_inquest(past)  # noqa: SLF001  of the same module
