"""What the 2.x methods of a client return and take: states, queries, pages, counts.

Payloads stay JSON text here until one of the ``get_`` methods decodes them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from durable_app.client.status import OrchestrationRuntimeStatus
from durable_app.errors import OrchestrationFailedError
from durable_app.payload import from_text
from durable_app.protocol import FailureDetails
from durable_app.protocol import OrchestrationStatus as HubStatus

if TYPE_CHECKING:
    from durable_app.protocol import OrchestrationState as HubState

_T = TypeVar("_T")


class OrchestrationStatus(Enum):
    """Life-cycle state of an instance; its text is its name, its value the number of the wire."""

    RUNNING = 0
    COMPLETED = 1
    CONTINUED_AS_NEW = 2
    FAILED = 3
    CANCELED = 4
    TERMINATED = 5
    PENDING = 6
    SUSPENDED = 7

    def __str__(self) -> str:
        return self.name

    def to_status(self) -> HubStatus:
        """The same state in the hub's own vocabulary."""
        return HubStatus(self.value)


@dataclasses.dataclass(frozen=True)
class OrchestrationState:
    """An instance at one moment.

    Attributes:
        created_at: when it was scheduled, aware UTC.
        last_updated_at: when its history last grew, aware UTC.
        serialized_input: JSON text; None where there is none or payloads were not asked for. The
            same holds for the output and the custom status.
        failure_details: why it failed; None where it has not.
        version: of the orchestrator that it was started with.
        tags: what it was started with; empty where there are none.
    """

    instance_id: str
    name: str
    runtime_status: OrchestrationStatus
    created_at: datetime
    last_updated_at: datetime
    serialized_input: str | None = None
    serialized_output: str | None = None
    serialized_custom_status: str | None = None
    failure_details: FailureDetails | None = None
    version: str | None = None
    tags: dict[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_hub(cls, state: HubState, *, fetch_payloads: bool = True) -> OrchestrationState:
        """The state of an instance as the task hub knows it."""
        return cls(
            state.instance_id,
            state.name,
            OrchestrationStatus(state.status.value),
            state.created_at,
            state.last_updated_at,
            state.input if fetch_payloads else None,
            state.output if fetch_payloads else None,
            state.custom_status if fetch_payloads else None,
            state.failure,
            state.version,
            dict(state.tags or {}),
        )

    @overload
    def get_input(self, expected_type: type[_T]) -> _T | None: ...
    @overload
    def get_input(self, expected_type: Any = None) -> Any: ...
    def get_input(self, expected_type: Any = None) -> Any:
        """Decode the input; None where there is none.

        Args:
            expected_type: any annotation; None for plain JSON structure.

        Raises:
            PayloadError: the input does not fit the type.
        """
        return from_text(self.serialized_input, expected_type)

    @overload
    def get_output(self, expected_type: type[_T]) -> _T | None: ...
    @overload
    def get_output(self, expected_type: Any = None) -> Any: ...
    def get_output(self, expected_type: Any = None) -> Any:
        """Decode the output as :meth:`get_input` does; None where the instance has failed."""
        return from_text(self.serialized_output, expected_type)

    @overload
    def get_custom_status(self, expected_type: type[_T]) -> _T | None: ...
    @overload
    def get_custom_status(self, expected_type: Any = None) -> Any: ...
    def get_custom_status(self, expected_type: Any = None) -> Any:
        """Decode the custom status as :meth:`get_input` does."""
        return from_text(self.serialized_custom_status, expected_type)

    def raise_if_failed(self) -> None:
        """Do nothing, or raise OrchestrationFailedError where the instance has failed."""
        if self.failure_details is not None:
            raise OrchestrationFailedError(self.instance_id, self.failure_details)


@dataclasses.dataclass
class OrchestrationQuery:
    """Which instances; all conditions must hold, None is no condition.

    Attributes:
        created_time_from: inclusive. created_time_to: exclusive. Naive times are UTC.
        max_instance_count: rows that are asked for at a time, at most 1,000; the number of the
            results is not limited by it.
        fetch_inputs_and_outputs: with inputs, outputs and custom statuses.
    """

    created_time_from: datetime | None = None
    created_time_to: datetime | None = None
    runtime_status: Iterable[OrchestrationStatus | OrchestrationRuntimeStatus | str] | None = None
    max_instance_count: int | None = (1 << 31) - 1
    fetch_inputs_and_outputs: bool = False
    instance_id_prefix: str | None = None


@dataclasses.dataclass(frozen=True)
class Page(Generic[_T]):
    """Some of the results; ``continuation_token`` asks for the next ones, None at the end."""

    items: list[_T]
    continuation_token: str | None = None


@dataclasses.dataclass(frozen=True)
class PurgeInstancesResult:
    """How many instances were removed; ``is_complete`` is False where the time was up before."""

    deleted_instance_count: int
    is_complete: bool | None = None
