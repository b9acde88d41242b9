"""Route templates as ASP.NET writes them, taken apart into segments.

A template is a list of segments between slashes. A segment is literal text, one parameter, or
both mixed (``{file}.{ext}``, ``v{n:int}``). A parameter is ``{x}``, ``{x?}`` (optional),
``{x=default}``, ``{*rest}`` or ``{**rest}`` (the rest of the path), with constraints after
colons. ``{{`` and ``}}`` stand for braces, in constraints too.
"""

from __future__ import annotations

import itertools
import re
from typing import Final, NamedTuple

from durable_app.errors import DefinitionError
from durable_app.host.web.route_constraints import Check, constraint

LITERAL, CONSTRAINED, PARAMETER, CONSTRAINED_REST, REST = 1, 2, 3, 4, 5
_NAME: Final = re.compile(r"[^/{}?*:=()]+")


class Parameter(NamedTuple):
    """``default`` is None where there is none; an optional parameter has none."""

    name: str
    checks: tuple[Check, ...] = ()
    default: str | None = None
    is_optional: bool = False
    is_rest: bool = False

    def accepts(self, value: str) -> bool:
        """Whether the value keeps every constraint."""
        return all(check(value) for check in self.checks)


class Segment(NamedTuple):
    """One segment.

    Attributes:
        rank: a smaller one is more specific; the digits of ASP.NET's route precedence.
        parts: literal texts, folded for comparison, and parameters; no two parameters touch.
    """

    rank: int
    parts: tuple[str | Parameter, ...]

    @property
    def only(self) -> str | Parameter | None:
        """The one part of a simple segment; None for a mixed one."""
        return self.parts[0] if len(self.parts) == 1 else None


def fold(text: str) -> str:
    """Lower case without a change of length, so that positions stay what they are."""
    if text.isascii():
        return text.lower()
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)


def parse_template(template: str) -> tuple[Segment, ...]:
    """Take a template apart; slashes around it do not matter.

    Raises:
        DefinitionError: it cannot be understood.
    """
    segments = tuple(_segment(parts, template) for parts in _split(template))
    seen: set[str] = set()
    for segment in segments:
        for part in segment.parts:
            if isinstance(part, str):
                continue
            if part.is_rest and segment is not segments[-1]:
                raise _error(template, f"the catch-all '{part.name}' must be its last segment")
            if fold(part.name) in seen:
                raise _error(template, f"the parameter '{part.name}' appears more than once")
            seen.add(fold(part.name))
    return segments


def _error(template: str, why: str) -> DefinitionError:
    return DefinitionError(f"Route '{template}': {why}.")


# A part of a segment before it is understood: its text, and whether braces were around it.
_Raw = tuple[str, bool]


def _split(template: str) -> list[list[_Raw]]:
    text = template.strip("/")
    if not text:
        return []
    segments: list[list[_Raw]] = [[]]
    position = 0
    while position < len(text):
        char = text[position]
        if char == "/":
            if not segments[-1]:
                raise _error(template, "two slashes follow each other")
            segments.append([])
            position += 1
        elif char == "{" and text[position : position + 2] != "{{":
            inner, position = _braced(text, position + 1, template)
            segments[-1].append((inner, True))
        else:
            literal, position = _literal(text, position, template)
            segments[-1].append((literal, False))
    return segments


def _literal(text: str, position: int, template: str) -> tuple[str, int]:
    found = ""
    while position < len(text):
        pair = text[position : position + 2]
        if pair in {"{{", "}}"}:
            found += pair[0]
            position += 2
            continue
        if pair[0] in "/{":
            break
        if pair[0] == "}":
            raise _error(template, "it has a brace without its partner")
        if pair[0] == "?":
            raise _error(template, "a question mark stands outside of a parameter")
        found += pair[0]
        position += 1
    return found, position


def _braced(text: str, position: int, template: str) -> tuple[str, int]:
    """What is inside of a parameter's braces, unescaped, and where the text goes on."""
    found = ""
    while position < len(text):
        pair = text[position : position + 2]
        if pair in {"{{", "}}"}:
            found += pair[0]
            position += 2
            continue
        if pair[0] == "}":
            return found, position + 1
        if pair[0] == "{":
            break
        found += pair[0]
        position += 1
    raise _error(template, "it has a brace without its partner")


def _segment(raw: list[_Raw], template: str) -> Segment:
    parts = tuple(
        _parameter(text, template) if is_braced else fold(text) for text, is_braced in raw
    )
    for before, part in itertools.pairwise(parts):
        if isinstance(part, Parameter):
            if isinstance(before, Parameter):
                raise _error(template, f"no text separates '{before.name}' from '{part.name}'")
            if part.is_optional and not (part is parts[-1] and before == "."):
                raise _error(
                    template, f"the optional '{part.name}' needs a segment of its own, or a dot"
                )
    if len(parts) > 1:
        for part in parts:
            if isinstance(part, Parameter) and (part.is_rest or part.default is not None):
                raise _error(template, f"'{part.name}' needs a segment of its own")
        return Segment(CONSTRAINED, parts)
    (only,) = parts
    if isinstance(only, str):
        return Segment(LITERAL, parts)
    rank = REST if only.is_rest else PARAMETER
    return Segment(rank - bool(only.checks), parts)


def _parameter(inner: str, template: str) -> Parameter:
    body = inner.lstrip("*")
    stars = len(inner) - len(body)
    match = _NAME.match(body)
    if match is None or stars > 2:  # noqa: PLR2004  ** is the longest mark
        raise _error(template, f"'{{{inner}}}' has no valid parameter name")
    constraints, default, is_optional = _tail(body[match.end() :], inner, template)
    if stars and is_optional:
        raise _error(template, f"the catch-all '{match[0]}' cannot be optional too")
    checks = tuple(constraint(text, template) for text in constraints)
    return Parameter(match[0].strip(), checks, default, is_optional, bool(stars))


def _tail(tail: str, inner: str, template: str) -> tuple[list[str], str | None, bool]:
    """Constraints, default and question mark: what follows the name of a parameter."""
    constraints: list[str] = []
    while tail.startswith(":"):
        end = _end_of_constraint(tail)
        constraints.append(tail[1:end])
        tail = tail[end:]
    if tail.startswith("="):
        if tail.endswith("?"):
            raise _error(template, f"'{{{inner}}}' is optional and has a default")
        return constraints, tail[1:], False
    if tail not in {"", "?"}:
        raise _error(template, f"'{{{inner}}}' has no valid parameter name")
    return constraints, None, tail == "?"


def _end_of_constraint(tail: str) -> int:
    """Where the first constraint ends: colons in its parentheses belong to it."""
    depth = 0
    for position, char in enumerate(tail[1:], 1):
        depth += (char == "(") - (char == ")")
        if depth <= 0 and char in ":=?":
            return position
    return len(tail)
