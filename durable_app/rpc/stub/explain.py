"""What a status code of a hub means for who made the call."""

from __future__ import annotations

from typing import Final

from durable_app.connection.admission import not_authenticated, not_permitted
from durable_app.connection.endpoint import Endpoint, parse_endpoint
from durable_app.connection.failures import LinkError, LinkFailure
from durable_app.connection.target import HubTarget, advice
from durable_app.errors import (
    DurableError,
    SchedulerUnavailableError,
    StoreCorruptError,
    TaskHubNotFoundError,
    UnsupportedOnHostError,
    WireFormatError,
)
from durable_app.rpc.call_kinds import CallKind, kind_of
from durable_app.rpc.methods import METHODS

#: gRPC's words for a message that one of both sides does not take.
_TOO_LARGE: Final = "larger than max"
#: gRPC's words where the way to the hub is at fault, not the hub.
_OF_THE_WAY: Final = ("failed to connect", "resolv")


class CallRefusedError(DurableError):
    """The hub has answered that the call's subject does not allow it.

    What that is depends on the call: whoever made it knows.

    Attributes:
        status: name of the status code.
        details: the hub's words.
    """

    code = "call_refused"

    def __init__(self, status: str, details: str) -> None:
        """Args: the name of the status code, and the hub's words."""
        super().__init__(f"{status}: {details}")
        self.status = status
        self.details = details


_OF_ENTITIES: Final = frozenset({"SignalEntity", "GetEntity"})
_OF_SUBJECT: Final = frozenset({"NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION"})


def is_too_large(status: str, details: str) -> bool:
    """Whether a message did not fit through the channel, so that it never will."""
    return status == "RESOURCE_EXHAUSTED" and _TOO_LARGE in details


def explain(status: str, details: str, method: str, whom: str) -> Exception:
    """The error of a call that ended with a status: a DurableError, or a ValueError.

    Args:
        status: name of the code, never OK.
        details: its text.
        method: name of the call.
        whom: address of the hub, for messages.
    """
    said = f"{method} at {whom}: {status}: {details.rstrip('.')}."
    if status in _OF_SUBJECT:
        return CallRefusedError(status, details)
    if status == "INVALID_ARGUMENT":
        return _invalid(details, method)
    if is_too_large(status, details):
        return WireFormatError(
            f"{said} Keep large values elsewhere and pass references, or lift the limits of the"
            " channel and of the hub."
        )
    if status == "UNIMPLEMENTED":
        return UnsupportedOnHostError(
            f"{said} What answers there has no such call: an older task hub, or no task hub at all."
        )
    if status == "DATA_LOSS":
        return StoreCorruptError(said)
    if status == "UNAUTHENTICATED":
        return LinkError(
            LinkFailure.UNAUTHENTICATED,
            f"{said} The task hub does not accept who calls. {not_authenticated(_at(whom))}",
        )
    if status == "PERMISSION_DENIED":
        return LinkError(LinkFailure.REFUSED, f"{said} {not_permitted(_at(whom))}")
    advised = _way(details, whom) if status == "UNAVAILABLE" else _advice(status, method)
    return SchedulerUnavailableError(f"{said} {advised}")


def _invalid(details: str, method: str) -> Exception:
    """The error of a request that the hub does not take, as a hub in this process raises it."""
    field, _, reason = details.partition(": ")
    if field != "instanceId":
        return WireFormatError(details)
    # The id is what the caller chose, not something that the protocol was broken with.
    return ValueError(f"{'entity_id' if method in _OF_ENTITIES else 'instance_id'}: {reason}")


def _at(whom: str) -> Endpoint:
    return parse_endpoint(whom, "address of the task hub", encrypted=False)


def hub_not_found(refused: CallRefusedError) -> TaskHubNotFoundError:
    """The error where NOT_FOUND can mean nothing but the task hub."""
    return TaskHubNotFoundError(
        f"{refused.details.rstrip('.')}. Check TaskHub in the connection string, or create it."
    )


def _way(details: str, whom: str) -> str:
    found = ""
    if any(words in details.casefold() for words in _OF_THE_WAY):
        found = advice(HubTarget(_at(whom), ""), LinkFailure.TRANSPORT, details)
    return found or (
        "No task hub answers: start one with 'func hub start', or check the endpoint and the"
        " network."
    )


def _advice(status: str, method: str) -> str:
    text = "The task hub has met an error of its own; its log says which."
    if status == "DEADLINE_EXCEEDED":
        text = "The task hub was too slow, or the network lost the answer."
    elif status == "RESOURCE_EXHAUSTED":
        text = "The task hub has too much to do: call again later, and less often."
    if kind_of(METHODS[method].path) is CallKind.MUTATION:
        text += " Whether the request was carried out is not known."
    return text
