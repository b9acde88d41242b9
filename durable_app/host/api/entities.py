"""The entity routes of the management API."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Final

from durable_app.entity_id import EntityId
from durable_app.host.api.exchange import Answer, ApiRequest
from durable_app.host.api.management_answers import ACCEPTED, NOT_FOUND
from durable_app.host.api.management_parameters import (
    continuation_header,
    continuation_token,
    flag,
    is_json,
    json_text,
    moment,
    page_size,
)
from durable_app.payload import to_text
from durable_app.ports import EntityQuery

if TYPE_CHECKING:
    from durable_app.client.orchestration_client import DurableOrchestrationClient
    from durable_app.ports import Entities
    from durable_app.protocol import EntityMetadata

# Azure's extension reads it as an empty key, and no entity has one.
_EMPTY_KEY: Final = "$"


class EntityRoutes:
    """Answers requests about the entities of one task hub.

    Attributes:
        table: (method, "entities", number of segments) -> route.
    """

    def __init__(self, client: DurableOrchestrationClient, entities: Entities) -> None:
        self._client = client
        self._entities = entities
        self.table: Mapping[
            tuple[str, str, int], Callable[[ApiRequest], Coroutine[None, None, Answer]]
        ] = {
            ("GET", "entities", 1): self._list,
            ("GET", "entities", 2): self._list,
            ("GET", "entities", 3): self._state,
            ("POST", "entities", 1): self._maintain,
            ("POST", "entities", 3): self._signal,
            ("DELETE", "entities", 3): self._delete,
        }

    async def _state(self, request: ApiRequest) -> Answer:
        entity_id = _meant(request)
        found = None
        if entity_id is not None:
            found = await self._entities.get_entity(str(entity_id))
        if found is None or not found.exists:
            return NOT_FOUND
        return Answer(200, found.state or "null")

    async def _signal(self, request: ApiRequest) -> Answer:
        return await self._post(request, request.query.get("op", ""))

    async def _delete(self, request: ApiRequest) -> Answer:
        return await self._post(request, "delete")

    async def _post(self, request: ApiRequest, operation: str) -> Answer:
        entity_id = _meant(request)
        if entity_id is None:
            return NOT_FOUND
        await self._client.signal_encoded(entity_id, operation, _input(request))
        return ACCEPTED

    async def _list(self, request: ApiRequest) -> Answer:
        name = request.parts[1].lower() if len(request.parts) > 1 else None
        with_state = flag(request, "fetchstate", default=False)
        page = await self._entities.query_entities(
            EntityQuery(
                instance_id_prefix=None if name is None else f"@{name}@",
                modified_from=moment(request, "lastoperationtimefrom"),
                modified_to=moment(request, "lastoperationtimeto"),
                include_state=with_state,
                page_size=page_size(request),
                continuation_token=continuation_token(request),
            )
        )
        rows = [_row(found, with_state=with_state) for found in page.items]
        return Answer(200, f"[{','.join(rows)}]", continuation_header(page.continuation_token))

    async def _maintain(self, request: ApiRequest) -> Answer:
        if request.query.get("op", "").casefold() != "clean":
            return NOT_FOUND
        done = await self._entities.clean(
            remove_empty=flag(request, "removeemptyentities", default=True),
            release_orphaned_locks=flag(request, "releaseorphanedlocks", default=True),
        )
        counts = {
            "emptyEntitiesRemoved": done.empty_entities_removed,
            "orphanedLocksReleased": done.orphaned_locks_released,
        }
        return Answer(200, json.dumps(counts))


def _meant(request: ApiRequest) -> EntityId | None:
    _, name, key = request.parts
    return None if key == _EMPTY_KEY else EntityId(name, key)


def _input(request: ApiRequest) -> str | None:
    """JSON text of a body: JSON where it is said to be that, else a text."""
    if is_json(request):
        return json_text(request)
    if not request.body:
        return None
    try:
        return to_text(request.body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"The body is neither JSON nor a text in UTF-8: {error}") from error


def _row(found: EntityMetadata, *, with_state: bool) -> str:
    entity_id = EntityId.parse(found.instance_id)
    moment = found.last_modified.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    head = {
        "entityId": {"name": entity_id.entity, "key": entity_id.key},
        "lastOperationTime": moment,
    }
    # A state is JSON text already, and is shown as it is.
    state = (found.state if with_state else None) or "null"
    return f'{to_text(head)[:-1]},"state":{state}}}'
