"""Clients of scheduled tasks, for coroutines and for threads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from durable_app.client.arguments import check_orchestrator, orchestrator_name
from durable_app.client.entities import EntityQuery
from durable_app.client.functions_client import DurableFunctionsClient
from durable_app.client.state import OrchestrationStatus
from durable_app.client.sync_client import SyncDurableFunctionsClient
from durable_app.entity_id import EntityId
from durable_app.errors import (
    DefinitionError,
    ScheduleClientValidationError,
    ScheduleError,
    ScheduleInvalidTransitionError,
    ScheduleNotFoundError,
)
from durable_app.replay.failures import UNKNOWN_FAILURE, passed_on
from durable_app.schedules.functions import ENTITY_NAME, OPERATION_ORCHESTRATOR
from durable_app.schedules.options import (
    ScheduleCreationOptions,
    ScheduleDescription,
    ScheduleQuery,
    ScheduleUpdateOptions,
    check_id,
)
from durable_app.schedules.state import ScheduleState

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from durable_app.client.arguments import Orchestrator
    from durable_app.client.orchestration_client import DurableOrchestrationClient
    from durable_app.client.sync_client import SyncDurableOrchestrationClient
    from durable_app.protocol import FailureDetails

_ERRORS: Final[dict[str, type[ScheduleError]]] = {
    each.__name__: each
    for each in (
        ScheduleClientValidationError,
        ScheduleInvalidTransitionError,
        ScheduleNotFoundError,
    )
}


class AsyncScheduleClient:
    """One schedule. Its methods but :meth:`describe` wait until the schedule has answered.

    All of them raise TimeoutError where it has not within ``operation_timeout``, and ScheduleError
    where it has failed for another reason than those below.

    Args:
        client: of a function, an ``async def``.
        schedule_id: of the schedule; it need not exist.
        operation_timeout: seconds.

    Raises:
        ScheduleClientValidationError: no schedule can have that id.
        TypeError: the client is of another kind.
    """

    def __init__(
        self,
        client: DurableOrchestrationClient,
        schedule_id: str,
        *,
        operation_timeout: float = 60,
    ) -> None:
        check_id(schedule_id)
        self._client = _async_client(client)
        self._schedule_id = schedule_id
        self._timeout = operation_timeout

    @property
    def schedule_id(self) -> str:
        """Id of the schedule."""
        return self._schedule_id

    async def create(self, options: ScheduleCreationOptions) -> None:
        """Make the schedule; one that exists already is made anew, and is active then.

        Raises:
            DefinitionError: the app has no orchestrator of that name.
            ScheduleClientValidationError: the options are of another schedule, or it would never
                run.
        """
        if options.schedule_id != self._schedule_id:
            reason = f"the options are those of '{options.schedule_id}'."
            raise ScheduleClientValidationError(self._schedule_id, reason)
        name = self._known(options.orchestration_name, "create")
        await self._operate("create_schedule", replace(options, orchestration_name=name))

    async def update(self, options: ScheduleUpdateOptions) -> None:
        """Change what the options name.

        Raises:
            DefinitionError: the app has no orchestrator of that name.
            ScheduleNotFoundError: there is no such schedule.
            ScheduleClientValidationError: the whole would make no sense.
        """
        if options.orchestration_name is not None:
            name = self._known(options.orchestration_name, "update")
            options = replace(options, orchestration_name=name)
        await self._operate("update_schedule", options)

    async def pause(self) -> None:
        """Start no more runs. A run in progress goes on.

        Raises:
            ScheduleNotFoundError: there is no such schedule.
            ScheduleInvalidTransitionError: it is paused already.
        """
        await self._operate("pause_schedule")

    async def resume(self) -> None:
        """Start runs again, from the next occurrence on; those of the pause are left out.

        Raises:
            ScheduleNotFoundError: there is no such schedule.
            ScheduleInvalidTransitionError: it is not paused.
        """
        await self._operate("resume_schedule")

    async def trigger(self) -> str | None:
        """Start one run now, be the schedule active or paused; the next occurrence stays.

        Returns:
            Id of the run, which may wait for another one (OverlapPolicy.BUFFER_ONE). None where a
            run is in progress and OverlapPolicy.SKIP leaves this one out.

        Raises:
            ScheduleNotFoundError: there is no such schedule.
        """
        instance_id: str | None = await self._operate("trigger_schedule")
        return instance_id

    async def delete(self) -> None:
        """Remove the schedule. A run in progress goes on. Nothing happens where there is none."""
        await self._operate("delete")

    async def describe(self) -> ScheduleDescription:
        """The schedule as it is.

        Raises:
            ScheduleNotFoundError: there is no such schedule.
        """
        found = await self._client.get_entity(EntityId(ENTITY_NAME, self._schedule_id))
        state = None if found is None else ScheduleState.from_json(found.get_typed_state())
        if state is None:
            raise ScheduleNotFoundError(self._schedule_id)
        return state.description()

    def _known(self, orchestrator: Orchestrator, api: str) -> str:
        name = orchestrator_name(orchestrator, api)
        check_orchestrator(self._client._connection, name)  # noqa: SLF001  another client of this package
        return name

    async def _operate(self, operation: str, value: Any = None) -> Any:
        request = {"schedule_id": self._schedule_id, "operation": operation, "input": value}
        try:
            instance_id = await self._client.schedule_new_orchestration(
                OPERATION_ORCHESTRATOR, input=request
            )
        except DefinitionError as error:
            raise ScheduleError(
                "The app has no schedules: call app.configure_scheduled_tasks() in function_app.py."
            ) from error
        ended = await self._client.wait_for_orchestration_completion(
            instance_id, timeout=self._timeout
        )
        if ended.runtime_status is not OrchestrationStatus.COMPLETED:
            _raise(self._schedule_id, operation, ended.failure_details or UNKNOWN_FAILURE)
        return ended.get_output()


class AsyncScheduledTaskClient:
    """Makes, finds and lists schedules.

    Args:
        client: of a function, an ``async def``.
        operation_timeout: seconds that a schedule may take to answer.

    Raises:
        TypeError: the client is of another kind.
    """

    def __init__(
        self, client: DurableOrchestrationClient, *, operation_timeout: float = 60
    ) -> None:
        self._client = _async_client(client)
        self._timeout = operation_timeout

    def get_schedule_client(self, schedule_id: str) -> AsyncScheduleClient:
        """A client of one schedule, whether it exists or not."""
        return AsyncScheduleClient(self._client, schedule_id, operation_timeout=self._timeout)

    async def create_schedule(self, options: ScheduleCreationOptions) -> AsyncScheduleClient:
        """Make a schedule, as ``AsyncScheduleClient.create``, and return its client."""
        schedule = self.get_schedule_client(options.schedule_id)
        await schedule.create(options)
        return schedule

    async def get_schedule(self, schedule_id: str) -> ScheduleDescription | None:
        """A schedule as it is; None where there is none, or no schedule can have that id."""
        try:
            return await self.get_schedule_client(schedule_id).describe()
        except (ScheduleNotFoundError, ScheduleClientValidationError):
            return None

    async def list_schedules(
        self, schedule_query: ScheduleQuery | None = None
    ) -> list[ScheduleDescription]:
        """All schedules that meet a query, in the order of their ids; None for all."""
        query = schedule_query or ScheduleQuery()
        found = await self._client.get_all_entities(
            EntityQuery(
                instance_id_starts_with=f"@{ENTITY_NAME}@{query.schedule_id_prefix or ''}",
                page_size=query.page_size or ScheduleQuery.DEFAULT_PAGE_SIZE,
            )
        )
        states = (ScheduleState.from_json(each.get_typed_state()) for each in found)
        return [state.description() for state in states if state and _meets(state, query)]


class ScheduleClient:
    """An :class:`AsyncScheduleClient` for threads: each call waits for its result.

    Args:
        client: of a function that is no coroutine. All else is as there.
    """

    def __init__(
        self,
        client: SyncDurableOrchestrationClient,
        schedule_id: str,
        *,
        operation_timeout: float = 60,
    ) -> None:
        self._client = _sync_client(client)
        self._on_loop = AsyncScheduleClient(
            self._client.on_loop, schedule_id, operation_timeout=operation_timeout
        )

    @property
    def schedule_id(self) -> str:
        """Id of the schedule."""
        return self._on_loop.schedule_id

    def create(self, options: ScheduleCreationOptions) -> None:
        """See ``AsyncScheduleClient.create``."""
        self._wait(self._on_loop.create(options))

    def update(self, options: ScheduleUpdateOptions) -> None:
        """See ``AsyncScheduleClient.update``."""
        self._wait(self._on_loop.update(options))

    def pause(self) -> None:
        """See ``AsyncScheduleClient.pause``."""
        self._wait(self._on_loop.pause())

    def resume(self) -> None:
        """See ``AsyncScheduleClient.resume``."""
        self._wait(self._on_loop.resume())

    def trigger(self) -> str | None:
        """See ``AsyncScheduleClient.trigger``."""
        return self._client.wait(self._on_loop.trigger())

    def delete(self) -> None:
        """See ``AsyncScheduleClient.delete``."""
        self._wait(self._on_loop.delete())

    def describe(self) -> ScheduleDescription:
        """See ``AsyncScheduleClient.describe``."""
        return self._client.wait(self._on_loop.describe())

    def _wait(self, call: Coroutine[Any, Any, None]) -> None:
        self._client.wait(call)


class ScheduledTaskClient:
    """An :class:`AsyncScheduledTaskClient` for threads: each call waits for its result.

    Args:
        client: of a function that is no coroutine. All else is as there.
    """

    def __init__(
        self, client: SyncDurableOrchestrationClient, *, operation_timeout: float = 60
    ) -> None:
        self._client = _sync_client(client)
        self._timeout = operation_timeout
        self._on_loop = AsyncScheduledTaskClient(
            self._client.on_loop, operation_timeout=operation_timeout
        )

    def get_schedule_client(self, schedule_id: str) -> ScheduleClient:
        """A client of one schedule, whether it exists or not."""
        return ScheduleClient(self._client, schedule_id, operation_timeout=self._timeout)

    def create_schedule(self, options: ScheduleCreationOptions) -> ScheduleClient:
        """See ``AsyncScheduledTaskClient.create_schedule``."""
        self._client.wait(self._on_loop.create_schedule(options))
        return self.get_schedule_client(options.schedule_id)

    def get_schedule(self, schedule_id: str) -> ScheduleDescription | None:
        """See ``AsyncScheduledTaskClient.get_schedule``."""
        return self._client.wait(self._on_loop.get_schedule(schedule_id))

    def list_schedules(
        self, schedule_query: ScheduleQuery | None = None
    ) -> list[ScheduleDescription]:
        """See ``AsyncScheduledTaskClient.list_schedules``."""
        return self._client.wait(self._on_loop.list_schedules(schedule_query))


def _async_client(client: object) -> DurableFunctionsClient:
    if isinstance(client, DurableFunctionsClient):
        return client
    raise TypeError(
        f"An async client of schedules takes the client of an `async def` function, not"
        f" {type(client).__name__}; in a `def` function use ScheduledTaskClient."
    )


def _sync_client(client: object) -> SyncDurableFunctionsClient:
    if isinstance(client, SyncDurableFunctionsClient):
        return client
    raise TypeError(
        f"A client of schedules for threads takes the client of a `def` function, not"
        f" {type(client).__name__}; in an `async def` function use AsyncScheduledTaskClient."
    )


def _meets(state: ScheduleState, query: ScheduleQuery) -> bool:
    return (
        (query.status is None or state.status is query.status)
        and (query.created_from is None or state.created_at > query.created_from)
        and (query.created_to is None or state.created_at < query.created_to)
    )


def _raise(schedule_id: str, operation: str, failure: FailureDetails) -> NoReturn:
    """Raise the error that the schedule itself has raised, in another process maybe."""
    *_, origin = passed_on(failure)
    kind = _ERRORS.get(origin.error_type.rpartition(".")[2])
    if kind is not None and origin.properties:
        raise kind(**origin.properties)
    raise ScheduleError(
        f"'{operation}' of schedule '{schedule_id}' failed: {origin.error_type}:"
        f" {origin.error_message}"
    )
