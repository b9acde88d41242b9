"""Every option of host.json, with its type, its bounds and its default.

An option that means nothing here is listed in ``_SILENT`` of its section, so that it is known and
not reported as a misspelling.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from durable_app.host.config.option_types import (
    Count,
    Days,
    Limit,
    Options,
    Slots,
    Timeout,
    TimeSpan,
    UpTo16,
    UpTo32,
    UpTo1000,
)
from durable_app.host.triggers.repetition import Repetition, repetition

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\xa0-\U0010ffff]*")

# ---------------------------------------------------------------------------------------------
# extensions.durableTask
# ---------------------------------------------------------------------------------------------


class StorageProvider(Options):
    """``extensions.durableTask.storageProvider``: where Azure keeps the hub.

    Here ``type``, the name of the setting with the connection string, and whether the app takes
    only work for functions that it has, count; the others are checked and have no effect.
    """

    _SILENT = frozenset(
        {
            "controlQueueVisibilityTimeout",
            "workItemQueueVisibilityTimeout",
            "trackingStoreConnectionName",
            "trackingStoreConnectionStringName",
            "trackingStoreNamePrefix",
            "fetchLargeMessagesAutomatically",
            "useTablePartitionManagement",
            "useLegacyPartitionManagement",
            "allowReplayingTerminalInstances",
            "maxQueuePollingInterval",
            "queueClientMessageEncoding",
            "taskHubName",
            "payloadStorageEnabled",
            "payloadStorageConnectionName",
            "payloadStorageContainerName",
            "payloadStorageThresholdBytes",
            "payloadStorageMaxPayloadBytes",
            "payloadStorageCompressionEnabled",
        }
    )

    type: str = "AzureStorage"
    connection_name: str | None = None
    connection_string_name: str | None = None
    partition_count: UpTo16 = 4
    control_queue_batch_size: UpTo32 = 32
    control_queue_buffer_threshold: Slots = 256
    work_item_filtering_enabled: bool = False


class Tracing(Options):
    """``extensions.durableTask.tracing``."""

    _SILENT = frozenset({"distributedTracingProtocol"})

    trace_inputs_and_outputs: bool = False
    trace_replay_events: bool = False
    distributed_tracing_enabled: bool = False
    version: Literal["None", "V1", "V2"] = "V1"


class Notifications(Options):
    """``extensions.durableTask.notifications``: events are not published from here."""

    _SILENT = frozenset({"eventGrid"})


class HttpSettings(Options):
    """``extensions.durableTask.httpSettings``."""

    default_async_request_sleep_time_milliseconds: Slots = 30_000
    use_forwarded_host: bool = False


class DurableTaskOptions(Options):
    """``extensions.durableTask``.

    Attributes:
        hub_name: as written; ``%NAME%`` as a whole stands for an app setting.
        max_concurrent_activity_functions: None for ten per core; the two others likewise.
        max_lost_attempts: an activity, a turn or an operation whose process died so often is given
            up. An option of this host alone; Azure's ignores it.
        default_version: of orchestrations that are started without one.
        version_match_strategy: which instances a worker takes by their version.
        version_failure_strategy: whether an instance of another version waits or fails.
    """

    _SILENT = frozenset(
        {
            "useAppLease",
            "appLeaseOptions",
            "maxGrpcMessageSizeInBytes",
            "grpcHttpClientTimeout",
            "grpcListenerMode",
            "customLifeCycleNotificationHelperType",
            "webhookUriProviderOverride",
        }
    )

    hub_name: str | None = None
    storage_provider: StorageProvider = StorageProvider()
    tracing: Tracing = Tracing()
    notifications: Notifications = Notifications()
    http_settings: HttpSettings = HttpSettings()
    max_concurrent_activity_functions: Slots | None = None
    max_concurrent_orchestrator_functions: Slots | None = None
    max_concurrent_entity_functions: Slots | None = None
    max_entity_operation_batch_size: Slots = 5000
    entity_message_reorder_window_in_minutes: Count = 30
    rollback_entity_operations_on_exceptions: bool = True
    max_orchestration_actions: Slots = 100_000
    max_lost_attempts: UpTo1000 = 10
    overridable_existing_instance_states: Literal["NonRunningStates", "AnyState"] = (
        "NonRunningStates"
    )
    store_inputs_in_orchestration_history: bool | None = None
    throw_status_exceptions_on_raise_event: bool = True
    default_version: str | None = None
    version_match_strategy: Literal["None", "Strict", "CurrentOrOlder"] = "CurrentOrOlder"
    version_failure_strategy: Literal["Reject", "Fail"] = "Reject"
    local_rpc_endpoint_enabled: bool | None = None
    extended_sessions_enabled: bool = False
    extended_session_idle_timeout_in_seconds: Count = 30
    use_graceful_shutdown: bool = False


# ---------------------------------------------------------------------------------------------
# The rest of host.json
# ---------------------------------------------------------------------------------------------


class Hsts(Options):
    """``extensions.http.hsts``: Strict-Transport-Security of answers over TLS."""

    is_enabled: bool = False
    max_age: Days = timedelta(days=30)
    include_sub_domains: bool = False
    preload: bool = False
    excluded_hosts: list[str] = Field(default_factory=list)


class HttpOptions(Options):
    """``extensions.http``.

    Attributes:
        max_outstanding_requests: requests that run or wait; beyond it 429; -1 for no limit.
        max_concurrent_requests: functions that run at a time; -1 for no limit.
        custom_headers: added to each answer of a function.
    """

    _SILENT = frozenset({"dynamicThrottlesEnabled"})

    route_prefix: str = "api"
    max_outstanding_requests: Limit = -1
    max_concurrent_requests: Limit = -1
    custom_headers: dict[str, str] = Field(default_factory=dict)
    hsts: Hsts = Hsts()

    @field_validator("custom_headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"no HTTP answer can carry the header {name!r}: {value!r}")
        return headers


class QueueOptions(Options):
    """``extensions.queues``.

    Attributes:
        visibility_timeout: how long a message of a failed call stays away.
        new_batch_threshold: fetch again when so few messages are left; half a batch by default.
    """

    max_polling_interval: TimeSpan = timedelta(minutes=1)
    visibility_timeout: TimeSpan = timedelta(0)
    batch_size: UpTo32 = 16
    max_dequeue_count: Slots = 5
    new_batch_threshold: Count = 8
    message_encoding: Literal["base64", "none"] = "base64"

    @model_validator(mode="before")
    @classmethod
    def _derive_threshold(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        given = {str(key).replace("_", "").casefold(): value for key, value in raw.items()}
        size = str(given.get("batchsize", "")).strip()
        if size.isdigit() and "newbatchthreshold" not in given:
            return {**raw, "newBatchThreshold": int(size) // 2}
        return raw


class Extensions(Options):
    """``extensions``: one object per extension; those of other extensions are not looked at."""

    _IS_OPEN = True

    http: HttpOptions = HttpOptions()
    durable_task: DurableTaskOptions = DurableTaskOptions()
    queues: QueueOptions = QueueOptions()


class ConsoleOptions(Options):
    """``logging.console``."""

    _IS_OPEN = True

    is_enabled: bool = True


class Logging(Options):
    """``logging``; levels by category, as in .NET (``Information``, ``Warning``, ...)."""

    _SILENT = frozenset({"fileLoggingMode", "applicationInsights", "debug", "eventLog", "otel"})

    log_level: dict[str, str] = Field(default_factory=dict)
    console: ConsoleOptions = ConsoleOptions()


class Retry(Options):
    """``retry``: of functions that name no policy themselves; -1 retries for ever."""

    strategy: Literal["fixedDelay", "exponentialBackoff"]
    max_retry_count: Limit
    delay_interval: TimeSpan | None = None
    minimum_interval: TimeSpan | None = None
    maximum_interval: TimeSpan | None = None

    @model_validator(mode="after")
    def _check(self) -> Retry:
        self.repetition()
        return self

    def repetition(self) -> Repetition:
        """The policy that this is.

        Raises:
            ValueError: an interval is missing.
        """
        return repetition(
            self.strategy,
            self.max_retry_count,
            delay=self.delay_interval,
            minimum=self.minimum_interval,
            maximum=self.maximum_interval,
        )


class HostSettings(Options):
    """host.json.

    Attributes:
        function_timeout: None for no limit.
        functions: names of the only functions to run; empty for all.
        watch_directories: folders, relative to the app's, whose changes load the app again.
        watch_files: names of further files that do.
    """

    _SILENT = frozenset(
        {
            "$schema",
            "id",
            "http",
            "aggregator",
            "healthMonitor",
            "extensionBundle",
            "managedDependency",
            "managedDependencies",
            "customHandler",
            "singleton",
            "concurrency",
            "sendCanceledInvocationsToWorker",
            "metadataProviderTimeout",
            "telemetryMode",
        }
    )

    version: str = "2.0"
    function_timeout: Timeout = timedelta(minutes=30)
    functions: list[str] = Field(default_factory=list)
    extensions: Extensions = Extensions()
    logging: Logging = Logging()
    retry: Retry | None = None
    watch_directories: list[str] = Field(default_factory=list)
    watch_files: list[str] = Field(default_factory=list)

    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines about what is in the file and will have no effect."""
        return self._warnings

    def with_warnings(self, *lines: str) -> HostSettings:
        """The same settings with these warnings."""
        copy = self.model_copy()
        copy._warnings = lines  # noqa: SLF001  of the same class
        return copy
