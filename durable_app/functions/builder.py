"""Our FunctionBuilder, and the only module that reads private parts of azure-functions.

azure-functions keeps a function in ``FunctionBuilder._function`` and the builders of an app in
``DecoratorApi._function_builders``, and offers no public way to either.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

from azure.functions import FunctionRegister, get_binding_registry
from azure.functions.decorators.function_app import DecoratorApi, Function, FunctionBuilder

from durable_app.errors import DefinitionError
from durable_app.functions import signatures
from durable_app.functions.handles import fit, handle_of
from durable_app.functions.names import (
    check_binding_name,
    check_function_name,
    definition_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable

    from azure.functions.decorators.core import AuthLevel
    from typing_extensions import override


P = ParamSpec("P")
T_co = TypeVar("T_co", covariant=True)


class DurableFunctionBuilder(FunctionBuilder):
    """A FunctionBuilder that can be called like the user's function and names it.

    Attributes:
        __durable_name__: gives the final name of the orchestration, activity or entity.
        __durable_function__: the user's function.
    """

    def __init__(self, function: Callable[..., Any], script_file: str) -> None:
        # Upstream reads __name__, which partials and objects with __call__ have not got.
        super().__init__(_named_like(function), script_file)  # type: ignore[no-untyped-call]  # upstream
        set_function(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the user's function as if it had no decorator: for its own tests."""
        function = function_of(self)
        handle = handle_of(function)
        return (function if handle is None else handle.durable.function)(*args, **kwargs)

    def build(self, auth_level: AuthLevel | None = None) -> Function:
        """Check all names, settle the handle's signature, and hand over to azure-functions.

        Raises:
            DefinitionError: the host or the worker would refuse the function.
        """
        check_builder(self)
        handle = handle_of(function_of(self))
        if handle is not None:
            fit(handle, binding_names(self))
        return super().build(auth_level)


if TYPE_CHECKING:
    # What type checkers take a builder for. `__durable_result__` is what an orchestrator gets that
    # calls the function. Type arguments hold no Any: mypy would no longer choose an overload.

    class PlainFunction(DurableFunctionBuilder, Generic[P, T_co]):
        """Of a function that returns its result."""

        @property
        def __durable_result__(self) -> T_co: ...

        @override
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...

    class AsyncFunction(DurableFunctionBuilder, Generic[P, T_co]):
        """Of an ``async def``."""

        @property
        def __durable_result__(self) -> T_co: ...

        @override
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]: ...

    class GeneratorFunction(DurableFunctionBuilder, Generic[P, T_co]):
        """Of a generator function."""

        @property
        def __durable_result__(self) -> T_co: ...

        @override
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, T_co]: ...


def _named_like(function: Callable[..., Any]) -> Callable[..., Any]:
    def named() -> None:
        """Hold a name."""

    named.__name__ = signatures.plain_name(function)
    return named


def _inside(builder: FunctionBuilder) -> Function:
    return builder._function  # noqa: SLF001  see the module's first lines


def function_of(builder: FunctionBuilder) -> Callable[..., Any]:
    """What Azure's worker will call."""
    return _inside(builder).get_user_function()


def set_function(builder: FunctionBuilder, function: Callable[..., Any]) -> None:
    """Replace what Azure's worker will call."""
    _inside(builder)._func = function  # noqa: SLF001  see the module's first lines


def function_name(builder: FunctionBuilder) -> str:
    """Name of the function as it stands: of ``@function_name``, else of the ``def``."""
    return cast("str", _inside(builder).get_function_name())


def binding_names(builder: FunctionBuilder) -> list[str]:
    """Names of its bindings, the trigger's included, innermost decorator first."""
    return [binding.name for binding in _inside(builder).get_bindings()]


def user_function_of(builder: FunctionBuilder) -> Callable[..., Any]:
    """The user's function, behind a handle or not."""
    function = function_of(builder)
    handle = handle_of(function)
    return function if handle is None else handle.durable.function


def check_builder(builder: FunctionBuilder) -> None:
    """Raise DefinitionError if Azure refuses a function for its names or for want of a trigger."""
    user_function = user_function_of(builder)
    name = function_name(builder)
    check_function_name(name, user_function)
    if _inside(builder).get_trigger() is None:
        raise definition_error(
            user_function,
            f"Function {name} does not have a trigger. A valid function must have one and only one"
            " trigger registered. Add one, such as @app.route or @app.activity_trigger.",
        )
    for binding, count in Counter(binding_names(builder)).items():
        check_binding_name(binding, user_function)
        if count > 1:
            raise definition_error(
                user_function,
                f"Multiple bindings with name '{binding}' discovered. Binding names must be"
                " unique.",
            )


def check_functions(builders: Iterable[FunctionBuilder]) -> None:
    """Check every function of an app as :func:`check_builder` does, and that no two have one name.

    Raises:
        DefinitionError: Azure would refuse the app; with file and line of the function.
    """
    by_name: dict[str, FunctionBuilder] = {}
    for builder in builders:
        check_builder(builder)
        name = function_name(builder)
        # The host does not tell names apart by their letter case.
        earlier = by_name.setdefault(name.casefold(), builder)
        if earlier is not builder:
            raise definition_error(
                user_function_of(builder),
                f"Function {name} does not have a unique function name. Please change"
                " @app.function_name() or the function method name to be unique. The name is"
                f" taken at {signatures.location(user_function_of(earlier))}.",
            )


def builders_in(app: FunctionRegister) -> list[FunctionBuilder]:
    """Builders of all functions of an app, ours or azure-functions'."""
    return list(app._function_builders)  # noqa: SLF001  see the module's first lines


def converters() -> dict[str, type]:
    """The live registry of azure-functions: converters by type of binding."""
    registry: Any = get_binding_registry()  # type: ignore[no-untyped-call]  # upstream
    return cast("dict[str, type]", registry._bindings)  # noqa: SLF001  see the module's first lines


def builders_of(container: DecoratorApi) -> list[FunctionBuilder]:
    """Builders that a blueprint of azure-functions has collected."""
    if isinstance(container, FunctionRegister) or not isinstance(container, DecoratorApi):
        raise DefinitionError(
            f"register_functions takes a Blueprint, not {type(container).__name__}"
        )
    return list(container._function_builders)  # noqa: SLF001  see the module's first lines
