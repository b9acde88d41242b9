"""The replay engine: an orchestrator's generator as a fold over its history.

Theory of operation. An ``Execution`` takes events one at a time. An event may settle a task; if that
settles what the generator waits for, the generator is resumed, and runs until it yields a task that
is still running. All that it asks for on the way goes to the ledger, which compares it with what
history holds (see there). The execution may be kept between turns and given only what is new, or
be made again from the whole history: both give the same actions.

States, by the table of handlers in use:

    RUNNING    events settle tasks; before ExecutionStarted there is nothing to settle
    SUSPENDED  events wait in a buffer until ExecutionResumed; what records actions passes
    FINISHED   only what records actions is looked at (does it belong to us?), and external
               events that continue-as-new may carry over

Who may do what: user code runs only within ``_call`` and ``_resume`` and sees the context alone;
whatever it raises becomes a failed orchestration. ``advance`` raises only for a misuse by the caller.

What must never happen: two replays of one history differ; an event is looked at twice; a closed
execution asks for anything.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from durable_app.errors import NonDeterminismError, OrchestratorError
from durable_app.payload import encode_input, from_text
from durable_app.protocol import (
    CompleteOrchestration,
    CreateSubOrchestration,
    Event,
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    FailureDetails,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorAction,
    OrchestratorStarted,
    RewindOrchestration,
    ScheduleTask,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from durable_app.replay.chronicle import Chronicle
from durable_app.replay.context import OrchestrationContext
from durable_app.replay.determinism import MATCHING, mismatch
from durable_app.replay.environment import (
    Emit,
    ReplayEnv,
    ReplayResult,
    RetryMode,
    ScheduleAt,
    YieldTrace,
)
from durable_app.replay.failures import UNKNOWN_FAILURE, activity_error, child_error, failure_of
from durable_app.replay.ledger import Ledger
from durable_app.replay.retrying import RETRIES
from durable_app.replay.rewind import Inquest, before_completion
from durable_app.replay.tasks import (
    FAILED,
    RUNNING,
    SUCCEEDED,
    ActivityTask,
    CompletableTask,
    RetryTimer,
    SubOrchestrationTask,
    Task,
    TimerTask,
    foreign,
    fresh,
    settle,
)
from durable_app.replay.whereabouts import line_of, start_of, wrong_result, wrong_yield

if TYPE_CHECKING:
    from durable_app.errors import TaskFailedError

__all__ = [
    "Emit",
    "Execution",
    "ReplayEnv",
    "ReplayResult",
    "RetryMode",
    "ScheduleAt",
    "YieldTrace",
    "replay",
]

Orchestrator = Callable[[OrchestrationContext], Any]

_Table = dict[type[Event], Callable[[Any, Any], None]]
_Status = OrchestrationStatus
_COMPLETED_BY_CODE: Final = (_Status.COMPLETED, _Status.CONTINUED_AS_NEW)


class _Outcome:
    """How the execution ended."""

    __slots__ = ("alone", "failure", "result", "status")

    def __init__(
        self,
        status: OrchestrationStatus,
        result: str | None = None,
        failure: FailureDetails | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self.status = status
        self.result = result
        self.failure = failure
        self.alone = alone  # without the actions asked for before: they cannot be trusted


class Execution:
    """One execution of one orchestrator, suspended between turns.

    Args:
        fn: a generator function of the context, or a plain function that returns a value.
        env: the rules of the host.
        input_type: what ``get_input`` decodes as by default.
    """

    __slots__ = (
        "_awaited",
        "_buffer",
        "_chronicle",
        "_closed",
        "_context",
        "_ended",
        "_env",
        "_fatal",
        "_fn",
        "_generator",
        "_input_type",
        "_ledger",
        "_observes_yields",
        "_on_failure",
        "_outcome",
        "_reported",
        "_retries",
        "_rewound",
        "_table",
        "_warnings",
    )

    def __init__(self, fn: Orchestrator, env: ReplayEnv, input_type: Any = None) -> None:
        self._fn = fn
        self._env = env
        self._input_type = input_type
        self._ledger = Ledger(env)
        self._retries = RETRIES[env.retry](self._ledger)
        self._chronicle = Chronicle()
        self._context = OrchestrationContext(
            self._ledger, self._retries, env, input_type, self._chronicle.events
        )
        self._generator: Generator[Any, Any, Any] | None = None
        self._awaited: Task[Any] | None = None
        self._outcome: _Outcome | None = None
        self._fatal: BaseException | None = None
        self._ended = False
        self._closed = False
        self._reported = False
        self._rewound = False
        self._buffer: list[HistoryEvent] = []
        self._warnings: list[str] = []
        self._table: _Table = self._RUNNING
        self._observes_yields = (
            env.schedule_at is ScheduleAt.YIELD or env.emit is Emit.ALL
        )
        self._on_failure: Callable[[TaskFailedError, HistoryEvent], None] | None = None

    # -- for callers -------------------------------------------------------------------------

    @property
    def is_complete(self) -> bool:
        """True when the execution has ended and needs no further turn."""
        return self._outcome is not None or self._ended

    @property
    def instance_id(self) -> str:
        """Id of the instance, "" before it has started."""
        return self._context.instance_id

    @property
    def execution_id(self) -> str | None:
        """Id of the execution, None before it has started or if the host gives none."""
        instance = self._context._started.instance  # noqa: SLF001  engine and context are one
        return None if instance is None else instance.execution_id

    @property
    def location(self) -> str | None:
        """``file:line`` at which the code stands, None when there is none; any thread may ask."""
        return line_of(self._generator)

    def advance(
        self, past: Sequence[HistoryEvent], new: Sequence[HistoryEvent]
    ) -> ReplayResult:
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
                self._feed(past)
            context.is_replaying = False
            self._feed(new)
        except (NonDeterminismError, OrchestratorError) as error:
            self._break_off(error)
        if self._table is self._FINISHED or self._awaited is None:
            return self._conclude(past)
        actions = tuple(ledger.flush())
        if not self._observes_yields:
            self._chronicle.add_actions(actions, context.current_utc_datetime)
        return ReplayResult(
            actions,
            ledger.custom_status,
            ledger.trace() if self._observes_yields else (),
            self._take_warnings() if self._warnings else (),
            False,
        )

    def close(self) -> None:
        """Throw the generator away; its clean-up code can ask for nothing any more."""
        self._closed = True
        self._stop()

    # -- the fold ----------------------------------------------------------------------------

    def _feed(self, events: Sequence[HistoryEvent]) -> None:
        for event in self._chronicle.reading(events):
            handle = self._table.get(type(event))
            if handle is not None:
                handle(self, event)

    def _on_orchestrator_started(self, event: OrchestratorStarted) -> None:
        context = self._context
        if event.timestamp > context.current_utc_datetime:
            context.current_utc_datetime = event.timestamp

    def _on_execution_started(self, event: ExecutionStarted) -> None:
        if self._awaited is not None:
            self._warnings.append("A second ExecutionStarted in one execution was ignored.")
            return
        self._context._start(event)  # noqa: SLF001  engine and context are one
        if self._env.name_children and event.instance is not None:
            instance = event.instance
            self._ledger.child_prefix = instance.execution_id or instance.instance_id
        self._call()

    def _on_recorded(self, event: Event) -> None:
        if self._ledger.confirm(event):
            return
        outcome = self._outcome
        if outcome is not None and outcome.status is _Status.TERMINATED:
            return
        raise mismatch(event, self._ledger.awaited_action, self._where())

    def _on_task_completed(self, event: TaskCompleted) -> None:
        task = self._ledger.open.get(event.task_scheduled_id)
        if type(task) is ActivityTask:
            del self._ledger.open[event.task_scheduled_id]
            self._complete(task, event.result)
        else:
            self._warn_of_stray(event, event.task_scheduled_id)

    def _on_child_completed(self, event: SubOrchestrationInstanceCompleted) -> None:
        task = self._ledger.open.get(event.task_scheduled_id)
        if type(task) is SubOrchestrationTask:
            del self._ledger.open[event.task_scheduled_id]
            self._complete(task, event.result)
        else:
            self._warn_of_stray(event, event.task_scheduled_id)

    def _complete(self, task: CompletableTask[Any], result: str | None) -> None:
        try:
            value = None if result is None else from_text(result, task.expected_type)
        except Exception as error:  # noqa: BLE001  decoding runs the user's classes; raised at the yield
            settle(task, FAILED, error)
        else:
            settle(task, SUCCEEDED, value)
        self._resume()

    def _on_task_failed(self, event: TaskFailed) -> None:
        task = self._ledger.open.get(event.task_scheduled_id)
        if type(task) is ActivityTask:
            self._fail_task(task, event, activity_error)
        else:
            self._warn_of_stray(event, event.task_scheduled_id)

    def _on_child_failed(self, event: SubOrchestrationInstanceFailed) -> None:
        task = self._ledger.open.get(event.task_scheduled_id)
        if type(task) is SubOrchestrationTask:
            self._fail_task(task, event, child_error)
        else:
            self._warn_of_stray(event, event.task_scheduled_id)

    def _fail_task(
        self,
        task: CompletableTask[Any],
        event: TaskFailed | SubOrchestrationInstanceFailed,
        error_of: Callable[[str, FailureDetails | None, int], TaskFailedError],
    ) -> None:
        number = event.task_scheduled_id
        del self._ledger.open[number]
        attempts = task.attempts
        failure = event.failure or UNKNOWN_FAILURE
        now = self._context.current_utc_datetime
        if attempts is not None and self._retries.again(task, attempts, failure, now):
            return
        error = error_of(_name_of(task), failure, number)
        if self._on_failure is not None:
            self._on_failure(error, event)
        settle(task, FAILED, error)
        self._resume()

    def _on_timer_fired(self, event: TimerFired) -> None:
        task = self._ledger.open.get(event.timer_id)
        if not isinstance(task, TimerTask):
            self._warn_of_stray(event, event.timer_id)
            return
        del self._ledger.open[event.timer_id]
        if type(task) is RetryTimer:
            self._try_again(task.task)
        elif task.state is RUNNING:
            settle(task, SUCCEEDED, None)
            self._resume()

    def _try_again(self, task: CompletableTask[Any]) -> None:
        attempts = task.attempts
        if attempts is None or self._retries.fired(task, attempts):
            return
        error_of = activity_error if type(task) is ActivityTask else child_error
        settle(task, FAILED, error_of(_name_of(task), attempts.failure, task.id))
        self._resume()

    def _on_event_raised(self, event: EventRaised) -> None:
        self._ledger.mailbox.deliver(event)
        self._resume()

    def _keep_event(self, event: EventRaised) -> None:
        self._ledger.mailbox.keep(event)

    def _on_suspended(self, _event: ExecutionSuspended) -> None:
        self._table = self._SUSPENDED

    def _on_resumed(self, _event: ExecutionResumed) -> None:
        self._table = self._RUNNING
        buffered, self._buffer = self._buffer, []
        for event in buffered:
            handle = self._table.get(type(event))
            if handle is not None:
                handle(self, event)

    def _keep_until_resumed(self, event: HistoryEvent) -> None:
        self._buffer.append(event)

    def _on_terminated(self, event: ExecutionTerminated) -> None:
        self._finish(_Outcome(_Status.TERMINATED, event.input, alone=True))
        self._stop()

    def _on_completed(self, event: ExecutionCompleted) -> None:
        if self._outcome is None and event.status in _COMPLETED_BY_CODE:
            raise mismatch(event, self._ledger.awaited_action, self._where())
        # Otherwise the hub has ended it, whatever the code would still do.
        self._ended = True
        self._table = self._FINISHED
        self._stop()

    def _on_rewound(self, _event: ExecutionRewound) -> None:
        if not self._context.is_replaying:
            self._rewound = True
            self._table = self._FINISHED

    def _warn_of_stray(self, event: HistoryEvent, number: int) -> None:
        self._warnings.append(
            f"{type(event).__name__} for #{number} was ignored: nothing of that kind and id is open."
        )

    # -- user code ---------------------------------------------------------------------------

    def _call(self) -> None:
        self._awaited = _START
        try:
            value = self._fn(self._context)
            if isinstance(value, Generator):
                self._generator = value
            elif isinstance(value, (Coroutine, AsyncGenerator)):
                raise wrong_result(self._fn, value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  user code may raise anything, SystemExit included
            self._fail(error)
            return
        if self._generator is None:
            self._return(value)
        else:
            self._resume()

    def _resume(self) -> None:
        """Run the generator if what it waits for is settled, until it waits again."""
        task = self._awaited
        generator = self._generator
        if task is None or generator is None or task.state is RUNNING:
            return
        context = self._context
        try:
            while True:
                if task.state is SUCCEEDED:
                    yielded = generator.send(task._value)  # noqa: SLF001  ``result`` is slower
                else:
                    yielded = generator.throw(fresh(task._value))  # noqa: SLF001  as above
                if not isinstance(yielded, Task):
                    raise wrong_yield(yielded, self._where())
                if self._ledger.restart is not None:
                    self._return(None)
                    return
                if self._observes_yields:
                    self._ledger.reach(yielded)
                task = yielded
                if task.state is RUNNING:
                    if task._context is not context:  # noqa: SLF001  engine and tasks are one
                        raise foreign(task)
                    self._awaited = task
                    return
        except StopIteration as stop:
            self._return(stop.value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  user code may raise anything, SystemExit included
            self._fail(error)

    def _return(self, value: Any) -> None:
        restart = self._ledger.restart
        if restart is not None:
            self._finish(_Outcome(_Status.CONTINUED_AS_NEW, restart[0]))
            self._stop()
            return
        try:
            if isinstance(value, Task):
                raise wrong_result(self._fn, value)
            text = encode_input(value)
        except Exception as error:  # noqa: BLE001  encoding runs the user's classes
            self._fail(error)
            return
        self._finish(_Outcome(_Status.COMPLETED, text))

    def _fail(self, error: BaseException) -> None:
        self._fatal = error
        self._finish(_Outcome(_Status.FAILED, failure=failure_of(error)))
        self._stop()

    def _break_off(self, error: NonDeterminismError | OrchestratorError) -> None:
        """History and code do not belong together: nothing that the code asked for counts."""
        self._finish(_Outcome(_Status.FAILED, failure=failure_of(error), alone=True))
        self._stop()

    def _finish(self, outcome: _Outcome) -> None:
        self._outcome = outcome
        self._ended = False
        self._table = self._FINISHED

    def _stop(self) -> None:
        """Detach the context first, so that clean-up code cannot act, then close the generator."""
        self._context._detach()  # noqa: SLF001  engine and context are one
        generator, self._generator = self._generator, None
        if generator is None:
            return
        try:
            generator.close()
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001, S110  what clean-up code raises has no one to go to
            pass

    def _where(self) -> str:
        return line_of(self._generator) or start_of(self._fn)

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

    def _completion(self, outcome: _Outcome) -> CompleteOrchestration:
        restart = self._ledger.restart
        keeps = outcome.status is _Status.CONTINUED_AS_NEW and restart is not None and restart[1]
        return CompleteOrchestration(
            self._ledger.next_id if outcome.failure is None or not outcome.alone else -1,
            outcome.status,
            outcome.result,
            outcome.failure,
            carryover_events=self._ledger.mailbox.undelivered() if keeps else (),
        )

    def _result(self, actions: tuple[OrchestratorAction, ...]) -> ReplayResult:
        return ReplayResult(
            actions,
            self._ledger.custom_status,
            self._ledger.trace() if self._observes_yields else (),
            self._take_warnings() if self._warnings else (),
            self._table is self._FINISHED,
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
        self._on_failure = inquest.on_failure
        self._context.is_replaying = True
        try:
            self._feed(history)
        except (NonDeterminismError, OrchestratorError) as error:
            self._break_off(error)
        fatal = None if self._outcome is None or self._outcome.alone else self._fatal
        self.close()
        return inquest.without_failures(history, fatal)


    # -- the states --------------------------------------------------------------------------

    _RECORDS: ClassVar[_Table] = dict.fromkeys(MATCHING, _on_recorded)
    _RUNNING: ClassVar[_Table] = {
        **_RECORDS,
        OrchestratorStarted: _on_orchestrator_started,
        ExecutionStarted: _on_execution_started,
        TaskCompleted: _on_task_completed,
        TaskFailed: _on_task_failed,
        SubOrchestrationInstanceCompleted: _on_child_completed,
        SubOrchestrationInstanceFailed: _on_child_failed,
        TimerFired: _on_timer_fired,
        EventRaised: _on_event_raised,
        ExecutionSuspended: _on_suspended,
        ExecutionTerminated: _on_terminated,
        ExecutionCompleted: _on_completed,
        ExecutionRewound: _on_rewound,
    }
    # Time passes while suspended: what the code does when it is resumed, it does then.
    _SUSPENDED: ClassVar[_Table] = {
        **dict.fromkeys(_RUNNING, _keep_until_resumed),
        **_RECORDS,
        OrchestratorStarted: _on_orchestrator_started,
        ExecutionResumed: _on_resumed,
        ExecutionTerminated: _on_terminated,
        ExecutionCompleted: _on_completed,
        ExecutionRewound: _on_rewound,
    }
    _FINISHED: ClassVar[_Table] = {
        **_RECORDS,
        EventRaised: _keep_event,
        ExecutionCompleted: _on_completed,
        ExecutionRewound: _on_rewound,
    }


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


def _name_of(task: CompletableTask[Any]) -> str:
    action = task.action
    return action.name if isinstance(action, (ScheduleTask, CreateSubOrchestration)) else ""


def _started() -> Task[Any]:
    task: Task[Any] = Task(None)
    task.state = SUCCEEDED
    return task


#: What a generator that has not run yet waits for.
_START: Final = _started()
