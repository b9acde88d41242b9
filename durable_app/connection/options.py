"""What users may tune about the connection to a task hub. All times are seconds if not named else.

The names, defaults and keywords are those of the Durable Task libraries, so that a program keeps
its options; keywords that only this package knows come last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

from durable_app.errors import ConfigError

HELLO_TIMEOUT_S: Final = 30.0
#: Hubs send a health ping at least every 30 s: four in a row are missing.
SILENT_DISCONNECT_TIMEOUT_S: Final = 120.0
RECREATE_AFTER_FAILURES: Final = 5
BACKOFF_BASE_S: Final = 1.0
BACKOFF_CAP_S: Final = 30.0
#: For a hub on this machine: attempts cost next to nothing, and somebody has just started it.
LOCAL_BACKOFF_CAP_S: Final = 3.0
MIN_RECREATE_INTERVAL_S: Final = 30.0
#: How long calls that are going on may use a channel that has been replaced.
RETIRED_CHANNEL_GRACE_S: Final = 30.0

#: A history comes in one message; gRPC's own limit of 4 MiB would cut every larger one off.
MAX_RECEIVE_BYTES: Final = 64 * 1024 * 1024
MAX_SEND_BYTES: Final = 64 * 1024 * 1024
#: Of connections with calls on them. A server may end one that sends pings more often than it
#: likes; probing idle ones would meet that limit first, so that they are not probed.
KEEPALIVE_TIME_MS: Final = 120_000
KEEPALIVE_TIMEOUT_MS: Final = 20_000

_GROWTH: Final = 2.0
_MOST_ATTEMPTS: Final = 5
_STATUS_CODES: Final = frozenset(
    {
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    }
)


def _number(owner: object, name: str, *, least: float, whole: bool = False) -> None:
    value = getattr(owner, name)
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
        what = "a whole number" if whole else "a number"
        raise ConfigError(f"{type(owner).__name__}: {name} must be {what}, not {value!r}.")
    if value < least:
        raise ConfigError(f"{type(owner).__name__}: {name} must be at least {least:g}.")


def _positive(owner: object, *names: str) -> None:
    for name in names:
        _number(owner, name, least=0)
        if not getattr(owner, name):
            raise ConfigError(f"{type(owner).__name__}: {name} must be greater than 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcRetryPolicyOptions:
    """How calls are repeated. Only calls that change nothing are: reads, and the greeting.

    Attributes:
        max_attempts: with the first one, 1 to 5; 1 repeats nothing.
        initial_backoff_seconds: bound of the first wait, > 0.
        max_backoff_seconds: bound of every wait, at least the first.
        backoff_multiplier: by which the bound grows, >= 1.
        retryable_status_codes: names of gRPC's status codes.
    """

    max_attempts: int = 4
    initial_backoff_seconds: float = 0.05
    max_backoff_seconds: float = 0.25
    backoff_multiplier: float = _GROWTH
    retryable_status_codes: list[str] = field(default_factory=lambda: ["UNAVAILABLE"])

    def __post_init__(self) -> None:
        """Raise ConfigError where a value is out of bounds."""
        _number(self, "max_attempts", least=1, whole=True)
        if self.max_attempts > _MOST_ATTEMPTS:
            raise ConfigError(
                f"GrpcRetryPolicyOptions: max_attempts must be at most {_MOST_ATTEMPTS}."
            )
        _positive(self, "initial_backoff_seconds", "max_backoff_seconds")
        _number(self, "backoff_multiplier", least=1)
        if self.max_backoff_seconds < self.initial_backoff_seconds:
            raise ConfigError(
                "GrpcRetryPolicyOptions: max_backoff_seconds must not be less than"
                " initial_backoff_seconds."
            )
        for code in self.retryable_status_codes:
            if code not in _STATUS_CODES:
                raise ConfigError(
                    f"GrpcRetryPolicyOptions: {code!r} is no status code of gRPC, such as"
                    " 'UNAVAILABLE'."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcChannelOptions:
    """Limits and keepalive of the channels that this package makes. None is the package's default.

    Attributes:
        max_receive_message_length: bytes; -1 for no limit. Default 64 MiB.
        max_send_message_length: likewise.
        keepalive_time_ms: pause after which a quiet connection is probed. Default 120,000.
        keepalive_timeout_ms: how long the answer may take. Default 20,000.
        keepalive_permit_without_calls: also where no call is going on. Default False.
        retry_policy: of calls that are safe to repeat.
        raw_options: further channel arguments of gRPC; they win over all others.
    """

    max_receive_message_length: int | None = None
    max_send_message_length: int | None = None
    keepalive_time_ms: int | None = None
    keepalive_timeout_ms: int | None = None
    keepalive_permit_without_calls: bool | None = None
    retry_policy: GrpcRetryPolicyOptions | None = None
    raw_options: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raise ConfigError where a value is out of bounds."""
        for name in ("max_receive_message_length", "max_send_message_length"):
            if getattr(self, name) is not None:
                _number(self, name, least=-1, whole=True)
        for name in ("keepalive_time_ms", "keepalive_timeout_ms"):
            if getattr(self, name) is not None:
                _number(self, name, least=1, whole=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcWorkerResiliencyOptions:
    """How a worker keeps its stream of work alive.

    Attributes:
        hello_timeout_seconds: of the greeting that begins a connection.
        silent_disconnect_timeout_seconds: a stream that brings nothing for so long, no health ping
            either, is given up.
        channel_recreate_failure_threshold: after so many failures of the transport in a row the
            channel is replaced; 0 never replaces it.
        reconnect_backoff_base_seconds: bound of the first wait.
        reconnect_backoff_cap_seconds: bound of every wait, at least the first. None is 30, and 3
            for a hub on this machine (a loopback address or a Unix socket).
        min_recreate_interval_seconds: between two replacements of the channel.
    """

    hello_timeout_seconds: float = HELLO_TIMEOUT_S
    silent_disconnect_timeout_seconds: float = SILENT_DISCONNECT_TIMEOUT_S
    channel_recreate_failure_threshold: int = RECREATE_AFTER_FAILURES
    reconnect_backoff_base_seconds: float = BACKOFF_BASE_S
    reconnect_backoff_cap_seconds: float | None = None
    min_recreate_interval_seconds: float = MIN_RECREATE_INTERVAL_S

    def __post_init__(self) -> None:
        """Raise ConfigError where a value is out of bounds."""
        _positive(
            self,
            "hello_timeout_seconds",
            "silent_disconnect_timeout_seconds",
            "reconnect_backoff_base_seconds",
        )
        _number(self, "channel_recreate_failure_threshold", least=0, whole=True)
        _number(self, "min_recreate_interval_seconds", least=0)
        if self.reconnect_backoff_cap_seconds is None:
            return
        _positive(self, "reconnect_backoff_cap_seconds")
        if self.reconnect_backoff_cap_seconds < self.reconnect_backoff_base_seconds:
            raise ConfigError(
                "GrpcWorkerResiliencyOptions: reconnect_backoff_cap_seconds must not be less than"
                " reconnect_backoff_base_seconds."
            )


def reconnect_cap_s(options: GrpcWorkerResiliencyOptions, *, is_local: bool) -> float:
    """Bound of every wait of a worker, in seconds.

    Args:
        is_local: the hub is on this machine.
    """
    if options.reconnect_backoff_cap_seconds is not None:
        return options.reconnect_backoff_cap_seconds
    default = LOCAL_BACKOFF_CAP_S if is_local else BACKOFF_CAP_S
    return max(default, options.reconnect_backoff_base_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcClientResiliencyOptions:
    """How a client gets over a connection that is dead.

    Attributes:
        channel_recreate_failure_threshold: after so many failures of the transport in a row the
            channel is replaced; 0 never replaces it.
        min_recreate_interval_seconds: between two replacements.
        retired_channel_grace_seconds: how long calls that are going on may use a replaced channel.
    """

    channel_recreate_failure_threshold: int = RECREATE_AFTER_FAILURES
    min_recreate_interval_seconds: float = MIN_RECREATE_INTERVAL_S
    retired_channel_grace_seconds: float = RETIRED_CHANNEL_GRACE_S

    def __post_init__(self) -> None:
        """Raise ConfigError where a value is out of bounds."""
        _number(self, "channel_recreate_failure_threshold", least=0, whole=True)
        _number(self, "min_recreate_interval_seconds", least=0)
        _number(self, "retired_channel_grace_seconds", least=0)
