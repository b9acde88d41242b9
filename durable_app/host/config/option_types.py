"""A section of a settings file, and the types of values that occur in several of them.

Keys and names of choices are matched without regard to case, as .NET's configuration does.
"""

from __future__ import annotations

import re
import typing
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

_SPAN: Final = re.compile(
    r"(?:(\d+)(?:\.|:(?=\d+:\d+:)))?(\d{1,2}):([0-5]?\d)(?::([0-5]?\d)(?:\.(\d{1,7}))?)?"
)
_DAY_HOURS: Final = 24


class Options(BaseModel):
    """A JSON object with camelCase keys in any case."""

    model_config = ConfigDict(
        alias_generator=to_camel, coerce_numbers_to_str=True, frozen=True, populate_by_name=True
    )

    _SILENT: ClassVar[frozenset[str]] = frozenset()
    """Options that Azure knows and that mean nothing here."""
    _IS_OPEN: ClassVar[bool] = False
    """Others may add options: an unknown one is reported only if it looks like a known one."""

    @model_validator(mode="before")
    @classmethod
    def _fold(cls, raw: Any) -> Any:
        """Give keys and choices their proper case; null means that nothing was said."""
        if not isinstance(raw, dict):
            return raw
        known = cls.fields_by_folded_name()
        folded = {}
        for key, value in raw.items():
            if value is None:
                continue
            name = known.get(str(key).casefold(), str(key))
            folded[name] = _fold_value(cls.annotation_of(name), value)
        return folded

    @classmethod
    def fields_by_folded_name(cls) -> dict[str, str]:
        """Key as it is written in the file, by its case-folded form."""
        return {
            alias.casefold(): alias
            for name, field in cls.model_fields.items()
            if (alias := field.alias or name)
        }

    @classmethod
    def annotation_of(cls, alias: str) -> Any:
        """Type of an option by its key; None if there is no such option."""
        for name, field in cls.model_fields.items():
            if alias in (field.alias, name):
                return field.annotation
        return None

    @classmethod
    def known_names(cls) -> frozenset[str]:
        """All keys that are accepted without a word."""
        return frozenset(cls.fields_by_folded_name().values()) | cls._SILENT

    @classmethod
    def is_open(cls) -> bool:
        """Whether keys that nobody here knows are likely to be right."""
        return cls._IS_OPEN


def _fold_value(annotation: Any, value: Any) -> Any:
    choices = {str(choice).casefold(): choice for choice in _choices(annotation)}
    if choices and isinstance(value, str):
        return choices.get(value.casefold(), value)
    is_list = any(typing.get_origin(part) is list for part in (annotation, *_parts(annotation)))
    if is_list and isinstance(value, dict) and all(str(key).isdigit() for key in value):
        # How .NET's configuration writes a list: AzureFunctionsJobHost__functions__0=...
        return [value[key] for key in sorted(value, key=int)]
    return value


def _parts(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation)


def _choices(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    return tuple(choice for part in _parts(annotation) for choice in _choices(part))


def parse_time_span(raw: Any) -> Any:
    """``[d.]hh:mm[:ss[.fffffff]]`` as .NET writes it.

    Raises:
        ValueError: it is a text or a number that is no time span.
    """
    if isinstance(raw, timedelta):
        return raw
    match = _SPAN.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if match is None:
        raise ValueError("is no time span such as 00:30:00 (hours, minutes, seconds)")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:4])
    if hours >= _DAY_HOURS:
        raise ValueError("has more than 23 hours: write days in front, as in 1.00:00:00")
    fraction = timedelta(microseconds=int((match[5] or "").ljust(7, "0")) // 10)
    try:
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds) + fraction
    except OverflowError:
        raise ValueError("is longer than any time span may be") from None


def _parse_timeout(raw: Any) -> Any:
    if raw is None or str(raw).strip() == "-1":
        return None
    span = parse_time_span(raw)
    if span < timedelta(seconds=1):
        raise ValueError("is too short: 00:00:01 or more, or -1 for no limit")
    return span


def _parse_days(raw: Any) -> Any:
    return timedelta(days=int(raw)) if str(raw).strip().isdigit() else parse_time_span(raw)


def _no_bool(raw: Any) -> Any:
    if isinstance(raw, bool):
        raise ValueError("is no whole number")  # noqa: TRY004  pydantic reports ValueError
    return raw


TimeSpan = Annotated[timedelta, BeforeValidator(parse_time_span)]
Timeout = Annotated[timedelta | None, BeforeValidator(_parse_timeout)]
Days = Annotated[timedelta, BeforeValidator(_parse_days)]
Count = Annotated[int, Field(ge=0), BeforeValidator(_no_bool)]
Slots = Annotated[int, Field(ge=1), BeforeValidator(_no_bool)]
UpTo1000 = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_no_bool)]
Port = Annotated[int, Field(ge=0, le=65535), BeforeValidator(_no_bool)]
#: What Azure Storage takes in one go, and how many partitions it has.
UpTo32 = Annotated[int, Field(ge=1, le=32), BeforeValidator(_no_bool)]
UpTo16 = Annotated[int, Field(ge=1, le=16), BeforeValidator(_no_bool)]
#: -1 for no limit.
Limit = Annotated[int, Field(ge=-1), BeforeValidator(_no_bool)]
