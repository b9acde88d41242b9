"""Does the orchestrator ask again for what its history says it asked for?

An action of the code and the event that records it agree in kind and in name; for events sent to
other instances also in the target. Times and payloads are not compared: they may come from a newer
deployment without harm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from durable_app.errors import NonDeterminismError
from durable_app.protocol import (
    CreateSubOrchestration,
    CreateTimer,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityUnlockSent,
    Event,
    EventSent,
    OrchestratorAction,
    ScheduleTask,
    SendEntityMessage,
    SendEvent,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TimerCreated,
)


def _task(event: Any, action: OrchestratorAction) -> bool:
    return type(action) is ScheduleTask and bool(action.name == event.name)


def _child(event: Any, action: OrchestratorAction) -> bool:
    return type(action) is CreateSubOrchestration and bool(action.name == event.name)


def _timer(_event: Any, action: OrchestratorAction) -> bool:
    return type(action) is CreateTimer


def _event_sent(event: Any, action: OrchestratorAction) -> bool:
    if type(action) is SendEvent:
        target: bool = action.instance.instance_id == event.instance_id
        return target and bool(action.name == event.name)
    # Hubs without events of entities record an entity message as an event to the entity.
    return type(action) is SendEntityMessage and _target(action.message) == event.instance_id


def _entity(event: Any, action: OrchestratorAction) -> bool:
    return (
        type(action) is SendEntityMessage
        and type(action.message) is type(event)
        and _target(action.message) == _target(event)
        and _locked(action.message) == _locked(event)
        and _operation(action.message) == _operation(event)
    )


def _target(message: Any) -> str | None:
    if type(message) is EntityLockRequested:
        return message.lock_set[0] if message.lock_set else None
    target: str | None = message.target_instance_id
    return target


def _locked(message: Any) -> tuple[str, ...]:
    lock_set: tuple[str, ...] = getattr(message, "lock_set", ())
    return lock_set


def _operation(message: Any) -> str | None:
    operation: str | None = getattr(message, "operation", None)
    return operation


#: Kind of event that records an action -> do the two agree?
MATCHING: Final[dict[type[Event], Callable[[Any, OrchestratorAction], bool]]] = {
    TaskScheduled: _task,
    SubOrchestrationInstanceCreated: _child,
    TimerCreated: _timer,
    EventSent: _event_sent,
    EntityOperationCalled: _entity,
    EntityOperationSignaled: _entity,
    EntityLockRequested: _entity,
    EntityUnlockSent: _entity,
}


def resembles(event: Event, action: OrchestratorAction) -> bool:
    """Tell whether time and payload agree too, which decides between two that match."""
    subject = action.message if type(action) is SendEntityMessage else action
    return all(
        getattr(event, field, None) == getattr(subject, field, None)
        for field in ("fire_at", "input")
    )


def mismatch(event: Event, action: OrchestratorAction | None, where: str) -> NonDeterminismError:
    """Return the error for an event that the code does not confirm.

    Args:
        event: what history holds.
        action: what the code asks for at that point, None if nothing.
        where: the orchestrator and the line at which it stands.
    """
    wanted = "nothing more" if action is None else describe_action(action)
    return NonDeterminismError(
        f"History holds {describe_event(event)}, but the orchestrator asks for {wanted}; it stands"
        f" at {where}. Its code must have changed, or it depends on something that differs from"
        " replay to replay (the clock, random values, the environment, the order of a set)."
        " Bring the old code back and rewind the instance, or give changed code a new version."
    )


def describe_event(event: Event) -> str:
    """Name an event for people: kind, id, name; of a message to an entity also the entity."""
    return f"{type(event).__name__} #{event.event_id}{_described(event)}"


def describe_action(action: OrchestratorAction) -> str:
    """Name an action for people, in the same words; a message to an entity by its own kind."""
    subject = action.message if isinstance(action, SendEntityMessage) else action
    return f"{type(subject).__name__} #{action.id}{_described(subject)}"


def _described(subject: Any) -> str:
    name = getattr(subject, "name", None) or _operation(subject)
    targets = ", ".join(_locked(subject)) or getattr(subject, "target_instance_id", None)
    return (f" '{name}'" if name else "") + (f" to {targets}" if targets else "")
