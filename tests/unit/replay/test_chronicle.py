from __future__ import annotations

import pytest

from durable_app.protocol import (
    CompleteOrchestration,
    CreateSubOrchestration,
    CreateTimer,
    EntityOperationSignaled,
    EventSent,
    OrchestrationInstance,
    OrchestrationStatus,
    RewindOrchestration,
    ScheduleTask,
    SendEntityMessage,
    SendEvent,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TerminateOrchestration,
    TimerCreated,
)
from durable_app.replay.chronicle import Chronicle, recording
from tests.unit.replay.world import NOON, at, started

SIGNAL = EntityOperationSignaled(4, NOON, "r", "add")


@pytest.mark.parametrize(
    ("action", "event"),
    [
        (
            ScheduleTask(1, "a", "2", "3", {"t": "v"}),
            TaskScheduled(1, NOON, "a", "2", "3", None, {"t": "v"}),
        ),
        (
            CreateSubOrchestration(1, "i", "a", "2", "3", None, {"t": "v"}),
            SubOrchestrationInstanceCreated(1, NOON, "i", "a", "2", "3", None, {"t": "v"}),
        ),
        (
            CreateSubOrchestration(1, None, "a"),
            SubOrchestrationInstanceCreated(1, NOON, "", "a"),
        ),
        (CreateTimer(1, NOON), TimerCreated(1, NOON, NOON)),
        (SendEvent(1, OrchestrationInstance("i"), "go", "1"), EventSent(1, NOON, "i", "go", "1")),
        (SendEntityMessage(4, SIGNAL), SIGNAL),
        (CompleteOrchestration(1, OrchestrationStatus.COMPLETED), None),
        (TerminateOrchestration(1, "i"), None),
        (RewindOrchestration(1, ()), None),
    ],
)
def test_the_event_that_records_an_action(action, event) -> None:
    assert recording(action, NOON) == event


def test_only_what_was_read_was_seen() -> None:
    chronicle = Chronicle()
    list(chronicle.reading([at()]))
    chronicle.add_actions([ScheduleTask(1, "a"), RewindOrchestration(2, ())], NOON)
    chronicle.add_actions([], NOON)
    reading = chronicle.reading((started(), at(1)))
    next(reading)
    assert chronicle.events() == [at(), TaskScheduled(1, NOON, "a"), started()]
