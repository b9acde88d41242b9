"""In the classic mode the engine asks for what azure-functions-durable 1.x asks for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest

from durable_app.entity_id import EntityId
from durable_app.protocol import (
    CompleteOrchestration,
    EntityOperationCalled,
    EntityOperationCompleted,
    EntityOperationFailed,
    EntityOperationSignaled,
    EventRaised,
    ExecutionStarted,
    FailureDetails,
    HistoryEvent,
    OrchestrationInstance,
    OrchestrationStatus,
    OrchestratorCompleted,
    OrchestratorStarted,
    SendEntityMessage,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from durable_app.replay.engine import Emit, ReplayEnv, RetryMode, ScheduleAt, replay
from durable_app.replay.retry import RetryOptions

CLASSIC = ReplayEnv(
    schedule_at=ScheduleAt.YIELD,
    first_id=0,
    retry=RetryMode.HOST,
    emit=Emit.ALL,
    strict_ids=False,
    name_children=False,
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOMENT = "2026-01-01T00:00:00.0000000Z"
COMPOSITES = (11, 12)
EVENT_WAIT = 6

BEGIN = OrchestratorStarted(-1, NOW)
END = OrchestratorCompleted(-1, NOW)
START: list[HistoryEvent] = [
    BEGIN,
    ExecutionStarted(-1, NOW, "o", None, None, OrchestrationInstance("i", "x")),
]


def scheduled(number: int, name: str) -> TaskScheduled:
    return TaskScheduled(number, NOW, name)


def done(number: int) -> TaskCompleted:
    return TaskCompleted(-1, NOW, number, str(number))


def failed(number: int) -> TaskFailed:
    return TaskFailed(-1, NOW, number)


def fan_out(context, _options):
    a, b = context.call_activity("a"), context.call_activity("b")
    yield context.task_any([a, b])
    both = yield context.task_all([a, b])
    return [both, (yield context.call_activity("z"))]


def retry_to_the_end(context, options):
    try:
        return (yield context.call_activity_with_retry("a", options(1000, 2)))
    except Exception:  # noqa: BLE001  the other library raises nothing better
        return (yield context.call_activity("z"))


def race(context, _options):
    timer = context.create_timer(context.current_utc_datetime)
    event = context.wait_for_external_event("Go")
    if (yield context.task_any([timer, event])) is event:
        timer.cancel()
    return (yield context.call_activity("z"))


def retry_beside_another(context, options):
    tasks = [context.call_activity_with_retry("a", options(1000, 3)), context.call_activity("b")]
    both = yield context.task_all(tasks)
    return [both, (yield context.call_activity("c"))]


def entities(context, _options):
    counter = EntityId("Counter", "a")
    late = context.call_entity(counter, "late")
    context.signal_entity(counter, "first", 0)
    yield context.call_activity("a")
    context.signal_entity(counter, "second")
    result = yield late
    try:
        yield context.call_entity(counter, "fails")
    except Exception as error:  # noqa: BLE001  the other library raises nothing better
        assert "boom" in str(error)  # noqa: PT017  what is raised differs between the two
        return result
    return "no error"


def called(number: int, operation: str) -> EntityOperationCalled:
    return EntityOperationCalled(
        number, NOW, f"request {number}", operation, target_instance_id="@counter@a"
    )


def signaled(number: int, operation: str) -> EntityOperationSignaled:
    return EntityOperationSignaled(
        number, NOW, f"request {number}", operation, target_instance_id="@counter@a"
    )


CASES: list[tuple[Any, list[Any]]] = [
    (
        fan_out,
        [
            scheduled(0, "a"),
            scheduled(1, "b"),
            END,
            BEGIN,
            done(1),
            END,
            BEGIN,
            done(0),
            scheduled(2, "z"),
            END,
            BEGIN,
            done(2),
        ],
    ),
    (
        retry_to_the_end,
        [
            scheduled(0, "a"),
            END,
            BEGIN,
            failed(0),
            TimerCreated(1, NOW),
            END,
            BEGIN,
            TimerFired(-1, NOW, 1),
            scheduled(2, "a"),
            END,
            BEGIN,
            failed(2),
            TimerCreated(3, NOW),
            END,
            BEGIN,
            TimerFired(-1, NOW, 3),
            scheduled(4, "z"),
            END,
            BEGIN,
            done(4),
        ],
    ),
    (
        entities,
        [
            signaled(0, "first"),
            scheduled(1, "a"),
            END,
            BEGIN,
            done(1),
            signaled(2, "second"),
            called(3, "late"),
            END,
            BEGIN,
            EntityOperationCompleted(-1, NOW, "request 3", "[0]"),
            called(4, "fails"),
            END,
            BEGIN,
            EntityOperationFailed(-1, NOW, "request 4", FailureDetails("ValueError", "boom")),
        ],
    ),
    (
        race,
        [
            TimerCreated(0, NOW, NOW),
            END,
            BEGIN,
            EventRaised(-1, NOW, "Go", "5"),
            scheduled(1, "z"),
            END,
            BEGIN,
            done(1),
        ],
    ),
    (
        retry_beside_another,
        [
            scheduled(0, "a"),
            scheduled(1, "b"),
            END,
            BEGIN,
            failed(0),
            done(1),
            TimerCreated(2, NOW),
            END,
            BEGIN,
            TimerFired(-1, NOW, 2),
            scheduled(3, "a"),
            END,
            BEGIN,
            done(3),
            scheduled(4, "c"),
            END,
            BEGIN,
            done(4),
        ],
    ),
]


def plain(  # noqa: C901, PLR0912  it is only a match over the events
    event: HistoryEvent,
) -> dict[str, Any]:
    """Return an event as the classic host writes it."""
    known: dict[str, Any] = {"EventId": event.event_id, "IsPlayed": False, "Timestamp": MOMENT}
    match event:
        case ExecutionStarted(name=name):
            known |= {"EventType": 0, "Name": name, "Version": "", "Input": "null", "Tags": None}
        case TaskScheduled(name=name):
            known |= {"EventType": 4, "Name": name, "Version": "", "Input": None}
        case TaskCompleted(task_scheduled_id=number, result=result):
            known |= {"EventType": 5, "TaskScheduledId": number, "Result": result}
        case TaskFailed(task_scheduled_id=number):
            known |= {"EventType": 6, "TaskScheduledId": number, "Reason": "r", "Details": "d"}
        case TimerCreated():
            known |= {"EventType": 10, "FireAt": MOMENT}
        case TimerFired(timer_id=number):
            known |= {"EventType": 11, "TimerId": number, "FireAt": MOMENT}
        case OrchestratorStarted():
            known |= {"EventType": 12}
        case OrchestratorCompleted():
            known |= {"EventType": 13}
        case EventRaised(name=name, input=text):
            known |= {"EventType": 15, "Name": name, "Input": text}
        case EntityOperationCalled() | EntityOperationSignaled():
            request = {"op": event.operation, "id": event.request_id}
            known |= {"EventType": 14, "InstanceId": event.target_instance_id, "Name": "op"}
            known |= {"Input": json.dumps(request)}
        case EntityOperationCompleted(request_id=name, output=text):
            known |= {"EventType": 15, "Name": name, "Input": json.dumps({"result": text})}
        case EntityOperationFailed(request_id=name, failure=FailureDetails(error_message=text)):
            answer = {"result": json.dumps(text), "exceptionType": "ValueError"}
            known |= {"EventType": 15, "Name": name, "Input": json.dumps(answer)}
        case _:
            raise AssertionError(event)
    return known


def theirs(orchestrator: Any, history: Sequence[HistoryEvent]) -> tuple[Any, ...]:
    df = import_module("azure.durable_functions")  # untyped, and slow to import

    class Request:
        body = json.dumps(
            {
                "history": [plain(event) for event in history],
                "input": None,
                "instanceId": "i",
                "isReplaying": False,
                "parentInstanceId": None,
                "upperSchemaVersion": 1,
                "upperSchemaVersionNew": 1,
            }
        )

    handle = df.Orchestrator.create(lambda context: orchestrator(context, df.RetryOptions))
    state = json.loads(handle(Request))
    return leaves(state["actions"][0]), state["isDone"], state.get("output")


def leaves(actions: list[dict[str, Any]]) -> list[Any]:
    found: list[Any] = []
    for action in actions:
        if action["actionType"] in COMPOSITES:
            found += leaves(action["compoundActions"])
        elif action["actionType"] != EVENT_WAIT:
            name = action.get("functionName") or action.get("operation")
            found.append(name or action["isCanceled"])
    return found


def ours(orchestrator: Any, history: Sequence[HistoryEvent]) -> tuple[Any, ...]:
    result = replay(lambda context: orchestrator(context, RetryOptions), history, (), CLASSIC)
    asked: list[Any] = []
    output: Any = None
    for action in result.actions:
        if isinstance(action, CompleteOrchestration):
            assert action.status is OrchestrationStatus.COMPLETED, action.failure
            output = json.loads(action.result or "null")
        elif isinstance(action, SendEntityMessage):
            assert isinstance(action.message, EntityOperationCalled | EntityOperationSignaled)
            asked.append(action.message.operation)
        else:
            asked.append(getattr(action, "name", None) or getattr(action, "is_canceled", None))
    return asked, result.is_complete, output


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("orchestrator", "events"), CASES, ids=[case[0].__name__ for case in CASES]
)
def test_every_prefix_of_a_history_asks_for_the_same(orchestrator, events) -> None:
    history = START + events
    for length in range(len(START), len(history) + 1):
        prefix = history[:length]
        assert ours(orchestrator, prefix) == theirs(orchestrator, prefix)
    assert ours(orchestrator, history)[1]
