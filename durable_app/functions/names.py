"""Which names Azure Functions accepts, and what to say about the others.

Source: the host refuses an app with a function name or a binding name that breaks its pattern.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final

from durable_app.errors import DefinitionError
from durable_app.functions.signatures import location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_FUNCTION_NAME: Final = re.compile(r"[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE | re.ASCII)
_BINDING_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9]{0,127}", re.ASCII)
_RESERVED_FUNCTION_NAME: Final = "host"
_LONGEST: Final = 128
RETURN_BINDING: Final = "$return"
#: Azure's worker passes the invocation's context to an unbound parameter of this name.
INVOCATION_CONTEXT: Final = "context"


def definition_error(function: Callable[..., Any], text: str) -> DefinitionError:
    """The error for a fault in the code of ``function``, with file and line in front."""
    return DefinitionError(f"{location(function)}: {text}")


def check_binding_name(name: str, function: Callable[..., Any]) -> None:
    """Raise DefinitionError if Azure refuses the name of a binding."""
    if name == RETURN_BINDING or _BINDING_NAME.fullmatch(name):
        return
    if len(name) > _LONGEST:
        raise definition_error(
            function, f"{name}: Azure refuses binding names of more than {_LONGEST} characters"
        )
    better = _camel_case(name)
    advice = f"use {better}, " if better else ""
    what = "underscores" if "_" in name else "anything but letters and digits"
    raise definition_error(function, f"{name}: {advice}Azure refuses {what} in binding names")


def _camel_case(name: str) -> str:
    first, *rest = [word for word in re.split(r"[^a-zA-Z0-9]+", name) if word] or [""]
    joined = first + "".join(word[0].upper() + word[1:] for word in rest)
    return joined if _BINDING_NAME.fullmatch(joined) else ""


def check_function_name(name: object, function: Callable[..., Any]) -> None:
    """Raise DefinitionError if Azure refuses the name of a function."""
    if not isinstance(name, str):
        raise definition_error(function, f"a function name is a text, not {name!r}")
    if name.lower() == _RESERVED_FUNCTION_NAME:
        raise definition_error(function, f"{name}: Azure reserves this function name; take another")
    if not _FUNCTION_NAME.fullmatch(name):
        raise definition_error(
            function,
            f"{name}: a function name starts with a letter and has only letters, digits, _ and -,"
            f" at most {_LONGEST} characters; rename it or set @app.function_name",
        )


def check_durable_name(name: object, kind: str, function: Callable[..., Any]) -> None:
    """Raise DefinitionError if ``name`` cannot name an orchestration, an activity or an entity."""
    if name is None:
        return
    if not isinstance(name, str) or not name.strip():
        raise definition_error(function, f"the name of an {kind} is a text, not {name!r}")
    if kind == "entity" and "@" in name:
        raise definition_error(function, f"{name}: the name of an entity has no @")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` with a blank in front, or nothing where no name is close."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    return f" Did you mean '{by_folded[close[0]]}'?" if close else ""


def quoted(names: Iterable[str]) -> str:
    """``'a', 'b'`` in alphabetical order."""
    return ", ".join(f"'{name}'" for name in sorted(names))
