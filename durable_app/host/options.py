"""Every option of host.json and local.settings.json, with its type, its bounds and its default.

Keys and names of choices are matched without regard to case, as .NET's configuration does. An
option that means nothing here is listed in ``_SILENT`` of its section, so that it is known and not
reported as a misspelling.
"""

from __future__ import annotations

import json
import re
import typing
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

_SPAN: Final = re.compile(
    r"(?:(\d+)(?:\.|:(?=\d+:\d+:)))?(\d{1,2}):([0-5]?\d)(?::([0-5]?\d)(?:\.(\d{1,7}))?)?"
)
_DAY_HOURS: Final = 24


class Options(BaseModel):
    """A JSON object with camelCase keys in any case."""

    model_config = ConfigDict(
        alias_generator=to_camel, coerce_numbers_to_str=True, frozen=True, populate_by_name=True
    )

    _SILENT: ClassVar[frozenset[str]] = frozenset()
    """Options that Azure knows and that mean nothing here."""
    _IS_OPEN: ClassVar[bool] = False
    """Others may add options: an unknown one is reported only if it looks like a known one."""

    @model_validator(mode="before")
    @classmethod
    def _fold(cls, raw: Any) -> Any:
        """Give keys and choices their proper case; null means that nothing was said."""
        if not isinstance(raw, dict):
            return raw
        known = cls.fields_by_folded_name()
        folded = {}
        for key, value in raw.items():
            if value is None:
                continue
            name = known.get(str(key).casefold(), str(key))
            folded[name] = _fold_value(cls.annotation_of(name), value)
        return folded

    @classmethod
    def fields_by_folded_name(cls) -> dict[str, str]:
        """Key as it is written in the file, by its case-folded form."""
        return {
            alias.casefold(): alias
            for name, field in cls.model_fields.items()
            if (alias := field.alias or name)
        }

    @classmethod
    def annotation_of(cls, alias: str) -> Any:
        """Type of an option by its key; None if there is no such option."""
        for name, field in cls.model_fields.items():
            if alias in (field.alias, name):
                return field.annotation
        return None

    @classmethod
    def known_names(cls) -> frozenset[str]:
        """All keys that are accepted without a word."""
        return frozenset(cls.fields_by_folded_name().values()) | cls._SILENT

    @classmethod
    def is_open(cls) -> bool:
        """Whether keys that nobody here knows are likely to be right."""
        return cls._IS_OPEN


def _fold_value(annotation: Any, value: Any) -> Any:
    choices = {str(choice).casefold(): choice for choice in _choices(annotation)}
    if choices and isinstance(value, str):
        return choices.get(value.casefold(), value)
    is_list = any(typing.get_origin(part) is list for part in (annotation, *_parts(annotation)))
    if is_list and isinstance(value, dict) and all(str(key).isdigit() for key in value):
        # How .NET's configuration writes a list: AzureFunctionsJobHost__functions__0=...
        return [value[key] for key in sorted(value, key=int)]
    return value


def _parts(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation)


def _choices(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    return tuple(choice for part in _parts(annotation) for choice in _choices(part))


def parse_time_span(raw: Any) -> Any:
    """``[d.]hh:mm[:ss[.fffffff]]`` as .NET writes it.

    Raises:
        ValueError: it is a text or a number that is no time span.
    """
    if isinstance(raw, timedelta):
        return raw
    match = _SPAN.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if match is None:
        raise ValueError("is no time span such as 00:30:00 (hours, minutes, seconds)")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:4])
    if hours >= _DAY_HOURS:
        raise ValueError("has more than 23 hours: write days in front, as in 1.00:00:00")
    fraction = timedelta(microseconds=int((match[5] or "").ljust(7, "0")) // 10)
    try:
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds) + fraction
    except OverflowError:
        raise ValueError("is longer than any time span may be") from None


def _parse_timeout(raw: Any) -> Any:
    if raw is None or str(raw).strip() == "-1":
        return None
    span = parse_time_span(raw)
    if span < timedelta(seconds=1):
        raise ValueError("is too short: 00:00:01 or more, or -1 for no limit")
    return span


def _parse_days(raw: Any) -> Any:
    return timedelta(days=int(raw)) if str(raw).strip().isdigit() else parse_time_span(raw)


def _no_bool(raw: Any) -> Any:
    if isinstance(raw, bool):
        raise ValueError("is no whole number")  # noqa: TRY004  pydantic reports ValueError
    return raw


TimeSpan = Annotated[timedelta, BeforeValidator(parse_time_span)]
Timeout = Annotated[timedelta | None, BeforeValidator(_parse_timeout)]
Days = Annotated[timedelta, BeforeValidator(_parse_days)]
Count = Annotated[int, Field(ge=0), BeforeValidator(_no_bool)]
Slots = Annotated[int, Field(ge=1), BeforeValidator(_no_bool)]
#: -1 for no limit.
Limit = Annotated[int, Field(ge=-1), BeforeValidator(_no_bool)]


# ---------------------------------------------------------------------------------------------
# extensions.durableTask
# ---------------------------------------------------------------------------------------------


class StorageProvider(Options):
    """``extensions.durableTask.storageProvider``: where Azure keeps the hub.

    Here ``type`` and the name of the setting with the connection string count; the others are
    checked and have no effect on the embedded hub.
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
            "taskHubName",
            "workItemFilteringEnabled",
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
    partition_count: Annotated[int, Field(ge=1, le=16), BeforeValidator(_no_bool)] = 4
    control_queue_batch_size: Annotated[int, Field(ge=1, le=32), BeforeValidator(_no_bool)] = 32
    control_queue_buffer_threshold: Slots = 256


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
    overridable_existing_instance_states: Literal["NonRunningStates", "AnyState"] = (
        "NonRunningStates"
    )
    store_inputs_in_orchestration_history: bool = False
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
    excluded_hosts: list[str] = []


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
    custom_headers: dict[str, str] = {}
    hsts: Hsts = Hsts()


class QueueOptions(Options):
    """``extensions.queues``.

    Attributes:
        visibility_timeout: how long a message of a failed call stays away.
        new_batch_threshold: fetch again when so few messages are left; half a batch by default.
    """

    max_polling_interval: TimeSpan = timedelta(minutes=1)
    visibility_timeout: TimeSpan = timedelta(0)
    batch_size: Annotated[int, Field(ge=1, le=32), BeforeValidator(_no_bool)] = 16
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

    log_level: dict[str, str] = {}
    console: ConsoleOptions = ConsoleOptions()


class Retry(Options):
    """``retry``: of functions that name no policy themselves; -1 retries for ever."""

    strategy: Literal["fixedDelay", "exponentialBackoff"]
    max_retry_count: Limit
    delay_interval: TimeSpan | None = None
    minimum_interval: TimeSpan | None = None
    maximum_interval: TimeSpan | None = None


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
    functions: list[str] = []
    extensions: Extensions = Extensions()
    logging: Logging = Logging()
    retry: Retry | None = None
    watch_directories: list[str] = []
    watch_files: list[str] = []

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


# ---------------------------------------------------------------------------------------------
# local.settings.json
# ---------------------------------------------------------------------------------------------


def _to_pascal(name: str) -> str:
    camel = to_camel(name)
    return camel[:1].upper() + camel[1:]


_PASCAL: Final = ConfigDict(alias_generator=_to_pascal)


class LocalHostOptions(Options):
    """``Host`` of local.settings.json; the command line wins over it."""

    model_config = _PASCAL

    local_http_port: Annotated[int, Field(ge=0, le=65535), BeforeValidator(_no_bool)] | None = None
    local_http_address: str | None = None
    cors: str | None = Field(default=None, alias="CORS")
    cors_credentials: bool = Field(default=False, alias="CORSCredentials")

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """Origins that browsers may call from; ``*`` for all."""
        return tuple(origin for part in (self.cors or "").split(",") if (origin := part.strip()))


class LocalSettings(Options):
    """local.settings.json.

    Attributes:
        values: app settings; None for one that is not to be set.
        connection_strings: likewise, under ``ConnectionStrings:NAME``.
    """

    model_config = _PASCAL

    is_encrypted: bool = False
    values: dict[str, str | None] = {}
    host: LocalHostOptions = LocalHostOptions()
    connection_strings: dict[str, str | None] = {}

    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines about what is in the file and will have no effect."""
        return self._warnings

    def with_warnings(self, *lines: str) -> LocalSettings:
        """The same settings with these warnings."""
        copy = self.model_copy()
        copy._warnings = lines  # noqa: SLF001  of the same class
        return copy

    @field_validator("values", mode="before")
    @classmethod
    def _flat_values(cls, raw: Any) -> Any:
        return _flat(raw, "write one value per setting, nested names as A__B")

    @field_validator("connection_strings", mode="before")
    @classmethod
    def _flat_strings(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        strings = {}
        for name, value in raw.items():
            if isinstance(value, dict):
                inner = {str(key).casefold(): text for key, text in value.items()}
                strings[name] = inner.get("connectionstring", value)
            else:
                strings[name] = value
        return _flat(strings, 'write a text, or {"ConnectionString": "..."}')


def _flat(raw: Any, advice: str) -> Any:
    """Settings as text; .NET writes true and false in lower case here."""
    if not isinstance(raw, dict):
        return raw
    for name, value in raw.items():
        if isinstance(value, dict | list):
            kind = "an object" if isinstance(value, dict) else "a list"
            raise ValueError(f"'{name}' is {kind}: {advice}")  # noqa: TRY004  pydantic reports it
    return {
        name: value if value is None or isinstance(value, str) else json.dumps(value)
        for name, value in raw.items()
    }
