"""What each call of the service is to its caller: may it be repeated, what does its failure mean.

The kind depends on the method's path alone, so that one interceptor can treat all calls.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from durable_app.connection.failures import LinkFailure
from durable_app.rpc.methods import METHODS

HELLO: Final = METHODS["Hello"].path
GET_WORK_ITEMS: Final = METHODS["GetWorkItems"].path
GET_WORK_ITEM_BATCHES: Final = METHODS["GetWorkItemBatches"].path


class CallKind(Enum):
    """How a call may be treated."""

    #: Changes nothing and answers at once: it may be repeated.
    READ = 1
    #: Changes nothing, and answers when something happens: that its deadline ends it is normal.
    LONG_POLL = 2
    #: Changes something, or is not known: it is never repeated, it might be applied twice.
    MUTATION = 3


_READS: Final = (
    "Hello",
    "GetInstance",
    "QueryInstances",
    "ListInstanceIds",
    "StreamInstanceHistory",
    "GetEntity",
    "QueryEntities",
)
_KINDS: Final = {
    **{METHODS[name].path: CallKind.READ for name in _READS},
    **{method.path: CallKind.LONG_POLL for method in METHODS.values() if method.is_long_poll},
}


def kind_of(path: str) -> CallKind:
    """The kind of a call.

    Args:
        path: of the method, as gRPC names it: ``/TaskHubSidecarService/GetInstance``.
    """
    return _KINDS.get(path, CallKind.MUTATION)


#: Status codes, by name, of a connection that failed rather than of a hub that answered.
_TRANSPORT: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
# A stream also ends with these where a server, or a proxy before it, goes away.
_STREAM_TRANSPORT: Final = _TRANSPORT | {"CANCELLED", "ABORTED"}


def is_transport_failure(path: str, code: str) -> bool:
    """Whether a call that ended with this status says something bad about its connection.

    Args:
        code: name of the status code, such as ``UNAVAILABLE``.
    """
    if code == "DEADLINE_EXCEEDED" and kind_of(path) is CallKind.LONG_POLL:
        return False
    return code in _TRANSPORT


def proves_transport(code: str) -> bool:
    """Whether only a server that was reached ends a call with this status."""
    return code not in _STREAM_TRANSPORT


def link_failure(code: str) -> LinkFailure:
    """What a status that ended a Hello or a stream of work means for the link."""
    if code in _STREAM_TRANSPORT:
        return LinkFailure.TRANSPORT
    if code == "UNAUTHENTICATED":
        return LinkFailure.UNAUTHENTICATED
    if code == "UNIMPLEMENTED":
        return LinkFailure.NOT_A_HUB
    return LinkFailure.REFUSED
