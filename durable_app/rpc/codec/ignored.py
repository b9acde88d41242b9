"""What does not cross the border, and why: fields of messages, and fields of ours.

Tests walk over all messages and all types: a field that is neither translated nor listed here
fails them, and so does one that is listed although it is translated.
"""

from __future__ import annotations

from typing import Final

_CLIENT_CLOCK = "the client's clock; the hub goes by its own"
_HUB_ONLY = "hub only: it ties a result to its schedule within one hub"
_NO_PLACE = "hub only: the protocol has no place for it"
_CLASSIC_ONLY = "only the classic host is told"

IGNORED_FIELDS: Final[dict[str, str]] = {
    "TraceContext.spanID": "written for SDKs that want it, never read: traceParent has it, too",
    "CreateInstanceRequest.executionId": "the hub alone names executions",
    "CreateInstanceRequest.requestTime": _CLIENT_CLOCK,
    "InstanceQuery.taskHubNames": "the metadata of a call name its hub; a query never leaves it",
    "PurgeInstancesRequest.isOrchestration": (
        "written as true, never read: older SDKs leave it out, and an entity's id says what it is"
    ),
    "OrchestratorResponse.isPartial": "a server joins the parts before it decodes them",
    "OrchestratorResponse.chunkIndex": "parts come in order on one connection",
}
"""Message and field of the protocol -> why we do not read it."""

UNSENT_FIELDS: Final[dict[str, str]] = {
    "ParentInstance.key": _HUB_ONLY,
    "TaskScheduled.key": _HUB_ONLY,
    "SubOrchestrationInstanceCreated.key": _HUB_ONLY,
    "TimerCreated.key": _HUB_ONLY,
    "ScheduleTask.retry_policy": _CLASSIC_ONLY,
    "CreateSubOrchestration.retry_policy": _CLASSIC_ONLY,
    "CreateTimer.is_canceled": _CLASSIC_ONLY,
    "OrchestrationTraceContext.trace_parent": _NO_PLACE,
    "OrchestrationTraceContext.previous": _NO_PLACE,
    "EntityOperationSignaled.parent_trace_context": _NO_PLACE,
    "EntityOperationCalled.parent_trace_context": _NO_PLACE,
    "ActivityRequest.attempt": "the protocol has no place for it; a remote worker sees 1",
}
"""Class and field of ours -> why it does not travel."""
