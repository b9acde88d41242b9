"""The app object of function_app.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.functions import AuthLevel, FunctionRegister

from durable_app.errors import DefinitionError
from durable_app.functions.blueprint import Blueprint
from durable_app.functions.builder import builders_in, builders_of, check_functions
from durable_app.functions.scheduled_tasks import is_of_scheduled_tasks

if TYPE_CHECKING:
    from azure.functions.decorators.function_app import DecoratorApi, Function


class DFApp(Blueprint, FunctionRegister):
    """A Functions app with durable functions.

    Azure's worker and ``func start`` look for exactly one such object in function_app.py.

    Args:
        http_auth_level: of HTTP functions that name none themselves; the name's case is free.
    """

    def __init__(self, http_auth_level: AuthLevel | str = AuthLevel.FUNCTION) -> None:
        self._functions: list[Function] | None = None
        self._registered: list[DecoratorApi] = []
        super().__init__(http_auth_level)

    def register_functions(self, function_container: DecoratorApi) -> None:
        """Add all functions of a blueprint, ours or azure-functions'. It is read now.

        Raises:
            DefinitionError: it is no blueprint, it was registered before, or the app has been
                indexed.
        """
        if self._functions is not None:
            raise DefinitionError("register_functions was called after the app was indexed.")
        if any(known is function_container for known in self._registered):
            raise DefinitionError(
                "The same blueprint was registered twice; its functions would exist twice."
            )
        if isinstance(function_container, Blueprint) and not isinstance(
            function_container, FunctionRegister
        ):
            added = function_container._close(  # noqa: SLF001  a blueprint is handed over to its app alone
                "register_functions has read its blueprint"
            )
        else:
            added = builders_of(function_container)
        self._registered.append(function_container)
        if self._has_scheduled_tasks:
            added = [each for each in added if not is_of_scheduled_tasks(each)]
        self._has_scheduled_tasks |= any(is_of_scheduled_tasks(each) for each in added)
        self._declared.extend(added)

    register_blueprint = register_functions

    def get_functions(self) -> list[Function]:
        """Check and return all functions; the same list each time.

        Raises:
            DefinitionError: a name, a signature or a binding is wrong, a function has no trigger,
                or two have one name.
        """
        if self._functions is None:
            # azure-functions remembers the names of an earlier attempt and calls them duplicates.
            self.functions_bindings = None
            check_functions(builders_in(self))
            # azure-functions logs a warning about the level of an app without HTTP functions, which
            # a durable app may well be; whoever makes a DFApp() has named no level.
            self._require_auth_level = True
            self._functions = super().get_functions()
            self._close("the app was indexed")
        return self._functions


def is_read(blueprint: DecoratorApi) -> bool:
    """Whether nobody misses a blueprint's functions: it has none, or one of our apps has them."""
    if not isinstance(blueprint, Blueprint):
        return not builders_of(blueprint)
    return blueprint._closed_by is not None or not blueprint._declared  # noqa: SLF001  what it says of itself concerns its app alone
