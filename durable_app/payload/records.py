"""Classes with named fields: dataclasses, NamedTuples, TypedDicts and pydantic models."""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import MISSING, is_dataclass
from typing import (
    Any,
    Final,
    NamedTuple,
    NotRequired,
    Required,
    TypeVar,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from durable_app.payload.encoding import is_pydantic_model
from durable_app.payload.forms import Misfit, is_envelope, mismatch, rejection, type_name

Reader = Callable[[Any], Any]
ReaderFor = Callable[[Any], Reader]

_NOTHING: Final = object()


class _Field(NamedTuple):
    """One field to read: its name, annotation, and whether the JSON must have it."""

    name: str
    hint: Any
    required: bool


def record_reader(kind: Any, args: tuple[Any, ...], reader_for: ReaderFor) -> Reader | None:
    """Return the reader of a class with fields, or None if it is not such a class."""
    if is_dataclass(kind):
        return _Record(kind, args, reader_for, _dataclass_fields).read
    if is_typeddict(kind):
        return _TypedDict(kind, args, reader_for, _typeddict_fields).read
    if _is_named_tuple(kind):
        return _Row(kind, args, reader_for, _row_fields).read
    return None


def record_keys(kind: Any) -> frozenset[str] | None:
    """Return the keys that an object of that class may have, or None if it has no fields."""
    if is_dataclass(kind):
        return frozenset(field.name for field in dataclasses.fields(kind))
    if is_typeddict(kind) or _is_named_tuple(kind):
        return frozenset(kind.__annotations__)
    if is_pydantic_model(kind):
        fields = kind.model_fields
        return frozenset(fields) | {field.alias for field in fields.values() if field.alias}
    return None


class _Record:
    """Reads an object as keyword arguments of a class; knows its fields from the first use on."""

    def __init__(
        self,
        kind: Any,
        args: tuple[Any, ...],
        reader_for: ReaderFor,
        find_fields: Callable[[Any, dict[str, Any]], list[_Field]],
    ) -> None:
        self.kind = kind
        self.args = args
        self.reader_for = reader_for
        self.find_fields = find_fields
        self.known: list[tuple[str, Any, bool, Reader]] | None = None

    def fields(self) -> list[tuple[str, Any, bool, Reader]]:
        # Not in the constructor: a field's type may be the class itself, or be defined later.
        if self.known is None:
            given = dict(zip(getattr(self.kind, "__parameters__", ()), self.args, strict=False))
            self.known = [
                (field.name, hint, field.required, self.reader_for(hint))
                for field in self.find_fields(self.kind, resolved_hints(self.kind))
                for hint in [_substituted(field.hint, given)]
            ]
        return self.known

    def read(self, plain: Any) -> Any:
        while is_envelope(plain):
            plain = plain["__data__"]
        return self.read_data(plain)

    def read_data(self, plain: Any) -> Any:
        if type(plain) is not dict:
            raise mismatch(self.kind, plain)
        return self.build(self.values(plain))

    def values(self, plain: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, hint, required, reader in self.fields():
            item = plain.get(name, _NOTHING)
            if item is not _NOTHING:
                try:
                    found[name] = reader(item)
                except Misfit as misfit:
                    raise misfit.within(name)  # noqa: B904 - the same error, with its path
            elif required:
                raise Misfit(f"Is missing; {type_name(self.kind)} needs {type_name(hint)}.", name)
        return found

    def build(self, values: dict[str, Any]) -> Any:
        try:
            return self.kind(**values)
        except Exception as error:  # __post_init__ and validators are users' code
            raise rejection(f"{type_name(self.kind)} refuses the value", error) from error


class _Row(_Record):
    """A NamedTuple, written as a list; an object is read as well."""

    def read_data(self, plain: Any) -> Any:
        if type(plain) is not list:
            return super().read_data(plain)
        names = [name for name, *_ in self.fields()]
        if len(plain) > len(names):
            raise Misfit(f"{type_name(self.kind)} has {len(names)} fields, the list {len(plain)}.")
        try:
            values = self.values(dict(zip(names, plain, strict=False)))
        except Misfit as misfit:
            # The outermost segment so far is the field; in a list it has an index.
            misfit.segments[-1] = names.index(str(misfit.segments[-1]))
            raise
        return self.build(values)


class _TypedDict(_Record):
    """A dict all the same: keys that the type does not know are kept."""

    def read_data(self, plain: Any) -> Any:
        if type(plain) is not dict:
            raise mismatch(self.kind, plain)
        return {**plain, **self.values(plain)}


def _dataclass_fields(kind: Any, hints: dict[str, Any]) -> list[_Field]:
    return [
        _Field(
            field.name,
            hints.get(field.name, Any),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in dataclasses.fields(kind)
        if field.init
    ]


def _row_fields(kind: Any, hints: dict[str, Any]) -> list[_Field]:
    defaults = kind._field_defaults
    return [_Field(name, hints.get(name, Any), name not in defaults) for name in kind._fields]


def _typeddict_fields(kind: Any, hints: dict[str, Any]) -> list[_Field]:
    # Inside a text annotation the class has not seen Required and NotRequired; the hint has them.
    marks = {Required: True, NotRequired: False}
    return [
        _Field(name, hint, marks.get(get_origin(hint), name in kind.__required_keys__))
        for name, hint in hints.items()
    ]


def _is_named_tuple(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def resolved_hints(kind: Any) -> dict[str, Any]:
    """Return the annotations of a class by field; those that cannot be resolved are Any."""
    local = {kind.__name__: kind}
    try:
        return get_type_hints(kind, localns=local, include_extras=True)
    except Exception:  # noqa: BLE001 - an annotation is any expression; find out which one fails
        return {
            name: _resolved(annotation, base, local)
            for base in reversed(kind.__mro__)
            for name, annotation in inspect.get_annotations(base).items()
        }


def _resolved(annotation: Any, owner: Any, local: dict[str, Any]) -> Any:
    alone = type("_Alone", (), {"__annotations__": {"it": annotation}})
    names = vars(sys.modules.get(owner.__module__, object))
    try:
        return get_type_hints(alone, dict(names), local, include_extras=True)["it"]
    except Exception:  # noqa: BLE001 - see above
        return Any


def _substituted(hint: Any, given: dict[Any, Any]) -> Any:
    """Replace type variables by the arguments of the generic class, or by Any."""
    if isinstance(hint, TypeVar):
        return given.get(hint, Any)
    unbound = getattr(hint, "__parameters__", ())
    if isinstance(hint, type) or not unbound:
        return hint
    return hint[tuple(given.get(variable, Any) for variable in unbound)]


def read_model(kind: Any, plain: Any) -> Any:
    """Read a pydantic model by its own rules for JSON (which differ from those for objects)."""
    try:
        return kind.model_validate_json(json.dumps(plain))
    except Exception as error:  # validators are users' code
        raise _model_misfit(kind, error) from error


def _model_misfit(kind: Any, error: Exception) -> Misfit:
    list_errors = getattr(error, "errors", None)
    if not callable(list_errors):
        return rejection(f"{type_name(kind)} refuses the value", error)
    first, *others = list_errors(include_url=False, include_context=False, include_input=False)
    more = f" (and {len(others)} more)" if others else ""
    return Misfit(f"{type_name(kind)}: {first['msg']}{more}.", *reversed(first["loc"]))
