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
    "use DurableTaskSchedulerWorker(host_address=..., secure_channel=False), which has the same"
    " methods; or write a function_app.py with a DFApp, which `func worker` runs": (
        "TaskHubGrpcWorker",
    ),
    "use DurableTaskSchedulerClient or AsyncDurableTaskSchedulerClient, which have the same"
    " methods; @app.durable_client_input gives one to a function": (
        *("TaskHubGrpcClient", "AsyncTaskHubGrpcClient"),
    ),
    "pass interceptors of gRPC's own classes, or token_credential": (
        *("DefaultClientInterceptorImpl", "DefaultAsyncClientInterceptorImpl"),
    ),
    "an app takes the work of the functions that it has: workItemFilters belong to a"
    " DurableTaskSchedulerWorker": ("use_work_item_filters",),
    "an app sets defaultVersion, versionMatchStrategy and versionFailureStrategy in host.json": (
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

_LOGGING: Final = (
    "configure Python's logging instead: logging.getLogger('durable_app') is above all loggers of"
    " this package"
)
#: Keyword of durabletask's clients and workers -> what to do instead.
INSTEAD_OF_KEYWORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("logger", "log_handler", "log_formatter"), _LOGGING),
    "data_converter": INSTEAD["DataConverter"],
    "payload_store": INSTEAD["PayloadStore"],
    "exception_properties_provider": INSTEAD["ExceptionPropertiesProvider"],
    "maximum_timer_interval": "leave it out: a timer of any length is one timer",
    "metadata": "name the task hub with taskhub=; further headers are a matter of interceptors=",
}
