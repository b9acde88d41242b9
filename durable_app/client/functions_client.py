"""The client with the method names of 2.x beside those of 1.x: what functions are given.

The two sets differ in more than names where 1.x and 2.x disagree; each method keeps the defaults
of the release that its name comes from (ADR 0007).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import msgspec

from durable_app.client.arguments import (
    Orchestrator,
    Statuses,
    entity,
    moment,
    optional_text,
    orchestrator_name,
    replaceable_set,
    status_set,
    tag_texts,
    text,
)
from durable_app.client.entities import (
    CleanEntityStorageResult,
    EntityMetadata,
    EntityQuery,
    id_prefix,
)
from durable_app.client.orchestration_client import PAGE_SIZE, DurableOrchestrationClient
from durable_app.client.state import (
    OrchestrationQuery,
    OrchestrationState,
    Page,
    PurgeInstancesResult,
)
from durable_app.errors import InstanceNotFoundError, WrongStatusError
from durable_app.payload import encode_input
from durable_app.ports import EntityQuery as HubEntityQuery
from durable_app.ports import InstanceQuery, PurgeFilter, StartRequest
from durable_app.protocol import TERMINAL, HistoryEvent
from durable_app.protocol import OrchestrationState as HubState

if TYPE_CHECKING:
    from durable_app.entity_id import EntityId


class DurableFunctionsClient(DurableOrchestrationClient):
    """Starts, queries and steers orchestration instances, by the names of 1.x and of 2.x.

    Made and failing as :class:`DurableOrchestrationClient`.
    """

    async def close(self) -> None:
        """Return at once: the connection is the host's, and other functions use it too."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_outcome: object) -> None:
        await self.close()

    # -- start --------------------------------------------------------------------------------

    async def schedule_new_orchestration(
        self,
        orchestrator: Orchestrator,
        *,
        input: Any = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: Any = None,
        tags: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> str:
        """Start an instance and return its id once the start is stored durably.

        Args:
            orchestrator: its name, or the decorated function.
            input: any JSON-encodable value; None for no input.
            instance_id: None for a generated one (32 hex digits).
            start_at: pending until then; None or a time in the past for now. A naive time is UTC.
            reuse_id_policy: the statuses in which an instance of that id may be replaced, or an
                object that has them as ``replaceableStatus``; empty for none. A running one is
                terminated first. None for the host's own rule: those that have finished.
            tags: kept with the instance.
            version: None for the hub's default version.

        Raises:
            DefinitionError: the app has no orchestrator of that name.
            InstanceExistsError: the id is taken by an instance that may not be replaced.
            ValueError: the id has forbidden characters or a bad length.
        """
        return await self._start(
            StartRequest(
                name=orchestrator_name(orchestrator, "schedule_new_orchestration"),
                instance_id=optional_text(instance_id, "instance_id"),
                input=encode_input(input),
                version=optional_text(version, "version"),
                start_at=moment(start_at, "start_at"),
                tags=tag_texts(tags),
                replaceable=replaceable_set(reuse_id_policy),
            )
        )

    async def restart_orchestration(
        self, instance_id: str, *, restart_with_new_instance_id: bool = False
    ) -> str:
        """Start an instance again with its original input and return the id.

        Raises:
            InstanceNotFoundError: there is no such instance.
            WrongStatusError: its own id is to be used again, and it still runs.
        """
        return await self.restart(instance_id, restart_with_new_instance_id)

    # -- look ---------------------------------------------------------------------------------

    async def get_orchestration_state(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """State of one instance; None where there is none."""
        state = await self._orchestrations.get(
            text(instance_id, "instance_id"), fetch_payloads=fetch_payloads
        )
        return None if state is None else OrchestrationState.from_hub(state)

    async def get_orchestration_history(
        self,
        instance_id: str,
        *,
        execution_id: str | None = None,
        for_work_item_processing: bool = False,  # noqa: ARG002  public signature
    ) -> list[HistoryEvent]:
        """History of the present execution, oldest event first.

        Args:
            execution_id: None for the present execution; of an older one nothing is kept, and the
                history is empty.
            for_work_item_processing: accepted for compatibility.

        Raises:
            InstanceNotFoundError: there is no such instance.
        """
        instance_id = text(instance_id, "instance_id")
        if execution_id is not None:
            state = await self._orchestrations.get(instance_id, fetch_payloads=False)
            if state is not None and state.execution_id != text(execution_id, "execution_id"):
                return []
        events = await self._orchestrations.history(instance_id)
        if events is None:
            raise InstanceNotFoundError(instance_id)
        return events

    async def get_all_orchestration_states(
        self, orchestration_query: OrchestrationQuery | None = None
    ) -> list[OrchestrationState]:
        """State of every instance that meets a query, oldest first; None for all instances."""
        query = orchestration_query or OrchestrationQuery()
        wanted = InstanceQuery(
            statuses=status_set(query.runtime_status) or None,
            created_from=moment(query.created_time_from, "created_time_from"),
            created_to=moment(query.created_time_to, "created_time_to"),
            instance_id_prefix=optional_text(query.instance_id_prefix, "instance_id_prefix"),
            page_size=_page_size(query.max_instance_count, "max_instance_count"),
            fetch_payloads=query.fetch_inputs_and_outputs,
        )
        return [OrchestrationState.from_hub(state) for state in await self._all(wanted)]

    async def list_instance_ids(
        self,
        runtime_status: Statuses = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Page[str]:
        """Ids of finished instances, oldest first.

        Args:
            runtime_status: one or several; None or empty for any.
            completed_time_from: inclusive. completed_time_to: exclusive. Naive times are UTC.
            page_size: most ids of a page, from 1; None for 1,000, which is the most.
            continuation_token: of the page before.

        Returns:
            A page. One before the last may hold fewer ids than ``page_size``, but never none.
        """
        wanted = InstanceQuery(
            statuses=(status_set(runtime_status) or TERMINAL) & TERMINAL,
            page_size=_page_size(page_size, "page_size"),
            continuation_token=optional_text(continuation_token, "continuation_token"),
        )
        since = moment(completed_time_from, "completed_time_from")
        until = moment(completed_time_to, "completed_time_to")
        while wanted.statuses:
            page = await self._orchestrations.query(wanted)
            ids = [row.instance_id for row in page.items if _ended_between(row, since, until)]
            token = page.continuation_token
            if ids or token is None:
                return Page(ids, token)
            wanted = InstanceQuery(
                statuses=wanted.statuses, page_size=wanted.page_size, continuation_token=token
            )
        return Page([])

    async def wait_for_orchestration_start(
        self,
        instance_id: str,
        *,
        fetch_payloads: bool = False,
        timeout: float | None = 60,  # noqa: ASYNC109  public signature
    ) -> OrchestrationState:
        """Wait until an instance is no longer pending; one that does not exist yet is waited for.

        Args:
            timeout: seconds; None for no limit.

        Raises:
            TimeoutError: the time was up.
        """
        instance_id = text(instance_id, "instance_id")
        state = await self._orchestrations.wait_for_start(instance_id, timeout_s=timeout)
        if state is None:
            raise TimeoutError(_late(instance_id, "start", timeout))
        return OrchestrationState.from_hub(state, fetch_payloads=fetch_payloads)

    async def wait_for_orchestration_completion(
        self,
        instance_id: str,
        *,
        fetch_payloads: bool = True,
        timeout: float | None = 60,  # noqa: ASYNC109  public signature
    ) -> OrchestrationState:
        """Wait until an instance has finished; otherwise as wait_for_orchestration_start."""
        instance_id = text(instance_id, "instance_id")
        state = await self._orchestrations.wait_for_completion(instance_id, timeout_s=timeout)
        if state is None:
            raise TimeoutError(_late(instance_id, "finish", timeout))
        return OrchestrationState.from_hub(state, fetch_payloads=fetch_payloads)

    # -- steer --------------------------------------------------------------------------------

    async def raise_orchestration_event(
        self, instance_id: str, event_name: str, *, data: Any = None
    ) -> None:
        """Send an event; it is kept until the orchestrator waits for it.

        Nothing happens where the instance has finished.

        Raises:
            ValueError: the event has no name.
            InstanceNotFoundError: there is no such instance.
        """
        with contextlib.suppress(WrongStatusError):
            await self.raise_event(instance_id, event_name, data)

    async def terminate_orchestration(
        self, instance_id: str, *, output: Any = None, recursive: bool = True
    ) -> None:
        """End an instance with any JSON-encodable output; nothing happens where it has finished.

        Args:
            recursive: end its sub-orchestrations too.

        Raises:
            InstanceNotFoundError: there is no such instance.
        """
        with contextlib.suppress(WrongStatusError):
            await self._orchestrations.terminate(
                text(instance_id, "instance_id"), encode_input(output), recursive=recursive
            )

    async def suspend_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Hold an instance until :meth:`resume_orchestration`; otherwise as :meth:`suspend`."""
        await self._unless_finished(self._orchestrations.suspend, instance_id, reason)

    async def resume_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """End a suspension, as :meth:`resume`."""
        await self._unless_finished(self._orchestrations.resume, instance_id, reason)

    async def rewind_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Run a failed instance on from its failure, as :meth:`rewind`."""
        await self._orchestrations.rewind(
            text(instance_id, "instance_id"), optional_text(reason, "reason")
        )

    # -- remove -------------------------------------------------------------------------------

    async def purge_orchestration(
        self, instance_id: str, recursive: bool = True
    ) -> PurgeInstancesResult:
        """Remove one finished instance; a count of 0 where there is none or it still runs.

        Args:
            recursive: remove its finished sub-orchestrations too; they count.
        """
        instance_id = text(instance_id, "instance_id")
        count = await self._orchestrations.purge(instance_id, recursive=recursive)
        return PurgeInstancesResult(count, is_complete=True)

    async def purge_orchestrations_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Statuses = None,
        recursive: bool = False,
        timeout: timedelta | None = None,  # noqa: ASYNC109  public signature
    ) -> PurgeInstancesResult:
        """Remove all finished instances that meet the conditions; without any, all of them.

        Args:
            created_time_from: inclusive. created_time_to: exclusive. Naive times are UTC.
            runtime_status: None or empty for every status in which an instance is finished.
            recursive: remove their finished sub-orchestrations too.
            timeout: stop after this time; the result is then not complete.
        """
        which = PurgeFilter(
            created_from=moment(created_time_from, "created_time_from"),
            created_to=moment(created_time_to, "created_time_to"),
            statuses=status_set(runtime_status) or None,
        )
        if not recursive and timeout is None:
            count = (await self._orchestrations.purge_by(which)).count
            return PurgeInstancesResult(count, is_complete=True)
        now = asyncio.get_running_loop().time
        until = None if timeout is None else now() + timeout / timedelta(seconds=1)
        return await self._purge_one_by_one(which, recursive=recursive, until=until)

    async def _purge_one_by_one(
        self, which: PurgeFilter, *, recursive: bool, until: float | None
    ) -> PurgeInstancesResult:
        now = asyncio.get_running_loop().time
        found = await self._all(
            InstanceQuery(
                statuses=(which.statuses or TERMINAL) & TERMINAL,
                created_from=which.created_from,
                created_to=which.created_to,
                page_size=PAGE_SIZE,
            )
        )
        count = 0
        for state in found:
            if until is not None and now() >= until:
                return PurgeInstancesResult(count, is_complete=False)
            count += await self._orchestrations.purge(state.instance_id, recursive=recursive)
        return PurgeInstancesResult(count, is_complete=True)

    # -- entities -----------------------------------------------------------------------------

    async def get_entity(
        self, entity_instance_id: EntityId, include_state: bool = True
    ) -> EntityMetadata | None:
        """An entity as its last operation has left it; None where it has no state."""
        found = await self._entities.get_entity(
            str(entity(entity_instance_id, "entity_instance_id")), include_state=include_state
        )
        return (
            None if found is None else EntityMetadata.from_hub(found, includes_state=include_state)
        )

    async def get_all_entities(
        self, entity_query: EntityQuery | None = None
    ) -> list[EntityMetadata]:
        """Every entity that meets a query, in the order of their ids; None for all with a state."""
        query = entity_query or EntityQuery()
        wanted = HubEntityQuery(
            instance_id_prefix=id_prefix(
                optional_text(query.instance_id_starts_with, "instance_id_starts_with")
            ),
            modified_from=moment(query.last_modified_from, "last_modified_from"),
            modified_to=moment(query.last_modified_to, "last_modified_to"),
            include_state=query.include_state,
            include_transient=query.include_transient,
            page_size=_page_size(query.page_size, "page_size"),
        )
        rows: list[EntityMetadata] = []
        while True:
            page = await self._entities.query_entities(wanted)
            rows += (
                EntityMetadata.from_hub(row, includes_state=query.include_state)
                for row in page.items
            )
            if page.continuation_token is None:
                return rows
            wanted = msgspec.structs.replace(wanted, continuation_token=page.continuation_token)

    async def clean_entity_storage(
        self, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult:
        """Remove what is kept of entities that are empty, and release locks that nobody holds.

        Args:
            remove_empty_entities: forget entities without a state, a lock and messages.
            release_orphaned_locks: release locks of orchestrations that do not run any more.
        """
        done = await self._entities.clean(
            remove_empty=remove_empty_entities, release_orphaned_locks=release_orphaned_locks
        )
        return CleanEntityStorageResult(done.empty_entities_removed, done.orphaned_locks_released)

    @staticmethod
    async def _unless_finished(
        call: Callable[[str, str | None], Coroutine[Any, Any, None]],
        instance_id: str,
        reason: str | None,
    ) -> None:
        with contextlib.suppress(WrongStatusError):
            await call(text(instance_id, "instance_id"), optional_text(reason, "reason"))


def _page_size(wanted: int | None, what: str) -> int:
    if wanted is None:
        return PAGE_SIZE
    if wanted < 1:
        raise ValueError(f"{what} must be at least 1, not {wanted}.")
    return min(wanted, PAGE_SIZE)


def _ended_between(row: HubState, since: datetime | None, until: datetime | None) -> bool:
    ended = row.completed_at or row.last_updated_at
    return (since is None or ended >= since) and (until is None or ended < until)


def _late(instance_id: str, what: str, timeout: float | None) -> str:
    return f"Orchestration '{instance_id}' did not {what} within {timeout:g} s."
