"""Rewinds on hubs that wait to be asked again."""

from __future__ import annotations

from durable_app.protocol import (
    CompleteOrchestration,
    ExecutionRewound,
    HistoryEvent,
    OrchestrationStatus,
    OrchestratorResponse,
    OrchestratorStarted,
    RewindOrchestration,
    ScheduleTask,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
)
from durable_app.rpc.stub.rewinds import answered, resumed
from tests.unit.rpc.stub.items import token, turn

STARTED = OrchestratorStarted()
REWOUND = ExecutionRewound(reason="mended")
DONE, OPEN, OTHER = (
    TaskScheduled(number, name="double", input=str(number)) for number in (1, 2, 3)
)
DONE_RESULT = TaskCompleted(task_scheduled_id=1, result="10")
BEFORE: list[HistoryEvent] = [STARTED, DONE, OPEN, OTHER, DONE_RESULT]


def response(*actions):
    return OrchestratorResponse("one", token("a"), actions)


def ask(event):
    return ScheduleTask(event.event_id, "double", input=event.input)


def test_a_turn_without_a_rewind_stays_as_it_is():
    request = turn("a", past_events=BEFORE)
    seen = resumed(request)
    assert seen.request is request
    assert answered(seen, response(ask(OPEN))).actions == [ask(OPEN)]


def test_the_answer_to_a_rewind_ends_with_its_mark():
    seen = resumed(turn("a", past_events=BEFORE, new_events=[STARTED, REWOUND]))
    found = answered(seen, response(RewindOrchestration(4, tuple(BEFORE))))
    assert found.actions == [RewindOrchestration(4, (*BEFORE, REWOUND))]


def test_the_first_turn_asks_again_for_what_is_open():
    seen = resumed(turn("a", past_events=[*BEFORE, REWOUND]))
    assert (seen.request.past_events, seen.request.past_count) == (BEFORE, 5)
    assert answered(seen, response()).actions == [ask(OPEN), ask(OTHER)]


def test_an_end_asks_for_nothing():
    end = CompleteOrchestration(4, OrchestrationStatus.COMPLETED)
    seen = resumed(turn("a", past_events=[*BEFORE, REWOUND]))
    assert answered(seen, response(end)).actions == [end]


def test_later_turns_do_not_see_what_was_asked_twice():
    after = [STARTED, OPEN, OTHER, STARTED, TaskFailed(task_scheduled_id=3)]
    seen = resumed(turn("a", past_events=[*BEFORE, REWOUND, *after]))
    assert seen.request.past_events == [*BEFORE, STARTED, STARTED, after[-1]]
    assert seen.again == ()


def test_the_latest_rewind_counts():
    after = [STARTED, OPEN, OTHER, TaskCompleted(task_scheduled_id=3)]
    seen = resumed(turn("a", past_events=[*BEFORE, REWOUND, *after, REWOUND]))
    assert [each.id for each in seen.again] == [2]
