"""Durable Functions for Python, complete in one package.

Names are loaded when they are first touched (PEP 562): `import durable_app` costs next to nothing
and brings no other package along.
"""

from __future__ import annotations

TYPE_CHECKING = False  # Type checkers take it for true; importing typing costs milliseconds.

if TYPE_CHECKING:
    from durable_app.client.entities import (
        CleanEntityStorageResult,
        EntityMetadata,
        EntityQuery,
        EntityStateResponse,
    )
    from durable_app.client.functions_client import DurableFunctionsClient
    from durable_app.client.management import HttpManagementPayload
    from durable_app.client.orchestration_client import DurableOrchestrationClient
    from durable_app.client.schedules import (
        AsyncScheduleClient,
        AsyncScheduledTaskClient,
        ScheduleClient,
        ScheduledTaskClient,
    )
    from durable_app.client.state import (
        OrchestrationQuery,
        OrchestrationState,
        OrchestrationStatus,
        Page,
        PurgeInstancesResult,
    )
    from durable_app.client.status import (
        DurableOrchestrationStatus,
        OrchestrationRuntimeStatus,
        PurgeHistoryResult,
    )
    from durable_app.client.sync_client import (
        SyncDurableFunctionsClient,
        SyncDurableOrchestrationClient,
    )
    from durable_app.compose.scheduler_client import (
        AsyncDurableTaskSchedulerClient,
        DurableTaskSchedulerClient,
    )
    from durable_app.compose.scheduler_worker import (
        DurableTaskSchedulerWorker,
    )
    from durable_app.connection.options import (
        GrpcChannelOptions,
        GrpcClientResiliencyOptions,
        GrpcRetryPolicyOptions,
        GrpcWorkerResiliencyOptions,
    )
    from durable_app.entity_id import EntityId
    from durable_app.entity_id import EntityId as EntityInstanceId
    from durable_app.errors import (
        ConfigError,
        DefinitionError,
        DurableError,
        InstanceExistsError,
        InstanceNotFoundError,
        NonDeterminismError,
        NonRetriableError,
        OrchestrationFailedError,
        OrchestratorError,
        PayloadError,
        ScheduleClientValidationError,
        ScheduleError,
        ScheduleInvalidTransitionError,
        ScheduleNotFoundError,
        SchedulerUnavailableError,
        TaskCancelledError,
        TaskFailedError,
        TaskTimeoutError,
        UnsupportedOnHostError,
        WrongStatusError,
    )
    from durable_app.exception_types import register_exception
    from durable_app.functions.activity_context import ActivityContext
    from durable_app.functions.app import DFApp
    from durable_app.functions.blueprint import Blueprint
    from durable_app.protocol import FailureDetails
    from durable_app.replay.context import DurableOrchestrationContext, OrchestrationContext
    from durable_app.replay.entity_context import (
        DurableEntity,
        DurableEntityContext,
        EntityContext,
    )
    from durable_app.replay.gathering import when_all, when_any
    from durable_app.replay.http import (
        DurableHttpRequest,
        DurableHttpResponse,
        ManagedIdentityTokenSource,
        TokenSource,
    )
    from durable_app.replay.logger import ReplaySafeLogger
    from durable_app.replay.retry import RetryOptions, RetryPolicy
    from durable_app.replay.tasks import Task, TaskState
    from durable_app.schedules.options import (
        OverlapPolicy,
        ScheduleCreationOptions,
        ScheduleDescription,
        ScheduleQuery,
        ScheduleStatus,
        ScheduleUpdateOptions,
    )
    from durable_app.worker.options import (
        ActivityWorkItemFilter,
        ConcurrencyOptions,
        EntityWorkItemFilter,
        OrchestrationWorkItemFilter,
        VersionFailureStrategy,
        VersioningOptions,
        VersionMatchStrategy,
        WorkItemFilters,
    )

__version__ = "0.1.0"

__all__ = [
    "ActivityContext",
    "ActivityWorkItemFilter",
    "AsyncDurableTaskSchedulerClient",
    "AsyncScheduleClient",
    "AsyncScheduledTaskClient",
    "Blueprint",
    "CleanEntityStorageResult",
    "ConcurrencyOptions",
    "ConfigError",
    "DFApp",
    "DefinitionError",
    "DurableEntity",
    "DurableEntityContext",
    "DurableError",
    "DurableFunctionsClient",
    "DurableHttpRequest",
    "DurableHttpResponse",
    "DurableOrchestrationClient",
    "DurableOrchestrationContext",
    "DurableOrchestrationStatus",
    "DurableTaskSchedulerClient",
    "DurableTaskSchedulerWorker",
    "EntityContext",
    "EntityId",
    "EntityInstanceId",
    "EntityMetadata",
    "EntityQuery",
    "EntityStateResponse",
    "EntityWorkItemFilter",
    "FailureDetails",
    "GrpcChannelOptions",
    "GrpcClientResiliencyOptions",
    "GrpcRetryPolicyOptions",
    "GrpcWorkerResiliencyOptions",
    "HttpManagementPayload",
    "InstanceExistsError",
    "InstanceNotFoundError",
    "ManagedIdentityTokenSource",
    "NonDeterminismError",
    "NonRetriableError",
    "OrchestrationContext",
    "OrchestrationFailedError",
    "OrchestrationQuery",
    "OrchestrationRuntimeStatus",
    "OrchestrationState",
    "OrchestrationStatus",
    "OrchestrationWorkItemFilter",
    "OrchestratorError",
    "OverlapPolicy",
    "Page",
    "PayloadError",
    "PurgeHistoryResult",
    "PurgeInstancesResult",
    "ReplaySafeLogger",
    "RetryOptions",
    "RetryPolicy",
    "ScheduleClient",
    "ScheduleClientValidationError",
    "ScheduleCreationOptions",
    "ScheduleDescription",
    "ScheduleError",
    "ScheduleInvalidTransitionError",
    "ScheduleNotFoundError",
    "ScheduleQuery",
    "ScheduleStatus",
    "ScheduleUpdateOptions",
    "ScheduledTaskClient",
    "SchedulerUnavailableError",
    "SyncDurableFunctionsClient",
    "SyncDurableOrchestrationClient",
    "Task",
    "TaskCancelledError",
    "TaskFailedError",
    "TaskState",
    "TaskTimeoutError",
    "TokenSource",
    "UnsupportedOnHostError",
    "VersionFailureStrategy",
    "VersionMatchStrategy",
    "VersioningOptions",
    "WorkItemFilters",
    "WrongStatusError",
    "register_exception",
    "when_all",
    "when_any",
]

_HOME = {
    "AsyncScheduleClient": "client.schedules",
    "AsyncScheduledTaskClient": "client.schedules",
    "ScheduleClient": "client.schedules",
    "ScheduledTaskClient": "client.schedules",
    "OverlapPolicy": "schedules.options",
    "ScheduleCreationOptions": "schedules.options",
    "ScheduleDescription": "schedules.options",
    "ScheduleQuery": "schedules.options",
    "ScheduleStatus": "schedules.options",
    "ScheduleUpdateOptions": "schedules.options",
    "AsyncDurableTaskSchedulerClient": "compose.scheduler_client",
    "DurableTaskSchedulerClient": "compose.scheduler_client",
    "DurableTaskSchedulerWorker": "compose.scheduler_worker",
    "GrpcChannelOptions": "connection.options",
    "GrpcClientResiliencyOptions": "connection.options",
    "GrpcRetryPolicyOptions": "connection.options",
    "GrpcWorkerResiliencyOptions": "connection.options",
    "ActivityWorkItemFilter": "worker.options",
    "ConcurrencyOptions": "worker.options",
    "EntityWorkItemFilter": "worker.options",
    "OrchestrationWorkItemFilter": "worker.options",
    "VersionFailureStrategy": "worker.options",
    "VersionMatchStrategy": "worker.options",
    "VersioningOptions": "worker.options",
    "WorkItemFilters": "worker.options",
    "ActivityContext": "functions.activity_context",
    "Blueprint": "functions.blueprint",
    "CleanEntityStorageResult": "client.entities",
    "DFApp": "functions.app",
    "DurableEntity": "replay.entity_context",
    "DurableEntityContext": "replay.entity_context",
    "DurableFunctionsClient": "client.functions_client",
    "DurableHttpRequest": "replay.http",
    "DurableHttpResponse": "replay.http",
    "DurableOrchestrationClient": "client.orchestration_client",
    "DurableOrchestrationContext": "replay.context",
    "DurableOrchestrationStatus": "client.status",
    "EntityContext": "replay.entity_context",
    "EntityId": "entity_id",
    "EntityInstanceId": "entity_id",
    "EntityMetadata": "client.entities",
    "EntityQuery": "client.entities",
    "EntityStateResponse": "client.entities",
    "FailureDetails": "protocol",
    "HttpManagementPayload": "client.management",
    "OrchestrationContext": "replay.context",
    "ManagedIdentityTokenSource": "replay.http",
    "OrchestrationQuery": "client.state",
    "OrchestrationRuntimeStatus": "client.status",
    "OrchestrationState": "client.state",
    "OrchestrationStatus": "client.state",
    "Page": "client.state",
    "PurgeHistoryResult": "client.status",
    "PurgeInstancesResult": "client.state",
    "ReplaySafeLogger": "replay.logger",
    "RetryOptions": "replay.retry",
    "RetryPolicy": "replay.retry",
    "SyncDurableFunctionsClient": "client.sync_client",
    "SyncDurableOrchestrationClient": "client.sync_client",
    "Task": "replay.tasks",
    "TaskState": "replay.tasks",
    "when_all": "replay.gathering",
    "when_any": "replay.gathering",
    "TokenSource": "replay.http",
    "register_exception": "exception_types",
}
_OTHER_NAME = {
    "EntityInstanceId": "EntityId",
}


if not TYPE_CHECKING:  # A type checker that saw it would take every misspelt name for Any.

    def __getattr__(name: str) -> object:
        """Load what is asked for; the next access does not come here."""
        from importlib import import_module

        if name not in __all__:
            from durable_app.errors import missing

            raise AttributeError(missing(f"module '{__name__}'", name))
        home = import_module(f"{__name__}.{_HOME.get(name, 'errors')}")
        value = getattr(home, _OTHER_NAME.get(name, name))
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
