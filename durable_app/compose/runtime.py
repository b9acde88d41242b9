"""What handles need of a host that runs in the same process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from durable_app.client.functions_client import DurableFunctionsClient
from durable_app.client.sync_client import SyncDurableFunctionsClient
from durable_app.errors import UnsupportedOnHostError
from durable_app.functions.bindings import DURABLE_CLIENT
from durable_app.functions.names import INVOCATION_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from durable_app.client.connection import Connection
    from durable_app.functions.facts import DurableFunction
    from durable_app.functions.handles import Handle
    from durable_app.functions.index import AppIndex, FunctionFacts
    from durable_app.host.calls.invocation_context import InvocationContexts
    from durable_app.ports import Clock


class HostRuntime:
    """What handles need of this host: clients. Turns reach orchestrators through the worker.

    Args:
        binding: JSON text that stands for ``connection``.
    """

    def __init__(self, connection: Connection, binding: str) -> None:
        self._connection = connection
        self._binding = binding
        self._client = DurableFunctionsClient(connection)
        self._sync_client = SyncDurableFunctionsClient(connection)

    def orchestrate(self, handle: Handle, context_json: str) -> str:
        """Refuse: no request of the classic protocol comes from this host."""
        raise UnsupportedOnHostError(
            f"Orchestration '{handle.durable.name}' was called with {len(context_json)} characters"
            " of the classic protocol; start it through a durable client instead."
        )

    def connection(self, binding: str) -> Connection:
        """What a client made of this text talks to.

        Raises:
            UnsupportedOnHostError: the binding is of another host.
        """
        if binding != self._binding:
            raise UnsupportedOnHostError(
                "This durable client binding was not made by this host, which serves task hub"
                f" '{self._connection.task_hub}' only."
            )
        return self._connection

    def client(self, binding: str, *, sync: bool) -> object:
        """The one client of this host; raises as :meth:`connection`."""
        self.connection(binding)
        return self._sync_client if sync else self._client

    def client_arguments(self, function: FunctionFacts) -> dict[str, object]:
        """What a function gets for its client bindings, by name.

        A client where ``durable_client_input`` declared it; the text where only its type did, for
        the function makes a client of it by itself.
        """
        durable = function.durable
        declared = () if durable is None else durable.clients
        client = self._client if function.is_async else self._sync_client
        return {
            binding["name"]: client if binding["name"] in declared else self._binding
            for binding in function.bindings
            if binding["type"] == DURABLE_CLIENT
        }

    async def start(self, orchestration: str, text: str) -> str:
        """Start an instance with a JSON text, or a text that is none, as its input; its id."""
        try:
            given = json.loads(text) if text else None
        except ValueError:
            given = text
        return await self._client.start_new(orchestration, client_input=given)


class ActivityArguments:
    """What the activities of an app get beside their input. Is a ``BindExtra`` of the worker."""

    def __init__(
        self, index: AppIndex, runtime: HostRuntime, contexts: InvocationContexts, clock: Clock
    ) -> None:
        self._clients = {
            name: runtime.client_arguments(facts) for name, facts in index.activities.items()
        }
        self._functions_with_context = {
            name: facts.name
            for name, facts in index.activities.items()
            if facts.takes_invocation_context
        }
        self._contexts = contexts
        self._clock = clock

    def __call__(self, activity: DurableFunction) -> Mapping[str, object]:
        """Values by parameter; called where the activity is about to run, on its thread or task."""
        name = activity.name
        clients = self._clients.get(name, {})
        function = self._functions_with_context.get(name)
        if function is None:
            return clients
        return {**clients, INVOCATION_CONTEXT: self._contexts.of_this(function, self._clock)}
