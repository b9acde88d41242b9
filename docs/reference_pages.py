"""What the pages of the reference are about: which names stand where."""

from __future__ import annotations

from typing import Final, NamedTuple


class Page(NamedTuple):
    """A page: public names of a package, and classes that users get but need not import."""

    file: str
    title: str
    intro: str
    names: tuple[str, ...]
    extras: tuple[tuple[str, str], ...] = ()
    package: str = "durable_app"


PAGES: Final = (
    Page(
        "app.md",
        "App and decorators",
        "What `function_app.py` is made of. Both classes also have every decorator of"
        " azure-functions: `route`, `timer_trigger`, `queue_trigger` and so on.",
        ("DFApp", "Blueprint"),
    ),
    Page(
        "context.md",
        "Contexts of orchestrators and activities",
        "What an orchestrator is given, what its calls return, how retries are described, and what"
        " an activity can ask for.",
        (
            "DurableOrchestrationContext",
            "OrchestrationContext",
            "RetryPolicy",
            "RetryOptions",
            "ReplaySafeLogger",
            "Task",
            "TaskState",
            "when_all",
            "when_any",
            "ActivityContext",
        ),
        (
            ("durable_app.replay.tasks", "TimerTask"),
            ("durable_app.replay.waits", "ExternalEventTask"),
        ),
    ),
    Page(
        "entities.md",
        "Entities",
        "What an entity is given: a class to derive from, or a context for a function.",
        ("DurableEntity", "DurableEntityContext", "EntityContext"),
    ),
    Page(
        "schedules.md",
        "Scheduled tasks",
        "Clients of schedules and what they take and return. The guide says how to use them.",
        (
            "AsyncScheduledTaskClient",
            "AsyncScheduleClient",
            "ScheduledTaskClient",
            "ScheduleClient",
            "ScheduleCreationOptions",
            "ScheduleUpdateOptions",
            "ScheduleQuery",
            "ScheduleDescription",
            "ScheduleStatus",
            "OverlapPolicy",
        ),
    ),
    Page(
        "http.md",
        "HTTP calls",
        "What `context.call_http` takes and gives.",
        ("DurableHttpRequest", "DurableHttpResponse", "TokenSource", "ManagedIdentityTokenSource"),
    ),
    Page(
        "client.md",
        "Clients",
        "A function with `durable_client_input` is given one: an `async def` function a"
        " `DurableFunctionsClient`, any other a `SyncDurableFunctionsClient`. `Status` stands for"
        " `OrchestrationRuntimeStatus | OrchestrationStatus | str`.",
        (
            "DurableOrchestrationClient",
            "DurableFunctionsClient",
            "SyncDurableOrchestrationClient",
            "SyncDurableFunctionsClient",
        ),
    ),
    Page(
        "scheduler.md",
        "Clients and workers of a scheduler",
        "For programs that are no Functions app: the task hub is Azure's Durable Task Scheduler, or"
        " one of `func hub start`. Both clients also have every method of the clients on"
        " [another page](client.md).",
        (
            "DurableTaskSchedulerClient",
            "AsyncDurableTaskSchedulerClient",
            "DurableTaskSchedulerWorker",
            "ConcurrencyOptions",
            "VersioningOptions",
            "VersionMatchStrategy",
            "VersionFailureStrategy",
            "WorkItemFilters",
            "OrchestrationWorkItemFilter",
            "ActivityWorkItemFilter",
            "EntityWorkItemFilter",
            "GrpcChannelOptions",
            "GrpcRetryPolicyOptions",
            "GrpcClientResiliencyOptions",
            "GrpcWorkerResiliencyOptions",
        ),
        (("durable_app.compose.scheduler_target", "ChannelKeywords"),),
    ),
    Page(
        "types.md",
        "Types",
        "What the methods of a client take and return.",
        (
            "DurableOrchestrationStatus",
            "OrchestrationRuntimeStatus",
            "PurgeHistoryResult",
            "HttpManagementPayload",
            "OrchestrationState",
            "OrchestrationStatus",
            "OrchestrationQuery",
            "Page",
            "PurgeInstancesResult",
            "EntityId",
            "EntityInstanceId",
            "EntityStateResponse",
            "EntityMetadata",
            "EntityQuery",
            "CleanEntityStorageResult",
        ),
    ),
    Page(
        "errors.md",
        "Errors",
        "Every error that is raised on purpose. `code` is stable and meant for programs;"
        " `retriable` tells whether the same call can succeed later without a change.",
        (
            "DurableError",
            "ConfigError",
            "DefinitionError",
            "InstanceExistsError",
            "InstanceNotFoundError",
            "NonDeterminismError",
            "NonRetriableError",
            "OrchestrationFailedError",
            "OrchestratorError",
            "PayloadError",
            "ScheduleClientValidationError",
            "ScheduleError",
            "ScheduleInvalidTransitionError",
            "ScheduleNotFoundError",
            "SchedulerUnavailableError",
            "TaskCancelledError",
            "TaskFailedError",
            "TaskTimeoutError",
            "UnsupportedOnHostError",
            "WrongStatusError",
            "FailureDetails",
            "register_exception",
        ),
        (("durable_app.errors", "StoreUnavailableError"),),
    ),
    Page(
        "testing.md",
        "Testing",
        "What tests import from `durable_app.testing`. The guide shows it at work.",
        (
            "AppRunner",
            "run_orchestration",
            "ActivityCall",
            "run_entity_operation",
            "execute_entity",
            "EntityTestResult",
            "save_history",
            "load_history",
            "replay_history",
            "orchestrator_generator_wrapper",
        ),
        (
            ("durable_app.testing.entities", "EntitySignalAction"),
            ("durable_app.testing.entities", "OrchestrationStartAction"),
        ),
        "durable_app.testing",
    ),
)
