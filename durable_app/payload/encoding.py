"""Values to plain JSON structure, with a stack of our own instead of recursion."""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, SimpleNamespace
from typing import Any, Final

from durable_app.payload.forms import (
    MAX_DEPTH,
    TEXT_WRITERS,
    Misfit,
    key_text,
    rejection,
    type_name,
)

_ATOMS: Final = frozenset({str, int, bool, NoneType})
_CONTAINERS: Final = frozenset({dict, list, tuple, set, frozenset})
_STR_ONLY: Final = {str}

_Simplify = Callable[[Any], Any]

# Subclasses of the types that JSON knows lose their class: (base, how to get the base's value).
_BASES: Final[tuple[tuple[type, _Simplify], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (list, list),
    (tuple, tuple),
    (set, set),
    (frozenset, frozenset),
    (Mapping, dict),
)


def encoded(value: Any) -> Any:
    """Return plain JSON structure, or raise Misfit with the path of what has no JSON form."""
    if type(value) in _ATOMS:
        return value
    plain = _simple(value)
    if type(plain) not in _CONTAINERS:
        return plain
    return _Walk(value, plain).run()


class _Open:
    """A container that is being written.

    Attributes:
        out: the list or dict that is filled; a list has its full length from the start, so that
            both are filled by ``out[segment] = item``.
        items: what is still to be written, by segment.
        segment: key or index of the item in work.
    """

    __slots__ = ("is_set", "items", "out", "segment", "source")

    def __init__(self, source: Any, plain: Any) -> None:
        self.source = source
        self.segment: Any = 0
        self.is_set = isinstance(plain, (set, frozenset))
        self.out: Any
        self.items: Any
        if type(plain) is dict:
            self.out = {}
            self.items = iter(_keyed(plain))
        else:
            self.out = [None] * len(plain)
            self.items = enumerate(tuple(plain))


class _Walk:
    """One pass over one value; ``stack`` holds the open containers, outermost first."""

    def __init__(self, source: Any, plain: Any) -> None:
        self.stack: list[_Open] = []
        self.open_ids: set[int] = set()
        self.root = self.enter(source, plain)

    def run(self) -> Any:
        try:
            while self.stack:
                self.advance(self.stack[-1])
        except Misfit as misfit:
            raise misfit.within(*[level.segment for level in reversed(self.stack)])  # noqa: B904 - the same error, with its path
        return self.root

    def advance(self, top: _Open) -> None:
        """Write the items of a container up to the first that is a container itself."""
        out = top.out
        for segment, item in top.items:
            top.segment = segment
            plain = item if type(item) in _ATOMS else _simple(item)
            if type(plain) in _CONTAINERS:
                out[segment] = self.enter(item, plain)
                return
            out[segment] = plain
        self.leave()

    def enter(self, source: Any, plain: Any) -> Any:
        # The container itself may be fresh (a dataclass's fields), its source is not.
        if id(source) in self.open_ids:
            raise Misfit(f"The {type_name(type(source))} refers to itself; JSON has no cycles.")
        if len(self.stack) >= MAX_DEPTH:
            raise Misfit(f"The value is nested in more than {MAX_DEPTH} levels; make it flatter.")
        opened = _Open(source, plain)
        self.open_ids.add(id(source))
        self.stack.append(opened)
        return opened.out

    def leave(self) -> None:
        done = self.stack.pop()
        self.open_ids.discard(id(done.source))
        if done.is_set:
            done.out.sort(key=sort_text)


def sort_text(plain: Any) -> str:
    """Return JSON text that orders and compares plain values: 1, 1.0 and true differ."""
    try:
        return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise rejection("The value has no JSON text", error) from error
    except RecursionError:
        raise Misfit("The value is nested too deeply; make it flatter.") from None


def _keyed(mapping: dict[Any, Any]) -> Iterable[tuple[str, Any]]:
    if {*map(type, mapping)} <= _STR_ONLY:
        return list(mapping.items())
    by_text: dict[str, Any] = {}
    for key, item in mapping.items():
        text = key_text(key)
        if text in by_text:
            raise Misfit(f"Two keys of the dict have the same text, {text[:40]!r}.")
        by_text[text] = item
    return by_text.items()


def _simple(value: Any) -> Any:
    """Turn a value into an atom or a container of exactly a built-in type."""
    for _ in range(MAX_DEPTH):
        kind = type(value)
        if kind in _CONTAINERS or kind in _ATOMS:
            return value
        if kind is float:
            return _finite(value)
        value = _simplified(value, kind)
    raise Misfit(f"The to_json of {type_name(type(value))} never ends in plain values.")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Misfit("NaN and infinities have no JSON form; send None or a text instead.")
    return value


def _simplified(value: Any, kind: type) -> Any:
    try:
        return _simplifier(kind)(value)
    except Misfit:
        raise
    except Exception as error:  # to_json, properties and serializers are users' code
        raise rejection(f"{type_name(kind)} cannot be sent as JSON", error) from error


@functools.lru_cache(maxsize=1024)
def _simplifier(kind: type) -> _Simplify:
    """Return what takes a value of that class one step nearer to JSON."""
    hook: _Simplify | None = getattr(kind, "to_json", None)
    if callable(hook):
        return hook
    if issubclass(kind, Enum):
        return _enum_value
    if is_pydantic_model(kind):
        return _model_fields
    if is_dataclass(kind):
        return functools.partial(_record_fields, tuple(field.name for field in fields(kind)))
    if issubclass(kind, SimpleNamespace):
        return vars
    for base, writer in (*TEXT_WRITERS.items(), *_BASES):
        if issubclass(kind, base):
            return writer
    return _refuse


def is_pydantic_model(kind: Any) -> bool:
    """True for a pydantic model class, found without importing pydantic.

    Not by way of ``sys.modules["pydantic"]``: the package is lazy and would load the module.
    """
    model: Any = getattr(sys.modules.get("pydantic.main"), "BaseModel", None)
    return model is not None and isinstance(kind, type) and issubclass(kind, model)


def _enum_value(member: Any) -> Any:
    return member.value


def _model_fields(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True)


def _record_fields(names: tuple[str, ...], record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}


def _refuse(value: Any) -> Any:
    kind = type(value)
    if hasattr(kind, "tolist"):
        remedy = "call its .tolist() first"
    elif hasattr(kind, "__await__"):
        remedy = "await it first"
    elif hasattr(kind, "__iter__"):
        remedy = "convert it first, for instance with list(...)"
    else:
        remedy = "give its class to_json/from_json, or convert it first"
    raise Misfit(f"{type_name(kind)} cannot be sent as JSON; {remedy}.")


_SCALARS: Final = frozenset({str, int, float, bool, NoneType})
_JSON: Final = _SCALARS | {dict, list, tuple}


def is_plain(value: Any, seen: set[type], depth: int = 1) -> bool:
    """True if the value is nothing but exact JSON types with str keys (floats may be NaN).

    Looks at the set of item types of each container, which costs a tenth of a look at each item.

    Args:
        seen: receives the types that occur.
        depth: of the value, if it is a container.
    """
    kind = type(value)
    if kind in _SCALARS:
        seen.add(kind)
        return True
    if kind is dict:
        if not {*map(type, value)} <= _STR_ONLY:
            return False
        value = value.values()
    elif kind is not list and kind is not tuple:
        return False
    kinds = {*map(type, value)}
    seen |= kinds
    if kinds <= _SCALARS:
        return depth <= MAX_DEPTH
    if depth > MAX_DEPTH or not kinds <= _JSON:
        return False
    for item in value:  # Not all(): it adds a frame per level.
        if type(item) not in _SCALARS and not is_plain(item, seen, depth + 1):
            return False
    return True
