"""The fold over history: what each kind of event does to an execution.

States, by the table of handlers in use:

    RUNNING    events settle tasks; before ExecutionStarted there is nothing to settle
    SUSPENDED  events wait in a buffer until ExecutionResumed; what records actions passes
    FINISHED   only what records actions is looked at (does it belong to us?), and external
               events that continue-as-new may carry over

What must never happen: an event settles a task of another kind; an event is looked at twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from durable_app.protocol import (
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityUnlockSent,
    Event,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionRewound,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorStarted,
)
from durable_app.replay.answers import Answers, Handlers
from durable_app.replay.determinism import MATCHING, mismatch
from durable_app.replay.environment import ReplayEnv, RetryMode
from durable_app.replay.user_code import Orchestrator, Outcome

if TYPE_CHECKING:
    from durable_app.replay.ledger import EntityMessage

_Status = OrchestrationStatus
_ENDED_BY_CODE: Final = (_Status.COMPLETED, _Status.CONTINUED_AS_NEW)


class Fold(Answers):
    """An orchestrator that follows its history."""

    __slots__ = ("_buffer", "_ended", "_is_over", "_rewound", "_table")

    def __init__(self, fn: Orchestrator, env: ReplayEnv, input_type: Any = None) -> None:
        super().__init__(fn, env, input_type)
        self._buffer: list[HistoryEvent] = []
        self._ended = False
        self._is_over = False
        self._rewound = False
        self._table: Handlers = self._RUNNING

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

    def _on_event_sent(self, event: EventSent) -> None:
        self._on_recorded(event)
        # Nothing will ever answer it.
        self._ledger.open.pop(event.event_id, None)

    def _on_message_recorded(self, event: EntityMessage) -> None:
        # An execution that was terminated may have recorded what it never gave away.
        if self._ledger.confirm(event):
            self._ledger.address(event)
        else:
            self._on_recorded(event)

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

    _RECORDS: ClassVar[Handlers] = {
        **dict.fromkeys(MATCHING, _on_recorded),
        EventSent: _on_event_sent,
        EntityOperationCalled: _on_message_recorded,
        EntityOperationSignaled: _on_message_recorded,
        EntityLockRequested: _on_message_recorded,
        EntityUnlockSent: _on_message_recorded,
    }
    _RUNNING: ClassVar[Handlers] = {
        **_RECORDS,
        OrchestratorStarted: _on_orchestrator_started,
        ExecutionStarted: _on_execution_started,
        **Answers.WHILE_RUNNING,
        ExecutionSuspended: _on_suspended,
        ExecutionTerminated: _on_terminated,
        ExecutionCompleted: _on_completed,
        ExecutionRewound: _on_rewound,
    }
    # Time passes while suspended: what the code does when it is resumed, it does then.
    _SUSPENDED: ClassVar[Handlers] = {
        **dict.fromkeys(_RUNNING, _keep_until_resumed),
        **_RECORDS,
        OrchestratorStarted: _on_orchestrator_started,
        ExecutionSuspended: _on_suspended,
        ExecutionResumed: _on_resumed,
        ExecutionTerminated: _on_terminated,
        ExecutionCompleted: _on_completed,
        ExecutionRewound: _on_rewound,
    }
    _FINISHED: ClassVar[Handlers] = {
        **_RECORDS,
        **Answers.AFTER_END,
        ExecutionCompleted: _on_completed,
        ExecutionRewound: _on_rewound,
    }
    _FINISHED_ELSEWHERE: ClassVar[Handlers] = {
        **_FINISHED,
        OrchestratorStarted: _on_orchestrator_started,
        **Answers.REPEATED_AFTER_END,
    }
