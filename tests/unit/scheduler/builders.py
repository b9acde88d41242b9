"""A hub over the memory store, on a clock that the test moves, with a worker that only collects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from durable_app.errors import LeaseLostError, StoreUnavailableError
from durable_app.ports import Capacity, StartRequest, WorkFilter
from durable_app.protocol import (
    ActivityRequest,
    ActivityResponse,
    CompleteOrchestration,
    EventRaised,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestratorAction,
    OrchestratorRequest,
    OrchestratorResponse,
    ScheduleTask,
)
from durable_app.scheduler.hub import Hub
from durable_app.scheduler.inputs import Abandon, Ask, Connect, Disconnect, Results, Start
from durable_app.scheduler.requests import Requests
from durable_app.scheduler.state import HubOptions
from durable_app.storage.memory import MemoryStore
from durable_app.taskhub.instance import (
    ActivityTask,
    Decision,
    Instance,
    Message,
    MessageId,
    TaskKey,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._ids = 0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def new_id(self) -> str:
        self._ids += 1
        return f"{self._ids:032x}"


class Reply:
    """Remembers the answer."""

    def __init__(self) -> None:
        self.value: Any = None
        self.error: Exception | None = None
        self.answers = 0

    def resolve(self, value: Any) -> None:
        self.value, self.answers = value, self.answers + 1

    def reject(self, error: Exception) -> None:
        self.error, self.answers = error, self.answers + 1


class Worker:
    """Collects what it is given."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.forgotten: list[str] = []

    def push(self, items: Sequence[Any]) -> None:
        self.items += items

    def forget(self, instance_id: str) -> None:
        self.forgotten.append(instance_id)

    def take(self) -> Any:
        """The oldest item that has not been taken."""
        return self.items.pop(0)


class FullDisk(MemoryStore):
    """A memory store that can be told to refuse writes or reads."""

    refuses_writes = False
    refuses_reads = False
    #: Somebody else has changed the instances of the next commit.
    refuses_next = False

    def commit(self, decisions: Sequence[Decision]) -> list[Exception | None]:
        if self.refuses_next:
            self.refuses_next = False
            return [LeaseLostError("It was changed meanwhile.") for _ in decisions]
        if self.refuses_writes:
            raise StoreUnavailableError("The disk is full.")
        return super().commit(decisions)

    def load(self, instance_id: str) -> Any:
        if self.refuses_reads:
            raise StoreUnavailableError("The disk is gone.")
        return super().load(instance_id)


class World:
    """A hub with one worker."""

    def __init__(
        self, *, turns: int = 10, activities: int = 10, attempts: int = 3, hot_bytes: int = 2**20
    ) -> None:
        self.clock = Clock()
        self.store = FullDisk()
        self.hub = Hub(
            self.store, self.clock, HubOptions(hot_bytes=hot_bytes, max_attempts=attempts)
        )
        self.requests = Requests(self.hub)
        self.hub.state.open()
        self.worker = Worker()
        self.connect(1, self.worker, turns, activities)

    def connect(self, stream_id: int, worker: Worker, turns: int, activities: int) -> None:
        self.handle(Connect(stream_id, worker, Capacity(turns, activities), WorkFilter()))

    def handle(self, *items: Any) -> None:
        self.hub.handle(items)

    def start(self, instance_id: str) -> Reply:
        reply = Reply()
        self.handle(Start(StartRequest("flow", instance_id), reply))
        return reply

    def raise_event(self, instance_id: str, data: str) -> Reply:
        reply = Reply()
        event = EventRaised(name="go", input=data)
        self.handle(Ask(instance_id, event, "receive events", reply))
        return reply

    def answer(self, item: OrchestratorRequest, *actions: OrchestratorAction) -> None:
        self.handle(Results([OrchestratorResponse(item.instance_id, item.token, actions)]))

    def finish_activity(self, item: ActivityRequest, result: str = "1") -> None:
        response = ActivityResponse(item.instance.instance_id, item.task_id, item.token, result)
        self.handle(Results([response]))

    def abandon(self, item: Any) -> None:
        self.handle(Abandon(item.token, "no"))

    def disconnect(self, stream_id: int) -> None:
        self.handle(Disconnect(stream_id))

    def wait(self, seconds: float) -> None:
        """Let time pass, then let the hub look."""
        self.clock.seconds += seconds
        self.handle()

    def status(self, instance_id: str) -> OrchestrationStatus | None:
        """The committed status."""
        stored = self.store.load(instance_id)
        return stored.instance.status if stored else None

    def history(self, instance_id: str) -> list[HistoryEvent]:
        return self.store.read_history(instance_id, None)


def done(action_id: int = 9) -> CompleteOrchestration:
    return CompleteOrchestration(action_id, OrchestrationStatus.COMPLETED, "1")


def call(action_id: int, name: str = "work") -> ScheduleTask:
    return ScheduleTask(action_id, name)


def task(key: int, attempts: int = 0, name: str = "work") -> ActivityTask:
    owner = OrchestrationInstance("a", "e")
    return ActivityTask(TaskKey(key), owner, key, name, attempts=attempts)


def message(number: int, visible_at: datetime = NOW, instance_id: str = "a") -> Message:
    return Message(MessageId(number), instance_id, None, EventRaised(name="go"), visible_at)


def row(instance_id: str = "a", status: OrchestrationStatus = OrchestrationStatus.RUNNING) -> Any:
    return Instance(instance_id, "e", "flow", status, NOW, NOW)
