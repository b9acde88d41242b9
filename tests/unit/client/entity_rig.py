"""A worker for entities that needs no app: it keeps what it is told to keep."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence

from durable_app.clock import SystemClock
from durable_app.entity_id import EntityId
from durable_app.ports import Capacity, Entities, WorkFilter, WorkSource, WorkStream
from durable_app.protocol import (
    EntityBatchResult,
    EntityRequest,
    OperationSuccess,
    WorkItem,
)


class Keeper:
    """Runs ``set`` (the state is its input), ``delete``, and any other operation as "append"."""

    def __init__(self, hub: WorkSource) -> None:
        self._stream: WorkStream = hub.connect(
            self, Capacity(1, 1, 10), WorkFilter(frozenset(), frozenset(), None)
        )

    def push(self, items: Sequence[WorkItem]) -> None:
        self._stream.complete([_run(item) for item in items if isinstance(item, EntityRequest)])

    def forget(self, instance_id: str) -> None:
        """Nothing is kept warm."""


def _run(item: EntityRequest) -> EntityBatchResult:
    state = item.entity_state
    for each in item.operations:
        if each.operation == "set":
            state = each.input
        elif each.operation == "delete":
            state = None
        else:
            said = [each.operation, json.loads(each.input or "null")]
            state = json.dumps([*json.loads(state or "[]"), said])
    now = SystemClock().now()
    done = OperationSuccess(result=None, started_at=now, ended_at=now)
    return EntityBatchResult(item.token, (done,) * len(item.operations), (), state)


async def settled(hub: Entities, *entity_ids: EntityId) -> None:
    """Wait until these have run all that waits for them."""

    async def idle() -> bool:
        found = [await hub.get_entity(str(each)) for each in entity_ids]
        return all(each is not None and not each.backlog for each in found)

    await eventually(idle)


async def eventually(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110  the hub tells nobody when an entity has run
            await asyncio.sleep(0.002)
