"""What the host itself remembers: schedule status of timers, keys. Apart from any task hub.

One small SQLite file that only its owner can read (it holds keys). A few rows, read at the start
and written a few times per minute at most; calls block for a disk flush.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

from durable_app.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Where it is, below the folder of the app.
STATE_FILE: Final = ".durable/host.db"
_OWNER_ONLY: Final = 0o600
_BUSY_TIMEOUT_S: Final = 5.0


class HostState:
    """Texts by kind and name. Callable from any thread.

    Args:
        path: of the file, created where it is absent; None keeps everything in memory.

    Raises:
        StoreUnavailableError: (every method, too) the file cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self._where = "memory" if path is None else str(path)
        self._lock = threading.Lock()
        if path is not None:
            with self._translated():
                path.parent.mkdir(parents=True, exist_ok=True)
                # Before SQLite does, which would let others read it.
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY))
                path.chmod(_OWNER_ONLY)  # one that was copied here, say
        with self._translated():
            self._rows = sqlite3.connect(
                ":memory:" if path is None else path,
                isolation_level=None,
                check_same_thread=False,
                timeout=_BUSY_TIMEOUT_S,
            )
        with self._translated(), self._closed_on_error():
            self._rows.execute(
                "CREATE TABLE IF NOT EXISTS facts (kind TEXT NOT NULL, name TEXT NOT NULL,"
                " value TEXT NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID"
            )

    def read(self, kind: str, name: str) -> str | None:
        """The text, or None where there is none."""
        with self._translated():
            row = self._rows.execute(
                "SELECT value FROM facts WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
        return None if row is None else str(row[0])

    def all_of(self, kind: str) -> dict[str, str]:
        """All texts of a kind by name."""
        with self._translated():
            return dict(self._rows.execute("SELECT name, value FROM facts WHERE kind = ?", (kind,)))

    def write(self, kind: str, name: str, value: str) -> None:
        """Put a text in, in place of an earlier one; it is on the disk when this returns."""
        with self._translated():
            self._rows.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (kind, name, value))

    def write_if_absent(self, kind: str, name: str, value: str) -> str:
        """Put a text in where there is none; what is there afterwards."""
        with self._translated():
            self._rows.execute("INSERT OR IGNORE INTO facts VALUES (?, ?, ?)", (kind, name, value))
        return self.read(kind, name) or value

    def delete(self, kind: str, name: str) -> None:
        """Remove a text; nothing happens where there is none."""
        with self._translated():
            self._rows.execute("DELETE FROM facts WHERE kind = ? AND name = ?", (kind, name))

    def close(self) -> None:
        """Release the file. Idempotent."""
        with self._lock:
            self._rows.close()

    def __del__(self) -> None:
        # Whoever drops it without a close leaves no open file behind.
        with contextlib.suppress(AttributeError):  # it was never opened
            self._rows.close()

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._rows.close()
            raise

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except (OSError, sqlite3.Error) as error:
            advice = (
                "Mend the permissions of the folder, free some space, or remove the file to start"
                " anew."
            )
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                advice = "End the program that holds it."
            raise StoreUnavailableError(
                f"The host's own state '{self._where}' cannot be used: {error}. {advice}"
            ) from error
