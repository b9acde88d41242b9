"""Decisions as rows: statements grouped over many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable_app.errors import LeaseLostError
from durable_app.protocol import encode_events
from durable_app.storage import records, sql
from durable_app.taskhub.instance import Decision, Instance, RowChange

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence


class Batch:
    """The rows of several decisions, grouped by statement."""

    __slots__ = ("_decisions", "_hub")

    def __init__(self, hub: int, decisions: Sequence[Decision]) -> None:
        self._hub = hub
        self._decisions = decisions

    def write(self, writer: sqlite3.Connection) -> None:
        """Execute everything within the transaction that is open.

        Raises:
            LeaseLostError: a row has another revision than its decision expects.
        """
        self._write_rows(writer)
        self._write_history(writer)
        hub = self._hub
        many = writer.executemany
        messages = [records.message_row(hub, m) for d in self._decisions for m in d.messages]
        if messages:
            many(sql.INSERT_MESSAGE, messages)
        consumed = [(hub, i) for d in self._decisions for i in d.consumed]
        if consumed:
            many(sql.DELETE_MESSAGE, consumed)
        tasks = [records.task_row(hub, t) for d in self._decisions for t in d.tasks]
        if tasks:
            many(sql.INSERT_TASK, tasks)
        finished = [(hub, key) for d in self._decisions for key in d.finished]
        if finished:
            many(sql.DELETE_TASK, finished)

    def _write_rows(self, writer: sqlite3.Connection) -> None:
        hub = self._hub
        changed = [d for d in self._decisions if d.instance is not None]
        self._touch(writer, changed)
        replaced = [d for d in changed if d.change is RowChange.REPLACE]
        if replaced:
            fences = [(hub, d.instance_id, d.expected_revision) for d in replaced]
            _exactly(len(fences), writer.executemany(sql.DELETE_INSTANCE_REVISION, fences))
            writer.executemany(sql.DELETE_PAYLOADS, [fence[:2] for fence in fences])
        whole = [
            d.instance
            for d in changed
            if d.change is not RowChange.TOUCH and d.instance is not None
        ]
        if whole:
            rows = [records.instance_row(hub, instance) for instance in whole]
            # A sender's commit may have borne the same entity first; nothing is in its row yet.
            unused = [(hub, i.instance_id, 0) for i in whole if i.entity is not None]
            writer.executemany(sql.DELETE_INSTANCE_REVISION, unused)
            writer.executemany(sql.INSERT_INSTANCE, rows)
        whole += self._bear(writer)
        payloads = [
            (hub, i.instance_id, kind, value) for i in whole for kind, value in records.spilled(i)
        ]
        if payloads:
            writer.executemany(sql.UPSERT_PAYLOAD, payloads)

    def _touch(self, writer: sqlite3.Connection, changed: Sequence[Decision]) -> None:
        hub = self._hub
        touched: list[tuple[Any, ...]] = []
        entities: list[tuple[Any, ...]] = []
        for decision in changed:
            instance = decision.instance
            if decision.change is not RowChange.TOUCH or instance is None:
                continue
            if instance.entity is None:
                touched.append(records.touch_row(hub, instance, decision.expected_revision))
            else:
                row = records.touch_entity_row(hub, instance, decision.expected_revision)
                entities.append(row)
        for statement, rows in ((sql.TOUCH_INSTANCE, touched), (sql.TOUCH_ENTITY, entities)):
            if rows:
                _exactly(len(rows), writer.executemany(statement, rows))

    def _bear(self, writer: sqlite3.Connection) -> list[Instance]:
        """Insert the rows of children that are not there yet; return those."""
        return [
            birth
            for decision in self._decisions
            for birth in decision.births
            if writer.execute(sql.BEAR_INSTANCE, records.instance_row(self._hub, birth)).rowcount
        ]

    def _write_history(self, writer: sqlite3.Connection) -> None:
        hub = self._hub
        replaced = [(hub, d.instance_id) for d in self._decisions if d.replaces_history]
        if replaced:
            writer.executemany(sql.DELETE_HISTORY, replaced)
        rows = [
            (
                hub,
                d.instance_id,
                d.instance.history_count - len(d.history),
                encode_events(d.history),
            )
            for d in self._decisions
            if d.history and d.instance is not None
        ]
        if rows:
            writer.executemany(sql.INSERT_HISTORY, rows)


def are_independent(decisions: Sequence[Decision]) -> bool:
    """False where statements grouped over all of them could differ from one after the other."""
    rows = [d.instance_id for d in decisions if d.instance is not None]
    distinct = set(rows)
    return len(distinct) == len(rows) and not any(
        birth.instance_id in distinct for d in decisions for birth in d.births
    )


def _exactly(count: int, cursor: sqlite3.Cursor) -> None:
    if cursor.rowcount != count:
        raise LeaseLostError("The instance was changed by somebody else meanwhile.")
