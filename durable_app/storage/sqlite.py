"""The SQLite store: one file, one writer, many steps in one transaction."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from durable_app.errors import (
    DurableError,
    InstanceExistsError,
    LeaseLostError,
    PayloadError,
)
from durable_app.ports import (
    Mark,
    PurgeFilter,
    Recovery,
    StoredInstance,
)
from durable_app.storage import records, sql
from durable_app.storage.sqlite_batch import Batch, are_independent
from durable_app.storage.sqlite_file import SqliteFile
from durable_app.storage.sqlite_query import purgeable
from durable_app.storage.sqlite_readers import Reading, SqliteReaders, can_be_stored, with_payloads
from durable_app.taskhub.instance import (
    ActivityTask,
    Decision,
    Instance,
    RowChange,
    TaskKey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

#: Numbers of one run of the hub: its era in the high bits, a counter in these low ones.
_ERA_BITS: Final = 40

#: What a single decision may be to blame for. Values that cannot be bound or encoded among them:
#: they come from users' code, and must not harm the neighbours in the group.
_REFUSALS: Final = (
    LeaseLostError,
    OverflowError,
    TypeError,
    ValueError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
)


class SqliteStore(SqliteReaders):
    """Rows of one hub in a SQLite file. Implements ``ports.Store``."""

    def __init__(self, file: Path | SqliteFile, hub: str) -> None:
        """Args: the file (made when opened), or one that several share; the hub's name in it."""
        super().__init__(file if isinstance(file, SqliteFile) else SqliteFile(file))
        self._name = hub
        self._writer: sqlite3.Connection | None = None

    # -- life cycle --------------------------------------------------------------------------

    def open(self) -> Recovery:
        """See ``Store.open``."""
        opened = [self.file.open()]
        try:
            with self.file.translated():
                opened += [self.file.connect(), self.file.connect()]
                with self.file.turn:
                    recovery = self._take_hub(opened[0])
        except BaseException:
            self.file.leave(opened)
            raise
        self._writer, self._queries.connection, self._histories.connection = opened
        return recovery

    def _take_hub(self, writer: sqlite3.Connection) -> Recovery:
        writer.execute("BEGIN IMMEDIATE")
        row = writer.execute(sql.LOAD_HUB, (self._name,)).fetchone()
        if row is None:
            writer.execute(sql.CREATE_HUB, (self._name,))
            row = writer.execute(sql.LOAD_HUB, (self._name,)).fetchone()
        self._hub, era, was_open = row
        statements = (
            (sql.COUNT_LOST_TASKS, sql.COUNT_LOST_TURNS)
            if was_open
            else (sql.CLEAR_TASK_MARKS, sql.CLEAR_INSTANCE_MARKS)
        )
        for statement in (*statements, sql.OPEN_HUB):
            writer.execute(statement, (self._hub,))
        writer.execute("COMMIT")
        return Recovery(last_key=(era + 1) << _ERA_BITS, unclean=bool(was_open))

    def close(self) -> None:
        """See ``Store.close``."""
        writer, self._writer = self._writer, None
        if writer is not None:
            # Where the disk is full the next start takes the end for unclean, which is safe.
            with contextlib.suppress(sqlite3.Error), self.file.turn:
                writer.execute(sql.CLOSE_HUB, (self._hub,))
        with self._queries.lock, self._histories.lock:
            opened = (writer, self._queries.connection, self._histories.connection)
            self._queries.connection = self._histories.connection = None
        self.file.leave([connection for connection in opened if connection is not None])

    # -- writing -----------------------------------------------------------------------------

    def commit(self, decisions: Sequence[Decision]) -> list[Exception | None]:
        """See ``Store.commit``."""
        if are_independent(decisions) and self._try_all(decisions):
            return [None] * len(decisions)
        return self._one_by_one(decisions)

    def _try_all(self, decisions: Sequence[Decision]) -> bool:
        """Everything at once; False where one of them does not fit."""
        writer = self._connection()
        try:
            with self._transaction(writer):
                Batch(self._hub, decisions).write(writer)
        except _REFUSALS:
            return False
        return True

    def _one_by_one(self, decisions: Sequence[Decision]) -> list[Exception | None]:
        """Each within a savepoint of its own."""
        writer = self._connection()
        outcomes: list[Exception | None] = []
        with self._transaction(writer):
            for decision in decisions:
                writer.execute("SAVEPOINT step")
                try:
                    Batch(self._hub, (decision,)).write(writer)
                except _REFUSALS as error:
                    writer.execute("ROLLBACK TO step")
                    outcomes.append(self._refusal(writer, decision, error))
                else:
                    outcomes.append(None)
                writer.execute("RELEASE step")
        return outcomes

    def _refusal(
        self, writer: sqlite3.Connection, decision: Decision, error: Exception
    ) -> DurableError:
        """Why a decision was not applied, in our words."""
        if isinstance(error, LeaseLostError):
            return error
        if not isinstance(error, sqlite3.IntegrityError):
            return PayloadError(
                f"A value of instance {decision.instance_id!a} cannot be stored: {error}"
            )
        if decision.change is RowChange.INSERT:
            row = writer.execute(sql.LOAD_INSTANCE, (self._hub, decision.instance_id)).fetchone()
            if row is not None:
                return InstanceExistsError(decision.instance_id, records.instance_of(row)[0].status)
        return LeaseLostError(f"Somebody else has written the same rows meanwhile ({error}).")

    @contextlib.contextmanager
    def _transaction(self, writer: sqlite3.Connection) -> Iterator[None]:
        """All or nothing, whatever is raised inside; errors of the database become ours."""
        with self.file.turn:
            try:
                writer.execute("BEGIN IMMEDIATE")
                yield
                writer.execute("COMMIT")
            except _REFUSALS:
                _roll_back(writer)
                raise
            except sqlite3.Error as error:
                _roll_back(writer)
                raise self.file.translate(error) from error
            except BaseException:
                _roll_back(writer)
                raise

    def _write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> int:
        """One statement for many rows, in a transaction; returns the number of changed rows."""
        writer = self._connection()
        with self._transaction(writer):
            return writer.executemany(statement, rows).rowcount

    def mark(self, what: Mark, keys: Sequence[int] | Sequence[str]) -> None:
        """See ``Store.mark``."""
        statement = sql.MARK_TASK if what is Mark.TASK else sql.MARK_INSTANCE
        self._write(statement, [(self._hub, key) for key in keys])

    def postpone(self, task: ActivityTask) -> None:
        """See ``Store.postpone``."""
        row = (task.attempts, records.micros(task.not_before), self._hub, task.key)
        self._write(sql.POSTPONE_TASK, [row])

    def orphans(self, message_ids: Sequence[int]) -> None:
        """See ``Store.orphans``."""
        self._write(sql.DELETE_MESSAGE, [(self._hub, i) for i in message_ids])

    def purge(self, instance_ids: Sequence[str]) -> int:
        """See ``Store.purge``."""
        rows = [(self._hub, i) for i in instance_ids]
        writer = self._connection()
        with self._transaction(writer):
            for statement in (sql.DELETE_HISTORY, sql.DELETE_MESSAGES_OF, sql.DELETE_PAYLOADS):
                writer.executemany(statement, rows)
            return writer.executemany(sql.PURGE_INSTANCE, rows).rowcount

    # -- reading, owner's thread -------------------------------------------------------------

    def load(self, instance_id: str) -> StoredInstance | None:
        """See ``Store.load``."""
        if not can_be_stored(instance_id):
            return None
        writer = self._connection()
        key = (self._hub, instance_id)
        with Reading(self.file):
            row = writer.execute(sql.LOAD_INSTANCE, key).fetchone()
            if row is None:
                return None
            instance, spilled = records.instance_of(row)
            if spilled:
                instance = with_payloads(instance, writer.execute(sql.LOAD_PAYLOADS, key))
            messages = tuple(map(records.message_of, writer.execute(sql.LOAD_MESSAGES, key)))
        return StoredInstance(instance, messages)

    def due(
        self, after: tuple[datetime, int], until: datetime, limit: int
    ) -> list[tuple[datetime, int, str]]:
        """See ``Store.due``."""
        moment, message_id = after
        parameters = (
            self._hub,
            records.micros(moment),
            message_id,
            records.micros(until),
            limit,
        )
        with Reading(self.file):
            rows = self._connection().execute(sql.DUE_MESSAGES, parameters).fetchall()
        return [(records.moment_of(at), i, instance_id) for at, i, instance_id in rows]

    def next_due(self, after: datetime) -> datetime | None:
        """See ``Store.next_due``."""
        parameters = (self._hub, records.micros(after))
        with Reading(self.file):
            row = self._connection().execute(sql.NEXT_DUE, parameters).fetchone()
        return records.moment_of(row[0]) if row else None

    def tasks(self, after: TaskKey, limit: int) -> list[ActivityTask]:
        """See ``Store.tasks``."""
        with Reading(self.file):
            rows = self._connection().execute(sql.LOAD_TASKS, (self._hub, after, limit))
            return [records.task_of(row) for row in rows]

    def children(self, instance_id: str) -> list[str]:
        """See ``Store.children``."""
        with Reading(self.file):
            rows = self._connection().execute(sql.CHILDREN, (self._hub, instance_id))
            return [row[0] for row in rows]

    def entities(self, after: str, limit: int) -> list[Instance]:
        """See ``Store.entities``."""
        with Reading(self.file):
            rows = self._connection().execute(sql.ENTITIES, (self._hub, after, limit))
            return [records.instance_of(row)[0] for row in rows]

    def drop(self) -> None:
        """See ``Store.drop``."""
        writer = self._connection()
        with self._transaction(writer):
            for statement in sql.DROP_HUB:
                writer.execute(statement, (self._hub,))

    def select_purgeable(self, which: PurgeFilter, limit: int) -> list[str]:
        """See ``Store.select_purgeable``."""
        with Reading(self.file):
            return purgeable(self._connection(), self._hub, which, limit)

    # -- inside ------------------------------------------------------------------------------

    def _connection(self) -> sqlite3.Connection:
        return self._opened(self._writer)


def _roll_back(writer: sqlite3.Connection) -> None:
    # Some errors (full disk) have rolled back already.
    if writer.in_transaction:
        writer.execute("ROLLBACK")
