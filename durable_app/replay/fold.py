"""The fold over history: what each kind of event does to an execution.

States, by the table of handlers in use:

    RUNNING    events settle tasks; before ExecutionStarted there is nothing to settle
    SUSPENDED  events wait in a buffer until ExecutionResumed; what records actions passes
    FINISHED   only what records actions is looked at (does it belong to us?), and external
               events that continue-as-new may carry over

What must never happen: an event settles a task of another kind; an event is looked at twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from durable_app.payload import from_text
from durable_app.protocol import (
    CreateSubOrchestration,
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityOperationSignaled,
    EntityUnlockSent,
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
    OrchestratorStarted,
    ScheduleTask,
    SendEntityMessage,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from durable_app.replay.determinism import MATCHING, mismatch
from durable_app.replay.environment import ReplayEnv, RetryMode
from durable_app.replay.failures import (
    UNKNOWN_FAILURE,
    activity_error,
    child_error,
    operation_error,
)
from durable_app.replay.locks import EntityLock
from durable_app.replay.tasks import (
    FAILED,
    RUNNING,
    SUCCEEDED,
    ActivityTask,
    CompletableTask,
    EntityCallTask,
    EntityLockTask,
    RetryTimer,
    SubOrchestrationTask,
    TimerTask,
    settle,
)
from durable_app.replay.user_code import Orchestrator, Outcome, UserCode

if TYPE_CHECKING:
    from durable_app.errors import TaskFailedError
    from durable_app.replay.ledger import EntityMessage
    from durable_app.replay.rewind import Inquest

_Table = dict[type[Event], Callable[[Any, Any], None]]
_Status = OrchestrationStatus
_ENDED_BY_CODE: Final = (_Status.COMPLETED, _Status.CONTINUED_AS_NEW)


class Fold(UserCode):
    """An orchestrator that follows its history."""

    __slots__ = ("_buffer", "_ended", "_inquest", "_is_over", "_rewound", "_table", "_warnings")

    def __init__(self, fn: Orchestrator, env: ReplayEnv, input_type: Any = None) -> None:
        super().__init__(fn, env, input_type)
        self._buffer: list[HistoryEvent] = []
        self._ended = False
        self._is_over = False
        self._rewound = False
        self._warnings: list[str] = []
        self._table: _Table = self._RUNNING
        self._inquest: Inquest | None = None

    def _feed(self, events: Sequence[HistoryEvent]) -> None:
        for event in self._chronicle.reading(events):
            handle = self._table.get(type(event))
            if handle is not None:
                handle(self, event)

    def _on_orchestrator_started(self, event: OrchestratorStarted) -> None:
        context = self._context
        if event.timestamp > context.current_utc_datetime:  # noqa: PLR1730  max() takes four times as long
            context.current_utc_datetime = event.timestamp

    def _on_execution_started(self, event: ExecutionStarted) -> None:
        if self._awaited is not None:
            self._warnings.append("A second ExecutionStarted in one execution was ignored.")
            return
        self._context._start(event)  # noqa: SLF001  engine and context are one
        if event.instance is not None:
            prefix = event.instance.execution_id or event.instance.instance_id
            self._ledger.execution = prefix
            if self._env.name_children:
                self._ledger.child_prefix = prefix
        self._call()

    def _on_recorded(self, event: Event) -> None:
        if self._ledger.confirm(event):
            return
        outcome = self._outcome
        if outcome is not None and outcome.status is _Status.TERMINATED:
            return
        raise mismatch(event, self._ledger.awaited_action, self._where())

    def _on_message_recorded(self, event: EntityMessage) -> None:
        # An execution that was terminated may have recorded what it never gave away.
        if self._ledger.confirm(event):
            self._ledger.address(event)
        else:
            self._on_recorded(event)

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
        except Exception as error:  # noqa: BLE001  decoding runs the user's classes
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
        if self._inquest is not None:
            self._inquest.on_failure(error, event)
        settle(task, FAILED, error)
        self._resume()

    def _on_late_failure(
        self, event: TaskFailed | SubOrchestrationInstanceFailed | EntityOperationFailed
    ) -> None:
        if self._inquest is not None:
            self._inquest.on_late_failure(event)

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

    def _on_operation_completed(self, event: EntityOperationCompleted) -> None:
        task = self._answered_call(event)
        if task is not None:
            self._complete(task, event.output)

    def _on_operation_failed(self, event: EntityOperationFailed) -> None:
        task = self._answered_call(event)
        if task is None:
            return
        error = operation_error(*_operation_of(task), event.failure, task.id)
        if self._inquest is not None:
            self._inquest.on_failure(error, event)
        settle(task, FAILED, error)
        self._resume()

    def _answered_call(
        self, event: EntityOperationCompleted | EntityOperationFailed
    ) -> EntityCallTask[Any] | None:
        task = self._ledger.answers.get(event.request_id)
        if type(task) is not EntityCallTask:
            self._warn_of_stray(event, event.request_id)
            return None
        del self._ledger.answers[event.request_id]
        if task.section is not None:
            task.section.end_call(_operation_of(task)[1])
        return task

    def _on_lock_granted(self, event: EntityLockGranted) -> None:
        ledger = self._ledger
        task = ledger.answers.get(event.critical_section_id)
        section = ledger.section
        if type(task) is EntityLockTask and section is not None:
            del ledger.answers[event.critical_section_id]
            settle(task, SUCCEEDED, EntityLock(section))
            self._resume()
        elif section is None or section.id != event.critical_section_id:
            # A lock that is held may be granted once more, after a rewind.
            self._warn_of_stray(event, event.critical_section_id)

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
        self._finish(Outcome(_Status.TERMINATED, event.input, alone=True))
        self._stop()

    def _on_completed(self, event: ExecutionCompleted) -> None:
        if self._outcome is None and event.status in _ENDED_BY_CODE:
            raise mismatch(event, self._ledger.awaited_action, self._where())
        # Otherwise the hub has ended it, whatever the code would still do.
        self._ended = True
        self._end()
        self._stop()

    def _on_rewound(self, _event: ExecutionRewound) -> None:
        if not self._context.is_replaying:
            self._rewound = True
            self._end()

    def _warn_of_stray(self, event: HistoryEvent, number: int | str) -> None:
        self._warnings.append(
            f"{type(event).__name__} for #{number} was ignored: nothing of that kind is open under"
            " that id."
        )

    def _finish(self, outcome: Outcome) -> None:
        super()._finish(outcome)
        self._ended = False
        self._end()

    def _end(self) -> None:
        self._is_over = True
        # A host that repeats goes on with that; what it records must find its task.
        repeats = self._env.retry is RetryMode.HOST
        self._table = self._FINISHED_ELSEWHERE if repeats else self._FINISHED

    # -- the states --------------------------------------------------------------------------

    _RECORDS: ClassVar[_Table] = {
        **dict.fromkeys(MATCHING, _on_recorded),
        EntityOperationCalled: _on_message_recorded,
        EntityOperationSignaled: _on_message_recorded,
        EntityLockRequested: _on_message_recorded,
        EntityUnlockSent: _on_message_recorded,
    }
    _RUNNING: ClassVar[_Table] = {
        **_RECORDS,
        OrchestratorStarted: _on_orchestrator_started,
        ExecutionStarted: _on_execution_started,
        TaskCompleted: _on_task_completed,
        TaskFailed: _on_task_failed,
        SubOrchestrationInstanceCompleted: _on_child_completed,
        SubOrchestrationInstanceFailed: _on_child_failed,
        TimerFired: _on_timer_fired,
        EntityOperationCompleted: _on_operation_completed,
        EntityOperationFailed: _on_operation_failed,
        EntityLockGranted: _on_lock_granted,
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
        ExecutionSuspended: _on_suspended,
        ExecutionResumed: _on_resumed,
        ExecutionTerminated: _on_terminated,
        ExecutionCompleted: _on_completed,
        ExecutionRewound: _on_rewound,
    }
    _FINISHED: ClassVar[_Table] = {
        **_RECORDS,
        EventRaised: _keep_event,
        TaskFailed: _on_late_failure,
        SubOrchestrationInstanceFailed: _on_late_failure,
        EntityOperationFailed: _on_late_failure,
        ExecutionCompleted: _on_completed,
        ExecutionRewound: _on_rewound,
    }
    _FINISHED_ELSEWHERE: ClassVar[_Table] = {
        **_FINISHED,
        OrchestratorStarted: _on_orchestrator_started,
        TaskFailed: _on_task_failed,
        SubOrchestrationInstanceFailed: _on_child_failed,
        TimerFired: _on_timer_fired,
    }


def _name_of(task: CompletableTask[Any]) -> str:
    action = task.action
    return action.name if isinstance(action, (ScheduleTask, CreateSubOrchestration)) else ""


def _operation_of(task: EntityCallTask[Any]) -> tuple[str, str]:
    """Return the operation that a call asks for, and the entity's id."""
    action = task.action
    assert isinstance(action, SendEntityMessage)  # noqa: S101  for the type checker
    message = action.message
    assert isinstance(message, EntityOperationCalled)  # noqa: S101  likewise
    return message.operation, message.target_instance_id or ""
