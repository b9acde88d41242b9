"""What is done to a database file while no task hub runs on it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from durable_app.storage.sqlite_file import SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_TABLES: Final = ("messages", "tasks", "payloads", "history", "instances")
# What SQLite keeps beside the file.
_BESIDE: Final = ("-wal", "-shm")


def hub_names(database: Path) -> list[str]:
    """Names of the hubs that a file holds, sorted.

    Raises:
        DurableError: as ``SqliteFile.open``.
    """
    file = SqliteFile(database)
    try:
        return _names(file.open())
    finally:
        file.close()


def delete_hub(database: Path, hub: str) -> bool:
    """Remove all that a file holds of a hub; the file itself, too, if there was no other hub.

    Returns:
        False where the file does not hold that hub.

    Raises:
        DurableError: as ``SqliteFile.open``.
    """
    file = SqliteFile(database)
    try:
        writer = file.open()
        names = _names(writer)
        if hub not in names:
            return False
        with file.translated():
            _delete_rows(writer, hub)
        if len(names) == 1:
            writer.close()
            # Before the ownership is given up, so that no host opens what is about to go.
            for suffix in ("", *_BESIDE):
                database.with_name(database.name + suffix).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # Windows keeps a file that is open
                file.ownership.path.unlink()
        return True
    finally:
        file.close()


def _names(writer: sqlite3.Connection) -> list[str]:
    return [name for (name,) in writer.execute("SELECT name FROM hubs ORDER BY name")]


def _delete_rows(writer: sqlite3.Connection, hub: str) -> None:
    writer.execute("BEGIN IMMEDIATE")
    try:
        for table in _TABLES:
            writer.execute(
                f"DELETE FROM {table} WHERE hub = (SELECT id FROM hubs WHERE name = ?)",  # noqa: S608  names above
                (hub,),
            )
        writer.execute("DELETE FROM hubs WHERE name = ?", (hub,))
    except BaseException:
        writer.execute("ROLLBACK")
        raise
    writer.execute("COMMIT")
