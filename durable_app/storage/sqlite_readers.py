"""What is read beside the owner's thread: histories and queries, on connections of their own."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING

import msgspec

from durable_app.errors import StoreCorruptError, StoreUnavailableError
from durable_app.ports import EntityPage, EntityQuery, IdPage, IdQuery, InstanceQuery, Page
from durable_app.protocol import HistoryEvent, decode_events
from durable_app.storage import records, sql
from durable_app.storage.sqlite_query import entity_page, id_page, query_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from durable_app.storage.sqlite_file import SqliteFile
    from durable_app.taskhub.instance import Instance


class SqliteReaders:
    """The part of ``ports.Store`` that any thread may call.

    Args:
        file: that holds the rows.
    """

    def __init__(self, file: SqliteFile) -> None:
        """Nothing is opened yet."""
        self.file = file
        self._hub = 0
        # Two, so that the owner's thread never waits for a long query to read a history.
        self._queries = _Reader()
        self._histories = _Reader()

    def read_history(self, instance_id: str, execution_id: str | None) -> list[HistoryEvent]:
        """See ``Store.read_history``."""
        if not can_be_stored(instance_id):
            return []
        key = (self._hub, instance_id)
        with Reading(self.file):
            # One read transaction, so that the execution and its history belong together.
            with self._transaction_of(self._histories) as reader:
                row = reader.execute(sql.EXECUTION_OF, key).fetchone()
                if row is None or (execution_id is not None and row[0] != execution_id):
                    return []
                blobs = reader.execute(sql.LOAD_HISTORY, key).fetchall()
            return [event for (blob,) in blobs for event in decode_events(blob)]

    def query(self, query: InstanceQuery) -> Page:
        """See ``Store.query``."""
        if not can_be_stored(query.instance_id_prefix or ""):
            return Page(())
        # One read transaction, so that rows and their payloads belong together.
        with Reading(self.file), self._transaction_of(self._queries) as reader:
            return query_page(reader, self._hub, query, with_payloads)

    def list_ids(self, query: IdQuery) -> IdPage:
        """See ``Store.list_ids``."""
        with Reading(self.file), self._transaction_of(self._queries) as reader:
            return id_page(reader, self._hub, query)

    def query_entities(self, query: EntityQuery) -> EntityPage:
        """See ``Store.query_entities``."""
        if not can_be_stored(query.instance_id_prefix or ""):
            return EntityPage(())
        with Reading(self.file), self._transaction_of(self._queries) as reader:
            return entity_page(reader, self._hub, query)

    def _opened(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        if connection is None:
            raise StoreUnavailableError(f"The database '{self.file.path}' is not open.")
        return connection

    @contextlib.contextmanager
    def _transaction_of(self, reader: _Reader) -> Iterator[sqlite3.Connection]:
        with reader.lock:
            connection = self._opened(reader.connection)
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")


class _Reader:
    """A connection beside the writer's, for one thread at a time."""

    __slots__ = ("connection", "lock")

    def __init__(self) -> None:
        self.connection: sqlite3.Connection | None = None
        self.lock = threading.Lock()


class Reading:
    """Turns what can go wrong while rows are read into our errors."""

    __slots__ = ("_file",)

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise self._file.translate(error) from error
        if isinstance(error, msgspec.DecodeError):
            raise StoreCorruptError(
                f"The database '{self._file.path}' holds a row that this version cannot read"
                f" ({error}). Restore it from a backup, or upgrade durable-app."
            ) from error


def can_be_stored(text: str) -> bool:
    """False for half of a surrogate pair: it has no UTF-8 form, so no row can hold it."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def with_payloads(instance: Instance, rows: Iterable[tuple[int, str]]) -> Instance:
    """The instance with the payloads that live outside of its row."""
    values = dict(rows)
    return msgspec.structs.replace(
        instance,
        input=values.get(records.SPILLED_INPUT, instance.input),
        output=values.get(records.SPILLED_OUTPUT, instance.output),
    )
