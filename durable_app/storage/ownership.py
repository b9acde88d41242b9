"""One process owns a database file: ``<file>.lock`` says which.

The operating system holds the lock and frees it when the process dies, however it dies. The text in
the file (JSON with ``pid`` and ``url``) is for people and for ``func durable``.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from durable_app.errors import ConfigError, StoreUnavailableError

if TYPE_CHECKING:
    from pathlib import Path


class FileOwnership:
    """The exclusive right to use a database file."""

    def __init__(self, database: Path) -> None:
        """Nothing is taken yet."""
        self.path = database.with_name(database.name + ".lock")
        self._fd: int | None = None

    def take(self) -> None:
        """Become the owner.

        Raises:
            ConfigError: another process is; the message names it.
            StoreUnavailableError: the folder cannot be written.
        """
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreUnavailableError(
                f"The database folder '{self.path.parent}' cannot be written: {error.strerror}."
                " Choose another place with --store sqlite:PATH, or mend its permissions."
            ) from error
        try:
            _lock(fd)
        except OSError:
            owner = _describe_owner(fd)
            os.close(fd)
            raise ConfigError(
                f"The database '{self.path.with_suffix('')}' is in use by {owner}. Stop that"
                " process, or choose another file with --store sqlite:PATH."
            ) from None
        self._fd = fd
        self.announce(None)

    def announce(self, url: str | None) -> None:
        """Write down where this process can be reached."""
        if self._fd is None:
            return
        text = json.dumps({"pid": os.getpid(), "url": url}).encode()
        with contextlib.suppress(OSError):  # a full disk must not hinder: the lock itself is held
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text, 0)

    def release(self) -> None:
        """Give it up. Idempotent."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None


def _describe_owner(fd: int) -> str:
    try:
        owner = json.loads(os.read(fd, 4096))
        where = f" ({owner['url']})" if owner.get("url") else ""
        return f"process {owner['pid']}{where}"
    except (OSError, ValueError, KeyError, AttributeError):
        return "another process"


def _lock(fd: int) -> None:
    """Lock without waiting; OSError where somebody else has it."""
    try:
        import fcntl  # noqa: PLC0415  absent on Windows
    except ImportError:
        import msvcrt  # noqa: PLC0415  absent elsewhere

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # Windows only
    else:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
