"""The value that a function gets when somebody runs it by hand, in place of its trigger's.

Source: ``POST /admin/functions/{name}`` of the Functions host, which takes one text as input.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from azure.functions import meta
from azure.functions.http import HttpRequest

from durable_app.errors import DefinitionError
from durable_app.functions.bindings import ACTIVITY_TRIGGER
from durable_app.host.calls.invoke import HTTP_TRIGGER

if TYPE_CHECKING:
    from datetime import datetime

    from durable_app.functions.index import FunctionFacts

#: Why a function runs that somebody runs by hand, in the Functions host's words.
MANUAL_REASON: Final = "This function was programmatically called via the host APIs."
_TIMER: Final = "timerTrigger"
_TIMER_VALUE: Final = json.dumps(
    {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}
)


def manual_value(function: FunctionFacts, text: str, invocation_id: str, now: datetime) -> Any:
    """What the trigger's parameter gets.

    Args:
        text: the input; a timer has none. JSON text is decoded for an activity.
        invocation_id: stands for the id of a message.

    Raises:
        DefinitionError: a trigger of this type cannot be imitated with a text.
    """
    kind = function.trigger_type
    if kind == HTTP_TRIGGER:
        return HttpRequest(
            method="POST",
            url=f"/admin/functions/{function.name}",
            headers={},
            params={},
            route_params={},
            body_type="bytes",
            body=text.encode(),
        )
    if kind == ACTIVITY_TRIGGER:
        return _plain(text)
    converter = meta.get_binding_registry().get(kind)  # type: ignore[no-untyped-call]  # upstream
    if converter is None:
        return text  # a generic trigger: Azure's worker passes it on as it is
    metadata = _metadata(invocation_id, now)
    reason: Exception | None = None
    for datum in _data(kind, text):
        try:
            return converter.decode(datum, trigger_metadata=metadata)
        except (NotImplementedError, ValueError, TypeError, AttributeError, KeyError) as error:
            reason = error
    raise DefinitionError(
        f"Function {function.name} cannot be run by hand with this input: its {kind} takes"
        f" something else ({reason})."
    ) from reason


def _data(kind: str, text: str) -> list[meta.Datum]:
    """The forms in which a trigger may take its value, the usual one first."""
    if kind == _TIMER:
        return [meta.Datum(_TIMER_VALUE, "json")]
    return [
        meta.Datum(text, "string"),
        meta.Datum(text, "json"),
        meta.Datum(text.encode(), "bytes"),
    ]


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _metadata(message_id: str, now: datetime) -> dict[str, meta.Datum]:
    """As of a message that was just put into a queue and is taken out for the first time."""
    moment = meta.Datum(json.dumps(now.strftime("%Y-%m-%dT%H:%M:%S+00:00")), "json")
    return {
        "Id": meta.Datum(message_id, "string"),
        "DequeueCount": meta.Datum("1", "json"),
        "ExpirationTime": moment,
        "InsertionTime": moment,
        "NextVisibleTime": moment,
        "PopReceipt": meta.Datum("", "string"),
        "UserProperties": meta.Datum("{}", "json"),
        "SystemProperties": meta.Datum("{}", "json"),
    }
