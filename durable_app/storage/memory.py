"""The memory store: for tests and throw-away hubs. Same port, same contract suite."""

from __future__ import annotations

import bisect
import threading
from typing import TYPE_CHECKING

import msgspec

from durable_app.errors import InstanceExistsError, LeaseLostError
from durable_app.ports import (
    EntityPage,
    EntityQuery,
    IdPage,
    IdQuery,
    InstanceQuery,
    Mark,
    Page,
    PurgeFilter,
    Recovery,
    StoredInstance,
)
from durable_app.protocol import EPOCH, TERMINAL, HistoryEvent
from durable_app.storage import records
from durable_app.storage.sqlite_query import make_token, parse_token
from durable_app.taskhub.entity_rows import is_unused_entity
from durable_app.taskhub.instance import (
    ActivityTask,
    Decision,
    Instance,
    Message,
    RowChange,
    TaskKey,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_ERA_BITS = 40


class MemoryStore:
    """Rows of one hub in dicts; they outlive ``close``, so that a restart can be tested."""

    def __init__(self, hub: str = "default") -> None:
        """Empty."""
        self.hub = hub
        self._instances: dict[str, Instance] = {}
        self._history: dict[str, list[HistoryEvent]] = {}
        self._messages: dict[int, Message] = {}
        self._inboxes: dict[str, set[int]] = {}
        self._due: list[tuple[datetime, int]] = []
        self._tasks: dict[int, ActivityTask] = {}
        self._trying: set[tuple[Mark, int | str]] = set()
        self._era = 0
        self._is_open = False
        # Readers of other threads must not see half of a commit.
        self._lock = threading.Lock()

    def open(self) -> Recovery:
        """See ``Store.open``."""
        unclean = self._is_open
        if unclean:
            for what, key in self._trying:
                self._blame(what, key)
        self._trying.clear()
        self._is_open = True
        self._era += 1
        return Recovery(self._era << _ERA_BITS, unclean)

    def _blame(self, what: Mark, key: int | str) -> None:
        if what is Mark.TASK and isinstance(key, int) and key in self._tasks:
            task = self._tasks[key]
            self._tasks[key] = msgspec.structs.replace(task, attempts=task.attempts + 1)
        elif isinstance(key, str) and key in self._instances:
            row = self._instances[key]
            self._instances[key] = msgspec.structs.replace(row, attempts=row.attempts + 1)

    def close(self) -> None:
        """See ``Store.close``."""
        self._is_open = False

    # -- writing -----------------------------------------------------------------------------

    def commit(self, decisions: Sequence[Decision]) -> list[Exception | None]:
        """See ``Store.commit``."""
        with self._lock:
            return [self._apply(decision) for decision in decisions]

    def _apply(self, decision: Decision) -> Exception | None:
        instance = decision.instance
        if instance is not None:
            existing = self._instances.get(decision.instance_id)
            if decision.change is RowChange.INSERT:
                if existing is not None and not is_unused_entity(existing):
                    return InstanceExistsError(existing.instance_id, existing.status)
            elif existing is None or existing.revision != decision.expected_revision:
                return LeaseLostError("The instance was changed by somebody else meanwhile.")
            self._instances[decision.instance_id] = instance
            self._trying.discard((Mark.INSTANCE, decision.instance_id))
            if decision.replaces_history:
                self._history.pop(decision.instance_id, None)
            self._history.setdefault(decision.instance_id, []).extend(decision.history)
        for birth in decision.births:
            self._instances.setdefault(birth.instance_id, birth)
        for message in decision.messages:
            self._messages[message.id] = message
            self._inboxes.setdefault(message.instance_id, set()).add(message.id)
            bisect.insort(self._due, (message.visible_at, message.id))
        self._drop(decision.consumed)
        for task in decision.tasks:
            self._tasks[task.key] = task
        for key in decision.finished:
            self._tasks.pop(key, None)
            self._trying.discard((Mark.TASK, key))
        return None

    def _drop(self, message_ids: Sequence[int]) -> None:
        for message_id in message_ids:
            message = self._messages.pop(message_id, None)
            if message is None:
                continue
            inbox = self._inboxes[message.instance_id]
            inbox.discard(message_id)
            if not inbox:
                del self._inboxes[message.instance_id]
            entry = (message.visible_at, message.id)
            del self._due[bisect.bisect_left(self._due, entry)]

    def mark(self, what: Mark, keys: Sequence[int] | Sequence[str]) -> None:
        """See ``Store.mark``."""
        # What is born later under the id of a row that was not there has not been tried.
        rows = self._tasks if what is Mark.TASK else self._instances
        self._trying.update((what, key) for key in keys if key in rows)

    def postpone(self, task: ActivityTask) -> None:
        """See ``Store.postpone``."""
        if task.key in self._tasks:
            self._tasks[task.key] = task
            self._trying.discard((Mark.TASK, task.key))

    def orphans(self, message_ids: Sequence[int]) -> None:
        """See ``Store.orphans``."""
        with self._lock:
            self._drop(message_ids)

    def purge(self, instance_ids: Sequence[str]) -> int:
        """See ``Store.purge``."""
        removed = 0
        with self._lock:
            for instance_id in instance_ids:
                self._drop(list(self._inboxes.get(instance_id, ())))
                self._history.pop(instance_id, None)
                self._trying.discard((Mark.INSTANCE, instance_id))
                removed += self._instances.pop(instance_id, None) is not None
        return removed

    # -- reading -----------------------------------------------------------------------------

    def load(self, instance_id: str) -> StoredInstance | None:
        """See ``Store.load``."""
        instance = self._instances.get(instance_id)
        if instance is None:
            return None
        inbox = [self._messages[i] for i in self._inboxes.get(instance_id, ())]
        inbox.sort(key=lambda m: (m.visible_at, m.id))
        return StoredInstance(instance, tuple(inbox))

    def read_history(self, instance_id: str, execution_id: str | None) -> list[HistoryEvent]:
        """See ``Store.read_history``."""
        with self._lock:
            instance = self._instances.get(instance_id)
            if instance is None or execution_id not in (None, instance.execution_id):
                return []
            return list(self._history.get(instance_id, ()))

    def due(
        self, after: tuple[datetime, int], until: datetime, limit: int
    ) -> list[tuple[datetime, int, str]]:
        """See ``Store.due``."""
        start = bisect.bisect_right(self._due, after)
        rows = self._due[start : start + limit]
        return [(at, i, self._messages[i].instance_id) for at, i in rows if at <= until]

    def next_due(self, after: datetime) -> datetime | None:
        """See ``Store.next_due``."""
        start = bisect.bisect_right(self._due, after, key=lambda entry: entry[0])
        return self._due[start][0] if start < len(self._due) else None

    def tasks(self, after: TaskKey, limit: int) -> list[ActivityTask]:
        """See ``Store.tasks``."""
        keys = sorted(key for key in self._tasks if key > after)[:limit]
        return [self._tasks[key] for key in keys]

    def children(self, instance_id: str) -> list[str]:
        """See ``Store.children``."""
        return sorted(
            i.instance_id
            for i in self._instances.values()
            if i.parent is not None and i.parent.instance.instance_id == instance_id
        )

    def query(self, query: InstanceQuery) -> Page:
        """See ``Store.query``."""
        with self._lock:
            found = [i for i in self._instances.values() if _matches(i, query)]
        found.sort(key=_position)
        if query.instance_id_prefix:
            found = [i for i in found if i.instance_id.startswith(query.instance_id_prefix)]
        if query.continuation_token:
            last = tuple(parse_token(query.continuation_token))
            found = [i for i in found if _position(i) > last]
        page = found[: query.page_size]
        token = make_token(page[-1]) if len(found) > query.page_size else None
        return Page(tuple(i.state(fetch_payloads=query.fetch_payloads) for i in page), token)

    def list_ids(self, query: IdQuery) -> IdPage:
        """See ``Store.list_ids``."""
        with self._lock:
            found = [i for i in self._instances.values() if _has_ended(i, query)]
        found.sort(key=_end)
        if query.continuation_token:
            last = tuple(parse_token(query.continuation_token))
            found = [i for i in found if _end(i) > last]
        page = found[: query.page_size]
        token = "{}:{}".format(*_end(page[-1])) if len(found) > query.page_size else None
        return IdPage(tuple(i.instance_id for i in page), token)

    def entities(self, after: str, limit: int) -> list[Instance]:
        """See ``Store.entities``."""
        rows = self._instances.values()
        found = [i for i in rows if i.entity is not None and i.instance_id > after]
        found.sort(key=lambda instance: instance.instance_id)
        return found[:limit]

    def query_entities(self, query: EntityQuery) -> EntityPage:
        """See ``Store.query_entities``."""
        with self._lock:
            found = [
                i
                for i in self.entities(query.continuation_token or "", len(self._instances))
                if _is_wanted(i, query)
            ]
            page = found[: query.page_size]
            items = tuple(
                i.metadata(
                    len(self._inboxes.get(i.instance_id, ())), include_state=query.include_state
                )
                for i in page
            )
        token = page[-1].instance_id if len(found) > query.page_size else None
        return EntityPage(items, token)

    def select_purgeable(self, which: PurgeFilter, limit: int) -> list[str]:
        """See ``Store.select_purgeable``."""
        statuses = TERMINAL if which.statuses is None else which.statuses & TERMINAL
        wanted = msgspec.structs.replace(which, statuses=statuses)
        found = [i for i in self._instances.values() if _matches(i, wanted)]
        found.sort(key=_position)
        return [i.instance_id for i in found[:limit]]

    def drop(self) -> None:
        """See ``Store.drop``."""
        with self._lock:
            for rows in (self._instances, self._history, self._messages, self._inboxes):
                rows.clear()
            self._due.clear()
            self._tasks.clear()
            self._trying.clear()


def _position(instance: Instance) -> tuple[int, str]:
    return records.micros(instance.created_at), instance.instance_id


def _end(instance: Instance) -> tuple[int, str]:
    return records.micros(instance.completed_at or EPOCH), instance.instance_id


def _has_ended(instance: Instance, query: IdQuery) -> bool:
    end = instance.completed_at
    return (
        instance.entity is None
        and end is not None
        and (query.statuses is None or instance.status in query.statuses)
        and (query.completed_from is None or end >= query.completed_from)
        and (query.completed_to is None or end < query.completed_to)
    )


def _is_wanted(instance: Instance, query: EntityQuery) -> bool:
    has_state = instance.entity is not None and instance.entity.state is not None
    return (
        instance.instance_id.startswith(query.instance_id_prefix or "")
        and (has_state or query.include_transient)
        and (query.modified_from is None or instance.updated_at >= query.modified_from)
        and (query.modified_to is None or instance.updated_at < query.modified_to)
    )


def _matches(instance: Instance, wanted: InstanceQuery | PurgeFilter) -> bool:
    return (
        instance.entity is None
        and (wanted.statuses is None or instance.status in wanted.statuses)
        and (wanted.created_from is None or instance.created_at >= wanted.created_from)
        and (wanted.created_to is None or instance.created_at < wanted.created_to)
    )
