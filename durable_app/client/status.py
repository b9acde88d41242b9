"""What clients see of an instance, in the names and shapes of Durable Functions for Python.

Payloads are decoded JSON here (``input_``, ``output``, ``custom_status``), never JSON text.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, TypeVar, overload

from durable_app.payload import from_plain, from_text
from durable_app.protocol import OrchestrationState, OrchestrationStatus

_T = TypeVar("_T")
_PRECISE: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


class OrchestrationRuntimeStatus(Enum):
    """Life-cycle state of an orchestration instance."""

    Running = "Running"
    Completed = "Completed"
    ContinuedAsNew = "ContinuedAsNew"
    Failed = "Failed"
    Canceled = "Canceled"
    Terminated = "Terminated"
    Pending = "Pending"
    Suspended = "Suspended"

    def to_status(self) -> OrchestrationStatus:
        """The same state in the hub's own vocabulary."""
        return _STATUS_BY_TITLE[self.value]


_STATUS_BY_TITLE: Final = {status.title: status for status in OrchestrationStatus}


def parse_status(text: str) -> OrchestrationStatus | None:
    """A status by its name in any case (``running``, ``CONTINUEDASNEW``); None if unknown."""
    return _STATUS_BY_FOLDED_TITLE.get(text.strip().casefold())


_STATUS_BY_FOLDED_TITLE: Final = {
    title.casefold(): status for title, status in _STATUS_BY_TITLE.items()
}


def output_of(state: OrchestrationState) -> Any:
    """Decoded output; the text of the error where the instance has failed."""
    failure = state.failure
    if failure is not None:
        # Without its type an error such as KeyError('id') is no more than the text 'id'.
        error = f"{failure.error_type}: {failure.error_message}"
        return f"Orchestrator function '{state.name}' failed: {error}"
    return from_text(state.output)


class DurableOrchestrationStatus:
    """Status of one instance; false in a boolean context where there is no such instance.

    Args:
        createdTime: ISO 8601 text or an aware datetime; None only where nothing was found.
        lastUpdatedTime: as ``createdTime``.
        runtimeStatus: the status or its name.
        history: events as :func:`durable_app.client.history_view.project` gives them, or None
            where they were not asked for.
        kwargs: whatever else a host sends; kept as attributes.
    """

    def __init__(  # noqa: PLR0913,PLR0917  the fields of the host's JSON object
        self,
        name: str | None = None,
        instanceId: str | None = None,  # noqa: N803  the host's name
        createdTime: str | datetime | None = None,  # noqa: N803  the host's name
        lastUpdatedTime: str | datetime | None = None,  # noqa: N803  the host's name
        input: Any = None,
        output: Any = None,
        runtimeStatus: OrchestrationRuntimeStatus | str | None = None,  # noqa: N803  the host's name
        customStatus: Any = None,  # noqa: N803  the host's name
        history: list[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        self._name = name
        self._instance_id = instanceId
        self._created_time = _as_time(createdTime)
        self._last_updated_time = _as_time(lastUpdatedTime)
        self._input = input
        self._output = output
        self._runtime_status = (
            None if runtimeStatus is None else OrchestrationRuntimeStatus(runtimeStatus)
        )
        self._custom_status = customStatus
        self._history = history
        for key, value in kwargs.items():
            setattr(self, key, value)

    @classmethod
    def from_state(
        cls,
        state: OrchestrationState,
        *,
        show_input: bool = True,
        history: list[dict[str, Any]] | None = None,
    ) -> DurableOrchestrationStatus:
        """Status of an instance as the task hub knows it."""
        return cls(
            name=state.name,
            instanceId=state.instance_id,
            createdTime=state.created_at,
            lastUpdatedTime=state.last_updated_at,
            input=from_text(state.input) if show_input else None,
            output=output_of(state),
            runtimeStatus=state.status.title,
            customStatus=from_text(state.custom_status),
            history=history,
        )

    @classmethod
    def from_json(cls, json_obj: Any) -> DurableOrchestrationStatus:
        """Inverse of the host's JSON; a bare string becomes the attribute ``message``."""
        if isinstance(json_obj, str):
            return cls(message=json_obj)
        fields = dict(json_obj)
        if "historyEvents" in fields:
            fields["history"] = fields.pop("historyEvents")
        return cls(**fields)

    def __bool__(self) -> bool:
        return self._created_time is not None

    def __repr__(self) -> str:
        status = None if self._runtime_status is None else self._runtime_status.value
        return f"<DurableOrchestrationStatus {self._instance_id!r} {self._name!r} {status}>"

    def to_json(self) -> dict[str, Any]:
        """JSON-ready dict; what is not known is left out, falsy values are kept."""
        fields: dict[str, Any] = {
            "name": self._name,
            "instanceId": self._instance_id,
            "createdTime": _as_text(self._created_time),
            "lastUpdatedTime": _as_text(self._last_updated_time),
            "output": self._output,
            "input": self._input,
            "runtimeStatus": None if self._runtime_status is None else self._runtime_status.name,
            "customStatus": self._custom_status,
            "history": self._history,
        }
        return {key: value for key, value in fields.items() if value is not None}

    @property
    def name(self) -> str | None:
        """Name of the orchestrator function."""
        return self._name

    @property
    def instance_id(self) -> str | None:
        """Id of the instance."""
        return self._instance_id

    @property
    def created_time(self) -> datetime | None:
        """When it was scheduled, aware UTC."""
        return self._created_time

    @property
    def last_updated_time(self) -> datetime | None:
        """When its history last grew, aware UTC."""
        return self._last_updated_time

    @property
    def input_(self) -> Any:
        """Its input; None where it was not asked for."""
        return self._input

    @property
    def output(self) -> Any:
        """Its result, the reason of a termination, or the text of the error that ended it."""
        return self._output

    @property
    def runtime_status(self) -> OrchestrationRuntimeStatus | None:
        """Its life-cycle state."""
        return self._runtime_status

    @property
    def custom_status(self) -> Any:
        """What the orchestrator last set as its custom status."""
        return self._custom_status

    @overload
    def get_input(self, expected_type: type[_T]) -> _T | None: ...
    @overload
    def get_input(self, expected_type: Any = None) -> Any: ...
    def get_input(self, expected_type: Any = None) -> Any:
        """Read the input as a value of a type; None where there is none or it was not asked for.

        Args:
            expected_type: any annotation; None for plain JSON structure.

        Raises:
            PayloadError: the input does not fit the type.
        """
        return _typed(self._input, expected_type)

    @overload
    def get_output(self, expected_type: type[_T]) -> _T | None: ...
    @overload
    def get_output(self, expected_type: Any = None) -> Any: ...
    def get_output(self, expected_type: Any = None) -> Any:
        """Read the output as :meth:`get_input` does; for a failed instance it is a text."""
        return _typed(self._output, expected_type)

    @overload
    def get_custom_status(self, expected_type: type[_T]) -> _T | None: ...
    @overload
    def get_custom_status(self, expected_type: Any = None) -> Any: ...
    def get_custom_status(self, expected_type: Any = None) -> Any:
        """Read the custom status as :meth:`get_input` does."""
        return _typed(self._custom_status, expected_type)

    @property
    def history(self) -> list[dict[str, Any]] | None:
        """Its history events; None where they were not asked for."""
        return self._history


class PurgeHistoryResult:
    """How many instances a purge has removed."""

    def __init__(self, instancesDeleted: int, **kwargs: Any) -> None:  # noqa: N803  the host's name
        self._instances_deleted = instancesDeleted
        for key, value in kwargs.items():
            setattr(self, key, value)

    @classmethod
    def from_json(cls, json_obj: dict[str, Any]) -> PurgeHistoryResult:
        """From the host's ``{"instancesDeleted": n}``."""
        return cls(**json_obj)

    @property
    def instances_deleted(self) -> int:
        """Number of removed instances."""
        return self._instances_deleted


def _typed(plain: Any, expected_type: Any) -> Any:
    return None if plain is None else from_plain(plain, expected_type)


def _as_time(value: str | datetime | None) -> datetime | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is not None and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def _as_text(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).strftime(_PRECISE)
