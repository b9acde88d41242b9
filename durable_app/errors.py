"""Every error that durable_app raises on purpose.

    DurableError
    |-- DefinitionError          the app's code is wrong (decorators, names, signatures)
    |-- ConfigError              host.json, settings, command line
    |-- InstanceNotFoundError    no such instance in this task hub
    |-- InstanceExistsError      the id is taken and the reuse policy forbids replacing it
    |-- TaskHubNotFoundError     no task hub of that name is served
    |-- TaskHubExistsError       a task hub of that name is served already
    |-- WrongStatusError         the instance's status does not allow the request
    |-- NonDeterminismError      the orchestrator asks for something else than its history holds
    |-- OrchestratorError        the orchestrator broke a rule of the programming model
    |-- TaskFailedError          an activity, a sub-orchestration or an entity's operation failed
    |-- NonRetriableError        raised by user code: another attempt would fail, too
    |-- TaskCancelledError       the result of a cancelled task was read
    |-- TaskTimeoutError         what was waited for did not come in time
    |-- OrchestrationFailedError   a client asked for the outcome of an instance that failed
    |-- UnsupportedOnHostError   this host cannot express the feature
    |-- LeaseLostError           somebody else owns the work item now
    |-- StoreUnavailableError    the database cannot be used at the moment
    |-- StoreCorruptError        the database file is damaged or not ours
    |-- SchedulerUnavailableError  no task hub answers
    |-- WireFormatError          a message of the task hub protocol breaks its rules
    |   `-- UnknownActionError   an orchestrator turn asks for something that this version lacks
    |-- PayloadError             a value cannot be encoded or decoded
    `-- ScheduleError            a request to a schedule has failed
        |-- ScheduleNotFoundError           there is no schedule of that id
        |-- ScheduleClientValidationError   its options make no sense
        `-- ScheduleInvalidTransitionError  its status does not allow the request

A message says what happened and what to do next. ``code`` is stable and meant for programs;
``retriable`` tells whether the same call can succeed later without a change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from durable_app.foreign_names import INSTEAD

if TYPE_CHECKING:
    from typing import Self

    from durable_app.protocol import FailureDetails, OrchestrationStatus

__all__ = [
    "ConfigError",
    "DefinitionError",
    "DurableError",
    "InstanceExistsError",
    "InstanceNotFoundError",
    "LeaseLostError",
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
    "StoreCorruptError",
    "StoreUnavailableError",
    "TaskCancelledError",
    "TaskFailedError",
    "TaskHubExistsError",
    "TaskHubNotFoundError",
    "TaskTimeoutError",
    "UnknownActionError",
    "UnsupportedOnHostError",
    "WireFormatError",
    "WrongStatusError",
]


class DurableError(Exception):
    """Root of all errors of this package."""

    code: ClassVar[str] = "durable_error"
    retriable: ClassVar[bool] = False


class DefinitionError(DurableError, ValueError):
    """The app's code is wrong: a name, a signature, a decorator."""

    code = "definition"


class ConfigError(DurableError, ValueError):
    """A setting, a file or an argument is wrong."""

    code = "config"


class InstanceNotFoundError(DurableError, LookupError):
    """No instance of that id exists in this task hub.

    Attributes:
        instance_id: that was looked for.
    """

    code = "instance_not_found"

    def __init__(self, instance_id: str) -> None:
        """Name the id that was looked for."""
        super().__init__(f"No instance with ID '{instance_id}' was found.")
        self.instance_id = instance_id


class InstanceExistsError(DurableError):
    """The id is taken by an instance that may not be replaced.

    Attributes:
        instance_id: that was asked for.
        status: of the instance that has it.
    """

    code = "instance_exists"

    def __init__(self, instance_id: str, status: OrchestrationStatus) -> None:
        """Name the id and the status that its present owner has."""
        super().__init__(
            f"An Orchestration instance with the status {status.title} already exists:"
            f" '{instance_id}'. Choose another id, or terminate or purge that instance first."
        )
        self.instance_id = instance_id
        self.status = status


class TaskHubNotFoundError(DurableError, LookupError):
    """No task hub of that name is served here."""

    code = "task_hub_not_found"


class TaskHubExistsError(DurableError):
    """A task hub of that name is served already."""

    code = "task_hub_exists"


class WrongStatusError(DurableError):
    """The instance exists, but its status does not allow the request.

    Attributes:
        instance_id: of the instance.
        status: that it has.
    """

    code = "wrong_status"

    def __init__(self, instance_id: str, status: OrchestrationStatus, request: str) -> None:
        """Args: the id, its present status, and the request as a verb phrase ("be rewound")."""
        super().__init__(f"Instance '{instance_id}' is {status.title} and cannot {request}.")
        self.instance_id = instance_id
        self.status = status


class NonDeterminismError(DurableError):
    """The orchestrator's code no longer follows its own history.

    The message names the recorded event, what the code asked for instead, and the line. After a
    fix the instance can be rewound.
    """

    code = "non_determinism"


class OrchestratorError(DurableError, TypeError):
    """The orchestrator broke a rule: it yielded no task, or it waits for nothing."""

    code = "orchestrator"


_HEAP_TYPE: Final = 1 << 9
"""Flag of classes that a ``class`` statement made; those of the interpreter lack it."""


class TaskFailedError(DurableError):
    """A task of an orchestration failed: an activity, a sub-orchestration, an entity call.

    Where the type that was reported is a built-in exception, or was given to
    ``register_exception``, the error is of that type, too: ``except ValueError`` catches it.

    Attributes:
        details: what the worker that ran it reported.
        task_id: id of the (last) schedule in the orchestration's history.
    """

    code = "task_failed"
    details: FailureDetails
    task_id: int

    # One that is of a user's type, too, is no object of that user's making: constructors and
    # __str__ of other classes are passed by.

    def __new__(cls, message: str, details: FailureDetails, task_id: int = -1) -> Self:  # noqa: ARG004  those of __init__
        """Make room as the interpreter's own class among the bases wants it."""
        native: Any = cls
        while native.__flags__ & _HEAP_TYPE:
            native = native.__base__
        made: Self = native.__new__(cls, message)
        return made

    def __init__(self, message: str, details: FailureDetails, task_id: int = -1) -> None:
        """Args: text for people, the reported failure, the id of the schedule."""
        Exception.__init__(self, message)
        vars(self).update(details=details, task_id=task_id)

    def __str__(self) -> str:
        return Exception.__str__(self)


class NonRetriableError(DurableError):
    """Raise it, or a subclass, where another attempt would fail, too: retries end at once.

    An exception of another class has the same effect if its attribute ``is_non_retriable`` is True.
    """

    code = "non_retriable"


class TaskCancelledError(DurableError):
    """The result of a cancelled timer or event wait was read."""

    code = "task_cancelled"


class TaskTimeoutError(DurableError, TimeoutError):
    """What an orchestrator waited for did not come within the time that it gave."""

    code = "task_timeout"


class OrchestrationFailedError(DurableError):
    """An instance has failed whose outcome a client wanted.

    Attributes:
        instance_id: of the instance.
        failure_details: what ended it.
    """

    code = "orchestration_failed"

    def __init__(self, instance_id: str, failure_details: FailureDetails) -> None:
        """Args: the id of the instance, and what ended it."""
        super().__init__(
            f"Orchestration '{instance_id}' failed: {failure_details.error_type}:"
            f" {failure_details.error_message}"
        )
        self.instance_id = instance_id
        self.failure_details = failure_details


class UnsupportedOnHostError(DurableError):
    """The host in use cannot express the feature; the message names what to use instead."""

    code = "unsupported_on_host"


class LeaseLostError(DurableError):
    """Another worker owns the item now; this result was dropped."""

    code = "lease_lost"


class StoreUnavailableError(DurableError):
    """The database refuses at the moment: full, read-only, busy or gone. Nothing was changed."""

    code = "store_unavailable"
    retriable = True


class StoreCorruptError(DurableError):
    """The database file is damaged, foreign, or written by a newer version."""

    code = "store_corrupt"


class SchedulerUnavailableError(DurableError):
    """No task hub answers, or it is shutting down."""

    code = "scheduler_unavailable"
    retriable = True


class WireFormatError(DurableError, ValueError):
    """A message of the task hub protocol breaks the protocol's rules; nothing was done with it.

    Attributes:
        reason: what is wrong, as a full sentence.
        field: name of the field, as the protocol spells it; "" for the message as a whole.
    """

    code = "wire_format"

    def __init__(self, reason: str, field: str = "") -> None:
        """Args: the reason as a full sentence, and the name of the field."""
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field


class UnknownActionError(WireFormatError):
    """A worker newer than this hub asks for something the hub cannot do; only that turn fails."""

    code = "unknown_action"


class PayloadError(DurableError, TypeError):
    """A value cannot be turned into JSON, or JSON does not fit the type that was asked for.

    Attributes:
        reason: what is wrong, as a full sentence.
        path: where in the value, as in ``order.lines[2].price``; "" for the value itself.
    """

    code = "payload"

    def __init__(self, reason: str, path: str = "") -> None:
        """Args: the reason as a full sentence, and the path of the field."""
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason
        self.path = path


class ScheduleError(DurableError, RuntimeError):
    """A request to a schedule has failed.

    Attributes:
        properties: what it is about, for those who get the error from another process.
    """

    code = "schedule"

    @property
    def properties(self) -> dict[str, str]:
        """The public attributes, all of them texts."""
        return {key: value for key, value in vars(self).items() if isinstance(value, str)}


class ScheduleNotFoundError(ScheduleError, LookupError):
    """There is no schedule of that id.

    Attributes:
        schedule_id: that was asked for.
    """

    code = "schedule_not_found"

    def __init__(self, schedule_id: str) -> None:
        """Name the id that was looked for."""
        super().__init__(f"There is no schedule '{schedule_id}'.")
        self.schedule_id = schedule_id


class ScheduleClientValidationError(ScheduleError, ValueError):
    """What a schedule shall be makes no sense.

    Attributes:
        schedule_id: of the schedule.
        reason: what is wrong with it.
    """

    code = "schedule_validation"

    def __init__(self, schedule_id: str, reason: str) -> None:
        """Args: the id, and what is wrong as a full sentence."""
        super().__init__(f"Schedule '{schedule_id}' is not valid: {reason}")
        self.schedule_id = schedule_id
        self.reason = reason


class ScheduleInvalidTransitionError(ScheduleError):
    """A schedule's status does not allow the request.

    Attributes:
        schedule_id: of the schedule.
        from_status: that it has, as text: "Active" or "Paused".
        to_status: that the request would have led to.
        operation_name: of the request, such as "pause_schedule".
    """

    code = "schedule_invalid_transition"

    def __init__(
        self, schedule_id: str, from_status: str, to_status: str, operation_name: str
    ) -> None:
        """Args: the id, both statuses, and the operation."""
        super().__init__(
            f"Schedule '{schedule_id}' is {from_status}: '{operation_name}' cannot make it"
            f" {to_status}."
        )
        self.schedule_id = schedule_id
        self.from_status = from_status
        self.to_status = to_status
        self.operation_name = operation_name


def missing(owner: str, name: str) -> str:
    """Text of the AttributeError for a name that ``owner`` lacks.

    A name that other Durable Functions libraries have is told apart from a misspelt one.
    """
    text = f"{owner} has no attribute '{name}'"
    instead = INSTEAD.get(name)
    return text if instead is None else f"{text}: not in this version of durable_app; {instead}."
