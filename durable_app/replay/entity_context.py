"""What an entity's code is given: two contexts, one for each style, and the class to derive from.

All three show one :class:`~durable_app.replay.entity_operation.Operation`. A state that is read is
the reader's own copy; only a call of ``set_state`` changes what is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, overload

from durable_app.errors import DefinitionError, PayloadError, missing
from durable_app.payload import to_text
from durable_app.replay.entity_methods import operations_of

if TYPE_CHECKING:
    from durable_app.entity_id import EntityId
    from durable_app.replay.entity_operation import Operation

_T = TypeVar("_T")

_WAITING: Final = frozenset(
    {
        "call_activity",
        "call_entity",
        "call_http",
        "call_sub_orchestrator",
        "create_timer",
        "lock_entities",
        "wait_for_external_event",
    }
)


def _absent(owner: str, name: str) -> str:
    if name in _WAITING:
        return (
            f"{owner} has no {name}: an entity cannot wait for others, or two could wait for each"
            " other for ever. Send a signal with signal_entity, or start an orchestration that"
            " waits with start_new_orchestration."
        )
    return missing(owner, name)


class _Context:
    """What both contexts have."""

    __slots__ = ("_operation",)

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    if not TYPE_CHECKING:  # A type checker that saw it would take every misspelt name for Any.

        def __getattr__(self, name: str) -> object:
            raise AttributeError(_absent("The context of an entity", name), name=name, obj=self)

    @property
    def entity_id(self) -> EntityId:
        """Which entity this is."""
        return self._operation.entity_id

    @property
    def current_utc_datetime(self) -> datetime:
        """When this operation began, aware UTC; virtual time in tests."""
        return self._operation.began_at

    def signal_entity(
        self,
        entity_instance_id: EntityId | str,
        operation: str,
        input: Any = None,
        signal_time: datetime | timedelta | None = None,
    ) -> None:
        """Send an operation to an entity, this one included; nobody waits for its outcome.

        It is sent when this operation has succeeded, not before.

        Args:
            entity_instance_id: an ``EntityId``, or its text ``@name@key``.
            operation: what it shall do.
            input: of the operation.
            signal_time: not before this moment (naive ones are taken as UTC), or this long from
                the beginning of this operation; None for at once.

        Raises:
            PayloadError: the input cannot be sent.
            TypeError: an argument is of another type.
            ValueError: the text is no entity's id, or the moment lies beyond the year 9999.
        """
        self._operation.signal(entity_instance_id, operation, input, signal_time)

    def start_new_orchestration(
        self,
        orchestration_name: Any,
        input: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestration when this operation has succeeded; return the instance's id.

        Args:
            orchestration_name: or the decorated function itself.
            input: of the orchestration.
            instance_id: as clients may choose it: 1 to 256 characters, no ``@`` in front, no
                slash, backslash, ``#``, ``?`` or control character. None for one that follows from
                the request, so that an operation that has to run again starts no second instance.
            version: of the orchestration; None for the default one.

        Raises:
            DefinitionError: the id cannot be one of an orchestration.
            PayloadError: the input cannot be sent.
            TypeError: ``orchestration_name`` names no orchestration.
        """
        return self._operation.start(orchestration_name, input, instance_id, version)

    schedule_new_orchestration = start_new_orchestration

    def _set(self, state: Any) -> None:
        """Keep a state, None included.

        Raises:
            PayloadError: it cannot be kept.
        """
        try:
            text = to_text(state)
        except PayloadError as error:
            name = self._operation.entity_id.entity
            raise PayloadError(
                f"{error.reason} (state of entity '{name}')", error.path
            ) from error.__cause__
        self._operation.write_state(text)


class DurableEntityContext(_Context):
    """Given to an entity function of one parameter, in the style of Durable Functions."""

    __slots__ = ()

    @property
    def entity_name(self) -> str:
        """Name of this entity, in lower case."""
        return self._operation.entity_id.entity

    @property
    def entity_key(self) -> str:
        """Key of this entity."""
        return self._operation.entity_id.key

    @property
    def operation_name(self) -> str:
        """What is to be done."""
        return self._operation.name

    @property
    def is_newly_constructed(self) -> bool:
        """Whether the entity had no state when this operation began."""
        return self._operation.is_new

    def get_input(self, expected_type: Any = None) -> Any:
        """Input of the operation; None where it has none.

        Args:
            expected_type: what its JSON is decoded to; None for plain JSON.

        Raises:
            PayloadError: it does not fit the type.
        """
        if not self._operation.has_input:
            return None
        return self._operation.read_input(expected_type)

    @overload
    def get_state(self, initializer: Callable[[], _T], expected_type: type[_T]) -> _T: ...
    @overload
    def get_state(self, initializer: Any = None, expected_type: Any = None) -> Any: ...
    def get_state(self, initializer: Any = None, expected_type: Any = None) -> Any:
        """A copy of the state; change it as you like, and hand it to :meth:`set_state`.

        Args:
            initializer: what to return where there is no state, or a function that makes it. It is
                not kept by itself.
            expected_type: what the state's JSON is decoded to; None for plain JSON.

        Returns:
            The state, ``0``, ``""`` and ``[]`` included; where it is missing or None what
            ``initializer`` gives.

        Raises:
            PayloadError: it does not fit the type.
        """
        text = self._operation.state
        if text is not None and text != "null":
            return self._operation.read_state(expected_type)
        return initializer() if callable(initializer) else initializer

    def set_state(self, state: Any) -> None:
        """Replace the state by what this value is now; later changes of the value do not count.

        Raises:
            PayloadError: it cannot be kept.
        """
        self._set(state)

    def set_result(self, result: Any) -> None:
        """Answer the caller with this value, None included, instead of what is returned.

        Raises:
            PayloadError: it cannot be sent.
        """
        self._operation.write_result(result)

    def destruct_on_exit(self) -> None:
        """Remove the entity's state, unless this operation sets another one afterwards."""
        self._operation.write_state(None)


class EntityContext(_Context):
    """Given to an entity function of two parameters, in the style of durabletask."""

    __slots__ = ()

    @property
    def orchestration_id(self) -> str:
        """Id of this entity as an instance: ``@name@key``."""
        return str(self._operation.entity_id)

    @property
    def operation(self) -> str:
        """What is to be done."""
        return self._operation.name

    @overload
    def get_state(self, intended_type: type[_T], default: _T) -> _T: ...
    @overload
    def get_state(self, intended_type: type[_T], default: None = None) -> _T | None: ...
    @overload
    def get_state(self, intended_type: None = None, default: Any = None) -> Any: ...
    def get_state(self, intended_type: Any = None, default: Any = None) -> Any:
        """A copy of the state; change it as you like, and hand it to :meth:`set_state`.

        Args:
            intended_type: what the state's JSON is decoded to; None for plain JSON.
            default: what to return where there is no state.

        Raises:
            PayloadError: it does not fit the type.
        """
        if self._operation.state is None:
            return default
        return self._operation.read_state(intended_type)

    def set_state(self, new_state: Any) -> None:
        """Replace the state by what this value is now; None removes the entity's state.

        Raises:
            PayloadError: it cannot be kept.
        """
        if new_state is None:
            self._operation.write_state(None)
        else:
            self._set(new_state)


class DurableEntity:
    """Base of entities that are classes: each public method of yours is an operation.

    A method takes no parameter, or the operation's input, decoded to the parameter's annotation.
    It may be ``async``. Every operation gets an object of its own: what shall last is handed to
    :meth:`set_state`. Names that begin with an underscore, and the methods of this class, cannot be
    asked for from outside; ``delete`` can, which removes the state unless you define it yourself
    (``delete = None`` takes it away).

    Attributes:
        __durable_entity_name__: name of the entity, where it is not that of the class.
    """

    __durable_kind__: ClassVar[str] = "entity"
    __durable_entity_name__: ClassVar[str]
    __context: EntityContext | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Look at the operations.

        Raises:
            DefinitionError: a public method cannot be one.
        """
        super().__init_subclass__(**options)
        operations_of(cls, DurableEntity)

    @property
    def entity_context(self) -> EntityContext:
        """The operation that this object was made for; ``__init__`` may use it.

        Raises:
            DefinitionError: it was made by hand, for no operation.
        """
        if self.__context is None:
            raise DefinitionError(
                f"This {type(self).__name__} was made for no operation, so it has no context."
            )
        return self.__context

    @overload
    def get_state(self, intended_type: type[_T], default: _T) -> _T: ...
    @overload
    def get_state(self, intended_type: type[_T], default: None = None) -> _T | None: ...
    @overload
    def get_state(self, intended_type: None = None, default: Any = None) -> Any: ...
    def get_state(self, intended_type: Any = None, default: Any = None) -> Any:
        """See ``EntityContext.get_state``."""
        return self.entity_context.get_state(intended_type, default)

    def set_state(self, state: Any) -> None:
        """See ``EntityContext.set_state``."""
        self.entity_context.set_state(state)

    def signal_entity(
        self,
        entity_instance_id: EntityId | str,
        operation: str,
        input: Any = None,
        signal_time: datetime | timedelta | None = None,
    ) -> None:
        """See ``EntityContext.signal_entity``."""
        self.entity_context.signal_entity(entity_instance_id, operation, input, signal_time)

    def start_new_orchestration(
        self,
        orchestration_name: Any,
        input: Any = None,
        instance_id: str | None = None,
        version: str | None = None,
    ) -> str:
        """See ``EntityContext.start_new_orchestration``."""
        return self.entity_context.start_new_orchestration(
            orchestration_name, input, instance_id, version
        )

    schedule_new_orchestration = start_new_orchestration

    def delete(self, input: Any = None) -> Any:  # noqa: ARG002  any input will do
        """Remove the entity's state. The one operation that every entity class has."""
        self.set_state(None)


def made_for(entity: type[DurableEntity], operation: Operation) -> DurableEntity:
    """An object for one operation; ``__init__`` can use the state already."""
    made = entity.__new__(entity)
    made._DurableEntity__context = EntityContext(operation)  # type: ignore[attr-defined] # noqa: SLF001  the private name as Python spells it outside
    made.__init__()  # type: ignore[misc]  # entities take no arguments
    return made
