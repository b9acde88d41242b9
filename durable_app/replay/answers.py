"""Answers: what the outcome of something that was asked for does to its task.

An answer finds its task by what it names: the id of the action, or the id of the request where an
entity answers. One that finds no running task of its kind changes nothing, and a warning tells so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from durable_app.errors import OrchestratorError
from durable_app.payload import from_text
from durable_app.protocol import (
    CreateSubOrchestration,
    EntityLockGranted,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    Event,
    EventRaised,
    FailureDetails,
    HistoryEvent,
    ScheduleTask,
    SendEntityMessage,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
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
from durable_app.replay.user_code import UserCode
from durable_app.replay.waits import EventDeadline

if TYPE_CHECKING:
    from durable_app.errors import TaskFailedError
    from durable_app.replay.environment import ReplayEnv
    from durable_app.replay.rewind import Inquest
    from durable_app.replay.user_code import Orchestrator

Handlers = dict[type[Event], Callable[[Any, Any], None]]
"""Kind of event -> what it does."""


class Answers(UserCode):
    """An orchestrator that gets answers to what it asked for."""

    __slots__ = ("_inquest", "_warnings")

    def __init__(self, fn: Orchestrator, env: ReplayEnv, input_type: Any = None) -> None:
        super().__init__(fn, env, input_type)
        self._warnings: list[str] = []
        self._inquest: Inquest | None = None

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
        try:
            if attempts is not None and self._retries.again(task, attempts, failure, now):
                return
        except OrchestratorError:
            raise  # too many actions: of the whole turn, not of this task
        except Exception as second:  # noqa: BLE001  the policy asks a function of the user's
            settle(task, FAILED, second)
            self._resume()
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
            if type(task) is EventDeadline:
                task.expire(self._ledger)
            else:
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
        else:
            self._warn_of_stray(event, event.critical_section_id)

    def _on_event_raised(self, event: EventRaised) -> None:
        self._ledger.mailbox.deliver(event)
        self._resume()

    def _keep_event(self, event: EventRaised) -> None:
        self._ledger.mailbox.keep(event)

    def _warn_of_stray(self, event: HistoryEvent, number: int | str) -> None:
        self._warnings.append(
            f"{type(event).__name__} for #{number} was ignored: nothing of that kind is open under"
            " that id."
        )

    # -- by the state of the execution, see ``fold`` -----------------------------------------

    WHILE_RUNNING: ClassVar[Handlers] = {
        TaskCompleted: _on_task_completed,
        TaskFailed: _on_task_failed,
        SubOrchestrationInstanceCompleted: _on_child_completed,
        SubOrchestrationInstanceFailed: _on_child_failed,
        TimerFired: _on_timer_fired,
        EntityOperationCompleted: _on_operation_completed,
        EntityOperationFailed: _on_operation_failed,
        EntityLockGranted: _on_lock_granted,
        EventRaised: _on_event_raised,
    }
    AFTER_END: ClassVar[Handlers] = {
        EventRaised: _keep_event,
        TaskFailed: _on_late_failure,
        SubOrchestrationInstanceFailed: _on_late_failure,
        EntityOperationFailed: _on_late_failure,
    }
    # What a host that repeats tasks goes on with after the end.
    REPEATED_AFTER_END: ClassVar[Handlers] = {
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
