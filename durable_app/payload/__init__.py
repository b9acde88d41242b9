"""Users' values as JSON, and back.

Theory of operation. A payload is plain JSON without type tags; the reader's annotation says what it
is. ``to_plain`` walks a value with a stack of its own (no recursion, so depth and cycles are found
exactly); ``from_plain`` compiles the annotation once into a function and calls it. Both name the
field that does not fit.

Forms that are written, kept for ever because payloads are stored for ever:

=====================  =========================================================================
datetime               ISO 8601 with offset; a naive one is refused
date, time             ISO 8601
timedelta              ISO 8601 duration in days and smaller: ``P1DT2H3M4.5S``, ``-PT1S``, ``PT0S``
UUID, Decimal          text; a Decimal is finite
bytes                  standard base64
Enum                   its value
set, frozenset         a list, sorted by the JSON text of its items
tuple, NamedTuple      a list
dataclass              an object of its fields
pydantic model         what it dumps for JSON by alias (its own sets in no fixed order)
class with ``to_json`` what ``to_json`` returns
dict keys              text; int, UUID, Decimal, date, datetime and Enum keys as their text
=====================  =========================================================================

NaN, the infinities, bool, float and None keys, cycles, and more than 900 levels are refused.

Reading. Unknown keys of an object are ignored by classes and kept by a TypedDict; a missing field
needs a default. Annotations that cannot be resolved mean Any. Among the members of a union the
exact JSON type wins for str, int, float and bool; among records the one that knows most of the
keys; a bare dict comes last; otherwise the order of declaration counts.

What must never happen: a class is looked up by a name in a payload. The envelope of older
libraries, ``{"__class__", "__module__", "__data__"}``, stands for its ``__data__``, which the
caller's type decodes; the names in it only help to choose among the members of a union.
"""

from __future__ import annotations

from typing import Any

from durable_app.errors import PayloadError
from durable_app.payload.decoding import decode, unwrapped
from durable_app.payload.encoding import encoded
from durable_app.payload.forms import Misfit, failure
from durable_app.payload.text import parsed, written

__all__ = ["encode_input", "from_plain", "from_text", "to_plain", "to_text"]

_AS_IS = (Any, None, type(None))


def to_plain(value: Any) -> Any:
    """Return the value as plain JSON structure: None, bool, int, float, str, list, dict.

    The result may share atoms with the value, never containers.

    Raises:
        PayloadError: something in the value has no JSON form; ``path`` names the field.
    """
    try:
        return encoded(value)
    except Misfit as misfit:
        raise failure(misfit) from misfit.__cause__


def from_plain(plain: Any, expected_type: Any = Any) -> Any:
    """Read plain JSON structure as a value of a type.

    Args:
        plain: None, bool, int, float, str, list or dict with str keys.
        expected_type: any annotation; Any, None and NoneType give the structure as it is.

    Raises:
        PayloadError: the structure does not fit the type; ``path`` names the field.
    """
    try:
        if expected_type in _AS_IS:
            return unwrapped(plain)
        return decode(plain, expected_type)
    except Misfit as misfit:
        raise failure(misfit) from misfit.__cause__
    except RecursionError:
        raise PayloadError("The JSON is nested too deeply to be read.") from None


def to_text(value: Any) -> str:
    """Return the value as compact JSON text; characters beyond ASCII are kept as they are.

    Raises:
        PayloadError: as ``to_plain``.
    """
    try:
        return written(value)
    except Misfit as misfit:
        raise failure(misfit) from misfit.__cause__


def from_text(text: str | None, expected_type: Any = Any) -> Any:
    """Read JSON text as a value of a type; None, "no payload", is None whatever the type.

    Raises:
        PayloadError: the text is not JSON (it is quoted with at most 80 characters), or it does
            not fit the type.
    """
    if text is None:
        return None
    plain = parsed(text)
    if expected_type in _AS_IS and "__class__" not in text:
        return plain
    return from_plain(plain, expected_type)


def encode_input(value: Any) -> str | None:
    """Return the JSON text of an input, or None, "no payload", for None; 0, "" and [] are kept.

    Raises:
        PayloadError: as ``to_plain``.
    """
    return None if value is None else to_text(value)
