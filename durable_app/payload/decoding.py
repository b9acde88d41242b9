"""Plain JSON structure to values: an annotation is compiled once into a function of the JSON.

The functions are called readers. A reader raises Misfit, and each container adds its segment to
the path while the error passes.
"""

from __future__ import annotations

import functools
from collections import abc
from collections.abc import Callable, Mapping
from enum import Enum
from types import NoneType, SimpleNamespace, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    ForwardRef,
    Literal,
    NewType,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

from durable_app.payload.encoding import encoded, is_pydantic_model, sort_text
from durable_app.payload.forms import (
    KEY_READERS,
    TEXT_READERS,
    Misfit,
    is_envelope,
    key_text,
    mismatch,
    rejection,
    type_name,
)
from durable_app.payload.records import read_model, record_keys, record_reader

Reader = Callable[[Any], Any]

_WRAPPERS: Final = (Annotated, Required, NotRequired, Final, ClassVar)
_ANYTHING: Final = (Any, object)  # Since Python 3.11 Any is a class, too.
_MAX_READERS: Final = 4096

# By identity, not by equality: `A | B` equals `B | A`, but the order of declaration counts. The
# annotation is kept with its reader, so that its id cannot be given to another one.
_readers: dict[int, tuple[Any, Reader]] = {}


def decode(plain: Any, expected: Any) -> Any:
    """Read plain JSON as a type, or raise Misfit."""
    return reader_for(expected)(plain)


def reader_for(expected: Any) -> Reader:
    """Return the reader of an annotation; annotations that cannot be resolved mean Any."""
    known = _readers.get(id(expected))
    if known is not None:
        return known[1]
    reader = _compiled(expected)
    if len(_readers) >= _MAX_READERS:
        _readers.clear()
    _readers[id(expected)] = (expected, reader)
    return reader


def unwrapped(plain: Any) -> Any:
    """Replace every envelope by its data."""
    while is_envelope(plain):
        plain = plain["__data__"]
    if type(plain) is dict:
        return {key: unwrapped(item) for key, item in plain.items()}
    if type(plain) is list:
        return [unwrapped(item) for item in plain]
    return plain


def _through_envelopes(reader: Reader) -> Reader:
    def read(plain: Any) -> Any:
        while is_envelope(plain):
            plain = plain["__data__"]
        return reader(plain)

    return read


def _compiled(expected: Any) -> Reader:
    origin = get_origin(expected)
    if origin in _WRAPPERS:
        return reader_for(get_args(expected)[0])
    if origin in (Union, UnionType):
        return _union(expected, get_args(expected))
    if origin is Literal:
        return _through_envelopes(_table(expected, get_args(expected)))
    if isinstance(origin, type):
        return _class(origin, get_args(expected), expected)
    if isinstance(expected, NewType):
        return reader_for(expected.__supertype__)
    if type(expected).__name__ == "TypeAliasType":
        return lambda plain: decode(plain, expected.__value__)  # Late: an alias may name itself.
    if isinstance(expected, type) and expected not in _ANYTHING:
        return _class(expected, (), expected)
    return _through_envelopes(_scalar(NoneType)) if expected is None else unwrapped


def _class(kind: type, args: tuple[Any, ...], expected: Any) -> Reader:
    """Return the reader of a class, its own hook first."""
    hook = getattr(kind, "from_json", None)
    if not callable(hook):
        record = record_reader(kind, args, reader_for)
        if record is not None:
            return record  # Looks into envelopes itself: a call less per level of nesting.
    return _through_envelopes(_class_data(kind, args, expected))


def _class_data(kind: type, args: tuple[Any, ...], expected: Any) -> Reader:
    hook = getattr(kind, "from_json", None)
    if callable(hook):
        return functools.partial(_call, hook, f"{type_name(kind)}.from_json failed")
    if kind in _SCALARS:
        return _scalar(kind)
    if kind in TEXT_READERS:
        return _text(kind)
    if issubclass(kind, Enum):
        return _table(kind, tuple(kind.__members__.values()), kind)
    if is_pydantic_model(kind):
        return functools.partial(read_model, kind)
    return _container(kind, args, expected) or _other(kind, args)


def _call(function: Reader, failing: str, plain: Any) -> Any:
    try:
        return function(plain)
    except Exception as error:  # users' code
        raise rejection(failing, error) from error


# Scalars ------------------------------------------------------------------------------------------

_SCALARS: Final = frozenset({str, int, float, bool, NoneType})


def _scalar(kind: type) -> Reader:
    if kind is float:
        return _float

    def read(plain: Any) -> Any:
        if type(plain) is not kind:
            raise mismatch(kind, plain)
        return plain

    return read


def _float(plain: Any) -> float:
    if type(plain) is float:
        return plain
    if type(plain) is not int:
        raise mismatch(float, plain)
    try:
        return float(plain)
    except OverflowError as error:
        raise rejection("The number does not fit a float", error) from error


def _text(kind: type) -> Reader:
    parse = TEXT_READERS[kind]
    failing = f"The text is no {type_name(kind)}"
    # Hand-written JSON gives prices as numbers; repr keeps what was written.
    as_text = (str, int, float) if kind.__name__ == "Decimal" else (str,)

    def read(plain: Any) -> Any:
        if type(plain) not in as_text:
            raise mismatch(kind, plain)
        try:
            return parse(str(plain))
        except (ValueError, ArithmeticError) as error:
            raise rejection(failing, error) from error

    return read


def _table(expected: Any, members: tuple[Any, ...], enum: type | None = None) -> Reader:
    """Return the reader of a closed set of values: the members of an Enum, or of a Literal."""
    by_text: dict[str, Any] = {}
    for member in members:
        try:
            by_text.setdefault(sort_text(encoded(member)), member)
        except Misfit:
            continue  # A member that cannot be written is never read either.

    def read(plain: Any) -> Any:
        text = sort_text(plain)
        if text in by_text:
            return by_text[text]
        if enum is not None and type(plain) is not bool:
            return _looked_up(enum, plain)
        raise Misfit(f"The {type_name(type(plain))} is no value of {type_name(expected)}.")

    return read


def _looked_up(enum: type, plain: Any) -> Any:
    """Ask the Enum itself: flags combine, 1.0 may mean 1, and ``_missing_`` knows synonyms."""
    try:
        return enum(plain)
    except Exception as error:  # _missing_ is users' code
        reason = f"The {type_name(type(plain))} is no value of {type_name(enum)}."
        raise Misfit(reason) from error


# Containers ---------------------------------------------------------------------------------------

_LISTS: Final = frozenset(
    {list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable, abc.Reversible}
)
_BUILDERS: Final[Mapping[Any, Callable[[list[Any]], Any]]] = {
    **dict.fromkeys(_LISTS, list),
    tuple: tuple,
    set: set,
    abc.MutableSet: set,
    frozenset: frozenset,
    abc.Set: frozenset,
}
_DICTS: Final = frozenset({dict, abc.Mapping, abc.MutableMapping})


def _container(kind: type, args: tuple[Any, ...], expected: Any) -> Reader | None:
    if kind in _DICTS:
        return _dict(expected, *(args or (Any, Any)))
    if kind is tuple and args and args[-1] is not Ellipsis:
        return _fixed_tuple(expected, args)
    if kind is tuple and get_args(expected) == () and expected is not tuple:
        return _fixed_tuple(expected, ())
    if kind in _BUILDERS:
        return _items(expected, args[0] if args else Any, _BUILDERS[kind])
    return None


def _items(expected: Any, item_type: Any, build: Callable[[list[Any]], Any]) -> Reader:
    reader = _late(item_type)

    def read(plain: Any) -> Any:
        if type(plain) is not list:
            raise mismatch(expected, plain)
        items: list[Any] = []
        read_item = reader()
        try:
            for item in plain:
                items.append(read_item(item))  # noqa: PERF401 - its length is the failing index
        except Misfit as misfit:
            raise misfit.within(len(items))  # noqa: B904 - the same error, with its path
        try:
            return items if build is list else build(items)
        except TypeError as error:  # An item that has no hash.
            raise rejection(f"The list is no {type_name(expected)}", error) from error

    return read


def _fixed_tuple(expected: Any, item_types: tuple[Any, ...]) -> Reader:
    def read(plain: Any) -> Any:
        if type(plain) is not list:
            raise mismatch(expected, plain)
        if len(plain) != len(item_types):
            raise Misfit(f"{type_name(expected)} was expected, but the list has {len(plain)}.")
        items: list[Any] = []
        try:
            for item_type, item in zip(item_types, plain, strict=True):
                items.append(decode(item, item_type))
        except Misfit as misfit:
            raise misfit.within(len(items))  # noqa: B904 - the same error, with its path
        return tuple(items)

    return read


def _dict(expected: Any, key_type: Any, item_type: Any) -> Reader:
    read_key = _key_reader(key_type)
    reader = _late(item_type)

    def read(plain: Any) -> Any:
        if type(plain) is not dict:
            raise mismatch(expected, plain)
        read_item = reader()
        result: dict[Any, Any] = {}
        key = ""
        try:
            for key, item in plain.items():
                result[key if read_key is None else read_key(key)] = read_item(item)
        except Misfit as misfit:
            raise misfit.within(key)  # noqa: B904 - the same error, with its path
        return result

    return read


def _late(item_type: Any) -> Callable[[], Reader]:
    """Return what compiles a reader at first use: a type may contain itself."""
    return functools.partial(reader_for, item_type)


# Keys ---------------------------------------------------------------------------------------------


def _key_reader(expected: Any) -> Reader | None:
    """Return the reader of a dict key's text, or None if the text is the key."""
    while isinstance(expected, NewType) or get_origin(expected) is Annotated:
        expected = expected.__supertype__ if isinstance(expected, NewType) else expected.__origin__
    if expected in (str, *_ANYTHING) or isinstance(expected, (TypeVar, str, ForwardRef)):
        return None
    if get_origin(expected) is Literal:
        return _key_table(expected, get_args(expected))
    if get_origin(expected) in (Union, UnionType):
        return _key_union(expected, get_args(expected))
    if isinstance(expected, type) and issubclass(expected, Enum):
        return _key_table(expected, tuple(expected.__members__.values()))
    return _parsed_key(expected)


def _parsed_key(expected: Any) -> Reader:
    parse = int if expected is int else KEY_READERS.get(expected)
    if parse is None and isinstance(expected, type) and issubclass(expected, (str, int)):
        parse = expected
    failing = f"The key is no {type_name(expected)}"

    def read(text: Any) -> Any:
        if parse is None or type(text) is not str or expected is bool:
            raise Misfit(f"{type_name(expected)} cannot be the type of keys in JSON.")
        try:
            return parse(text)
        except Exception as error:  # a subclass of str or int is users' code
            raise rejection(failing, error) from error

    return read


def _key_table(expected: Any, members: tuple[Any, ...]) -> Reader:
    by_text: dict[str, Any] = {}
    for member in members:
        try:
            by_text.setdefault(key_text(member), member)
        except Misfit:
            continue  # Such a key is never written.

    def read(text: Any) -> Any:
        if text not in by_text:
            raise Misfit(f"The key is no value of {type_name(expected)}.")
        return by_text[text]

    return read


def _key_union(expected: Any, members: tuple[Any, ...]) -> Reader:
    readers = [_key_reader(member) for member in members if member is not str]

    def read(text: Any) -> Any:
        for reader in readers:
            try:
                return text if reader is None else reader(text)
            except Misfit:
                continue
        if str in members:
            return text
        raise Misfit(f"The key is no {type_name(expected)}.")

    return read


# Unions -------------------------------------------------------------------------------------------


def _union(expected: Any, members: tuple[Any, ...]) -> Reader:
    candidates = tuple(member for member in members if member not in (None, NoneType))
    optional = len(candidates) < len(members)

    def read(plain: Any) -> Any:
        if plain is None and optional:
            return None
        if len(candidates) == 1:
            return reader_for(candidates[0])(plain)
        deepest: Misfit | None = None
        for member in sorted(candidates, key=functools.partial(_rank, plain)):
            try:
                return decode(plain, member)
            except Misfit as misfit:
                if deepest is None and misfit.segments:
                    deepest = misfit
        raise deepest or mismatch(expected, plain)

    return read


def _rank(plain: Any, member: Any) -> tuple[int, int]:
    """Return the place of a union's member among those to try, lowest first."""
    origin = get_origin(member) or member
    if is_envelope(plain):
        named = getattr(origin, "__name__", None) == plain["__class__"]
        moved = getattr(origin, "__module__", None) != plain["__module__"]
        return (0, int(moved)) if named else (1, 0)
    if origin is type(plain) and origin in _SCALARS:
        return (0, 0)
    if origin in _DICTS or origin in _ANYTHING:
        return (3, 0)
    keys = record_keys(origin)
    if keys is None or type(plain) is not dict:
        return (2, 0)
    return (1, len(plain.keys() - keys))


# Other classes ------------------------------------------------------------------------------------

_EXTENSIBLE: Final = (str, int, float, list, dict, tuple, set, frozenset)


def _other(kind: type, args: tuple[Any, ...]) -> Reader:
    """Return the reader of a subclass of a built-in type, or of a class that JSON cannot give."""
    if issubclass(kind, SimpleNamespace):
        return _extended(kind, dict, lambda fields: kind(**fields))
    for base in _EXTENSIBLE:
        if issubclass(kind, base):
            parametrised = base[args] if args else base  # type: ignore[index] # only containers have args
            return _extended(kind, parametrised, kind)
    if getattr(kind, "_is_protocol", False):
        return unwrapped

    def read(plain: Any) -> Any:
        if isinstance(plain, kind):
            return plain
        raise Misfit(
            f"{type_name(kind)} cannot be read from JSON; give the class from_json, make it a"
            f" dataclass or a pydantic model, or annotate with {type_name(type(plain))}."
        )

    return read


def _extended(kind: type, base: Any, build: Reader) -> Reader:
    failing = f"The JSON is no {type_name(kind)}"
    return lambda plain: _call(build, failing, decode(plain, base))
