"""The durable decorators, beside all decorators of azure-functions."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar, cast, overload

from azure.functions import AuthLevel
from azure.functions.decorators.function_app import (
    BindingApi,
    FunctionBuilder,
    SettingsApi,
    TriggerApi,
)

from durable_app.errors import DefinitionError, missing
from durable_app.exception_types import register_exception
from durable_app.functions import bindings, signatures
from durable_app.functions.activity_context import check_context
from durable_app.functions.builder import (
    DurableFunctionBuilder,
    function_name,
    function_of,
    set_function,
)
from durable_app.functions.entity_form import declared_name, entity_form
from durable_app.functions.facts import DurableFunction, Kind, Orchestrator
from durable_app.functions.handles import check_parameter, handle_of, make_handle
from durable_app.functions.names import (
    check_binding_name,
    check_durable_name,
    check_function_name,
    definition_error,
)
from durable_app.functions.orchestrator_form import of_context_alone, orchestrator_form
from durable_app.functions.scheduled_tasks import add_scheduled_tasks, check_names_are_free
from durable_app.functions.versions import joined

if TYPE_CHECKING:
    from azure.functions.decorators.core import Trigger

    from durable_app.functions.builder import AsyncFunction, GeneratorFunction, PlainFunction

Decorated = Callable[..., Any] | FunctionBuilder
Decorator = Callable[[Decorated], FunctionBuilder]

P = ParamSpec("P")
T = TypeVar("T")
Y = TypeVar("Y")
S = TypeVar("S")
E = TypeVar("E", bound=Exception)
B = TypeVar("B", bound=DurableFunctionBuilder)

_NAME_MARK: Final = "__durable_name__"


class DurableDecorator(Protocol):
    """A decorator, as type checkers see it: it keeps parameters and result of the function.

    What is callable fits the last overload as well, but the first that fits counts.
    """

    @overload
    def __call__(self, decorated: B, /) -> B: ...  # type: ignore[overload-overlap]  # see above

    @overload
    def __call__(  # type: ignore[overload-overlap]  # see above
        self, decorated: Callable[P, Coroutine[Any, Any, T]], /
    ) -> AsyncFunction[P, T]: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]  # see above
        self, decorated: Callable[P, Generator[Y, S, T]], /
    ) -> GeneratorFunction[P, T]: ...

    @overload
    def __call__(self, decorated: Callable[P, T], /) -> PlainFunction[P, T]: ...


class Blueprint(TriggerApi, BindingApi, SettingsApi):
    """A group of functions, for ``DFApp.register_functions``.

    Decorators may stand in any order, those of azure-functions among them. What they return can
    be called like the undecorated function, and names it: ``context.call_activity(say_hello)``.

    Args:
        http_auth_level: for parity with ``DFApp``; the level of the app is what counts.
    """

    def __init__(self, http_auth_level: AuthLevel | str = AuthLevel.FUNCTION) -> None:
        self._declared: list[FunctionBuilder] = []
        self._closed_by: str | None = None
        self._has_scheduled_tasks = False
        super().__init__(  # type: ignore[no-untyped-call]  # upstream
            auth_level=_auth_level(http_auth_level)
        )

    if not TYPE_CHECKING:  # A type checker that saw it would take every misspelt name for Any.

        def __getattr__(self, name: str) -> object:
            raise AttributeError(missing(type(self).__name__, name), name=name, obj=self)

    # -- What azure-functions' own decorators and apps use ----------------------------------------

    @property
    def _function_builders(self) -> list[FunctionBuilder]:
        """The functions to index; azure-functions reads it of an app and of a blueprint."""
        if self._has_scheduled_tasks:
            check_names_are_free(self._declared)
        return joined(self._declared)

    @_function_builders.setter
    def _function_builders(self, builders: list[FunctionBuilder]) -> None:
        self._declared = builders

    def _configure_function_builder(self, wrap: Callable[[FunctionBuilder], Any]) -> Decorator:
        """Every decorator, ours and azure-functions', passes here.

        Upstream takes for granted that a builder is the last one of its list and would change
        another function where it is not.
        """

        def decorate(decorated: Decorated) -> FunctionBuilder:
            builder, is_new = self._builder_for(decorated)
            changed: FunctionBuilder = wrap(builder)
            if is_new:
                self._declared.append(builder)
            return changed

        return decorate

    def _builder_for(self, decorated: Decorated) -> tuple[FunctionBuilder, bool]:
        if isinstance(decorated, FunctionBuilder):
            user_function = _user_function(decorated)
        elif callable(decorated):
            user_function = decorated
        else:
            raise DefinitionError(
                f"A decorator was used on {decorated!r}; it goes above the def of a function."
            )
        if self._closed_by is not None:
            raise definition_error(
                user_function,
                f"{signatures.plain_name(user_function)} is decorated after {self._closed_by}, so"
                " nobody would see it; decorate first.",
            )
        if not isinstance(decorated, FunctionBuilder):
            return DurableFunctionBuilder(decorated, self.app_script_file), True
        if not any(known is decorated for known in self._declared):
            raise definition_error(
                user_function,
                f"{signatures.plain_name(user_function)} was decorated by another app or"
                " blueprint; use the same object for all decorators of a function.",
            )
        return decorated, False

    def _close(self, reader: str) -> list[FunctionBuilder]:
        """Hand over all declared functions; later decorators are refused."""
        self._closed_by = reader
        return list(self._declared)

    # -- Decorators -------------------------------------------------------------------------------

    def function_name(
        self, name: str, setting_extra_fields: dict[str, Any] | None = None
    ) -> DurableDecorator:
        """Name the function; without it the name of the ``def`` counts.

        Args:
            name: a letter, then letters, digits, ``_`` and ``-``, at most 128; not "host".
            setting_extra_fields: passed on to azure-functions.
        """
        rename: Decorator = super().function_name(name, setting_extra_fields)

        def decorate(decorated: Decorated) -> FunctionBuilder:
            check_function_name(name, _user_function(decorated))
            return rename(decorated)

        return cast("DurableDecorator", decorate)

    def orchestration_trigger(
        self,
        context_name: str,
        orchestration: str | None = None,
        input_type: Any = None,
        *,
        version: str | None = None,
    ) -> DurableDecorator:
        """Make a function an orchestrator.

        It is a generator function, which waits with ``yield``, or an ``async def``, which waits
        with ``await``; one that does not wait may be a plain function. It takes the context alone,
        or the context and the input, which is decoded by its annotation. A second parameter that
        has a default takes the input only where the context is annotated as
        ``OrchestrationContext``.

        Args:
            context_name: name of the parameter that takes the context, letters and digits only.
            orchestration: name of the orchestration; None for the function's.
            input_type: what the input is decoded to; None for the annotation of the parameter that
                takes it, else plain JSON.
            version: run the instances of this version only. Several functions with the same
                ``orchestration`` and different versions are one function of the app; the one
                without a version runs all other instances. It belongs to durable_app alone.

        Raises:
            DefinitionError: (when the function is decorated) a name or the signature is wrong.
        """

        def check(function: Callable[..., Any]) -> None:
            check_durable_name(orchestration, "orchestration", function)
            orchestrator_form(function, context_name)
            _check_version(function, version)

        def complete(facts: DurableFunction) -> DurableFunction:
            function = of_context_alone(facts.function, context_name)
            versions = {version: Orchestrator(function, input_type)}
            return dataclasses.replace(
                facts, input_type=input_type, version=version, versions=versions
            )

        decorator: DurableDecorator = self._durable_trigger(
            "orchestration",
            context_name,
            orchestration,
            lambda name: bindings.OrchestrationTrigger(context_name, name),
            check,
            complete,
        )
        return decorator

    def activity_trigger(self, input_name: str, activity: str | None = None) -> DurableDecorator:
        """Make a function an activity; ``def`` and ``async def`` both work.

        A parameter annotated as ``ActivityContext`` takes the activity's context. Without
        annotation, the first of two parameters does, where the second one takes the input.

        Args:
            input_name: name of the parameter that takes the input, letters and digits only. Its
                annotation says what the input's JSON is decoded to.
            activity: name of the activity; None for the function's.

        Raises:
            DefinitionError: (when the function is decorated) a name or the signature is wrong.
        """

        def check(function: Callable[..., Any]) -> None:
            check_durable_name(activity, "activity", function)
            _check_activity(function, input_name)

        decorator: DurableDecorator = self._durable_trigger(
            "activity",
            input_name,
            activity,
            lambda name: bindings.ActivityTrigger(input_name, name),
            check,
        )
        return decorator

    def register_exception(self, kind: type[E]) -> type[E]:
        """Let orchestrators catch a failure by this class; see ``durable_app.register_exception``.

        Raises:
            DefinitionError: it is no class of exceptions, or cannot be a base class.
        """
        return register_exception(kind)

    def entity_trigger(self, context_name: str, entity_name: str | None = None) -> DurableDecorator:
        """Make a function or a class an entity.

        Three forms: a function of a ``DurableEntityContext``; a function of an ``EntityContext``
        and the operation's input; a class derived from ``DurableEntity``, each public method of
        which is an operation. The annotation of the context tells the first two apart; without
        one, a second parameter that has no default does. ``async`` works for all.

        Args:
            context_name: name of its parameter, letters and digits only; of a class, any name.
            entity_name: name of the entity, without ``@``. None for ``__durable_entity_name__`` of
                the function or class, else the function's name. Case does not matter.

        Raises:
            DefinitionError: (when it is decorated) a name or the signature is wrong, or the class
                is not derived from ``DurableEntity``.
        """

        def check(function: Callable[..., Any]) -> None:
            name = declared_name(function) if entity_name is None else entity_name
            check_durable_name(name, "entity", function)
            entity_form(function, context_name)

        def complete(facts: DurableFunction) -> DurableFunction:
            return dataclasses.replace(facts, entity=entity_form(facts.function, context_name))

        decorator: DurableDecorator = self._durable_trigger(
            "entity",
            context_name,
            entity_name,
            lambda name: bindings.EntityTrigger(context_name, name),
            check,
            complete,
        )
        return decorator

    def configure_scheduled_tasks(self) -> None:
        """Let the app have schedules: add the entity and the orchestrators they are made of.

        Once for an app, here or on a blueprint; again it does nothing.

        Raises:
            DefinitionError: the app was indexed, or the blueprint registered, before.
        """
        if not self._has_scheduled_tasks:
            add_scheduled_tasks(self)
            self._has_scheduled_tasks = True

    def durable_client_input(
        self,
        client_name: str,
        task_hub: str | None = None,
        connection_name: str | None = None,
    ) -> DurableDecorator:
        """Give a function a client: an ``async def`` the awaitable one, a ``def`` the sync one.

        Args:
            client_name: name of the parameter, letters and digits only.
            task_hub: None for the one of host.json.
            connection_name: setting with the connection string; None for the one of host.json.

        Raises:
            DefinitionError: (when the function is decorated) a name is wrong, or the function is
                an orchestrator or an entity.
        """
        _require_text(client_name, "durable_client_input")

        def wrap(builder: FunctionBuilder) -> FunctionBuilder:
            facts = _facts_of(builder)
            check_binding_name(client_name, facts.function)
            check_parameter(client_name, facts.function)
            facts = dataclasses.replace(facts, clients=(*facts.clients, client_name))
            _refuse_client(facts)
            handle = make_handle(facts)
            builder.add_binding(bindings.DurableClientInput(client_name, task_hub, connection_name))
            set_function(builder, handle)
            _refer(builder, facts)
            return builder

        return cast("DurableDecorator", self._configure_function_builder(wrap))

    def _durable_trigger(
        self,
        kind: Kind,
        parameter: str,
        durable_name: str | None,
        make_trigger: Callable[[str | None], Trigger],
        check: Callable[[Callable[..., Any]], None],
        complete: Callable[[DurableFunction], DurableFunction] = lambda facts: facts,
    ) -> Any:
        _require_text(parameter, f"{kind}_trigger")

        def wrap(builder: FunctionBuilder) -> FunctionBuilder:
            inside = _facts_of(builder)
            check_binding_name(parameter, inside.function)
            if kind != "entity" or not inspect.isclass(inside.function):
                check_parameter(parameter, inside.function)
            check(inside.function)
            own = declared_name(inside.function) if kind == "entity" else None
            declared = durable_name or own

            def name_of() -> str:
                return declared or function_name(builder)

            facts = complete(
                dataclasses.replace(inside, kind=kind, parameter=parameter, name_of=name_of)
            )
            _refuse_client(facts)
            handle = make_handle(facts)
            builder.add_trigger(make_trigger(declared))
            set_function(builder, handle)
            _refer(builder, facts)
            return builder

        return self._configure_function_builder(wrap)


def _auth_level(level: AuthLevel | str) -> AuthLevel:
    if isinstance(level, AuthLevel):
        return level
    try:
        return AuthLevel[level.upper()]
    except (KeyError, AttributeError):
        known = ", ".join(member.name for member in AuthLevel)
        raise DefinitionError(f"http_auth_level is one of {known}, not {level!r}") from None


def _require_text(name: object, decorator: str) -> None:
    """Without parentheses Python passes the function itself, and nothing would be registered."""
    if not isinstance(name, str):
        raise DefinitionError(
            f"@{decorator} takes the name of a parameter in parentheses, not {name!r}"
        )


def _user_function(decorated: Any) -> Any:
    if not isinstance(decorated, FunctionBuilder):
        return decorated
    return _facts_of(decorated).function


def _facts_of(builder: FunctionBuilder) -> DurableFunction:
    """What the decorators below have said; of a function that none of ours has seen, its start."""
    function = function_of(builder)
    handle = handle_of(function)
    if handle is not None:
        return handle.durable
    return DurableFunction("client", lambda: function_name(builder), function)


def _refer(builder: FunctionBuilder, facts: DurableFunction) -> None:
    """Let the builder and the user's function stand for the name in calls of the context."""
    marks: dict[str, Any] = {"__durable_function__": facts.function}
    if facts.kind != "client":
        marks[_NAME_MARK] = facts.name_of
    vars(builder).update(marks)
    if facts.kind != "client":
        # Methods and objects with slots take no attributes: then the builder alone is a reference.
        with contextlib.suppress(AttributeError, TypeError):
            setattr(facts.function, _NAME_MARK, facts.name_of)


def _refuse_client(facts: DurableFunction) -> None:
    ways_out = {
        "orchestration": "its code is replayed; call the client in an activity",
        "entity": "context.signal_entity and context.start_new_orchestration do what it may do",
    }
    if facts.clients and facts.kind in ways_out:
        raise definition_error(
            facts.function,
            f"an {facts.kind} cannot take a durable client: {ways_out[facts.kind]}",
        )


def _check_version(function: Callable[..., Any], version: object) -> None:
    if version is not None and not (isinstance(version, str) and version):
        raise definition_error(function, f"version is a text such as '1.0.0', not {version!r}")


def _check_activity(function: Callable[..., Any], input_name: str) -> None:
    if signatures.is_generator(function) or signatures.is_async_generator(function):
        raise definition_error(
            function,
            f"activity {signatures.plain_name(function)} is a generator: an activity returns its"
            f" result once, only orchestrators yield (input '{input_name}')",
        )
    check_context(function, input_name)
