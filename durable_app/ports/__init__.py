"""The task hub as its users see it: what a client, a worker and a scheduler may ask for.

Its sides have ports of their own, so that an adapter implements only what it can:

* :class:`Orchestrations`: what clients do with instances (asyncio).
* :class:`WorkSource`, :class:`WorkStream`, :class:`WorkSink`: how work reaches a worker and comes
  back (threads; nothing here blocks).
* :class:`Store`: where the scheduler keeps rows (one owner thread; every call may block).

Errors are those of ``durable_app.errors``. Times are aware UTC datetimes. Payloads are JSON text.
"""

from __future__ import annotations

from durable_app.ports.clock import Clock
from durable_app.ports.entities import CleanedEntities, Entities, EntityPage, EntityQuery
from durable_app.ports.hubs import ServedHub, TaskHubs
from durable_app.ports.orchestrations import (
    IdPage,
    IdQuery,
    InstanceQuery,
    Orchestrations,
    Page,
    Purged,
    PurgeFilter,
    StartRequest,
)
from durable_app.ports.storage import Mark, Recovery, Store, StoredInstance
from durable_app.ports.workers import (
    Capacity,
    ServedStream,
    WorkDesk,
    WorkFilter,
    WorkResult,
    WorkSink,
    WorkSource,
    WorkStream,
)

__all__ = [
    "Capacity",
    "CleanedEntities",
    "Clock",
    "Entities",
    "EntityPage",
    "EntityQuery",
    "IdPage",
    "IdQuery",
    "InstanceQuery",
    "Mark",
    "Orchestrations",
    "Page",
    "PurgeFilter",
    "Purged",
    "Recovery",
    "ServedHub",
    "ServedStream",
    "StartRequest",
    "Store",
    "StoredInstance",
    "TaskHubs",
    "WorkDesk",
    "WorkFilter",
    "WorkResult",
    "WorkSink",
    "WorkSource",
    "WorkStream",
]
