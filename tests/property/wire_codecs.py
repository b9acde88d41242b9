"""Every message that crosses the wire by itself, with the two functions that translate it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import Message

from durable_app.ports import EntityQuery
from durable_app.rpc.codec import entity_requests, entity_work, queries, requests, streams, work
from durable_app.rpc.codec.events import encode_history, read_events
from durable_app.rpc.codec.tokens import OPAQUE
from durable_app.rpc.generated import taskhub_pb2 as pb


class Codec(NamedTuple):
    message: type[Message]
    decode: Callable[[Any], Any]
    encode: Callable[[Any], Any]


ALL_ENTITIES = EntityQuery(include_transient=True)


def _encode_work_item(item: Any) -> pb.WorkItem:
    return work.health_ping() if item is None else work.encode_work_item(item)


def _encode_chunk(events: Any) -> pb.HistoryChunk:
    return next(encode_history(events, chunk_bytes=10**9), pb.HistoryChunk())


def _encode_purge(wanted: Any) -> pb.PurgeInstancesRequest:
    if isinstance(wanted, queries.PurgeMatching):
        return queries.encode_purge_by(wanted.which, recursive=wanted.recursive)
    return queries.encode_purge_batch(wanted.instance_ids, recursive=wanted.recursive)


def _abandon(message: type[Any]) -> Codec:
    return Codec(
        message,
        lambda given: streams.decode_abandoned(given, OPAQUE),
        lambda token: message(completionToken=OPAQUE.text(token)),
    )


CODECS = (
    Codec(pb.WorkItem, work.decode_work_item, _encode_work_item),
    Codec(pb.HistoryChunk, lambda chunk: read_events(chunk.events), _encode_chunk),
    Codec(pb.ActivityResponse, work.decode_activity_response, work.encode_activity_response),
    Codec(
        pb.OrchestratorResponse,
        work.decode_orchestrator_response,
        work.encode_orchestrator_response,
    ),
    Codec(pb.EntityBatchResult, entity_work.decode_entity_result, entity_work.encode_entity_result),
    Codec(pb.CreateInstanceRequest, requests.decode_start, requests.encode_start),
    Codec(
        pb.GetInstanceRequest,
        requests.decode_get,
        lambda get: requests.encode_get(get.instance_id, fetch_payloads=get.fetch_payloads),
    ),
    Codec(pb.GetInstanceResponse, requests.decode_state_response, requests.encode_state_response),
    Codec(
        pb.RaiseEventRequest,
        requests.decode_raise_event,
        lambda raised: requests.encode_raise_event(*raised),
    ),
    Codec(
        pb.TerminateRequest,
        requests.decode_terminate,
        lambda end: requests.encode_terminate(end.instance_id, end.output, recursive=end.recursive),
    ),
    Codec(pb.SuspendRequest, requests.decode_reason, lambda it: requests.encode_suspend(*it)),
    Codec(pb.ResumeRequest, requests.decode_reason, lambda it: requests.encode_resume(*it)),
    Codec(pb.RewindInstanceRequest, requests.decode_reason, lambda it: requests.encode_rewind(*it)),
    Codec(
        pb.RestartInstanceRequest,
        requests.decode_restart,
        lambda it: requests.encode_restart(it.instance_id, new_instance_id=it.new_instance_id),
    ),
    Codec(
        pb.SkipGracefulOrchestrationTerminationsRequest,
        requests.decode_skip,
        lambda it: requests.encode_skip(*it),
    ),
    Codec(pb.QueryInstancesRequest, queries.decode_query, queries.encode_query),
    Codec(pb.QueryInstancesResponse, queries.decode_page, queries.encode_page),
    Codec(pb.ListInstanceIdsRequest, queries.decode_id_query, queries.encode_id_query),
    Codec(pb.ListInstanceIdsResponse, queries.decode_id_page, queries.encode_id_page),
    Codec(pb.PurgeInstancesRequest, queries.decode_purge, _encode_purge),
    Codec(pb.PurgeInstancesResponse, queries.decode_purged, queries.encode_purged),
    Codec(pb.SignalEntityRequest, entity_requests.decode_signal, entity_requests.encode_signal),
    Codec(
        pb.GetEntityRequest,
        entity_requests.decode_get_entity,
        lambda it: entity_requests.encode_get_entity(
            it.instance_id, include_state=it.include_state
        ),
    ),
    Codec(
        pb.GetEntityResponse,
        lambda given: entity_requests.decode_entity_response(given, include_state=True),
        entity_requests.encode_entity_response,
    ),
    Codec(
        pb.QueryEntitiesRequest,
        entity_requests.decode_entity_query,
        entity_requests.encode_entity_query,
    ),
    Codec(
        pb.QueryEntitiesResponse,
        lambda given: entity_requests.decode_entity_page(given, ALL_ENTITIES),
        entity_requests.encode_entity_page,
    ),
    Codec(pb.CleanEntityStorageRequest, entity_requests.decode_clean, entity_requests.encode_clean),
    Codec(
        pb.CleanEntityStorageResponse,
        entity_requests.decode_cleaned,
        entity_requests.encode_cleaned,
    ),
    Codec(pb.GetWorkItemsRequest, streams.decode_subscription, streams.encode_subscription),
    Codec(
        pb.StreamInstanceHistoryRequest,
        streams.decode_history_query,
        streams.encode_history_query,
    ),
    _abandon(pb.AbandonActivityTaskRequest),
    _abandon(pb.AbandonOrchestrationTaskRequest),
    _abandon(pb.AbandonEntityTaskRequest),
)

BY_MESSAGE = {codec.message: codec for codec in CODECS}

PLAIN = (
    pb.CreateInstanceResponse,
    pb.RestartInstanceResponse,
    pb.SkipGracefulOrchestrationTerminationsResponse,
    pb.CreateTaskHubRequest,
    pb.HelloRequest,
    pb.HelloResponse,
    pb.WorkItemBatch,
    pb.Outcome,
    pb.OutcomeBatchRequest,
    pb.OutcomeBatchResponse,
)
"""Messages of plain fields: nothing there needs a translation."""
