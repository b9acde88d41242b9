"""Arguments of client methods, checked before anything is sent to the task hub."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from durable_app.client.state import OrchestrationStatus
from durable_app.client.status import OrchestrationRuntimeStatus, parse_status
from durable_app.entity_id import EntityId
from durable_app.errors import DefinitionError
from durable_app.protocol import OrchestrationStatus as HubStatus
from durable_app.replay.references import name_and_type

if TYPE_CHECKING:
    from durable_app.client.connection import Connection

#: An orchestrator: its name, the decorated function (a builder), or the function itself.
Orchestrator = str | Callable[..., Any]
Status = OrchestrationRuntimeStatus | OrchestrationStatus | str
Statuses = Status | Iterable[Status] | None


def orchestrator_name(reference: object, api: str) -> str:
    """Name under which an orchestrator is registered.

    Raises:
        DefinitionError: a lambda or an empty name.
        TypeError: no reference to a function.
    """
    return name_and_type(reference, Any, api)[0]


def text(value: object, what: str) -> str:
    """The value, which the task hub takes for a text from here on.

    Raises:
        ValueError: it has no UTF-8 form: no hub can store it, look it up, or be sent it.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {type(value).__name__}.")
    _check_unicode(value, what)
    return str.__str__(value)


def _check_unicode(value: str, what: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what} holds half of a surrogate pair at position {error.start}, which UTF-8 cannot"
            f" express: {value!r}. File names and command lines that are no UTF-8 arrive so."
        ) from error


def optional_text(value: object, what: str) -> str | None:
    """The same, where None means "none"."""
    return None if value is None else text(value, what)


def entity(value: object, what: str) -> EntityId:
    """The value, which is an id of an entity from here on.

    Raises:
        ValueError: as :func:`text`.
    """
    if not isinstance(value, EntityId):
        raise TypeError(f"{what} must be an EntityId, not {type(value).__name__}.")
    _check_unicode(str(value), what)
    return value


def moment(value: object, what: str) -> datetime | None:
    """An aware time in UTC; a naive one is taken as UTC, as Durable Functions always did.

    Raises:
        ValueError: UTC cannot express it.
    """
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise TypeError(f"{what} must be a datetime, not {type(value).__name__}.")
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{what} lies outside of what UTC can express: {value}.") from error


def tag_texts(tags: object) -> dict[str, str] | None:
    """Tags as a dict of texts; None for none."""
    if tags is None:
        return None
    if not isinstance(tags, Mapping):
        raise TypeError(f"tags must be a dict of texts, not {type(tags).__name__}.")
    return {text(key, "a key of tags"): text(tags[key], f"tags[{key!r}]") for key in tags}


def status_set(wanted: Statuses) -> frozenset[HubStatus]:
    """One status or several, of either vocabulary or by name, as the hub's own.

    Raises:
        ValueError: no status has that name.
    """
    if isinstance(wanted, str | OrchestrationRuntimeStatus | OrchestrationStatus):
        return frozenset({_status(wanted)})
    return frozenset(map(_status, wanted or ()))


def _status(wanted: object) -> HubStatus:
    if isinstance(wanted, OrchestrationRuntimeStatus | OrchestrationStatus):
        return wanted.to_status()
    if isinstance(wanted, str):
        # CONTINUED_AS_NEW and ContinuedAsNew are the same.
        found = parse_status(wanted.replace("_", ""))
        if found is not None:
            return found
    if isinstance(wanted, int) and wanted in HubStatus.__members__.values():
        return HubStatus(wanted)
    names = ", ".join(status.value for status in OrchestrationRuntimeStatus)
    raise ValueError(f"{wanted!r} is no status of an orchestration; there are {names}.")


def replaceable_set(policy: object) -> frozenset[HubStatus] | None:
    """Statuses of an existing instance that may be replaced; None for the host's own rule.

    Args:
        policy: statuses; or an object that has them as ``replaceableStatus``, as the message of
            the Durable Task protocol does.
    """
    if policy is None:
        return None
    statuses = getattr(policy, "replaceableStatus", policy)
    if not isinstance(statuses, Iterable):
        raise TypeError(
            "reuse_id_policy must be the statuses that may be replaced, not"
            f" {type(policy).__name__}."
        )
    return status_set(statuses)


def check_orchestrator(connection: Connection, name: str) -> None:
    """Raise DefinitionError if the app has no orchestrator of that name, as far as it is known."""
    if connection.orchestrators is None:
        return
    known = connection.orchestrators()
    # The case of a name does not matter, as in Azure.
    if name not in known and name.casefold() not in map(str.casefold, known):
        raise unknown_function("orchestration", name, known)


def unknown_function(
    kind: Literal["orchestration", "entity"], name: str, known: Collection[str]
) -> DefinitionError:
    """What to raise for a name that no function of the app has."""
    # Imported here: outside of a host a client needs nothing of azure-functions.
    from durable_app.functions.index import unknown_function_text  # noqa: PLC0415  as said above

    return DefinitionError(unknown_function_text(kind, name, sorted(known)))
