"""A hub with the memory store, virtual time and workers that do as they are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from durable_app.ports import Capacity, StartRequest, Store, WorkFilter
from durable_app.protocol import (
    ActivityRequest,
    ActivityResponse,
    CompleteOrchestration,
    OrchestrationStatus,
    OrchestratorAction,
    OrchestratorRequest,
    OrchestratorResponse,
    ScheduleTask,
    WorkItem,
)
from durable_app.scheduler.hub import Hub
from durable_app.scheduler.inputs import Connect, Disconnect, Input, Results, Start
from durable_app.scheduler.requests import Requests
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore

MIDNIGHT = datetime(2026, 5, 4, tzinfo=UTC)


class Time:
    """Stands still. Implements ``ports.Clock``."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.offset = 0.0
        self._ids = count(1)

    def now(self) -> datetime:
        return MIDNIGHT + timedelta(seconds=self.seconds + self.offset)

    def monotonic(self) -> float:
        return self.seconds

    def new_id(self) -> str:
        return f"{next(self._ids):032x}"


class Answer:
    """A reply that is looked at later: ``got`` holds the value, or the error."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def resolve(self, value: Any) -> None:
        self.got.append(value)

    def reject(self, error: Exception) -> None:
        self.got.append(error)


class Hands:
    """A worker that keeps what it is given."""

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        self.items: list[WorkItem] = []
        self.forgotten: list[str] = []

    def push(self, items: Sequence[WorkItem]) -> None:
        self.items += items

    def forget(self, instance_id: str) -> None:
        self.forgotten.append(instance_id)

    @property
    def turns(self) -> list[OrchestratorRequest]:
        return [item for item in self.items if isinstance(item, OrchestratorRequest)]

    @property
    def activities(self) -> list[ActivityRequest]:
        return [item for item in self.items if isinstance(item, ActivityRequest)]

    def take_turn(self) -> OrchestratorRequest:
        turn = self.turns[0]
        self.items.remove(turn)
        return turn

    def take_activity(self) -> ActivityRequest:
        activity = self.activities[0]
        self.items.remove(activity)
        return activity


class Rig:
    """One hub. ``send`` is one drain."""

    def __init__(self, store: Store | None = None, **options: Any) -> None:
        self.store = store or MemoryStore()
        self.time = Time()
        self.hub = Hub(self.store, self.time, HubOptions(**options))
        self.later: list[Input] = []
        Requests(self.hub).continue_with(self.later.append)
        self.hub.state.open()
        self._streams = count(1)
        self.send()

    def send(self, *inputs: Input) -> None:
        self.hub.handle(inputs)

    def wait(self, seconds: float) -> None:
        self.time.seconds += seconds
        self.send()

    def worker(
        self, turns: int = 10, activities: int = 10, only: WorkFilter | None = None
    ) -> Hands:
        hands = Hands(next(self._streams))
        capacity = Capacity(turns, activities)
        self.send(Connect(hands.stream_id, hands, capacity, only or WorkFilter()))
        return hands

    def leave(self, hands: Hands) -> None:
        hands.items.clear()
        self.send(Disconnect(hands.stream_id))

    def start(self, instance_id: str, name: str = "order") -> Answer:
        answer = Answer()
        self.send(Start(StartRequest(name, instance_id), answer))
        return answer

    def scheduling(self, *names: str) -> list[OrchestratorAction]:
        return [ScheduleTask(number, name) for number, name in enumerate(names, 1)]

    def status(self, instance_id: str) -> OrchestrationStatus | None:
        found = self.store.load(instance_id)
        return found.instance.status if found else None


def answer(turn: OrchestratorRequest, *actions: OrchestratorAction) -> Results:
    """The worker's answer to a turn."""
    return Results([OrchestratorResponse(turn.instance_id, turn.token, tuple(actions))])


def ending(
    turn: OrchestratorRequest, status: OrchestrationStatus = OrchestrationStatus.COMPLETED
) -> Results:
    """The turn ended its execution."""
    return answer(turn, CompleteOrchestration(99, status))


def result(activity: ActivityRequest, text: str = '"done"') -> Results:
    """The worker's answer to an activity."""
    return Results(
        [ActivityResponse(activity.instance.instance_id, activity.task_id, activity.token, text)]
    )
