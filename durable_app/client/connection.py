"""What a client talks to, and how one that was built by hand finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from durable_app.functions.handles import connection_of_binding

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection

    from durable_app.client.management import ManagementUrls
    from durable_app.ports import Entities, Orchestrations
    from durable_app.protocol import OrchestrationStatus
    from durable_app.telemetry import Tracing


class Connection(NamedTuple):
    """One task hub as the clients of a process reach it.

    Attributes:
        orchestrations: the task hub. entities: the same one.
        urls: builds the management URLs.
        task_hub: name of the hub.
        loop: the running event loop on which sync clients let their calls run.
        orchestrators: gives the names that may be started, asked for at each start because an app
            can be loaded again; None where they are not known.
        known_entities: gives the names, in lower case, that may be signalled, likewise.
        default_version: version of an instance that is started without one.
        replaceable: see :class:`durable_app.ports.StartRequest`.
        shows_task_inputs: histories show the inputs of tasks.
        tracing: where spans go; None for nowhere.
        trust_forwarded: let the forwarding headers of a request say under which address it came.
    """

    orchestrations: Orchestrations
    entities: Entities
    urls: ManagementUrls
    task_hub: str
    loop: asyncio.AbstractEventLoop
    orchestrators: Callable[[], Collection[str]] | None = None
    known_entities: Callable[[], Collection[str]] | None = None
    default_version: str | None = None
    replaceable: frozenset[OrchestrationStatus] | None = None
    trust_forwarded: bool = False
    shows_task_inputs: bool = True
    tracing: Tracing | None = None


def resolve(context: str | Connection) -> Connection:
    """The connection itself, or the one that a ``durableClient`` binding's JSON text names.

    Raises:
        UnsupportedOnHostError: nothing in this process can make a connection of the text.
        TypeError: it is neither.
    """
    if isinstance(context, Connection):
        return context
    if isinstance(context, str):
        return cast("Connection", connection_of_binding(context))
    raise TypeError(_refusal(context))


def _refusal(wrong: object) -> str:
    kind = type(wrong).__name__
    if isinstance(getattr(wrong, "_connection", None), Connection):
        return (
            f"This is a durable client already, a {kind}: use it as it is. `durable_client_input`"
            " passes one, whatever the annotation of the parameter is."
        )
    return (
        f"A durable client is made of the text of a durableClient binding, not of {kind}: annotate"
        " the parameter that has the binding as str."
    )
