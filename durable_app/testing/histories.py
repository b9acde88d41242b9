"""Histories that instances really had, replayed against the code of today.

A history is kept as a JSON list of events in a readable form: the class's name as ``type``, then
the fields that differ from their defaults. It stands for all instances that are in flight when a
new version of the app is deployed. Each turn of it is replayed; the code must ask for exactly what
was recorded then, or those instances break.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise, takewhile
from os import PathLike
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

import msgspec

from durable_app.errors import DefinitionError, NonDeterminismError
from durable_app.protocol import (
    EPOCH,
    PATCH_MARKER,
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
from durable_app.replay.references import name_and_type
from durable_app.testing.stubs import index_with

if TYPE_CHECKING:
    from azure.functions.decorators.function_app import DecoratorApi

#: Classes of events by their names.
KINDS: Final[dict[str, type[Event]]] = {kind.__name__: kind for kind in get_args(HistoryEvent)}

_KINDS: Final = frozenset(KINDS.values())

Readable = dict[str, Any]


# -- the readable form ---------------------------------------------------------------------------


def to_readable(event: Event) -> Readable:
    """The event as JSON values; what has its default is left out."""
    return {"type": type(event).__name__, **_fields_of(event)}


def from_readable(readable: Readable) -> Any:
    """Inverse of :func:`to_readable`.

    Raises:
        KeyError: it is no event, like TypeError, ValueError and msgspec.ValidationError.
    """
    fields = dict(readable)
    return _struct(KINDS[fields.pop("type")], fields)


def _fields_of(value: msgspec.Struct) -> Readable:
    return {
        field.name: (
            _fields_of(held) if isinstance(held, msgspec.Struct) else msgspec.to_builtins(held)
        )
        for field in msgspec.structs.fields(value)
        if (held := getattr(value, field.name)) != field.default
    }


def _struct(kind: type[msgspec.Struct], fields: Readable) -> Any:
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return kind(**{name: _value(known[name], value) for name, value in fields.items()})


def _value(wanted: Any, value: Any) -> Any:
    inner = struct_in(wanted)
    return msgspec.convert(value, wanted) if inner is None else _struct(inner, value)


def struct_in(wanted: Any) -> type[msgspec.Struct] | None:
    """X of ``X`` or ``X | None`` if that is a struct."""
    for kind in options_of(wanted):
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return kind
    return None


def options_of(wanted: Any) -> tuple[Any, ...]:
    """The members of a union; any other type alone."""
    return get_args(wanted) if isinstance(wanted, UnionType) else (wanted,)


# -- files ---------------------------------------------------------------------------------------


def save_history(path: str | PathLike[str], events: Iterable[HistoryEvent]) -> None:
    """Write a history for :func:`replay_history`, readable and fit for version control.

    Args:
        events: as ``await client.get_orchestration_history(instance_id)`` gives them.

    Raises:
        TypeError: these are others, such as those of a status, which are made for people.
    """
    kept = list(events)
    for event in kept:
        if type(event) not in _KINDS:
            raise TypeError(
                "save_history takes the events of client.get_orchestration_history(instance_id),"
                f" not {type(event).__name__}."
            )
    write_json(Path(path), [to_readable(event) for event in kept])


def load_history(path: str | PathLike[str]) -> list[Any]:
    """The events that :func:`save_history` has written.

    Raises:
        ValueError: the file holds something else.
    """
    return _read(json.loads(Path(path).read_text(encoding="utf-8")))


def _read(readable: Iterable[Any]) -> list[Any]:
    try:
        return [each if type(each) in _KINDS else from_readable(each) for each in readable]
    except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
        raise ValueError(f"This is no history that save_history has written: {error!r}.") from error


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
    """Cut a history at its turns. Only of histories that this package's hub wrote."""
    starts = [i for i, event in enumerate(history) if type(event) is OrchestratorStarted]
    turns = []
    for start, end in pairwise([*starts, len(history)]):
        new = list(takewhile(lambda event: _action(event) is None, history[start:end]))
        asked = [_action(event) for event in history[start + len(new) : end]]
        turns.append(Turn(history[:start], new, asked))
    return turns


def _action(event: Any) -> OrchestratorAction | None:
    """What the code asked for when the hub recorded this; None where it asked nothing."""
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
            return SendEntityMessage(id_, event)
        case ExecutionCompleted(id_, _, status, result, failure):
            return CompleteOrchestration(id_, status, result, failure)
        case _:
            return None


def _bare(action: OrchestratorAction | None) -> OrchestratorAction | None:
    """The action without what the code has no say in: its trace, and when a message was sent."""
    match action:
        case ScheduleTask() | CreateSubOrchestration():
            return msgspec.structs.replace(action, parent_trace_context=None)
        case SendEntityMessage():
            bare: dict[str, Any] = {"timestamp": EPOCH}
            if hasattr(action.message, "parent_trace_context"):
                bare["parent_trace_context"] = None
            return SendEntityMessage(action.id, msgspec.structs.replace(action.message, **bare))
        case _:
            return action


def _is_same(now: OrchestratorAction, recorded: OrchestratorAction | None) -> bool:
    now_bare, recorded_bare = _bare(now), _bare(recorded)
    if (
        isinstance(now_bare, CreateSubOrchestration)
        and isinstance(recorded_bare, CreateSubOrchestration)
        and now_bare.version is None
    ):
        # The code names no version, so the child had the default one of the host of that time.
        recorded_bare = msgspec.structs.replace(recorded_bare, version=None)
    return now_bare == recorded_bare


def _patches_in(history: Sequence[Any]) -> frozenset[str]:
    """Patches that the instance had; the others it would not get, as it came by before them."""
    return frozenset(
        event.name.removeprefix(PATCH_MARKER)
        for event in history
        if isinstance(event, TaskScheduled) and event.name.startswith(PATCH_MARKER)
    )


# -- the check -----------------------------------------------------------------------------------


def start_of(history: Sequence[Any]) -> ExecutionStarted:
    """The event that tells the orchestrator's name, version and input.

    Raises:
        ValueError: there is none.
    """
    for event in history:
        if isinstance(event, ExecutionStarted):
            return event
    raise ValueError("The history has no ExecutionStarted: it is none of an orchestration.")


class Departure(NamedTuple):
    """Where code leaves a history: in this turn, and what it asks for instead."""

    number: int
    turn: Turn
    asked: Sequence[OrchestratorAction]

    @property
    def told(self) -> str:
        """What was recorded and what is asked for now, a line each."""
        return f"recorded: {_listed(self.turn.asked)}\nnow:      {_listed(self.asked)}"


def departure(history: Sequence[Any], fn: Any, input_type: Any) -> Departure | None:
    """Replay every turn of a history; None where the code asks for what was recorded."""
    env = ReplayEnv(patches=_patches_in(history))
    for number, turn in enumerate(turns_of(history), 1):
        asked = replay(fn, turn.past, turn.new, env, input_type).actions
        if len(asked) != len(turn.asked) or not all(map(_is_same, asked, turn.asked)):
            return Departure(number, turn, asked)
    return None


def replay_history(
    app: DecoratorApi,
    history: str | PathLike[str] | Sequence[HistoryEvent | Readable],
    *,
    orchestrator: Any = None,
) -> None:
    """Replay a history against the code of today.

    Inputs and times count too: an instance that would go on with others has two minds. What the
    code does under ``context.is_patched`` counts if the history has the patch: the instance came by
    before it else. Traces and default versions are the host's and do not count.

    Args:
        app: a ``DFApp``, or a ``Blueprint`` alone.
        history: a file of :func:`save_history`, what is in it, or the events themselves.
        orchestrator: name or decorated function of the one to replay; None for that of the history.

    Raises:
        NonDeterminismError: the code asks for something else than was recorded.
        DefinitionError: the app has no such orchestrator.
        ValueError: it is no history of an orchestration.
    """
    events = load_history(history) if isinstance(history, str | PathLike) else _read(history)
    started = start_of(events)
    name = started.name
    if orchestrator is not None:
        name, _ = name_and_type(orchestrator, None, "replay_history")
    index = index_with(app, None)
    found = index.find("orchestration", name)
    if found is None or found.durable is None:
        raise DefinitionError(index.unknown("orchestration", name))
    left = departure(events, *found.durable.for_version(started.version))
    if left is not None:
        raise NonDeterminismError(
            f"In turn {left.number} of the history the orchestrator '{name}' asks for something"
            f" else than was recorded.\n{left.told}\nInstances that are in flight when this is"
            " deployed would break. If the change is meant, give the changed orchestrator a new"
            " version, or let its instances finish first; then record the history anew."
        )


def _listed(actions: Sequence[OrchestratorAction | None]) -> str:
    return "".join(f"\n    {action}" for action in actions) or "nothing"
