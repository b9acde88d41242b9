"""One SQLite file: connections, ownership, schema, and what its errors mean."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

from durable_app.errors import DurableError, StoreCorruptError, StoreUnavailableError
from durable_app.storage.migrations import MIGRATIONS
from durable_app.storage.ownership import FileOwnership
from durable_app.storage.sql import HUB_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Says in the file's header that it is ours ("dura").
APPLICATION_ID: Final = 0x64757261
_BUSY_TIMEOUT_MS: Final = 5_000
_CACHE_KIB: Final = 16_384

_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_ADVICE: Final = {
    sqlite3.SQLITE_FULL: "the disk (or the allowed size) is full; free some space",
    sqlite3.SQLITE_READONLY: "it is read-only; mend its permissions",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check the folder and its permissions",
    sqlite3.SQLITE_BUSY: "another program has it locked; close it",
    sqlite3.SQLITE_IOERR: "the disk reports an error; check it and the space that is left",
}


class SqliteFile:
    """The file and the connections to it, of one store or of several that share it.

    Attributes:
        turn: held by the store that writes: SQLite has one writer at a time, and this queue is
            quicker than its waiting by trial.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet."""
        self.path = path
        self.ownership = FileOwnership(path)
        self.turn = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._stores = 0
        self._opening = threading.Lock()

    def open(self) -> sqlite3.Connection:
        """Return a connection for a store's writes; the first store opens the file.

        Raises: see :meth:`_open`.
        """
        with self._opening:
            if self._stores:
                with self.translated():
                    connection = self.connect()
            else:
                connection = self._open()
            self._stores += 1
            return connection

    def leave(self, connections: Sequence[sqlite3.Connection]) -> None:
        """A store closes its connections; the last one closes the file."""
        with self._opening:
            if not self._stores:
                return
            self._stores -= 1
            if not self._stores:
                self._close()
                return
            for connection in connections:
                self._connections.remove(connection)
                with contextlib.suppress(sqlite3.Error):  # as below
                    connection.close()

    def _open(self) -> sqlite3.Connection:
        """Take ownership, create or migrate the schema.

        Raises:
            ConfigError: another process owns the file.
            StoreCorruptError: damaged, not ours, or written by a newer version.
            StoreUnavailableError: cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailableError(
                f"The database folder '{self.path.parent}' cannot be created: {error.strerror}."
                " Choose another place with --store sqlite:PATH."
            ) from error
        self.ownership.take()
        try:
            with self.translated():
                connection = self.connect()
                # First of all: a file that is not ours is not changed in any way.
                version = self._check_identity(connection)
                connection.execute("PRAGMA journal_mode = WAL")
                # FULL: an acknowledged commit survives the loss of power, not only of the process.
                connection.execute("PRAGMA synchronous = FULL")
                self._migrate(connection, version)
                return connection
        except BaseException:
            self._close()
            raise

    def hub_names(self) -> list[str]:
        """Names of the task hubs that were ever opened here and not dropped, in order."""
        with self.translated(), contextlib.closing(sqlite3.connect(self.path)) as connection:
            return [row[0] for row in connection.execute(HUB_NAMES)]

    def connect(self) -> sqlite3.Connection:
        """One more connection, usable from any one thread at a time."""
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        self._connections.append(connection)
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return connection

    def close(self) -> None:
        """Close all connections, whoever uses them, and give up the ownership. Idempotent."""
        with self._opening:
            self._stores = 0
            self._close()

    def _close(self) -> None:
        while self._connections:
            with contextlib.suppress(sqlite3.Error):  # closing is best effort: all is committed
                self._connections.pop().close()
        self.ownership.release()

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the errors of sqlite3 into ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise self.translate(error) from error

    def translate(self, error: sqlite3.Error) -> DurableError:
        """What an error means for the caller."""
        # The low byte is the primary code; the rest tells variants apart.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _CORRUPT:
            return StoreCorruptError(
                f"The database '{self.path}' is damaged or is no database ({error}). Restore it"
                " from a backup, or move it away to start with an empty one."
            )
        advice = _ADVICE.get(code, f"sqlite says: {error}")
        return StoreUnavailableError(f"The database '{self.path}' cannot be used: {advice}.")

    def _check_identity(self, connection: sqlite3.Connection) -> int:
        """The version of the schema, 0 where there is none yet."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        is_blank = not (tables or application or version)
        if application != APPLICATION_ID and not is_blank:
            raise StoreCorruptError(
                f"'{self.path}' is a database of another program. Choose another file with"
                " --store sqlite:PATH."
            )
        if version > len(MIGRATIONS):
            raise StoreCorruptError(
                f"The database '{self.path}' has schema {version}, written by a newer version of"
                f" durable-app; this one knows up to {len(MIGRATIONS)}. Upgrade durable-app."
            )
        return int(version)

    def _migrate(self, connection: sqlite3.Connection, version: int) -> None:
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            # One transaction per migration: a crash leaves the old schema or the new one.
            connection.executescript(
                f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {APPLICATION_ID};"
                f" PRAGMA user_version = {number}; COMMIT;"
            )
