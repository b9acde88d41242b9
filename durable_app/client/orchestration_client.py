"""The client that an app's functions get from ``durable_client_input``.

Names, parameters and defaults are those of Durable Functions for Python. What differs is on
purpose: errors have a type of their own (all of them subclasses of ``Exception`` with the
instance id in the text), falsy payloads survive, and waiting wakes up instead of polling.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from durable_app.client.history_view import project
from durable_app.client.status import (
    DurableOrchestrationStatus,
    OrchestrationRuntimeStatus,
    PurgeHistoryResult,
)
from durable_app.errors import DefinitionError, WrongStatusError, missing
from durable_app.payload import encode_input, to_text
from durable_app.ports import InstanceQuery, Orchestrations, PurgeFilter, StartRequest
from durable_app.protocol import OrchestrationStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from azure.functions import HttpRequest, HttpResponse

    from durable_app.client.management import ManagementUrls

    _Status = OrchestrationRuntimeStatus | str
    _Statuses = _Status | Iterable[_Status] | None

#: Statuses of an existing instance that a new start of its id may replace, by host.json's word.
REPLACEABLE: Final = {
    "NonRunningStates": None,
    "AnyState": frozenset(OrchestrationStatus),
}
_PAGE_SIZE: Final = 1000


class DurableOrchestrationClient:
    """Starts, queries and steers orchestration instances of one task hub.

    Args:
        orchestrations: the task hub.
        urls: builds the management URLs.
        task_hub: name of the hub.
        orchestrators: names that may be started; None where they are not known.
        default_version: version of an instance that is started without one.
        replaceable: see :class:`durable_app.ports.StartRequest`.

    All methods may raise SchedulerUnavailableError and StoreUnavailableError (nothing was
    changed), TypeError for an argument of a wrong type, those that take a payload PayloadError
    with the path of the field.
    """

    def __init__(
        self,
        orchestrations: Orchestrations,
        urls: ManagementUrls,
        task_hub: str,
        *,
        orchestrators: Collection[str] | None = None,
        default_version: str | None = None,
        replaceable: frozenset[OrchestrationStatus] | None = None,
    ) -> None:
        self._orchestrations = orchestrations
        self._urls = urls
        self._orchestrators = orchestrators
        self._default_version = default_version
        self._replaceable = replaceable
        self.task_hub_name = task_hub

    if not TYPE_CHECKING:  # A type checker that saw it would take every misspelt name for Any.

        def __getattr__(self, name: str) -> object:
            raise AttributeError(missing("The client", name), name=name, obj=self)

    async def start_new(
        self,
        orchestration_function_name: str,
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
    ) -> str:
        """Start an instance and return its id once the start is stored durably.

        Args:
            orchestration_function_name: name of the orchestrator.
            instance_id: None for a generated one (32 hex digits). A finished instance of that id
                is replaced.
            client_input: any JSON-encodable value; None for no input.
            version: None for the hub's default version.

        Raises:
            DefinitionError: the app has no orchestrator of that name.
            InstanceExistsError: an instance of that id is running.
            ValueError: the id has forbidden characters or a bad length.
        """
        return await self.start_encoded(
            orchestration_function_name,
            instance_id,
            None if client_input is None else encode_input(client_input),
            version,
        )

    async def start_encoded(
        self, name: str, instance_id: str | None, text: str | None, version: str | None
    ) -> str:
        """As :meth:`start_new`, with the input as JSON text."""
        name = _text(name, "orchestration_function_name")
        if self._orchestrators is not None and name not in self._orchestrators:
            # Imported here: outside of a host a client needs nothing of azure-functions.
            from durable_app.functions.index import unknown_function_text  # noqa: PLC0415  see above

            raise DefinitionError(
                unknown_function_text("orchestration", name, sorted(self._orchestrators))
            )
        return await self._orchestrations.start(
            StartRequest(
                name=name,
                instance_id=_optional_text(instance_id, "instance_id"),
                input=text,
                version=self._default_version if version is None else _text(version, "version"),
                replaceable=self._replaceable,
            )
        )

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
        instance_id = _text(instance_id, "instance_id")
        state = await self._orchestrations.get(instance_id, fetch_payloads=True)
        if state is None:
            return DurableOrchestrationStatus()
        history = None
        if show_history:
            events = await self._orchestrations.history(instance_id)
            history = project(events or (), show_input=show_input, show_output=show_history_output)
        return DurableOrchestrationStatus.from_state(state, show_input=show_input, history=history)

    async def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """Status of every instance, oldest first."""
        return await self.get_status_by()

    async def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: _Statuses = None,
        instance_id_prefix: str | None = None,
    ) -> list[DurableOrchestrationStatus]:
        """Status of every instance that meets all conditions, oldest first.

        Args:
            created_time_from: inclusive. created_time_to: exclusive. Naive times are UTC.
            runtime_status: one or several; None or empty for any.
        """
        wanted = InstanceQuery(
            statuses=_statuses(runtime_status),
            created_from=_moment(created_time_from, "created_time_from"),
            created_to=_moment(created_time_to, "created_time_to"),
            instance_id_prefix=_optional_text(instance_id_prefix, "instance_id_prefix"),
            page_size=_PAGE_SIZE,
            fetch_payloads=True,
        )
        found: list[DurableOrchestrationStatus] = []
        token: str | None = None
        while True:
            page = await self._orchestrations.query(
                msgspec.structs.replace(wanted, continuation_token=token)
            )
            found += [DurableOrchestrationStatus.from_state(state) for state in page.items]
            token = page.continuation_token
            if token is None:
                return found

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
        await self._orchestrations.raise_event(
            _text(instance_id, "instance_id"),
            _text(event_name, "event_name"),
            encode_input(event_data),
        )

    async def terminate(self, instance_id: str, reason: str) -> None:
        """End an instance and its children; ``reason`` becomes its output.

        Nothing happens where it has finished already.

        Raises:
            InstanceNotFoundError: there is no such instance.
        """
        with contextlib.suppress(WrongStatusError):
            await self._orchestrations.terminate(_text(instance_id, "instance_id"), to_text(reason))

    async def suspend(self, instance_id: str, reason: str) -> None:
        """Hold an instance until :meth:`resume`; nothing happens where it has finished.

        Raises:
            InstanceNotFoundError: there is no such instance.
        """
        with contextlib.suppress(WrongStatusError):
            await self._orchestrations.suspend(
                _text(instance_id, "instance_id"), _optional_text(reason, "reason")
            )

    async def resume(self, instance_id: str, reason: str) -> None:
        """End a suspension; nothing happens where there is none or the instance has finished.

        Raises:
            InstanceNotFoundError: there is no such instance.
        """
        with contextlib.suppress(WrongStatusError):
            await self._orchestrations.resume(
                _text(instance_id, "instance_id"), _optional_text(reason, "reason")
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
            _text(instance_id, "instance_id"), new_instance_id=restart_with_new_instance_id
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
            _text(instance_id, "instance_id"), _optional_text(reason, "reason")
        )

    async def purge_instance_history(self, instance_id: str) -> PurgeHistoryResult:
        """Remove one finished instance; 0 where there is none or it has not finished."""
        instance_id = _text(instance_id, "instance_id")
        return PurgeHistoryResult(await self._orchestrations.purge(instance_id))

    async def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: _Statuses = None,
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
            created_from=_moment(created_time_from, "created_time_from"),
            created_to=_moment(created_time_to, "created_time_to"),
            statuses=_statuses(runtime_status),
        )
        return PurgeHistoryResult(await self._orchestrations.purge_by(which))

    def create_check_status_response(self, request: HttpRequest, instance_id: str) -> HttpResponse:
        """Answer of an asynchronous HTTP API: 202, where to look, and the management URLs."""
        links = self.get_client_response_links(request, instance_id)
        headers = {"Location": links["statusQueryGetUri"], "Retry-After": "10"}
        return _json_response(202, links, headers)

    def create_http_management_payload(self, instance_id: str) -> dict[str, str]:
        """Management URLs of an instance, under the host's own address."""
        return self.get_client_response_links(None, instance_id)

    def get_client_response_links(
        self, request: HttpRequest | None, instance_id: str
    ) -> dict[str, str]:
        """Management URLs of an instance, under the address that ``request`` came to."""
        instance_id = _text(instance_id, "instance_id")
        url = None if request is None else request.url
        return self._urls.links(instance_id, request_url=url)

    async def wait_for_completion_or_create_check_status_response(
        self,
        request: HttpRequest,
        instance_id: str,
        timeout_in_milliseconds: int = 10000,
        retry_interval_in_milliseconds: int = 1000,
    ) -> HttpResponse:
        """The outcome, if the instance ends in time, else as create_check_status_response.

        Args:
            timeout_in_milliseconds: how long to wait.
            retry_interval_in_milliseconds: must not exceed the timeout; otherwise without a
                meaning here, because the wait ends when the instance does.

        Returns:
            200 with the bare output; 200 with the status of a terminated instance; 500 with the
            status of a failed one; 202 with the management URLs when the time was up.

        Raises:
            ValueError: the interval exceeds the timeout.
        """
        if retry_interval_in_milliseconds > timeout_in_milliseconds:
            raise ValueError(
                f"Total timeout {timeout_in_milliseconds} (ms) should be bigger than retry"
                f" timeout {retry_interval_in_milliseconds} (ms)"
            )
        state = await self._orchestrations.wait_for_completion(
            _text(instance_id, "instance_id"), timeout_s=timeout_in_milliseconds / 1000
        )
        if state is None:
            return self.create_check_status_response(request, instance_id)
        status = DurableOrchestrationStatus.from_state(state, show_input=False)
        if state.status is OrchestrationStatus.COMPLETED:
            return _json_response(200, status.output)
        failed = state.status is OrchestrationStatus.FAILED
        return _json_response(500 if failed else 200, status.to_json())

    def _check_hub(self, task_hub_name: str | None) -> None:
        if task_hub_name is not None and task_hub_name.casefold() != self.task_hub_name.casefold():
            raise ValueError(
                f"This client belongs to task hub '{self.task_hub_name}' and cannot reach"
                f" '{task_hub_name}'; bind a client with task_hub='{task_hub_name}' instead."
            )


def _json_response(
    status_code: int, body: Any, headers: dict[str, str] | None = None
) -> HttpResponse:
    # azure.functions is imported when it is first needed: a client outside of a host may not.
    from azure.functions import HttpResponse  # noqa: PLC0415  as said above

    return HttpResponse(
        body if isinstance(body, str) else to_text(body),
        status_code=status_code,
        mimetype="application/json",
        headers={"Content-Type": "application/json", **(headers or {})},
    )


def _statuses(wanted: _Statuses) -> frozenset[OrchestrationStatus] | None:
    several = [wanted] if isinstance(wanted, str | OrchestrationRuntimeStatus) else wanted or ()
    return frozenset(OrchestrationRuntimeStatus(each).to_status() for each in several) or None


def _text(value: object, what: str) -> str:
    """The value, which the task hub takes for a text from here on."""
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"{what} must be a str, not {type(value).__name__}.")


def _optional_text(value: object, what: str) -> str | None:
    return None if value is None else _text(value, what)


def _moment(value: object, what: str) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise TypeError(f"{what} must be a datetime, not {type(value).__name__}.")
    # Durable Functions has always read naive filter times as UTC.
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
