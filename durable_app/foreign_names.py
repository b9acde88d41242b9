"""Names of azure.durable_functions and durabletask that durable_app lacks, and what to do instead.

Whoever moves an app meets them one by one: as attributes of the package, of a context, of a client
or of an app. What each sentence says works in this version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY_ADVICE: Final = {
    # azure.durable_functions 1.x and 2.x
    "decorate the function with @app.orchestration_trigger": ("Orchestrator",),
    "decorate the function with @app.entity_trigger": ("Entity",),
    "errors about an old way to write an app are DefinitionErrors, raised when it is loaded": (
        "DurableFunctionsCompatibilityWarning",
    ),
    "call the model in an activity and let an orchestrator decide what comes next": (
        *("openai_agents", "durable_openai_agent_orchestrator", "DurableAIAgentContext"),
    ),
    "it is in durable_app.testing": (
        *("EntityTestResult", "execute_entity", "orchestrator_generator_wrapper"),
    ),
    # What contexts lack
    "only an orchestrator makes durable HTTP calls, others make the request themselves": (
        "call_http",
    ),
    "only an orchestrator can wait for an entity, others use signal_entity": ("call_entity",),
    # Tasks
    "annotate tasks with durable_app.Task, as in Task[int]": (
        *("TaskBase", "AtomicTask", "CompoundTask", "CompletableTask", "CancellableTask"),
        *("CompositeTask", "WhenAllTask", "WhenAnyTask", "RetryableTask", "RetryAbleTask"),
        *("TimerTask", "LongTimerTask"),
    ),
    "write `with (yield context.lock_entities([...])):`, or `async with` without the yield": (
        "EntityLock",
    ),
    # Failures
    "catch TaskFailedError, or the class that the operation raised": (
        "EntityOperationFailedException",
    ),
    "catch OrchestratorError, which is raised for what an orchestrator may not do": (
        "OrchestrationStateError",
    ),
    "an unknown name is refused with a DefinitionError where a client or the app can see it; a"
    " call of one fails, and error.details.is_caused_by('ActivityNotRegisteredError') tells that": (
        *("ActivityNotRegisteredError", "EntityNotRegisteredError"),
        "OrchestratorNotRegisteredError",
    ),
    "give the exception an attribute `properties`, a mapping, which travels with the failure": (
        "ExceptionPropertiesProvider",
    ),
    # Payloads
    "annotate inputs, results and states; a class of your own has to_json and from_json": (
        *("DataConverter", "JsonDataConverter"),
    ),
    "keep what is large where it belongs, and pass its name; the local hub takes payloads of any"
    " size": (
        *("PayloadStore", "LargePayloadStorageOptions", "BlobPayloadStore"),
        *("BlobPayloadStoreOptions", "configure_large_payloads"),
    ),
    # Programs around an app
    "write a function_app.py with a DFApp; `func start` runs it": (
        *("TaskHubGrpcWorker", "DurableTaskSchedulerWorker", "WorkItemFilters"),
        *("ActivityWorkItemFilter", "EntityWorkItemFilter", "OrchestrationWorkItemFilter"),
        "use_work_item_filters",
    ),
    "@app.durable_client_input gives a function a client with the same methods; other programs use"
    " the HTTP API": (
        *("TaskHubGrpcClient", "AsyncTaskHubGrpcClient", "DurableTaskSchedulerClient"),
        "AsyncDurableTaskSchedulerClient",
    ),
    "there is no channel to tune: app and task hub are one process": (
        *("GrpcChannelOptions", "GrpcRetryPolicyOptions", "GrpcWorkerResiliencyOptions"),
        *("GrpcClientResiliencyOptions", "DefaultClientInterceptorImpl"),
        "DefaultAsyncClientInterceptorImpl",
    ),
    "set maxConcurrentActivityFunctions, maxConcurrentOrchestratorFunctions and"
    " maxConcurrentEntityFunctions in host.json": ("ConcurrencyOptions",),
    "set defaultVersion, versionMatchStrategy and versionFailureStrategy in host.json": (
        *("VersioningOptions", "VersionMatchStrategy", "VersionFailureStrategy"),
        "use_versioning",
    ),
    "decorate the function: @app.activity_trigger(input_name=...)": ("add_activity",),
    "decorate the function: @app.orchestration_trigger(context_name=...)": ("add_orchestrator",),
    "decorate the function or the class: @app.entity_trigger(context_name=...)": ("add_entity",),
    # Extensions
    "read histories with get_orchestration_history of a client or `func durable get-history`": (
        *("ExportHistoryClient", "AsyncExportHistoryClient", "ExportJobCreationOptions"),
        *("ExportJobQuery", "ExportDestination", "ExportFormat", "ExportMode", "HistoryWriter"),
        *("AzureBlobHistoryExportWriter", "AzureBlobHistoryExportWriterOptions"),
        "configure_history_export",
    ),
}

#: Name -> what to do instead.
INSTEAD: Final[Mapping[str, str]] = {
    name: advice for advice, names in _BY_ADVICE.items() for name in names
}
