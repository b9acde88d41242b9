"""Which function answers a path: ASP.NET route templates, without any I/O.

Literal text is compared without regard to case. Of several templates that match, the most
specific one wins, segment by segment: literal, then constrained or mixed with text, then
parameter, then catch-all. A path whose value breaks a constraint, or whose method is not
allowed, does not match at all (the caller answers 404).

Source: routing of ASP.NET Core, as the Functions host exposes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar
from urllib.parse import unquote

from durable_app.errors import DefinitionError
from durable_app.host.web.route_template import (
    LITERAL,
    Parameter,
    Segment,
    fold,
    parse_template,
)

_T = TypeVar("_T")
#: First segments that belong to the host itself.
RESERVED: Final = ("admin", "runtime")
_CONFLICT: Final = "The specified route conflicts with one or more built in routes."
_ENCODED_SLASH: Final = re.compile("%(2f)", re.IGNORECASE)


class Match(NamedTuple, Generic[_T]):
    """What a path led to: the target and the values of the parameters that are there."""

    target: _T
    params: dict[str, str]


class _Route(NamedTuple, Generic[_T]):
    segments: tuple[Segment, ...]
    methods: frozenset[str]
    target: _T

    def allows(self, method: str) -> bool:
        return not self.methods or method in self.methods


class RouteTable(Generic[_T]):
    """Templates and what they lead to; built once, then only read."""

    def __init__(self) -> None:
        # Literal templates beat all others, so the path itself finds them.
        self._literal: dict[tuple[str, ...], list[_Route[_T]]] = {}
        self._others: list[_Route[_T]] = []
        # Template, methods and name of every route.
        self._known: list[tuple[str, frozenset[str], str]] = []

    def add(
        self, template: str, methods: Iterable[str], target: _T, *, name: str | None = None
    ) -> None:
        """Add a route.

        Args:
            template: relative to the server's root, such as ``api/start/{name}``.
            methods: allowed HTTP methods in any case; empty for all.
            name: of the function, for the message about a second one with the same route; None
                for the template.

        Raises:
            DefinitionError: the template cannot be understood, is reserved for the host, or has
                been added with one of these methods.
        """
        first = template.strip("/").partition("/")[0]
        if fold(first) in RESERVED:
            raise DefinitionError(f"'{template}': {_CONFLICT}")
        segments = parse_template(template)
        allowed = frozenset(method.upper() for method in methods)
        key_text = fold(template.strip("/"))
        for known, of_known, owner in self._known:
            if known == key_text and (not allowed or not of_known or allowed & of_known):
                raise DefinitionError(
                    f"The route specified conflicts with the route defined by function '{owner}'."
                )
        self._known.append((key_text, allowed, name or template))
        route = _Route(segments, allowed, target)
        if all(segment.rank == LITERAL for segment in segments):
            key = tuple(str(segment.only) for segment in segments)
            self._literal.setdefault(key, []).append(route)
        else:
            self._others.append(route)
            # Stable: of two equally specific templates the one that was added first wins. Of two
            # with the same beginning the shorter one comes first.
            self._others.sort(key=lambda route: [segment.rank for segment in route.segments])

    def targets(self) -> list[_T]:
        """What the routes lead to."""
        literal = (route for routes in self._literal.values() for route in routes)
        return [route.target for route in (*literal, *self._others)]

    def match(self, method: str, path: str | Sequence[str]) -> Match[_T] | None:
        """The most specific route for a request.

        Args:
            method: upper case.
            path: still percent-encoded, without the query; or what :func:`split_path` made of it.
        """
        parts = split_path(path) if isinstance(path, str) else path
        for route in self._literal.get(tuple(map(fold, parts)), ()):
            if route.allows(method):
                return Match(route.target, {})
        for route in self._others:
            if route.allows(method):
                params = _match(route.segments, parts)
                if params is not None:
                    return Match(route.target, params)
        return None


def refuse_reserved(route: str) -> None:
    """Check a function's own route, before the prefix is put in front of it.

    Raises:
        DefinitionError: it begins as the host's own routes do. The Functions host refuses it
            under every prefix, and by the letters: ``administration`` is refused, too.
    """
    if fold(route.strip("/")).startswith(RESERVED):
        raise DefinitionError(f"'{route}': {_CONFLICT}")


def split_path(path: str) -> list[str]:
    """Decoded segments of a path. One slash at its beginning and one at its end do not count.

    An encoded slash stays encoded: it is data of one segment, never a separator. So does what
    is no UTF-8.
    """
    text = path.removeprefix("/")
    parts = text.removesuffix("/").split("/") if text else []
    return [_decode(part) for part in parts] if "%" in text else parts


def _decode(part: str) -> str:
    try:
        return unquote(_ENCODED_SLASH.sub(r"%25\1", part), errors="strict")
    except UnicodeDecodeError:
        return part


def _match(segments: tuple[Segment, ...], parts: Sequence[str]) -> dict[str, str] | None:
    params: dict[str, str] = {}
    for index, segment in enumerate(segments):
        only = segment.only
        value = parts[index] if index < len(parts) else ""
        if isinstance(only, str):
            if fold(value) != only:
                return None
        elif only is None:
            found = _match_mixed(segment.parts, value)
            if found is None:
                return None
            params |= found
        else:
            if only.is_rest:
                value = "/".join(parts[index:])
            if not _take(only, value, params):
                return None
            if only.is_rest:
                return params
    return params if len(parts) <= len(segments) else None


def _take(parameter: Parameter, value: str, params: dict[str, str]) -> bool:
    """Note the parameter's value, or its default; False where neither will do."""
    if not value:
        if parameter.default is None:
            return parameter.is_optional or parameter.is_rest
        value = parameter.default
    if not parameter.accepts(value):
        return False
    params[parameter.name] = value
    return True


def _match_mixed(parts: tuple[str | Parameter, ...], value: str) -> dict[str, str] | None:
    """Parameters of a segment that mixes them with text.

    With an optional one at its end, the segment matches with it, or else without its dot.
    """
    found = _match_backwards(parts, value)
    last = parts[-1]
    if found is not None or not value or value.endswith("."):
        return found
    is_optional = isinstance(last, Parameter) and last.is_optional
    return _match_backwards(parts[:-2], value) if is_optional else None


def _match_backwards(parts: tuple[str | Parameter, ...], value: str) -> dict[str, str] | None:
    """Match from right to left, each text where it stands last, as ASP.NET does.

    ``{file}.{ext}`` therefore takes ``a.b.txt`` as ``a.b`` and ``txt``. There is no second try
    with another place of a text.
    """
    folded = fold(value)
    found: dict[str, str] = {}
    pending: Parameter | None = None
    end = len(value)
    is_last = True
    for part in reversed(parts):
        was_last, is_last = is_last, False
        if isinstance(part, Parameter):
            pending = part
            continue
        # A parameter takes at least one character.
        at = folded.rfind(part, 0, end - (pending is not None)) if end else -1
        if at < 0 or (was_last and at + len(part) != end):
            return None
        if pending is not None:
            found[pending.name] = value[at + len(part) : end]
            if not pending.accepts(found[pending.name]):
                return None
            pending = None
        end = at
    if pending is None:
        return found if end == 0 else None
    if not end or not pending.accepts(value[:end]):
        return None
    return {pending.name: value[:end], **found}
