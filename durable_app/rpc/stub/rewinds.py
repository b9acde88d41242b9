"""Rewinds on hubs that do not dispatch again what is open in a history.

Our own hub does (see ``durable_app.taskhub.rewind``). Others take the history that the worker
answers a rewind with, and wait for the next turn to ask for the activities once more. Workers of
other libraries leave the scheduling of a failed activity out of that history; ours keep it, since
what was asked for first has to stay first. So here, on the way to such a hub and back:

* the answer to a rewind ends with the event that has asked for it, which marks the place;
* the first turn after that place asks again for every activity that is open there, under its own
  id, whatever else it asks for;
* the worker sees neither the mark nor that an activity was scheduled twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durable_app.protocol import (
    CompleteOrchestration,
    ExecutionRewound,
    HistoryEvent,
    OrchestratorRequest,
    OrchestratorResponse,
    RewindOrchestration,
    ScheduleTask,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class Resumed(msgspec.Struct, frozen=True):
    """A turn as its worker shall see it.

    Attributes:
        request: without what happened at the rewind.
        again: activities to ask for once more.
    """

    request: OrchestratorRequest
    again: tuple[ScheduleTask, ...] = ()


def resumed(request: OrchestratorRequest) -> Resumed:
    """The turn, and what it has to ask for because the instance was rewound."""
    past = request.past_events
    places = [number for number, event in enumerate(past) if type(event) is ExecutionRewound]
    if not places:
        return Resumed(request)
    open_then = _open(past[: places[-1]])
    asked: set[int] = set()
    kept: list[HistoryEvent] = []
    for number, event in enumerate(past):
        if type(event) is ExecutionRewound:
            continue
        if number > places[-1] and type(event) is TaskScheduled and event.event_id in open_then:
            asked.add(event.event_id)
            continue
        kept.append(event)
    again = tuple(_ask(open_then[each]) for each in sorted(open_then.keys() - asked))
    changed = msgspec.structs.replace(request, past_events=kept, past_count=len(kept))
    return Resumed(changed, again)


def answered(turn: Resumed, response: OrchestratorResponse) -> OrchestratorResponse:
    """The answer as the hub needs it."""
    rewound = next((e for e in turn.request.new_events if type(e) is ExecutionRewound), None)
    actions = [
        msgspec.structs.replace(action, new_history=(*action.new_history, rewound))
        if isinstance(action, RewindOrchestration) and rewound is not None
        else action
        for action in response.actions
    ]
    if not any(isinstance(action, CompleteOrchestration) for action in actions):
        actions += turn.again
    return msgspec.structs.replace(response, actions=actions)


def _open(history: Sequence[HistoryEvent]) -> dict[int, TaskScheduled]:
    """Activities without an outcome, by id."""
    found: dict[int, TaskScheduled] = {}
    for event in history:
        if isinstance(event, TaskScheduled):
            found[event.event_id] = event
        elif isinstance(event, TaskCompleted | TaskFailed):
            found.pop(event.task_scheduled_id, None)
    return found


def _ask(event: TaskScheduled) -> ScheduleTask:
    return ScheduleTask(
        event.event_id,
        event.name,
        event.version,
        event.input,
        parent_trace_context=event.parent_trace_context,
        tags=event.tags,
    )
