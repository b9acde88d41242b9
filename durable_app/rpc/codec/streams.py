"""What opens a stream, and what gives items back without a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.errors import WireFormatError
from durable_app.ports import Capacity, WorkFilter
from durable_app.rpc.codec.values import read_text
from durable_app.rpc.generated import taskhub_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from durable_app.protocol import CompletionToken
    from durable_app.rpc.codec.tokens import Tokens

UNLIMITED: Final = 2**31 - 1
"""Capacity of a worker that names none."""

# Capabilities of workers, by their numbers in the protocol.
HISTORY_STREAMING: Final = int(pb.WORKER_CAPABILITY_HISTORY_STREAMING)
SCHEDULED_TASKS: Final = int(pb.WORKER_CAPABILITY_SCHEDULED_TASKS)
LARGE_PAYLOADS: Final = int(pb.WORKER_CAPABILITY_LARGE_PAYLOADS)


class Subscription(NamedTuple):
    """What a worker's stream is opened with.

    Attributes:
        capacity: ``UNLIMITED`` where the worker names no number.
        only: None for everything.
        orchestration_versions: versions that are taken, by name; a name that is missing here is
            taken in any version. "" stands for instances without a version.
        activity_versions: likewise.
        capabilities: numbers, unknown ones too.
    """

    capacity: Capacity
    only: WorkFilter | None = None
    orchestration_versions: Mapping[str, frozenset[str]] = {}
    activity_versions: Mapping[str, frozenset[str]] = {}
    capabilities: frozenset[int] = frozenset()


def encode_subscription(subscription: Subscription) -> pb.GetWorkItemsRequest:
    """Opens a stream.

    Raises:
        ValueError: the filter leaves one kind open but not the others, which the protocol cannot
            say: there an empty list means "none".
    """
    message = pb.GetWorkItemsRequest()
    message.maxConcurrentOrchestrationWorkItems = subscription.capacity.orchestrations
    message.maxConcurrentActivityWorkItems = subscription.capacity.activities
    message.maxConcurrentEntityWorkItems = subscription.capacity.entities
    message.capabilities.extend(sorted(subscription.capabilities))
    only = subscription.only
    if only is None:
        return message
    if only.orchestrations is None or only.activities is None or only.entities is None:
        raise ValueError("A filter of a remote worker names its functions of all kinds.")
    filters = message.workItemFilters
    filters.SetInParent()
    for name in sorted(only.orchestrations):
        versions = sorted(subscription.orchestration_versions.get(name, ()))
        filters.orchestrations.add(name=name, versions=versions)
    for name in sorted(only.activities):
        versions = sorted(subscription.activity_versions.get(name, ()))
        filters.activities.add(name=name, versions=versions)
    for name in sorted(only.entities):
        filters.entities.add(name=name)
    return message


def decode_subscription(message: pb.GetWorkItemsRequest) -> Subscription:
    """What a stream is opened with.

    Raises:
        WireFormatError: a negative number of items.
    """
    capacity = Capacity(
        _limit(message.maxConcurrentOrchestrationWorkItems, "maxConcurrentOrchestrationWorkItems"),
        _limit(message.maxConcurrentActivityWorkItems, "maxConcurrentActivityWorkItems"),
        _limit(message.maxConcurrentEntityWorkItems, "maxConcurrentEntityWorkItems"),
    )
    capabilities = frozenset(message.capabilities)
    if not message.HasField("workItemFilters"):
        return Subscription(capacity, capabilities=capabilities)
    filters = message.workItemFilters
    return Subscription(
        capacity,
        WorkFilter(
            orchestrations=frozenset([wanted.name for wanted in filters.orchestrations]),
            activities=frozenset([wanted.name for wanted in filters.activities]),
            entities=frozenset([wanted.name for wanted in filters.entities]),
        ),
        _versions(filters.orchestrations),
        _versions(filters.activities),
        capabilities,
    )


def _limit(number: int, field: str) -> int:
    if number < 0:
        raise WireFormatError(f"A worker cannot hold {number} items.", field)
    return number or UNLIMITED


def _versions(
    filters: Iterable[pb.OrchestrationFilter | pb.ActivityFilter],
) -> dict[str, frozenset[str]]:
    """Versions by name; a name that is listed twice has those of both."""
    found: dict[str, frozenset[str]] = {}
    of_any_version: set[str] = set()
    for wanted in filters:
        if not wanted.versions:
            of_any_version.add(wanted.name)
        found[wanted.name] = found.get(wanted.name, frozenset()).union(wanted.versions)
    return {name: versions for name, versions in found.items() if name not in of_any_version}


class HistoryQuery(NamedTuple):
    """Asks for a history.

    Attributes:
        execution_id: None for the present execution.
        for_work_item: a worker asks, for the turn that it holds.
    """

    instance_id: str
    execution_id: str | None
    for_work_item: bool


def encode_history_query(query: HistoryQuery) -> pb.StreamInstanceHistoryRequest:
    """Asks for a history."""
    message = pb.StreamInstanceHistoryRequest()
    message.instanceId = query.instance_id
    if query.execution_id is not None:
        message.executionId.value = query.execution_id
    message.forWorkItemProcessing = query.for_work_item
    return message


def decode_history_query(message: pb.StreamInstanceHistoryRequest) -> HistoryQuery:
    """Asks for a history."""
    return HistoryQuery(
        message.instanceId,
        read_text(message, "executionId") or None,
        message.forWorkItemProcessing,
    )


AbandonRequest = (
    pb.AbandonActivityTaskRequest | pb.AbandonOrchestrationTaskRequest | pb.AbandonEntityTaskRequest
)


def decode_abandoned(message: AbandonRequest, tokens: Tokens) -> CompletionToken:
    """The item that a worker gives back without a result."""
    return tokens.token(message.completionToken)
