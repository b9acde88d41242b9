"""All calls of a task hub: the one table that a stub and a server are made of.

The service of the protocol has no package in its name, unlike our messages (see ``taskhub.proto``);
so it is not declared there, and there is no generated code of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.rpc.generated import taskhub_pb2 as pb

if TYPE_CHECKING:
    from google.protobuf.message import Message

SERVICE: Final = "TaskHubSidecarService"
BATCHES: Final = "durable_app.taskhub.v1.Batches"
"""What our own workers and hubs have beyond the protocol; see the end of ``taskhub.proto``."""


class Method(NamedTuple):
    """One call.

    Attributes:
        name: within the service.
        request: class of the one message that the client sends.
        response: class of the message, or of each message, that the server sends.
        is_stream: the server sends any number of messages, else exactly one.
        is_long_poll: the answer comes when something happens: that the client's deadline ends it
            is no sign of a broken connection.
        service: that it belongs to.
    """

    name: str
    request: type[Message]
    response: type[Message]
    is_stream: bool = False
    is_long_poll: bool = False
    service: str = SERVICE

    @property
    def path(self) -> str:
        """As gRPC names it: ``/TaskHubSidecarService/GetInstance``."""
        return f"/{self.service}/{self.name}"


_ALL = (
    Method("Hello", pb.HelloRequest, pb.HelloResponse),
    Method("StartInstance", pb.CreateInstanceRequest, pb.CreateInstanceResponse),
    Method("GetInstance", pb.GetInstanceRequest, pb.GetInstanceResponse),
    Method("RewindInstance", pb.RewindInstanceRequest, pb.RewindInstanceResponse),
    Method("RestartInstance", pb.RestartInstanceRequest, pb.RestartInstanceResponse),
    Method(
        "WaitForInstanceStart", pb.GetInstanceRequest, pb.GetInstanceResponse, is_long_poll=True
    ),
    Method(
        "WaitForInstanceCompletion",
        pb.GetInstanceRequest,
        pb.GetInstanceResponse,
        is_long_poll=True,
    ),
    Method("RaiseEvent", pb.RaiseEventRequest, pb.RaiseEventResponse),
    Method("TerminateInstance", pb.TerminateRequest, pb.TerminateResponse),
    Method("SuspendInstance", pb.SuspendRequest, pb.SuspendResponse),
    Method("ResumeInstance", pb.ResumeRequest, pb.ResumeResponse),
    Method("QueryInstances", pb.QueryInstancesRequest, pb.QueryInstancesResponse),
    Method("ListInstanceIds", pb.ListInstanceIdsRequest, pb.ListInstanceIdsResponse),
    Method("PurgeInstances", pb.PurgeInstancesRequest, pb.PurgeInstancesResponse),
    Method("GetWorkItems", pb.GetWorkItemsRequest, pb.WorkItem, is_stream=True, is_long_poll=True),
    Method("CompleteActivityTask", pb.ActivityResponse, pb.CompleteTaskResponse),
    Method("CompleteOrchestratorTask", pb.OrchestratorResponse, pb.CompleteTaskResponse),
    Method("CompleteEntityTask", pb.EntityBatchResult, pb.CompleteTaskResponse),
    Method(
        "StreamInstanceHistory", pb.StreamInstanceHistoryRequest, pb.HistoryChunk, is_stream=True
    ),
    Method("CreateTaskHub", pb.CreateTaskHubRequest, pb.CreateTaskHubResponse),
    Method("DeleteTaskHub", pb.DeleteTaskHubRequest, pb.DeleteTaskHubResponse),
    Method("SignalEntity", pb.SignalEntityRequest, pb.SignalEntityResponse),
    Method("GetEntity", pb.GetEntityRequest, pb.GetEntityResponse),
    Method("QueryEntities", pb.QueryEntitiesRequest, pb.QueryEntitiesResponse),
    Method("CleanEntityStorage", pb.CleanEntityStorageRequest, pb.CleanEntityStorageResponse),
    Method(
        "AbandonTaskActivityWorkItem",
        pb.AbandonActivityTaskRequest,
        pb.AbandonActivityTaskResponse,
    ),
    Method(
        "AbandonTaskOrchestratorWorkItem",
        pb.AbandonOrchestrationTaskRequest,
        pb.AbandonOrchestrationTaskResponse,
    ),
    Method("AbandonTaskEntityWorkItem", pb.AbandonEntityTaskRequest, pb.AbandonEntityTaskResponse),
    Method(
        "SkipGracefulOrchestrationTerminations",
        pb.SkipGracefulOrchestrationTerminationsRequest,
        pb.SkipGracefulOrchestrationTerminationsResponse,
    ),
    Method(
        "GetWorkItemBatches",
        pb.GetWorkItemsRequest,
        pb.WorkItemBatch,
        is_stream=True,
        is_long_poll=True,
        service=BATCHES,
    ),
    Method("CompleteWorkItems", pb.OutcomeBatchRequest, pb.OutcomeBatchResponse, service=BATCHES),
)

METHODS: Final[dict[str, Method]] = {method.name: method for method in _ALL}
"""Every call by its name."""
