"""Golden files: histories that instances really had, and bytes that were really stored.

A history is a JSON list of events in a readable form: the class's name as ``type``, then the fields
that differ from their defaults. It stands for all instances that are in flight when a new version
of the app or of the engine is deployed. Each turn of it is replayed; the code must ask for exactly
what was recorded then, or those instances break.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from types import UnionType
from typing import Any, Final, NamedTuple, get_args

import msgspec

from durable_app.protocol import (
    EPOCH,
    CompleteOrchestration,
    CreateSubOrchestration,
    CreateTimer,
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    EntityUnlockSent,
    Event,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    HistoryEvent,
    OrchestrationInstance,
    OrchestratorAction,
    OrchestratorStarted,
    ScheduleTask,
    SendEntityMessage,
    SendEvent,
    SubOrchestrationInstanceCreated,
    TaskScheduled,
    TimerCreated,
)
from durable_app.replay.engine import ReplayEnv, replay

FOLDER: Final = Path(__file__).parent
STORED: Final = FOLDER / "stored" / "events.json"
KINDS: Final[dict[str, type[Event]]] = {kind.__name__: kind for kind in get_args(HistoryEvent)}


# -- the readable form ---------------------------------------------------------------------------


def to_readable(event: Event) -> dict[str, Any]:
    """Return the event as JSON values; what has its default is left out."""
    return {"type": type(event).__name__, **_fields_of(event)}


def from_readable(readable: dict[str, Any]) -> Any:
    """Inverse of ``to_readable``; msgspec.ValidationError or KeyError where it is none."""
    fields = dict(readable)
    return _struct(KINDS[fields.pop("type")], fields)


def _fields_of(value: msgspec.Struct) -> dict[str, Any]:
    return {
        field.name: (
            _fields_of(held) if isinstance(held, msgspec.Struct) else msgspec.to_builtins(held)
        )
        for field in msgspec.structs.fields(value)
        if (held := getattr(value, field.name)) != field.default
    }


def _struct(kind: type[msgspec.Struct], fields: dict[str, Any]) -> Any:
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return kind(**{name: _value(known[name], value) for name, value in fields.items()})


def _value(wanted: Any, value: Any) -> Any:
    inner = struct_in(wanted)
    return msgspec.convert(value, wanted) if inner is None else _struct(inner, value)


def struct_in(wanted: Any) -> type[msgspec.Struct] | None:
    """Return X of ``X`` or ``X | None`` if that is a struct."""
    for kind in options_of(wanted):
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return kind
    return None


def options_of(wanted: Any) -> tuple[Any, ...]:
    """Return the members of a union; any other type alone."""
    return get_args(wanted) if isinstance(wanted, UnionType) else (wanted,)


# -- files ---------------------------------------------------------------------------------------


def history_names() -> list[str]:
    """Names of the histories, without folder and suffix."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read_history(name: str) -> list[Any]:
    """Return the events of one history."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    return [from_readable(readable) for readable in json.loads(text)]


def write_history(name: str, events: Iterable[Event]) -> None:
    """Write or replace one history."""
    write_json(FOLDER / f"{name}.json", [to_readable(event) for event in events])


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people: one field a line, ends with a line feed."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# -- turns ---------------------------------------------------------------------------------------


class Turn(NamedTuple):
    """One turn of a history: what was known, what was new, what the code then asked for."""

    past: Sequence[HistoryEvent]
    new: Sequence[HistoryEvent]
    asked: Sequence[OrchestratorAction | None]


def turns_of(history: Sequence[Any]) -> list[Turn]:
    """Cut a history at its turns. Only of histories that this hub wrote."""
    starts = [i for i, event in enumerate(history) if type(event) is OrchestratorStarted]
    turns = []
    for start, end in pairwise([*starts, len(history)]):
        new = list(takewhile(lambda event: _action(event) is None, history[start:end]))
        asked = [_action(event) for event in history[start + len(new) : end]]
        assert None not in asked, "what has happened stands before what was asked for"
        turns.append(Turn(history[:start], new, asked))
    return turns


def _action(event: Any) -> OrchestratorAction | None:
    """Return what the code asked for when the hub recorded this; None where it asked nothing."""
    match event:
        case TaskScheduled(id_, _, name, version, value, trace, tags):
            return ScheduleTask(id_, name, version, value, tags, trace)
        case SubOrchestrationInstanceCreated(id_, _, child, name, version, value, trace, tags):
            return CreateSubOrchestration(id_, child, name, version, value, trace, tags)
        case TimerCreated(id_, _, fire_at):
            return CreateTimer(id_, fire_at)
        case EventSent(id_, _, target, name, value):
            return SendEvent(id_, OrchestrationInstance(target), name, value)
        case (
            EntityOperationCalled(id_)
            | EntityOperationSignaled(id_)
            | EntityLockRequested(id_)
            | EntityUnlockSent(id_)
        ):
            return _untimed(SendEntityMessage(id_, event))
        case ExecutionCompleted(id_, _, status, result, failure):
            return CompleteOrchestration(id_, status, result, failure)
        case _:
            return None


def _untimed(action: OrchestratorAction) -> OrchestratorAction:
    """Return the action without the moment at which the hub recorded a message to an entity."""
    if not isinstance(action, SendEntityMessage):
        return action
    return SendEntityMessage(action.id, msgspec.structs.replace(action.message, timestamp=EPOCH))


# -- the check -----------------------------------------------------------------------------------


def start_of(history: Sequence[Any]) -> ExecutionStarted:
    """Return the event that tells the orchestrator's name, version and input."""
    return next(event for event in history if isinstance(event, ExecutionStarted))


def check_history(name: str, history: Sequence[Any], fn: Any, input_type: Any) -> None:
    """Replay every turn of a history; AssertionError where the code asks for something else."""
    for number, turn in enumerate(turns_of(history), 1):
        result = replay(fn, turn.past, turn.new, ReplayEnv(), input_type)
        if [_untimed(action) for action in result.actions] != list(turn.asked):
            raise AssertionError(
                _broken(name, start_of(history).name, number, turn, result.actions)
            )


def _broken(
    name: str, orchestrator: str, number: int, turn: Turn, actions: Sequence[OrchestratorAction]
) -> str:
    return (
        f"In turn {number} of tests/golden/{name}.json the orchestrator '{orchestrator}'"
        " asks for something else than was recorded.\n"
        f"recorded: {_listed(turn.asked)}\n"
        f"now:      {_listed(actions)}\n"
        "Instances that are in flight when this is deployed would break; where only an input or a"
        " time differs, they would go on with two minds. If only the app has changed and that is"
        " meant, give the changed orchestrator a new version or let its"
        " instances finish first; then record anew, and commit the file with the change:\n"
        f"    python -m tests.golden.record {name}\n"
        "If the engine has changed, the change is wrong: recording anew would only hide it."
    )


def _listed(actions: Sequence[OrchestratorAction | None]) -> str:
    return "".join(f"\n    {action}" for action in actions) or "nothing"
