"""The JSON shapes that the management API answers with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from durable_app.client.status import output_of
from durable_app.errors import InstanceExistsError
from durable_app.host.api.exchange import Answer
from durable_app.payload import to_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable_app.protocol import OrchestrationState, OrchestrationStatus

ACCEPTED: Final = Answer(202)
NOT_FOUND: Final = Answer(404)
GONE: Final = Answer(410)
BAD_ARGUMENT: Final = "One or more of the arguments submitted is incorrect"
BAD_JSON: Final = "Invalid JSON content"
_WENT_WRONG: Final = "Something went wrong while processing your request"


def status_text(
    state: OrchestrationState, *, show_input: bool = True, history: str = "null"
) -> str:
    """Status of an instance as JSON text, in the shape of the management API.

    Payloads are JSON text already and are shown as they are: one that a reader here would refuse
    must not hide all the others of a list.

    Args:
        history: JSON text of its events.
    """
    fields = {
        "name": to_text(state.name),
        "instanceId": to_text(state.instance_id),
        "runtimeStatus": to_text(state.status.title),
        "input": (state.input if show_input else None) or "null",
        "customStatus": state.custom_status or "null",
        "output": output_text(state),
        "createdTime": to_text(_seconds(state.created_at)),
        "lastUpdatedTime": to_text(_seconds(state.last_updated_at)),
        "historyEvents": history,
    }
    return "{" + ",".join(f'"{key}":{text}' for key, text in fields.items()) + "}"


def output_text(state: OrchestrationState) -> str:
    """The bare output as JSON text: of a failed instance, the text of its error."""
    if state.failure is not None:
        return to_text(output_of(state))
    return state.output or "null"


def _seconds(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def purged(count: int) -> Answer:
    """How many instances a purge has removed; none is an error."""
    return Answer(200, json.dumps({"instancesDeleted": count})) if count else NOT_FOUND


def message(status: int, text: str) -> Answer:
    """An error that needs no more than a sentence."""
    return Answer(status, json.dumps({"Message": text}))


def refusal(
    reason: str, headline: str = BAD_ARGUMENT, kind: str = "System.ArgumentException"
) -> Answer:
    """400, with what is wrong about the request."""
    return Answer(400, _error_text(headline, reason, kind))


def failure(
    error: Exception, status: int = 500, headers: Mapping[str, str] | None = None
) -> Answer:
    """The request was right; what was asked for cannot be done."""
    if isinstance(error, InstanceExistsError):
        return id_is_taken(error.status)
    text = _error_text(_WENT_WRONG, str(error), type(error).__name__)
    return Answer(status, text, headers or {})


def id_is_taken(status: OrchestrationStatus) -> Answer:
    """The id belongs to an instance that may not be replaced."""
    reason = f"An Orchestration instance with the status {status.title} already exists."
    kind = "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException"
    return Answer(500, _error_text(_WENT_WRONG, reason, kind))


def _error_text(headline: str, reason: str, kind: str) -> str:
    return json.dumps(
        {
            "Message": headline,
            "ExceptionMessage": reason,
            "ExceptionType": kind,
            "StackTrace": None,
        }
    )
