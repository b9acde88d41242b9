"""The entities of a task hub as clients use them, over the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable_app.entity_id import EntityId
from durable_app.ports import CleanedEntities
from durable_app.rpc.codec import entity_requests as codec
from durable_app.rpc.stub.calls import CALL_TIMEOUT_S, LONG_CALL_TIMEOUT_S, HubCalls
from durable_app.rpc.stub.explain import CallRefusedError, hub_not_found

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.message import Message

    from durable_app.ports import Clock, EntityPage, EntityQuery
    from durable_app.protocol import EntityMetadata, TraceContext


class RemoteEntities:
    """Entities of a remote hub. Implements ``ports.Entities``."""

    _calls: HubCalls
    _clock: Clock

    async def signal(
        self,
        instance_id: str,
        operation: str,
        data: str | None,
        *,
        signal_time: datetime | None = None,
        trace: TraceContext | None = None,
    ) -> None:
        """See ``Entities.signal``."""
        signal = codec.Signal(
            _checked(instance_id),
            operation,
            data,
            signal_time,
            self._clock.new_id(),
            trace,
            self._clock.now(),
        )
        await self._ask("SignalEntity", codec.encode_signal(signal))

    async def get_entity(
        self, instance_id: str, *, include_state: bool = True
    ) -> EntityMetadata | None:
        """See ``Entities.get_entity``."""
        request = codec.encode_get_entity(_checked(instance_id), include_state=include_state)
        answer = await self._ask("GetEntity", request)
        return codec.decode_entity_response(answer, include_state=include_state)

    async def query_entities(self, query: EntityQuery) -> EntityPage:
        """See ``Entities.query_entities``."""
        answer = await self._ask("QueryEntities", codec.encode_entity_query(query))
        return codec.decode_entity_page(answer, query)

    async def clean(
        self, *, remove_empty: bool = True, release_orphaned_locks: bool = True
    ) -> CleanedEntities:
        """See ``Entities.clean``."""
        removed = released = 0
        token: str | None = None
        while True:
            request = codec.encode_clean(codec.Clean(remove_empty, release_orphaned_locks, token))
            answer = await self._ask("CleanEntityStorage", request, LONG_CALL_TIMEOUT_S)
            cleaned = codec.decode_cleaned(answer)
            removed += cleaned.done.empty_entities_removed
            released += cleaned.done.orphaned_locks_released
            # A token that comes again would lead nowhere.
            if cleaned.continuation_token in {None, token}:
                return CleanedEntities(removed, released)
            token = cleaned.continuation_token

    async def _ask(self, name: str, request: Message, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        try:
            return await self._calls.call(name, request, timeout_s)
        except CallRefusedError as refused:
            if refused.status == "NOT_FOUND":
                raise hub_not_found(refused) from refused
            raise


def _checked(instance_id: str) -> str:
    """The id in its canonical form.

    Raises:
        ValueError: it is none of an entity.
    """
    return str(EntityId.parse(instance_id))
