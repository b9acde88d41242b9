"""Which function answers a path: ASP.NET route templates, without any I/O.

A template is a list of segments between slashes. A segment holds literal text and parameters:
``{x}``, ``{x?}`` (optional), ``{x=default}``, ``{*rest}`` or ``{**rest}`` (the rest of the path),
each with constraints after colons: ``{id:int:min(1)}``. Literal text is compared without regard
to case. Of several templates that match, the most specific one wins, segment by segment:
literal, then constrained parameter, then parameter, then catch-all. A path whose value breaks a
constraint, or whose method is not allowed, does not match at all (the caller answers 404).

Source: routing of ASP.NET Core, as the Functions host exposes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Generic, NamedTuple, TypeVar
from urllib.parse import unquote
from uuid import UUID

from durable_app.errors import DefinitionError

_T = TypeVar("_T")
_Check = Callable[[str], bool]
_INT: Final = re.compile(r"[+-]?\d+")
_RESERVED_FIRST_SEGMENTS: Final = frozenset({"admin", "runtime"})


class _Segment(NamedTuple):
    """One segment of a template.

    Attributes:
        rank: smaller is more specific.
        pattern: matches the whole decoded segment, a named group per parameter.
        names: parameters by group name (a parameter may be called what no group may).
        optional: the segment may be missing; its parameter is then absent or has its default.
    """

    rank: int
    pattern: re.Pattern[str]
    names: Mapping[str, str]
    checks: Mapping[str, tuple[_Check, ...]]
    defaults: Mapping[str, str]
    optional: bool
    catch_all: bool


class Match(NamedTuple, Generic[_T]):
    """What a path led to: the target and the values of the parameters that are there."""

    target: _T
    params: dict[str, str]


class RouteTable(Generic[_T]):
    """Templates and what they lead to; built once, then only read."""

    def __init__(self) -> None:
        self._routes: list[tuple[tuple[_Segment, ...], frozenset[str], _T]] = []

    def add(self, template: str, methods: Iterable[str], target: _T) -> None:
        """Add a route.

        Args:
            template: relative to the server's root, such as ``api/start/{name}``.
            methods: allowed HTTP methods in any case; empty for all.

        Raises:
            DefinitionError: the template cannot be understood, or is reserved for the host.
        """
        segments = tuple(_parse_segment(part, template) for part in split_path(template))
        first = template.strip("/").split("/", 1)[0].casefold()
        if first in _RESERVED_FIRST_SEGMENTS:
            raise DefinitionError(
                f"'{template}': The specified route conflicts with one or more built in routes."
            )
        allowed = frozenset(method.upper() for method in methods)
        self._routes.append((segments, allowed, target))
        # Stable: of two equally specific templates the one that was added first wins.
        self._routes.sort(key=lambda route: _precedence(route[0]))

    def match(self, method: str, path: str) -> Match[_T] | None:
        """The most specific route for a request.

        Args:
            path: still percent-encoded, without the query.
        """
        parts = [_decode(part) for part in split_path(path)]
        for segments, allowed, target in self._routes:
            if allowed and method.upper() not in allowed:
                continue
            params = _match(segments, parts)
            if params is not None:
                return Match(target, params)
        return None


def split_path(path: str) -> list[str]:
    """Parts of a path or a template between slashes, braces kept together."""
    parts, depth, part = [], 0, ""
    for char in path.strip("/"):
        depth += (char == "{") - (char == "}")
        if char == "/" and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += char
    return [*parts, part] if part or parts else []


def _decode(part: str) -> str:
    # An encoded slash stays encoded: it is data of one segment, never a separator.
    return unquote(re.sub("%2f", "%252F", part, flags=re.IGNORECASE)) if "%" in part else part


def _precedence(segments: tuple[_Segment, ...]) -> tuple[tuple[int, ...], int]:
    return tuple(segment.rank for segment in segments), -len(segments)


def _match(segments: tuple[_Segment, ...], parts: list[str]) -> dict[str, str] | None:
    params: dict[str, str] = {}
    for index, segment in enumerate(segments):
        if segment.catch_all:
            value = "/".join(parts[index:])
            found = _match_segment(segment, value) if value or index < len(parts) else {}
            return None if found is None else {**segment.defaults, **params, **found}
        if index >= len(parts):
            if not segment.optional:
                return None
            params |= segment.defaults
            continue
        found = _match_segment(segment, parts[index])
        if found is None:
            return None
        params |= found
    return params if len(parts) <= len(segments) else None


def _match_segment(segment: _Segment, value: str) -> dict[str, str] | None:
    match = segment.pattern.fullmatch(value)
    if match is None:
        return None
    found = {}
    for group, name in segment.names.items():
        text = match[group]
        if not all(check(text) for check in segment.checks[group]):
            return None
        found[name] = text
    return found


# ---------------------------------------------------------------------------------------------
# Templates
# ---------------------------------------------------------------------------------------------

_PIECE: Final = re.compile(r"\{(?P<inner>(?:[^{}]|\{\{|\}\})+)\}|(?P<text>(?:[^{}]|\{\{|\}\})+)")
_LITERAL, _CONSTRAINED, _PARAMETER, _CATCH_ALL = 1, 2, 3, 5


def _parse_segment(part: str, template: str) -> _Segment:
    pattern, position, count = "", 0, 0
    names: dict[str, str] = {}
    checks: dict[str, tuple[_Check, ...]] = {}
    defaults: dict[str, str] = {}
    optional = catch_all = False
    while position < len(part):
        piece = _PIECE.match(part, position)
        if piece is None:
            raise DefinitionError(f"Route '{template}': '{part}' has a brace without its partner.")
        position = piece.end()
        if piece["inner"] is None:
            pattern += f"(?i:{re.escape(_unescape(piece['text']))})"
            continue
        parameter = _parse_parameter(piece["inner"], template)
        group = f"p{count}"
        count += 1
        names[group], checks[group] = parameter.name, parameter.checks
        catch_all = catch_all or parameter.catch_all
        optional = optional or parameter.optional
        if parameter.default is not None:
            defaults[parameter.name] = parameter.default
        pattern += f"(?P<{group}>.{'*' if parameter.catch_all else '+?'})"
    rank = _LITERAL
    if catch_all:
        rank = _CATCH_ALL
    elif names:
        rank = _CONSTRAINED if any(checks.values()) else _PARAMETER
    whole = re.compile(pattern, re.DOTALL)
    return _Segment(rank, whole, names, checks, defaults, optional, catch_all)


class _Parameter(NamedTuple):
    name: str
    checks: tuple[_Check, ...]
    default: str | None
    optional: bool
    catch_all: bool


def _parse_parameter(inner: str, template: str) -> _Parameter:
    body = inner.lstrip("*")
    name, *constraints = _split_constraints(body)
    default: str | None = None
    last = constraints[-1] if constraints else name
    optional = last.endswith("?")
    if optional:
        last = last[:-1]
    elif "=" in last and not last.endswith(")"):
        last, _, default = last.partition("=")
    if constraints:
        constraints[-1] = last
    else:
        name = last
    if not name or any(char in name for char in "/{}?*"):
        raise DefinitionError(f"Route '{template}': '{{{inner}}}' has no valid parameter name.")
    return _Parameter(
        name,
        tuple(_constraint(text, template) for text in constraints),
        default,
        optional or default is not None,
        body != inner,
    )


def _split_constraints(text: str) -> list[str]:
    """Split at colons outside parentheses: ``id:regex(^a:b$)`` has one constraint."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == ":" and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _unescape(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")


# ---------------------------------------------------------------------------------------------
# Constraints
# ---------------------------------------------------------------------------------------------


def _parses(convert: Callable[[str], object]) -> _Check:
    def check(text: str) -> bool:
        try:
            convert(text)
        except (ValueError, InvalidOperation):
            return False
        return True

    return check


def _is_int(bits: int) -> _Check:
    limit = 1 << (bits - 1)
    return lambda text: _INT.fullmatch(text) is not None and -limit <= int(text) < limit


_PLAIN: Final[Mapping[str, _Check]] = {
    "int": _is_int(32),
    "long": _is_int(64),
    "bool": lambda text: text.casefold() in {"true", "false"},
    "datetime": _parses(datetime.fromisoformat),
    "decimal": _parses(Decimal),
    "double": _parses(float),
    "float": _parses(float),
    "guid": _parses(UUID),
    "alpha": lambda text: re.fullmatch("[A-Za-z]*", text) is not None,
    "required": lambda text: bool(text.strip()),
}


def _bounded(text: str, low: int, high: int | None) -> bool:
    return (
        _INT.fullmatch(text) is not None
        and low <= int(text)
        and (high is None or int(text) <= high)
    )


_WITH_NUMBERS: Final[Mapping[tuple[str, int], Callable[..., _Check]]] = {
    ("minlength", 1): lambda low: lambda text: len(text) >= low,
    ("maxlength", 1): lambda high: lambda text: len(text) <= high,
    ("length", 1): lambda size: lambda text: len(text) == size,
    ("length", 2): lambda low, high: lambda text: low <= len(text) <= high,
    ("min", 1): lambda low: lambda text: _bounded(text, low, None),
    ("max", 1): lambda high: lambda text: _INT.fullmatch(text) is not None and int(text) <= high,
    ("range", 2): lambda low, high: lambda text: _bounded(text, low, high),
}


def _constraint(text: str, template: str) -> _Check:
    name, _, rest = text.partition("(")
    name = name.casefold()
    if not rest and name in _PLAIN:
        return _PLAIN[name]
    arguments = rest[:-1] if rest.endswith(")") else rest
    if name == "regex" and rest:
        return _regex(_unescape(arguments), template)
    numbers = [int(part) for part in arguments.split(",") if _INT.fullmatch(part.strip())]
    build = _WITH_NUMBERS.get((name, len(numbers)))
    if build is None:
        raise DefinitionError(f"Route '{template}': the constraint '{text}' does not exist.")
    return build(*numbers)


def _regex(source: str, template: str) -> _Check:
    try:
        pattern = re.compile(source, re.IGNORECASE)
    except re.error as error:
        raise DefinitionError(f"Route '{template}': bad regular expression: {error}.") from error
    return lambda text: pattern.search(text) is not None
