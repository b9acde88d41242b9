"""The client that an app's functions get from ``durable_client_input``.

Names, parameters and defaults are those of Durable Functions for Python 1.x. What differs is on
purpose: errors have a type of their own (all of them subclasses of ``Exception`` with the
instance id in the text), falsy payloads survive, and waiting wakes up instead of polling.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, overload

import msgspec

from durable_app.client import requests
from durable_app.client.arguments import (
    Orchestrator,
    Statuses,
    check_orchestrator,
    entity,
    moment,
    optional_text,
    orchestrator_name,
    status_set,
    tag_texts,
    text,
    unknown_function,
)
from durable_app.client.connection import Connection, resolve
from durable_app.client.entities import EntityStateResponse
from durable_app.client.history_view import Shown, project
from durable_app.client.http_responses import HttpResponses, json_response
from durable_app.client.status import DurableOrchestrationStatus, PurgeHistoryResult
from durable_app.errors import WrongStatusError, missing
from durable_app.payload import encode_input, from_text
from durable_app.ports import InstanceQuery, PurgeFilter, StartRequest
from durable_app.protocol import OrchestrationState as HubState
from durable_app.protocol import OrchestrationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.functions import HttpRequest, HttpResponse

    from durable_app.entity_id import EntityId

#: Statuses of an existing instance that a new start of its id may replace, by host.json's word.
REPLACEABLE: Final = {
    "NonRunningStates": None,
    "AnyState": frozenset(OrchestrationStatus),
}
PAGE_SIZE: Final = 1000


class DurableOrchestrationClient(HttpResponses):
    """Starts, queries and steers orchestration instances of one task hub.

    Args:
        context: the JSON text of a ``durableClient`` binding, as a function gets it whose
            parameter is annotated ``str``; or what such a text stands for.
        function_invocation_id: accepted for compatibility.

    All methods may raise SchedulerUnavailableError and StoreUnavailableError (nothing was
    changed), TypeError for an argument of a wrong type, those that take a payload PayloadError
    with the path of the field.

    Raises:
        UnsupportedOnHostError: nothing in this process can make a connection of the text.
    """

    def __init__(
        self,
        context: str | Connection,
        function_invocation_id: str | None = None,  # noqa: ARG002  public signature
    ) -> None:
        super().__init__(resolve(context))
        self._orchestrations = self._connection.orchestrations
        self._entities = self._connection.entities

    if not TYPE_CHECKING:  # A type checker that saw it would take every misspelt name for Any.

        def __getattr__(self, name: str) -> object:
            raise AttributeError(missing("The client", name), name=name, obj=self)

    async def start_new(
        self,
        orchestration_function_name: Orchestrator,
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
        *,
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Start an instance and return its id once the start is stored durably.

        Args:
            orchestration_function_name: name of the orchestrator, or the decorated function.
            instance_id: None for a generated one (32 hex digits). A finished instance of that id
                is replaced.
            client_input: any JSON-encodable value; None for no input.
            version: None for the hub's default version.
            start_at: pending until then; None or a time in the past for now. A naive time is UTC.
            tags: kept with the instance.

        Raises:
            DefinitionError: the app has no orchestrator of that name.
            InstanceExistsError: an instance of that id is running.
            ValueError: the id has forbidden characters or a bad length.
        """
        return await self.start_encoded(
            orchestrator_name(orchestration_function_name, "start_new"),
            instance_id,
            encode_input(client_input),
            version,
            start_at=moment(start_at, "start_at"),
            tags=tag_texts(tags),
        )

    async def start_encoded(
        self,
        name: str,
        instance_id: str | None,
        encoded: str | None,
        version: str | None,
        **options: Any,
    ) -> str:
        """As :meth:`start_new`, with the input as JSON text, and more fields of the request."""
        return await self._start(
            StartRequest(
                name=name,
                instance_id=optional_text(instance_id, "instance_id"),
                input=encoded,
                version=optional_text(version, "version"),
                **options,
            )
        )

    async def _start(self, request: StartRequest) -> str:
        """Start what is known, with the host's defaults for what the request leaves open."""
        connection = self._connection
        check_orchestrator(connection, request.name)
        defaults: dict[str, Any] = {}
        if request.version is None:
            defaults["version"] = connection.default_version
        if request.replaceable is None:
            defaults["replaceable"] = connection.replaceable
        return await requests.start(connection, msgspec.structs.replace(request, **defaults))

    async def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus:
        """Status of one instance; a status that is false where there is none.

        Args:
            show_history: include the history events.
            show_history_output: include results in these events.
            show_input: include the input, also in these events.
        """
        instance_id = text(instance_id, "instance_id")
        state = await self._orchestrations.get(instance_id, fetch_payloads=True)
        if state is None:
            return DurableOrchestrationStatus()
        history = None
        if show_history:
            events = await self._orchestrations.history(instance_id)
            shown = Shown(show_input, show_history_output, self._connection.shows_task_inputs)
            history = project(events or (), shown)
        return DurableOrchestrationStatus.from_state(state, show_input=show_input, history=history)

    async def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """Status of every instance, oldest first."""
        return await self.get_status_by()

    async def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Statuses = None,
        instance_id_prefix: str | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """Status of every instance that meets all conditions, oldest first.

        Args:
            created_time_from: inclusive. created_time_to: exclusive. Naive times are UTC.
            runtime_status: one or several; None or empty for any.
        """
        wanted = InstanceQuery(
            statuses=status_set(runtime_status) or None,
            created_from=moment(created_time_from, "created_time_from"),
            created_to=moment(created_time_to, "created_time_to"),
            instance_id_prefix=optional_text(instance_id_prefix, "instance_id_prefix"),
            page_size=PAGE_SIZE,
            fetch_payloads=True,
        )
        return [DurableOrchestrationStatus.from_state(state) for state in await self._all(wanted)]

    async def _all(self, query: InstanceQuery) -> list[HubState]:
        """Every row of a query, page after page."""
        found: list[HubState] = []
        while True:
            page = await self._orchestrations.query(query)
            found += page.items
            if page.continuation_token is None:
                return found
            query = msgspec.structs.replace(query, continuation_token=page.continuation_token)

    async def raise_event(
        self,
        instance_id: str,
        event_name: str,
        event_data: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,  # noqa: ARG002  public signature
    ) -> None:
        """Send an event; it is kept until the orchestrator waits for it.

        Args:
            event_data: any JSON-encodable value.
            task_hub_name: None or this client's own hub.
            connection_name: accepted for compatibility; the hub's name decides.

        Raises:
            ValueError: the event has no name, or another hub is meant.
            InstanceNotFoundError: there is no such instance.
            WrongStatusError: the instance has finished.
        """
        if not event_name:
            raise ValueError("event_name must be a non-empty string.")
        self._check_hub(task_hub_name)
        await requests.raise_event(
            self._connection,
            text(instance_id, "instance_id"),
            text(event_name, "event_name"),
            encode_input(event_data),
        )

    async def terminate(self, instance_id: str, reason: str | None = None) -> None:
        """End an instance and its children; ``reason`` becomes its output.

        Nothing happens where it has finished already.

        Raises:
            InstanceNotFoundError: there is no such instance.
        """
        with contextlib.suppress(WrongStatusError):
            await self._orchestrations.terminate(
                text(instance_id, "instance_id"), encode_input(reason)
            )

    async def suspend(self, instance_id: str, reason: str | None = None) -> None:
        """Hold an instance until :meth:`resume`; nothing happens where it has finished.

        Raises:
            InstanceNotFoundError: there is no such instance.
        """
        with contextlib.suppress(WrongStatusError):
            await self._orchestrations.suspend(
                text(instance_id, "instance_id"), optional_text(reason, "reason")
            )

    async def resume(self, instance_id: str, reason: str | None = None) -> None:
        """End a suspension; nothing happens where there is none or the instance has finished.

        Raises:
            InstanceNotFoundError: there is no such instance.
        """
        with contextlib.suppress(WrongStatusError):
            await self._orchestrations.resume(
                text(instance_id, "instance_id"), optional_text(reason, "reason")
            )

    async def restart(
        self,
        instance_id: str,
        restart_with_new_instance_id: bool = True,
    ) -> str:
        """Start an instance again with its original input and return the id.

        Raises:
            InstanceNotFoundError: there is no such instance.
            WrongStatusError: its own id is to be used again, and it still runs.
        """
        return await self._orchestrations.restart(
            text(instance_id, "instance_id"), new_instance_id=restart_with_new_instance_id
        )

    async def rewind(
        self,
        instance_id: str,
        reason: str,
        task_hub_name: str | None = None,
        connection_name: str | None = None,  # noqa: ARG002  public signature
    ) -> None:
        """Run a failed instance on from its failure; only what failed runs again.

        Raises:
            ValueError: another hub is meant.
            InstanceNotFoundError: there is no such instance.
            WrongStatusError: it has not failed.
        """
        self._check_hub(task_hub_name)
        await self._orchestrations.rewind(
            text(instance_id, "instance_id"), optional_text(reason, "reason")
        )

    async def purge_instance_history(self, instance_id: str) -> PurgeHistoryResult:
        """Remove one finished instance; 0 where there is none or it has not finished."""
        instance_id = text(instance_id, "instance_id")
        return PurgeHistoryResult(await self._orchestrations.purge(instance_id))

    async def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Statuses = None,
    ) -> PurgeHistoryResult:
        """Remove all finished instances that meet the conditions.

        Args:
            created_time_from: inclusive; required, so that nobody removes everything by mistake.
            created_time_to: exclusive; None for no limit.
            runtime_status: None or empty for every status in which an instance is finished.

        Raises:
            ValueError: ``created_time_from`` is missing.
        """
        if created_time_from is None:
            raise ValueError("created_time_from is required when purging instance history")
        which = PurgeFilter(
            created_from=moment(created_time_from, "created_time_from"),
            created_to=moment(created_time_to, "created_time_to"),
            statuses=status_set(runtime_status) or None,
        )
        return PurgeHistoryResult((await self._orchestrations.purge_by(which)).count)

    async def wait_for_completion_or_create_check_status_response(
        self,
        request: HttpRequest,
        instance_id: str,
        timeout_in_milliseconds: int = 10000,
        retry_interval_in_milliseconds: int = 1000,
        return_internal_server_error_on_failure: bool | None = None,
    ) -> HttpResponse:
        """The outcome, if the instance ends in time, else as create_check_status_response.

        Args:
            timeout_in_milliseconds: how long to wait.
            retry_interval_in_milliseconds: must not exceed the timeout; otherwise without a
                meaning here, because the wait ends when the instance does.
            return_internal_server_error_on_failure: whether a failed instance is answered with
                500, here and by the status URL; None for 500 here and 200 there.

        Returns:
            200 with the bare output; 200 with the status of a terminated instance; 500 (or 200)
            with the status of a failed one; 202 with the management URLs when the time was up.

        Raises:
            ValueError: the interval exceeds the timeout.
        """
        if retry_interval_in_milliseconds > timeout_in_milliseconds:
            raise ValueError(
                f"Total timeout {timeout_in_milliseconds} (ms) should be bigger than retry"
                f" timeout {retry_interval_in_milliseconds} (ms)"
            )
        instance_id = text(instance_id, "instance_id")
        as_500 = return_internal_server_error_on_failure
        state = await self._orchestrations.wait_for_completion(
            instance_id, timeout_s=timeout_in_milliseconds / 1000
        )
        if state is None:
            # With no time to wait, an instance that has finished is answered all the same.
            state = await self._orchestrations.get(instance_id)
        if state is None or not state.status.is_terminal:
            return self.create_check_status_response(request, instance_id, bool(as_500))
        status = DurableOrchestrationStatus.from_state(state, show_input=False)
        if state.status is OrchestrationStatus.COMPLETED:
            return json_response(200, status.output)
        failed = state.status is OrchestrationStatus.FAILED
        return json_response(500 if failed and as_500 is not False else 200, status.to_json())

    @overload
    async def signal_entity(
        self,
        entityId: EntityId,  # noqa: N803  public signature
        operation_name: str,
        operation_input: Any = None,
        task_hub_name: str | None = None,
        connection_name: str | None = None,
    ) -> None: ...
    @overload
    async def signal_entity(
        self,
        entity_instance_id: EntityId,
        operation_name: str,
        input: Any = None,
        signal_time: datetime | None = None,
    ) -> None: ...
    async def signal_entity(  # type: ignore[misc]  # an argument has one name per spelling
        self,
        entityId: Any = None,  # noqa: N803  public signature
        operation_name: Any = None,
        operation_input: Any = None,
        task_hub_name: Any = None,
        connection_name: str | None = None,  # noqa: ARG002  public signature
        *,
        entity_instance_id: Any = None,
        input: Any = None,
        signal_time: datetime | None = None,
    ) -> None:
        """Let an entity run an operation; return once that is stored durably, not once it has run.

        Two spellings: ``(entityId, operation_name, operation_input, task_hub_name,
        connection_name)`` and ``(entity_instance_id, operation_name, input, signal_time)``.

        Args:
            operation_input: any JSON-encodable value; None for no input.
            task_hub_name: None or this client's own hub.
            connection_name: accepted for compatibility; the hub's name decides.
            signal_time: not run earlier; None or a time in the past for now. A naive time is UTC.

        Raises:
            DefinitionError: the app has no entity of that name.
            ValueError: another hub is meant.
        """
        if isinstance(task_hub_name, datetime):  # the fourth one of the other spelling
            task_hub_name, signal_time = None, task_hub_name
        self._check_hub(optional_text(task_hub_name, "task_hub_name"))
        await self.signal_encoded(
            entity(entityId if entity_instance_id is None else entity_instance_id, "entityId"),
            text(operation_name, "operation_name"),
            encode_input(input if operation_input is None else operation_input),
            moment(signal_time, "signal_time"),
        )

    async def signal_encoded(
        self,
        entity_id: EntityId,
        operation: str,
        encoded: str | None,
        signal_time: datetime | None = None,
    ) -> None:
        """As :meth:`signal_entity`, with the input as JSON text and an aware time."""
        known_entities = self._connection.known_entities
        if known_entities is not None and entity_id.entity not in (known := known_entities()):
            raise unknown_function("entity", entity_id.name, known)
        await requests.signal(self._connection, str(entity_id), operation, encoded, signal_time)

    async def read_entity_state(
        self,
        entityId: EntityId,  # noqa: N803  public signature
        task_hub_name: str | None = None,
        connection_name: str | None = None,  # noqa: ARG002  public signature
    ) -> EntityStateResponse:
        """State of an entity as plain JSON structure, as its last operation has left it.

        Args:
            task_hub_name: None or this client's own hub.
            connection_name: accepted for compatibility; the hub's name decides.

        Raises:
            ValueError: another hub is meant.
        """
        self._check_hub(task_hub_name)
        found = await self._entities.get_entity(str(entity(entityId, "entityId")))
        if found is None or not found.exists:
            return EntityStateResponse(entity_exists=False)
        return EntityStateResponse(entity_exists=True, entity_state=from_text(found.state))

    def _check_hub(self, task_hub_name: str | None) -> None:
        if task_hub_name is not None and task_hub_name.casefold() != self.task_hub_name.casefold():
            raise ValueError(
                f"This client belongs to task hub '{self.task_hub_name}' and cannot reach"
                f" '{task_hub_name}'; leave task_hub_name out, or run a host of that hub."
            )
