"""What clients ask of entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from durable_app.rpc.codec import entity_requests as codec
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.server.pages import fitting_page
from durable_app.rpc.server.rules import check_id, check_name

if TYPE_CHECKING:
    from durable_app.rpc.server.dispatch import Caller, Unary


async def _signal(caller: Caller, message: pb.SignalEntityRequest) -> pb.SignalEntityResponse:
    signal = codec.decode_signal(message)
    check_id(signal.instance_id, caller.longest_id)
    check_name(signal.operation, "name")
    hub = await caller.hub()
    await hub.signal(
        signal.instance_id,
        signal.operation,
        signal.data,
        signal_time=signal.signal_time,
        trace=signal.parent_trace_context,
    )
    return pb.SignalEntityResponse()


async def _get(caller: Caller, message: pb.GetEntityRequest) -> pb.GetEntityResponse:
    wanted = codec.decode_get_entity(message)
    hub = await caller.hub()
    found = await hub.get_entity(wanted.instance_id, include_state=wanted.include_state)
    return codec.encode_entity_response(found)


async def _query(caller: Caller, message: pb.QueryEntitiesRequest) -> pb.QueryEntitiesResponse:
    query = codec.decode_entity_query(message)
    return await fitting_page(query, (await caller.hub()).query_entities, codec.encode_entity_page)


async def _clean(
    caller: Caller, message: pb.CleanEntityStorageRequest
) -> pb.CleanEntityStorageResponse:
    wanted = codec.decode_clean(message)
    done = await (await caller.hub()).clean(
        remove_empty=wanted.remove_empty, release_orphaned_locks=wanted.release_orphaned_locks
    )
    return codec.encode_cleaned(codec.Cleaned(done))


CALLS: Final[dict[str, Unary]] = {
    "SignalEntity": _signal,
    "GetEntity": _get,
    "QueryEntities": _query,
    "CleanEntityStorage": _clean,
}
