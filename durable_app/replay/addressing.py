"""The context's methods for entities: call, signal, lock; and for events of other instances.

A call waits for an answer, a signal does not; both consume an id at once. Every argument has the
names that Durable Functions 1.x and the other Durable Task library for Python give it, in the same
order.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload

from durable_app.entity_id import EntityId
from durable_app.errors import DefinitionError, UnsupportedOnHostError
from durable_app.payload import encode_input
from durable_app.protocol import (
    EntityLockRequested,
    EntityOperationCalled,
    EntityOperationSignaled,
    OrchestrationInstance,
    SendEvent,
)
from durable_app.replay.environment import CRITICAL_SECTIONS, SEND_EVENT
from durable_app.replay.locks import CriticalSection
from durable_app.replay.references import exact_text
from durable_app.replay.tasks import (
    SUCCEEDED,
    ActionTask,
    EntityCallTask,
    EntityLockTask,
    EntityMessageTask,
    Task,
)

if TYPE_CHECKING:
    from durable_app.protocol import ExecutionStarted
    from durable_app.replay.ledger import Ledger

T = TypeVar("T")


class SentEventTask(ActionTask[None]):
    """An event for another instance, which nobody answers."""

    __slots__ = ()


_Argument = TypeVar("_Argument")


class Addressing:
    """What an orchestrator can do with entities."""

    __slots__ = ()

    if TYPE_CHECKING:  # the context has them
        _ledger: Ledger
        _capabilities: frozenset[str]
        _started: ExecutionStarted
        current_utc_datetime: datetime
        is_replaying: bool

        def _moment(self, moment: Any, api: str) -> datetime: ...

    @overload
    def call_entity(
        self,
        entityId: EntityId | None = None,  # noqa: N803  its name in Durable Functions 1.x
        operationName: str | None = None,  # noqa: N803  likewise
        operationInput: Any = None,  # noqa: N803  likewise
        expected_type: None = None,
        *,
        entity: EntityId | None = None,
        operation: str | None = None,
        input: Any = None,
        return_type: None = None,
    ) -> Task[Any]: ...

    @overload
    def call_entity(
        self,
        entityId: EntityId | None = None,  # noqa: N803  its name in Durable Functions 1.x
        operationName: str | None = None,  # noqa: N803  likewise
        operationInput: Any = None,  # noqa: N803  likewise
        expected_type: type[T] = ...,
        *,
        entity: EntityId | None = None,
        operation: str | None = None,
        input: Any = None,
        return_type: type[T] = ...,
    ) -> Task[T]: ...

    @overload
    def call_entity(
        self,
        entityId: EntityId | None = None,  # noqa: N803  its name in Durable Functions 1.x
        operationName: str | None = None,  # noqa: N803  likewise
        operationInput: Any = None,  # noqa: N803  likewise
        expected_type: Any = None,
        *,
        entity: EntityId | None = None,
        operation: str | None = None,
        input: Any = None,
        return_type: Any = None,
    ) -> Task[Any]: ...

    def call_entity(
        self,
        entityId: EntityId | None = None,  # noqa: N803  its name in Durable Functions 1.x
        operationName: str | None = None,  # noqa: N803  likewise
        operationInput: Any = None,  # noqa: N803  likewise
        expected_type: Any = None,
        *,
        entity: EntityId | None = None,
        operation: str | None = None,
        input: Any = None,
        return_type: Any = None,
    ) -> Task[Any]:
        """Call an operation of an entity, and wait for its result.

        Args:
            entityId: whom to call.
            operationName: what it shall do.
            operationInput: anything with a JSON form; None for no input.
            expected_type: what to decode the result as; None for plain JSON structure.
            entity: another name of ``entityId``.
            operation: another name of ``operationName``.
            input: another name of ``operationInput``.
            return_type: another name of ``expected_type``.

        Returns:
            A task; it fails with a TaskFailedError if the operation fails.

        Raises:
            PayloadError: the input has no JSON form.
            OrchestratorError: within a critical section: the entity is not locked, or an earlier
                call of it is not answered yet.
            TypeError: the entity is not given as an EntityId.
        """
        api = "call_entity"
        target = _entity_of(_either(entityId, entity), api)
        operation = _operation_of(_either(operationName, operation), api)
        ledger = self._ledger
        section = ledger.section
        if section is not None:
            section.check_call(target)
        instance = self._instance
        message = EntityOperationCalled(
            -1,
            self.current_utc_datetime,
            "",
            operation,
            None,
            encode_input(_either(operationInput, input)),
            instance.instance_id,
            instance.execution_id,
            target,
        )
        wanted = _either(expected_type, return_type)
        task: EntityCallTask[Any] = EntityCallTask(
            self._itself, Any if wanted is None else wanted, message, section
        )
        ledger.schedule(task)
        if section is not None:
            section.begin_call(target)
        return task

    def signal_entity(
        self,
        entityId: EntityId | None = None,  # noqa: N803  its name in Durable Functions 1.x
        operationName: str | None = None,  # noqa: N803  likewise
        operationInput: Any = None,  # noqa: N803  likewise
        signal_time: datetime | timedelta | None = None,
        *,
        entity_id: EntityId | None = None,
        operation_name: str | None = None,
        input: Any = None,
    ) -> Task[None]:
        """Tell an entity to do something, without waiting for it.

        Args:
            entityId: whom to tell.
            operationName: what it shall do.
            operationInput: anything with a JSON form; None for no input.
            signal_time: when it shall do so at the earliest: a moment (naive ones are taken as
                UTC) or a time from now on; None for at once.
            entity_id: another name of ``entityId``.
            operation_name: another name of ``operationName``.
            input: another name of ``operationInput``.

        Returns:
            A completed task: yielding it gives None at once, and need not be done.

        Raises:
            PayloadError: the input has no JSON form.
            OrchestratorError: the entity is locked by this orchestration.
            TypeError: the entity is not given as an EntityId, or the time is none.
            ValueError: the time lies beyond the year 9999.
        """
        api = "signal_entity"
        target = _entity_of(_either(entityId, entity_id), api)
        operation = _operation_of(_either(operationName, operation_name), api)
        ledger = self._ledger
        if ledger.section is not None:
            ledger.section.check_signal(target)
        message = EntityOperationSignaled(
            -1,
            self.current_utc_datetime,
            "",
            operation,
            None if signal_time is None else self._moment(signal_time, api),
            encode_input(_either(operationInput, input)),
            target,
        )
        task = EntityMessageTask(self._itself, message)
        task.state = SUCCEEDED
        task.is_played = self.is_replaying
        # At the call in every mode: nobody has to yield it.
        ledger.place(task)
        return task

    def lock_entities(self, entities: Iterable[EntityId]) -> EntityLockTask:
        """Keep entities for this orchestration alone: ``with (yield context.lock_entities(...)):``.

        In an ``async def`` it is ``async with context.lock_entities(...):``.
        Within the block other orchestrations' messages to these entities wait. The orchestration
        can call these entities only, each with one call at a time, can signal all others, and can
        neither call sub-orchestrations nor lock anything else. The order in which the entities are
        given does not matter: two orchestrations never wait for each other.

        Args:
            entities: at least one; doubles do not matter.

        Returns:
            A task; its result is the EntityLock, whose ``with`` block releases all of them,
            however it is left. What is still locked when the orchestration ends or continues as
            new is released, too.

        Raises:
            OrchestratorError: a lock is held or asked for already.
            TypeError: not a list of EntityId.
            UnsupportedOnHostError: the host has no critical sections.
            ValueError: no entity is given.
        """
        api = "lock_entities"
        if CRITICAL_SECTIONS not in self._capabilities:
            raise UnsupportedOnHostError(
                "This host has no critical sections. Give the work to one entity, through which"
                " all others are changed, or undo the finished steps when a later one fails."
            )
        if isinstance(entities, (EntityId, str)) or not isinstance(entities, Iterable):
            raise TypeError(f"{api} takes a list of EntityId, not {type(entities).__name__}.")
        lock_set = tuple(sorted({_entity_of(entity, api) for entity in entities}))
        if not lock_set:
            raise ValueError(f"{api} needs at least one entity.")
        ledger = self._ledger
        if ledger.section is not None:
            ledger.section.check_lock()
        message = EntityLockRequested(
            -1, self.current_utc_datetime, "", lock_set, 0, self._instance.instance_id
        )
        task = EntityLockTask(self._itself, message)
        ledger.schedule(task)
        ledger.section = CriticalSection(task, lock_set)
        return task

    def send_event(self, instance_id: str, event_name: str, data: Any = None) -> Task[None]:
        """Raise an external event of another instance, without waiting for it.

        What is sent to an instance that does not exist, or has ended, is dropped.

        Args:
            instance_id: of an orchestration.
            event_name: in any case.
            data: anything with a JSON form; None for none.

        Returns:
            A completed task: yielding it gives None at once, and need not be done.

        Raises:
            DefinitionError: a name is no text, or empty; the id is that of an entity.
            PayloadError: the data has no JSON form.
            UnsupportedOnHostError: the host cannot do it.
        """
        api = "send_event"
        if SEND_EVENT not in self._capabilities:
            raise UnsupportedOnHostError(
                "This host raises no events for orchestrators. Call an activity that raises it"
                " through a durable client."
            )
        target = exact_text(instance_id, f"{api}: the id of an instance")
        if target.startswith("@"):
            raise DefinitionError(
                f"{api}: '{target}' is an entity; use context.signal_entity to tell it something."
            )
        name = exact_text(event_name, f"{api}: the name of an event")
        ledger = self._ledger
        task = SentEventTask(self._itself)
        task.action = SendEvent(
            ledger.next_id, OrchestrationInstance(target), name, encode_input(data)
        )
        task.state = SUCCEEDED
        task.is_played = self.is_replaying
        # At the call in every mode: nobody has to yield it.
        ledger.place(task)
        return task

    @property
    def _instance(self) -> OrchestrationInstance:
        return self._started.instance or OrchestrationInstance("")

    @property
    def _itself(self) -> Any:
        """This context, of which this class is only a part."""
        return self


def _either(first: _Argument | None, second: _Argument | None) -> _Argument | None:
    return second if first is None else first


def _entity_of(entity: Any, api: str) -> str:
    if not isinstance(entity, EntityId):
        raise TypeError(f"{api}: an entity is given as EntityId('name', 'key'), not as {entity!r}.")
    return str(entity)


def _operation_of(name: Any, api: str) -> str:
    return exact_text(name, f"{api}: the name of an operation")
