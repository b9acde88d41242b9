"""Constraints of route parameters: what follows the colons in ``{id:int:min(1)}``.

A check gets the decoded text of a parameter and says whether the route may match. Numbers, dates
and GUIDs are those that .NET parses with its invariant culture; what Python's own parsers take
beyond that (``1_000``, other digits than 0-9, ``urn:uuid:``) is no number and no GUID here.

Source: the inline constraints of ASP.NET Core.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from durable_app.errors import DefinitionError

Check = Callable[[str], bool]

_INT: Final = re.compile(r"\s*[+-]?[0-9]+\s*")
_DECIMAL: Final = re.compile(r"\s*[+-]?(?:[0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)[+-]?\s*")
_DOUBLE: Final = re.compile(
    r"\s*[+-]?(?:(?:[0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|infinity|nan)\s*",
    re.IGNORECASE,
)
_MAX_DECIMAL: Final = 79228162514264337593543950335
_HEX: Final = "[0-9a-fA-F]"
_DASHED: Final = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_GUID: Final = re.compile(
    rf"\s*(?:{_HEX}{{32}}|{_DASHED}|\{{{_DASHED}\}}|\({_DASHED}\))\s*",
)
_ALPHA: Final = re.compile("[A-Za-z]*")
_DATES: Final = (
    "%m/%d/%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%d %b %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%b %d %Y",
)
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_DATE_FORMATS: Final = (
    *(date + time for date in _DATES for time in _TIMES),
    *(time.strip() for time in _TIMES[1:]),
)


def _int_of(text: str) -> int | None:
    return int(text) if _INT.fullmatch(text) else None


def _is_int(bits: int) -> Check:
    limit = 1 << (bits - 1)

    def check(text: str) -> bool:
        number = _int_of(text)
        return number is not None and -limit <= number < limit

    return check


def _is_decimal(text: str) -> bool:
    if _DECIMAL.fullmatch(text) is None:
        return False
    whole = text.strip().strip("+-").replace(",", "").partition(".")[0]
    return int(whole or "0") <= _MAX_DECIMAL


def _is_datetime(text: str) -> bool:
    text = text.strip()
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return any(_is_written_as(text, form) for form in _DATE_FORMATS)
    return True


def _is_written_as(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)  # noqa: DTZ007  only whether it is a date
    except ValueError:
        return False
    return True


_PLAIN: Final[Mapping[str, Check]] = {
    "int": _is_int(32),
    "long": _is_int(64),
    "bool": lambda text: text.strip().casefold() in {"true", "false"},
    "datetime": _is_datetime,
    "decimal": _is_decimal,
    "double": lambda text: _DOUBLE.fullmatch(text) is not None,
    "float": lambda text: _DOUBLE.fullmatch(text) is not None,
    "guid": lambda text: _GUID.fullmatch(text) is not None,
    "alpha": lambda text: _ALPHA.fullmatch(text) is not None,
    "required": bool,
}


def _bounded(low: int | None, high: int | None) -> Check:
    def check(text: str) -> bool:
        number = _int_of(text)
        return (
            number is not None
            and (low is None or low <= number)
            and (high is None or number <= high)
        )

    return check


_WITH_NUMBERS: Final[Mapping[tuple[str, int], Callable[..., Check]]] = {
    ("minlength", 1): lambda low: lambda text: len(text) >= low,
    ("maxlength", 1): lambda high: lambda text: len(text) <= high,
    ("length", 1): lambda size: lambda text: len(text) == size,
    ("length", 2): lambda low, high: lambda text: low <= len(text) <= high,
    ("min", 1): lambda low: _bounded(low, None),
    ("max", 1): lambda high: _bounded(None, high),
    ("range", 2): _bounded,
}


def constraint(text: str, template: str) -> Check:
    """The check that a constraint asks for.

    Args:
        text: such as ``int`` or ``length(1,5)``; the case of its name does not matter.
        template: it is part of, for the message.

    Raises:
        DefinitionError: no such constraint, or its arguments are wrong.
    """
    name, bracket, rest = text.partition("(")
    name = name.strip().casefold()
    if not bracket and name in _PLAIN:
        return _PLAIN[name]
    if bracket and rest.endswith(")"):
        if name == "regex":
            return _regex(rest[:-1], template)
        numbers = [_int_of(part) for part in rest[:-1].split(",")]
        build = _WITH_NUMBERS.get((name, len(numbers)))
        if build is not None and None not in numbers:
            return build(*numbers)
    raise DefinitionError(
        f"Route '{template}': the constraint '{text}' does not exist. There are"
        f" {', '.join(_PLAIN)}, minlength(n), maxlength(n), length(n), length(a,b), min(n),"
        " max(n), range(a,b), regex(...)."
    )


def _regex(source: str, template: str) -> Check:
    try:
        # .NET writes named groups without the P.
        pattern = re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", source), re.IGNORECASE)
    except re.error as error:
        raise DefinitionError(f"Route '{template}': bad regular expression: {error}.") from error
    return lambda text: pattern.search(text) is not None
