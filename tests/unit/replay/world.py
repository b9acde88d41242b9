"""A tiny task hub for tests of the engine: it records what turns ask for, and answers by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from durable_app.errors import TaskFailedError
from durable_app.protocol import (
    CompleteOrchestration,
    EntityLockGranted,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    FailureDetails,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestratorAction,
    OrchestratorStarted,
    ParentInstance,
    SendEntityMessage,
    SubOrchestrationInstanceCompleted,
    SubOrchestrationInstanceFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from durable_app.replay import engine
from durable_app.replay.chronicle import recording
from durable_app.replay.engine import Execution, ReplayEnv, ReplayResult

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
INSTANCE = OrchestrationInstance("order-1", "e" * 32)
BOOM = FailureDetails("ValueError", "boom")

#: Untyped: tests look at fields of actions whose kind they know.
replay: Any = engine.replay


def at(seconds: float = 0) -> OrchestratorStarted:
    return OrchestratorStarted(-1, NOON + timedelta(seconds=seconds))


def started(
    input_: Any = None, version: str | None = None, parent: ParentInstance | None = None
) -> ExecutionStarted:
    text = None if input_ is None else json.dumps(input_)
    return ExecutionStarted(0, NOON, "order", version, text, INSTANCE, parent)


def done(number: int, value: Any = None) -> TaskCompleted:
    return TaskCompleted(-1, NOON, number, json.dumps(value))


def failed(number: int, failure: FailureDetails | None = BOOM) -> TaskFailed:
    return TaskFailed(-1, NOON, number, failure)


def child_done(number: int, value: Any = None) -> SubOrchestrationInstanceCompleted:
    return SubOrchestrationInstanceCompleted(-1, NOON, number, json.dumps(value))


def child_failed(number: int, failure: FailureDetails = BOOM) -> SubOrchestrationInstanceFailed:
    return SubOrchestrationInstanceFailed(-1, NOON, number, failure)


def details_of(error: object) -> FailureDetails:
    """Return what a failed task reported, of an error that was caught by another type."""
    assert isinstance(error, TaskFailedError)
    return error.details


def fired(number: int) -> TimerFired:
    return TimerFired(-1, NOON, number, NOON)


def raised(name: str, value: Any = None) -> EventRaised:
    return EventRaised(-1, NOON, name, json.dumps(value))


def answered(call: OrchestratorAction, value: Any = None) -> EntityOperationCompleted:
    """Return an entity's answer to a call."""
    return EntityOperationCompleted(-1, NOON, request_of(call), json.dumps(value))


def refused(call: OrchestratorAction, failure: FailureDetails | None = BOOM) -> HistoryEvent:
    """Return the failure of an operation."""
    return EntityOperationFailed(-1, NOON, request_of(call), failure)


def granted(request: OrchestratorAction) -> EntityLockGranted:
    return EntityLockGranted(-1, NOON, request_of(request))


def request_of(action: OrchestratorAction) -> str:
    """Return what the answer to a message will name."""
    assert isinstance(action, SendEntityMessage)
    if isinstance(action.message, EntityLockRequested):
        return action.message.critical_section_id
    assert isinstance(action.message, EntityOperationCalled)
    return action.message.request_id


def recorded(actions: Sequence[OrchestratorAction], now: datetime = NOON) -> list[HistoryEvent]:
    """Return the events that a hub writes for the actions of a turn."""
    events: list[HistoryEvent] = []
    for action in actions:
        if isinstance(action, CompleteOrchestration):
            events.append(
                ExecutionCompleted(action.id, now, action.status, action.result, action.failure)
            )
        else:
            event = recording(action, now)
            assert event is not None
            events.append(event)
    return events


class World:
    """One instance, warm or cold; ``turn`` runs the next turn with the given events."""

    def __init__(
        self,
        fn: Callable[..., Any],
        input_: Any = None,
        *,
        env: ReplayEnv | None = None,
        input_type: Any = None,
        warm: bool = True,
    ) -> None:
        self.env = env or ReplayEnv()
        self.fn = fn
        self.input_type = input_type
        self.warm = warm
        self.history: list[HistoryEvent] = []
        self.execution = Execution(fn, self.env, input_type)
        self.results: list[ReplayResult] = []
        self.turns: list[tuple[int, list[HistoryEvent]]] = []
        self.seconds = -1.0
        self.turn(started(input_))

    def turn(self, *events: HistoryEvent, after: float = 1) -> ReplayResult:
        self.seconds += after
        moment = at(self.seconds)
        new: list[HistoryEvent] = [moment, *events]
        if self.warm:
            result = self.execution.advance((), new)
        else:
            result = replay(self.fn, self.history, new, self.env, self.input_type)
        self.turns.append((len(self.history), new))
        self.history += [*new, *recorded(result.actions, moment.timestamp)]
        self.results.append(result)
        return result

    @property
    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    @property
    def actions(self) -> tuple[Any, ...]:
        return self.results[-1].actions

    @property
    def ids(self) -> list[int]:
        return [action.id for action in self.actions]

    @property
    def completion(self) -> CompleteOrchestration:
        last = self.actions[-1]
        assert isinstance(last, CompleteOrchestration)
        return last

    @property
    def output(self) -> Any:
        completion = self.completion
        assert completion.status is OrchestrationStatus.COMPLETED, completion
        return None if completion.result is None else json.loads(completion.result)

    @property
    def failure(self) -> FailureDetails:
        assert self.completion.status is OrchestrationStatus.FAILED
        assert self.completion.failure is not None
        return self.completion.failure
