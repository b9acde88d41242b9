"""The values that triggers hand to functions, made by azure-functions' own converters."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from azure.functions import meta

from durable_app.errors import DefinitionError

if TYPE_CHECKING:
    from durable_app.functions.index import FunctionFacts
    from durable_app.host.triggers.schedule import ScheduleStatus
    from durable_app.recurrence.schedules import Schedule

TIMER_TRIGGER: Final = "timerTrigger"
QUEUE_TRIGGER: Final = "queueTrigger"
_NO_METADATA: Final[Mapping[str, meta.Datum]] = {}
# azure-functions has no annotation for it.
_registry: Final[Callable[[], Any]] = meta.get_binding_registry


def timer_value(schedule: Schedule, status: ScheduleStatus | None, *, is_past_due: bool) -> Any:
    """What a timer's parameter gets, an ``azure.functions.TimerRequest``.

    Args:
        status: None for a timer that is not monitored.
    """
    described = {
        "Schedule": {"AdjustForDST": schedule.adjust_for_dst},
        "ScheduleStatus": None if status is None else status.shown(schedule),
        "IsPastDue": is_past_due,
    }
    return _decode(TIMER_TRIGGER, json.dumps(described), "json", _NO_METADATA)


def queue_value(body: str | bytes, metadata: Mapping[str, object]) -> Any:
    """What a queue trigger's parameter gets, an ``azure.functions.QueueMessage``.

    Args:
        metadata: ``Id``, ``DequeueCount``, ``ExpirationTime``, ``InsertionTime``,
            ``NextVisibleTime`` (moments as ISO 8601 in UTC) and ``PopReceipt``.
    """
    data = {name: meta.Datum(json.dumps(value), "json") for name, value in metadata.items()}
    kind = "string" if isinstance(body, str) else "bytes"
    return _decode(QUEUE_TRIGGER, body, kind, data)


def check_annotation(function: FunctionFacts) -> None:
    """Refuse a trigger parameter whose annotation Azure's worker refuses.

    Raises:
        DefinitionError: for example ``timer: str``; a parameter without annotation is welcome.
    """
    converter = _converter(function.trigger_type)
    binding = next(found for found in function.bindings if found["type"] == function.trigger_type)
    name = str(binding["name"])
    annotation = _annotations(function).get(name)
    if converter is None or not inspect.isclass(annotation):
        return
    if not converter.check_input_type_annotation(annotation):
        raise DefinitionError(
            f'Function {function.name}: type of {name} binding "{function.trigger_type}" does not'
            f' match its Python annotation "{annotation.__name__}". Annotate it with'
            f" {_EXPECTED.get(function.trigger_type, 'the type of its trigger')}, or not at all."
        )


_EXPECTED: Final = {
    TIMER_TRIGGER: "azure.functions.TimerRequest",
    QUEUE_TRIGGER: "azure.functions.QueueMessage",
}


def _annotations(function: FunctionFacts) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(function.handle)
    except (NameError, TypeError):
        return {}  # a name that only a type checker knows; nothing can be said about it


def _decode(trigger: str, value: Any, kind: str, metadata: Mapping[str, meta.Datum]) -> Any:
    return _converter(trigger).decode(meta.Datum(value, kind), trigger_metadata=metadata)


def _converter(trigger: str) -> Any:
    return _registry().get(trigger)
