"""One operation of one entity: the state it sees, what it sends, what it returns.

Everything that user code hands over becomes JSON text at once: an object that it changes later, or
that cannot be sent, changes nothing and fails where it was handed over.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from durable_app.entity_id import EntityId
from durable_app.errors import DefinitionError, PayloadError
from durable_app.instance_id import check_instance_id
from durable_app.payload import encode_input, from_plain, from_text
from durable_app.protocol import (
    EntityOperationCalled,
    EntityOperationSignaled,
    OperationRequest,
    SendSignal,
    StartNewOrchestration,
    TraceContext,
)
from durable_app.replay.references import exact_text, name_and_type

#: Instances that entities have started depend on this number.
_STARTED: Final = UUID("3f1c2a56-7d0e-4b0f-9a55-6c1f0b8e2d47")

Asked = EntityOperationSignaled | EntityOperationCalled | OperationRequest


class Operation:
    """What one operation may do. It ends with :meth:`end`; then nothing is possible any more.

    Args:
        entity_id: of the entity.
        asked: the request: the operation's name, its input and an id, from which follow the ids of
            what the operation starts.
        state: JSON text of the entity's state, None where it has none.
        began_at: aware UTC.
        first_id: of the actions that it will ask for.
        default_version: of orchestrations that it starts without one.

    Attributes:
        trace_context: to which belongs what it sends; None for none.
    """

    __slots__ = (
        "_default_version",
        "_first_id",
        "_has_ended",
        "_input",
        "_result",
        "asked",
        "began_at",
        "entity_id",
        "is_new",
        "name",
        "sent",
        "state",
        "trace_context",
    )

    def __init__(
        self,
        entity_id: EntityId,
        asked: Asked,
        state: str | None,
        began_at: datetime,
        *,
        first_id: int = 0,
        default_version: str | None = None,
    ) -> None:
        self.entity_id = entity_id
        self.name = asked.operation
        self.asked = asked
        self.trace_context: TraceContext | None = None
        self._input = asked.input
        self.began_at = began_at
        self.is_new = state is None
        self.state = state
        self.sent: list[SendSignal | StartNewOrchestration] = []
        self._first_id = first_id
        self._default_version = default_version
        self._result: tuple[str | None] | None = None
        self._has_ended = False

    @property
    def has_input(self) -> bool:
        """Whether the request carries an input; JSON's null is one."""
        return self._input is not None

    def end(self) -> None:
        """Refuse everything from now on. Any thread; may be called again."""
        self._has_ended = True

    # -- what user code reads ----------------------------------------------------------------

    def read_input(self, expected_type: Any = None, parameter: str = "") -> Any:
        """Decode the input; without one as if it were JSON's null.

        Args:
            parameter: of the user's function that takes it, for messages.

        Raises:
            PayloadError: it does not fit.
        """
        try:
            plain = from_text(self._input)
            return plain if expected_type is None else from_plain(plain, expected_type)
        except PayloadError as error:
            raise PayloadError(
                f"{error.reason} (input of operation '{self.name}' of entity"
                f" '{self.entity_id.entity}')",
                _joined(parameter, error.path),
            ) from error.__cause__

    def read_state(self, expected_type: Any = None) -> Any:
        """Decode the state anew; None where there is none.

        Raises:
            PayloadError: it does not fit.
        """
        try:
            return from_text(self.state, expected_type)
        except PayloadError as error:
            raise PayloadError(
                f"{error.reason} (state of entity '{self.entity_id.entity}')", error.path
            ) from error.__cause__

    # -- what it does ------------------------------------------------------------------------

    def write_state(self, text: str | None) -> None:
        """Replace the state; None removes it."""
        self._must_run()
        self.state = text

    def write_result(self, value: Any) -> None:
        """Set the result; it goes before what the function returns.

        Raises:
            PayloadError: it cannot be sent.
        """
        self._must_run()
        self._result = (self._encoded(value, "result"),)

    def result_of(self, returned: Any) -> str | None:
        """JSON text of the result, None for none, of a function that returned this value.

        Raises:
            PayloadError: it cannot be sent.
        """
        return self._encoded(returned, "result") if self._result is None else self._result[0]

    def signal(
        self,
        target: EntityId | str,
        operation: str,
        value: Any,
        at: datetime | timedelta | None,
    ) -> None:
        """Ask for an operation of an entity, this one included.

        Raises:
            ValueError: ``target`` is no entity's id.
            TypeError: ``target`` or ``at`` is of another type.
            PayloadError: the input cannot be sent.
        """
        self._must_run()
        receiver, moment = str(_entity_id(target)), _moment(at, self.began_at)
        # A signal to itself for later is a clock that may tick for ever. Below the span of the last
        # tick there would be a trace without end, so that each tick begins one of its own.
        is_tick = moment is not None and receiver == str(self.entity_id)
        self.sent.append(
            SendSignal(
                self._next_id,
                receiver,
                exact_text(operation, "signal_entity: the name of an operation"),
                self._encoded(value, f"input of the signal '{operation}'"),
                moment,
                self.began_at,
                None if is_tick else self.trace_context,
            )
        )

    def start(
        self, reference: Any, value: Any, instance_id: str | None, version: str | None
    ) -> str:
        """Ask for a new orchestration; return its id, the same one whenever this is repeated.

        Raises:
            DefinitionError: the id cannot be one of an orchestration.
            TypeError: ``reference`` names no orchestration.
            PayloadError: the input cannot be sent.
        """
        self._must_run()
        name, _ = name_and_type(reference, Any, "start_new_orchestration")
        if instance_id is None:
            seed = f"{self.entity_id}/{self.asked.request_id}/{len(self.sent)}"
            instance_id = uuid5(_STARTED, seed).hex
        self.sent.append(
            StartNewOrchestration(
                self._next_id,
                _instance_id(instance_id),
                name,
                self._default_version if version is None else version,
                self._encoded(value, f"input of orchestration '{name}'"),
                None,
                self.began_at,
                self.trace_context,
            )
        )
        return instance_id

    @property
    def _next_id(self) -> int:
        return self._first_id + len(self.sent)

    def _must_run(self) -> None:
        if self._has_ended:
            raise RuntimeError(
                f"Operation '{self.name}' of entity '{self.entity_id}' has ended, so nothing that"
                " it asks for counts; finish all work before the function returns."
            )

    def _encoded(self, value: Any, what: str) -> str | None:
        try:
            return encode_input(value)
        except PayloadError as error:
            raise PayloadError(
                f"{error.reason} ({what}, operation '{self.name}' of entity"
                f" '{self.entity_id.entity}')",
                error.path,
            ) from error.__cause__


def _joined(parameter: str, path: str) -> str:
    if not parameter or not path or path.startswith("["):
        return parameter + path
    return f"{parameter}.{path}"


def _entity_id(target: Any) -> EntityId:
    if isinstance(target, EntityId):
        return target
    if isinstance(target, str):
        return EntityId.parse(target)
    raise TypeError(
        f"signal_entity takes an EntityId or its text, @name@key, not {type(target).__name__}."
    )


def _instance_id(instance_id: Any) -> str:
    text = exact_text(instance_id, "start_new_orchestration: the id of an instance")
    try:
        check_instance_id(text)
    except ValueError as error:
        raise DefinitionError(f"start_new_orchestration: {error}") from error
    return text


def _moment(at: Any, now: datetime) -> datetime | None:
    try:
        if at is None:
            return None
        if isinstance(at, timedelta):
            return now + at
        if isinstance(at, datetime):
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError(
            f"signal_entity: {at} lies outside of the years 1 to 9999 in UTC."
        ) from None
    raise TypeError(
        f"signal_entity: signal_time is a datetime or a timedelta, not {type(at).__name__}."
    )
