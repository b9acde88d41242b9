"""What clients ask of orchestrations and of task hubs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from durable_app.errors import (
    DurableError,
    InstanceNotFoundError,
    SchedulerUnavailableError,
    WrongStatusError,
)
from durable_app.ports import Purged
from durable_app.rpc.codec import queries
from durable_app.rpc.codec import requests as codec
from durable_app.rpc.codec.events import encode_history
from durable_app.rpc.codec.values import read_text
from durable_app.rpc.generated import taskhub_pb2 as pb
from durable_app.rpc.server.pages import fitting_page
from durable_app.rpc.server.rules import check_batch, check_id, check_name

if TYPE_CHECKING:
    from durable_app.protocol import OrchestrationState
    from durable_app.rpc.server.dispatch import Caller, Stream, Unary


async def _hello(caller: Caller, message: pb.HelloRequest) -> pb.HelloResponse:
    await caller.hub()
    return pb.HelloResponse(hasBatches=message.knowsBatches)


async def _start(caller: Caller, message: pb.CreateInstanceRequest) -> pb.CreateInstanceResponse:
    request = codec.decode_start(message)
    check_name(request.name, "name")
    if request.instance_id is not None:
        check_id(request.instance_id, caller.longest_id)
    hub = await caller.hub()
    return pb.CreateInstanceResponse(instanceId=await hub.start(request))


# ---------------------------------------------------------------------------------------------
# Reading and waiting
# ---------------------------------------------------------------------------------------------


async def _get(caller: Caller, message: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
    wanted = codec.decode_get(message)
    hub = await caller.hub()
    state = await hub.get(wanted.instance_id, fetch_payloads=wanted.fetch_payloads)
    return codec.encode_state_response(state)


async def _wait_for_start(caller: Caller, message: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
    check_id(message.instanceId, caller.longest_id)
    return _waited(message, await (await caller.hub()).wait_for_start(message.instanceId))


async def _wait_for_completion(
    caller: Caller, message: pb.GetInstanceRequest
) -> pb.GetInstanceResponse:
    check_id(message.instanceId, caller.longest_id)
    return _waited(message, await (await caller.hub()).wait_for_completion(message.instanceId))


def _waited(
    message: pb.GetInstanceRequest, state: OrchestrationState | None
) -> pb.GetInstanceResponse:
    """Waits end by the caller's deadline, which gRPC sees to, or with the hub."""
    if state is None:
        raise SchedulerUnavailableError("The task hub is about to stop; wait again.")
    response = codec.encode_state_response(state)
    if not message.getInputsAndOutputs:
        for field in ("input", "output"):
            response.orchestrationState.ClearField(field)
    return response


async def _query(caller: Caller, message: pb.QueryInstancesRequest) -> pb.QueryInstancesResponse:
    query = queries.decode_query(message)
    return await fitting_page(query, (await caller.hub()).query, queries.encode_page)


async def _list_ids(
    caller: Caller, message: pb.ListInstanceIdsRequest
) -> pb.ListInstanceIdsResponse:
    query = queries.decode_id_query(message)
    return queries.encode_id_page(await (await caller.hub()).list_ids(query))


async def _history(caller: Caller, message: pb.StreamInstanceHistoryRequest) -> None:
    """All chunks; none of an instance that does not exist."""
    hub = await caller.hub()
    events = await hub.history(message.instanceId, read_text(message, "executionId") or None)
    for chunk in encode_history(events or ()):
        await caller.context.write(chunk.SerializeToString())


# ---------------------------------------------------------------------------------------------
# Changing
# ---------------------------------------------------------------------------------------------


async def _raise_event(caller: Caller, message: pb.RaiseEventRequest) -> pb.RaiseEventResponse:
    event = codec.decode_raise_event(message)
    check_name(event.name, "name")
    hub = await caller.hub()
    # Of a finished instance the event is dropped: the sender cannot know.
    with contextlib.suppress(WrongStatusError):
        await hub.raise_event(event.instance_id, event.name, event.data)
    return pb.RaiseEventResponse()


async def _terminate(caller: Caller, message: pb.TerminateRequest) -> pb.TerminateResponse:
    asked = codec.decode_terminate(message)
    hub = await caller.hub()
    # What does not run any more, or never did, is what was asked for.
    with contextlib.suppress(WrongStatusError, InstanceNotFoundError):
        await hub.terminate(asked.instance_id, asked.output, recursive=asked.recursive)
    return pb.TerminateResponse()


async def _suspend(caller: Caller, message: pb.SuspendRequest) -> pb.SuspendResponse:
    asked = codec.decode_reason(message)
    hub = await caller.hub()
    with contextlib.suppress(WrongStatusError):
        await hub.suspend(asked.instance_id, asked.reason)
    return pb.SuspendResponse()


async def _resume(caller: Caller, message: pb.ResumeRequest) -> pb.ResumeResponse:
    asked = codec.decode_reason(message)
    hub = await caller.hub()
    with contextlib.suppress(WrongStatusError):
        await hub.resume(asked.instance_id, asked.reason)
    return pb.ResumeResponse()


async def _rewind(caller: Caller, message: pb.RewindInstanceRequest) -> pb.RewindInstanceResponse:
    asked = codec.decode_reason(message)
    await (await caller.hub()).rewind(asked.instance_id, asked.reason)
    return pb.RewindInstanceResponse()


async def _restart(
    caller: Caller, message: pb.RestartInstanceRequest
) -> pb.RestartInstanceResponse:
    asked = codec.decode_restart(message)
    hub = await caller.hub()
    new_id = await hub.restart(asked.instance_id, new_instance_id=asked.new_instance_id)
    return pb.RestartInstanceResponse(instanceId=new_id)


async def _purge(caller: Caller, message: pb.PurgeInstancesRequest) -> pb.PurgeInstancesResponse:
    asked = queries.decode_purge(message)
    hub = await caller.hub()
    if isinstance(asked, queries.PurgeMatching):
        return queries.encode_purged(await hub.purge_by(asked.which))
    check_batch(len(asked.instance_ids))
    counts = [await hub.purge(i, recursive=asked.recursive) for i in asked.instance_ids]
    return queries.encode_purged(Purged(sum(counts)))


async def _skip_graceful_terminations(
    caller: Caller, message: pb.SkipGracefulOrchestrationTerminationsRequest
) -> pb.SkipGracefulOrchestrationTerminationsResponse:
    """Terminations of this hub never wait for a worker: each of them skips its turn."""
    asked = codec.decode_skip(message)
    check_batch(len(asked.instance_ids))
    hub = await caller.hub()
    left = []
    for instance_id in asked.instance_ids:
        try:
            await hub.terminate(instance_id, asked.reason, recursive=False)
        except DurableError:
            left.append(instance_id)
    return pb.SkipGracefulOrchestrationTerminationsResponse(unterminatedInstanceIds=left)


# ---------------------------------------------------------------------------------------------
# Task hubs
# ---------------------------------------------------------------------------------------------


async def _create_hub(caller: Caller, message: pb.CreateTaskHubRequest) -> pb.CreateTaskHubResponse:
    await caller.hubs.create(caller.name, recreate=message.recreateIfExists)
    return pb.CreateTaskHubResponse()


async def _delete_hub(
    caller: Caller, _message: pb.DeleteTaskHubRequest
) -> pb.DeleteTaskHubResponse:
    await caller.hubs.delete(caller.name)
    return pb.DeleteTaskHubResponse()


CALLS: Final[dict[str, Unary]] = {
    "Hello": _hello,
    "StartInstance": _start,
    "GetInstance": _get,
    "WaitForInstanceStart": _wait_for_start,
    "WaitForInstanceCompletion": _wait_for_completion,
    "QueryInstances": _query,
    "ListInstanceIds": _list_ids,
    "RaiseEvent": _raise_event,
    "TerminateInstance": _terminate,
    "SuspendInstance": _suspend,
    "ResumeInstance": _resume,
    "RewindInstance": _rewind,
    "RestartInstance": _restart,
    "PurgeInstances": _purge,
    "SkipGracefulOrchestrationTerminations": _skip_graceful_terminations,
}

#: After these the hub that streams belong to may be another one.
REMOVALS: Final[dict[str, Unary]] = {
    "CreateTaskHub": _create_hub,
    "DeleteTaskHub": _delete_hub,
}

STREAMS: Final[dict[str, Stream]] = {"StreamInstanceHistory": _history}
