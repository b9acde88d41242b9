"""A hub's side of the port, as a worker sees it: items go in, results come out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from queue import Queue
from typing import Any

from durable_app.clock import SystemClock
from durable_app.ports import Capacity, WorkFilter, WorkResult, WorkSink
from durable_app.protocol import (
    ActivityRequest,
    CompletionToken,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorRequest,
    OrchestratorStarted,
)
from durable_app.worker.invocations import Invocations
from tests.unit.taskhub.builders import NOW

TIMEOUT_S = 10

_nonces = count(1)


class Desk:
    """Takes what a worker hands back. Implements ``ports.WorkSource`` and ``ports.WorkStream``."""

    def __init__(self) -> None:
        self.sink: WorkSink | None = None
        self.capacity: Capacity | None = None
        self.results: Queue[Any] = Queue()
        self.abandoned: Queue[tuple[CompletionToken, str]] = Queue()
        self.declined: Queue[CompletionToken] = Queue()
        self.histories: dict[str, list[HistoryEvent]] = {}
        self.calls: list[str] = []

    def connect(
        self,
        sink: WorkSink,
        capacity: Capacity,
        only: WorkFilter | None = None,
        *,
        whole_history: bool = False,
    ) -> Desk:
        self.sink, self.capacity = sink, capacity
        return self

    def complete(self, results: Sequence[WorkResult]) -> None:
        for result in results:
            self.results.put(result)

    def abandon(self, token: CompletionToken, reason: str) -> None:
        self.abandoned.put((token, reason))

    def decline(self, token: CompletionToken) -> None:
        self.declined.put(token)

    def put_back(self, token: CompletionToken) -> None:
        self.calls.append(f"put back {token}")

    def load_history(self, instance_id: str, execution_id: str) -> list[HistoryEvent]:
        self.calls.append(f"load {instance_id}")
        return self.histories[instance_id]

    def pause(self) -> None:
        self.calls.append("pause")

    def close(self) -> None:
        self.calls.append("close")

    def next_result(self) -> Any:
        return self.results.get(timeout=TIMEOUT_S)


class Console:
    """Implements ``telemetry.InvocationObserver``."""

    def __init__(self, *, is_broken: bool = False) -> None:
        self.told: list[tuple[str, str | None]] = []
        self._is_broken = is_broken

    def executing(self, function: str, invocation_id: str, reason: str) -> None:
        self._check()
        self.told.append((function, reason))

    def executed(
        self, function: str, invocation_id: str, duration_s: float, error: str | None
    ) -> None:
        self._check()
        assert duration_s >= 0
        self.told.append((function, error))

    def _check(self) -> None:
        if self._is_broken:
            raise ValueError("I/O operation on closed file")


def unobserved() -> Invocations:
    return Invocations(None, SystemClock())


def an_activity(name: str, text: str | None = None) -> ActivityRequest:
    token = CompletionToken("t", next(_nonces))
    return ActivityRequest(name, None, text, OrchestrationInstance("order-1", "e" * 32), 7, token)


def beginning(name: str, text: str | None = None) -> tuple[HistoryEvent, ...]:
    started = ExecutionStarted(0, NOW, name, None, text, OrchestrationInstance("order-1", "e" * 32))
    return (OrchestratorStarted(timestamp=NOW), started)


def a_turn(name: str, **changes: Any) -> OrchestratorRequest:
    """The first turn of an execution."""
    values: dict[str, Any] = {
        "instance_id": "order-1",
        "execution_id": "e" * 32,
        "name": name,
        "past_events": (),
        "new_events": beginning(name),
        "token": CompletionToken("i", next(_nonces)),
        "past_count": 0,
        "requires_history_streaming": False,
    }
    return OrchestratorRequest(**{**values, **changes})
