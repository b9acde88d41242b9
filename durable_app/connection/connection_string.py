"""Connection strings: ``Endpoint=https://...;TaskHub=orders;Authentication=DefaultAzure``.

Grammar. Pairs ``key=value`` with ``;`` between them, in any order. A key ends at the first ``=``
and may be written in any case; spaces around keys and values do not count, empty pairs neither. A
value that begins with a quote, ``'`` or ``"``, ends at the same quote and may hold ``;``; the quote
itself is written twice inside. A key given twice: the last one counts. An empty value is none.

Messages never show a value that could be a secret: a string of another service may hold keys.

Source: what the libraries of the service for other languages accept; where they differ, the
strictest one for what is refused and the most lenient one for what is quoted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.connection.authentication import (
    FIELDS,
    Authentication,
    AuthenticationKind,
    read_authentication,
    read_kind,
)
from durable_app.connection.endpoint import Endpoint, check_endpoint, parse_endpoint
from durable_app.errors import ConfigError
from durable_app.functions.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENDPOINT: Final = "Endpoint"
TASK_HUB: Final = "TaskHub"
AUTHENTICATION: Final = "Authentication"
#: Setting with the name of the task hub for programs that are no Functions app.
TASK_HUB_SETTING: Final = "TASKHUB_NAME"
#: Name of the hub that the emulator has without being told any.
DEFAULT_TASK_HUB: Final = "default"
_EXAMPLE: Final = "Endpoint=http://localhost:8080;TaskHub=default;Authentication=None"
_KEYS: Final = {key.casefold(): key for key in (ENDPOINT, TASK_HUB, AUTHENTICATION, *FIELDS)}
_STORAGE_KEYS: Final = frozenset(
    {"defaultendpointsprotocol", "accountname", "accountkey", "usedevelopmentstorage"}
)
_QUOTES: Final = "'\""
_LONGEST_KEY: Final = 40


class Pairs(NamedTuple):
    """A text that follows the grammar, whatever its keys mean.

    Attributes:
        values: key in lower case -> value, without those that are empty.
        names: key in lower case -> as it was written.
        repeated: keys that were given more than once, in lower case.
    """

    values: dict[str, str]
    names: dict[str, str]
    repeated: tuple[str, ...]


class ConnectionString(NamedTuple):
    """What a connection string says. It holds no secret.

    Attributes:
        endpoint: where the scheduler listens.
        task_hub: name of the hub; None where the string leaves it open.
        authentication: how to sign in.
        warnings: lines to show.
    """

    endpoint: Endpoint
    task_hub: str | None
    authentication: Authentication
    warnings: tuple[str, ...] = ()


def split_pairs(text: str, source: str) -> Pairs:
    """Read the grammar alone.

    Args:
        source: where the text comes from, for messages.

    Raises:
        ConfigError: a part is no ``key=value``, or a quote is not closed.
    """
    values: dict[str, str] = {}
    names: dict[str, str] = {}
    repeated: list[str] = []
    for name, value in _pairs(text, source):
        key = name.casefold()
        if key in names and key not in repeated:
            repeated.append(key)
        names[key] = name
        values[key] = value
    return Pairs({key: value for key, value in values.items() if value}, names, tuple(repeated))


def _pairs(text: str, source: str) -> Iterator[tuple[str, str]]:
    rest = text.strip()
    while rest:
        if rest[0] == ";":
            rest = rest[1:].lstrip()
            continue
        name, separator, after = rest.partition("=")
        if not separator or ";" in name or not name.strip():
            raise ConfigError(
                f"{source}: a part of the connection string is no key=value pair. It looks like"
                f" {_EXAMPLE}."
            )
        after = after.lstrip()
        if after[:1] and after[0] in _QUOTES:
            value, rest = _quoted(after, name.strip(), source)
        else:
            value, _, rest = after.partition(";")
            value = value.strip()
        yield name.strip(), value
        rest = rest.strip()


def _quoted(text: str, name: str, source: str) -> tuple[str, str]:
    """The value of a text that begins with a quote, and what comes behind it."""
    quote = text[0]
    value, start = "", 1
    while True:
        end = text.find(quote, start)
        if end < 0:
            raise ConfigError(f"{source}: the quote at the value of {name} is not closed.")
        value += text[start:end]
        if text[end + 1 : end + 2] != quote:
            break
        value += quote
        start = end + 2
    rest = text[end + 1 :].lstrip()
    if rest and rest[0] != ";":
        raise ConfigError(f"{source}: text follows the closing quote at the value of {name}.")
    return value, rest


def parse_connection_string(text: str, source: str = "connection string") -> ConnectionString:
    """Read and check a connection string.

    Args:
        source: where the text comes from (the name of a setting), for messages.

    Raises:
        ConfigError: with what is wrong and what to write instead.
    """
    if not text.strip():
        raise ConfigError(
            f"{source}: The connection string must not be empty. It looks like {_EXAMPLE}."
        )
    pairs = split_pairs(text, source)
    _check_keys(pairs, source)
    endpoint_text = _required(pairs, ENDPOINT, source, "http://localhost:8080")
    kind_text = _required(
        pairs, AUTHENTICATION, source, "None for a local hub, DefaultAzure in Azure"
    )
    kind = read_kind(kind_text, source)
    fields = {
        name: value for name in FIELDS if (value := pairs.values.get(name.casefold())) is not None
    }
    authentication = read_authentication(kind, fields, source)
    endpoint = _endpoint(endpoint_text, kind, source)
    task_hub = pairs.values.get(TASK_HUB.casefold())
    if task_hub is not None:
        check_header_text(task_hub, TASK_HUB, source)
    return ConnectionString(endpoint, task_hub, authentication, tuple(repetitions(pairs, source)))


def repetitions(pairs: Pairs, source: str) -> list[str]:
    """Lines to show about keys that are given more than once."""
    return [
        f"{source}: {_KEYS.get(key, key)} is given more than once; the last one is used."
        for key in pairs.repeated
    ]


def _endpoint(text: str, kind: AuthenticationKind, source: str) -> Endpoint:
    # Without a scheme only what can be meant in no other way goes unencrypted.
    endpoint = parse_endpoint(text, source, encrypted=True)
    if "://" not in text and kind is AuthenticationKind.NONE and endpoint.is_local:
        endpoint = parse_endpoint(text, source, encrypted=False)
    check_endpoint(endpoint, kind, source)
    return endpoint


def _check_keys(pairs: Pairs, source: str) -> None:
    unknown = [name for key, name in pairs.names.items() if key not in _KEYS]
    if not unknown:
        return
    if not _STORAGE_KEYS.isdisjoint(pairs.names):
        raise ConfigError(
            f"{source}: this is the connection string of a storage account. That of a scheduler"
            f" looks like {_EXAMPLE}."
        )
    hint = did_you_mean(unknown[0], _KEYS.values()) or f" Known are {', '.join(_KEYS.values())}."
    # What is too long for a key may be a key of another kind, and secret.
    shown = f" '{unknown[0]}'" if len(unknown[0]) <= _LONGEST_KEY else ""
    raise ConfigError(f"{source}: unsupported connection string key{shown}.{hint}")


def _required(pairs: Pairs, key: str, source: str, example: str) -> str:
    value = pairs.values.get(key.casefold())
    if value is None:
        article = "a" if key[0] not in "AE" else "an"
        raise ConfigError(
            f"{source}: The connection string must contain {article} {key} property"
            f" ({key}={example})."
        )
    return value


def check_header_text(text: str, what: str, source: str) -> None:
    """Refuse a text that cannot travel in the header of a call.

    Args:
        what: the text is, for the message.

    Raises:
        ConfigError: it is empty, has spaces at an end, line breaks or characters beyond ASCII.
    """
    if not text or text != text.strip() or not (text.isascii() and text.isprintable()):
        raise ConfigError(
            f"{source}: {what} must be a text of printable ASCII characters without spaces at its"
            " ends."
        )


def choose_task_hub(
    argument: str | None,
    string: ConnectionString | None,
    endpoint: Endpoint,
    environ: Mapping[str, str],
) -> str:
    """Name of the task hub: argument, then connection string, then TASKHUB_NAME.

    Args:
        argument: what the program passes; None or "" where it leaves the choice open.
        endpoint: a local one has the hub ``default`` where nothing names another.

    Raises:
        ConfigError: nothing names a hub of a remote scheduler, or the name cannot be sent.
    """
    name = argument or (string.task_hub if string is not None else None)
    if not name:
        name = environ.get(TASK_HUB_SETTING, "").strip()
    if not name and endpoint.is_local:
        name = DEFAULT_TASK_HUB
    if not name:
        raise ConfigError(
            f"No task hub is named for {endpoint.authority}: pass taskhub, write TaskHub=... into"
            f" the connection string, or set {TASK_HUB_SETTING}."
        )
    check_header_text(name, "the name of the task hub", "taskhub")
    return name
