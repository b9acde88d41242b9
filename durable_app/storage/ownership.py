"""One process owns a database file: ``<file>.lock`` says which.

The operating system holds the lock and frees it when the process dies, however it dies. The text in
the file (JSON with ``pid`` and ``url``) is for people and for ``func durable``.
A host without a database leaves a mark of the same kind.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.errors import ConfigError, DurableError, StoreUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

_MAX_TEXT: Final = 4096
_TRIES: Final = 10
_PAUSE_S: Final = 0.05


class Owner(NamedTuple):
    """The process that uses a database file; None for what it has not told."""

    pid: int | None
    url: str | None


def owner_of(database: Path) -> Owner | None:
    """Who uses a database file at the moment; None for nobody. Takes nothing."""
    try:
        fd = os.open(lock_path(database), os.O_RDWR)
    except OSError:
        return None
    try:
        # A clean end leaves no text. Only a text needs the question whether its writer lives:
        # to ask takes the lock for a moment, in which no host could start.
        text = os.read(fd, _MAX_TEXT)
        if not text:
            return None
        try:
            _lock(fd)
        except OSError:
            return _owner_in(text)
        return None
    finally:
        os.close(fd)


def lock_path(database: Path) -> Path:
    """The file that says who uses the database."""
    return database.with_name(database.name + ".lock")


class FileOwnership:
    """The exclusive right to use a database file."""

    def __init__(self, database: Path) -> None:
        """Nothing is taken yet."""
        self.path = lock_path(database)
        self._fd: int | None = None

    @property
    def is_taken(self) -> bool:
        """True while this process has it."""
        return self._fd is not None

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
        if not _lock_patiently(fd):
            owner = _describe_owner(fd)
            os.close(fd)
            raise ConfigError(
                f"The database '{self.path.with_suffix('')}' is in use by {owner}. Stop that"
                " process, or choose another file with --store sqlite:PATH."
            )
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


class HostMark:
    """Tells where a host is found that keeps its hub in memory: a lock file without a database.

    It is a courtesy to ``func durable``. A folder that cannot be written costs no more than that,
    and of several such hosts for one hub the first one is found.
    """

    def __init__(self, place: Path) -> None:
        """Nothing is written yet.

        Args:
            place: where the database would be; no such file is made.
        """
        self._folder = place.parent
        self._ownership = FileOwnership(place)

    def announce(self, url: str) -> None:
        """Write down where this process can be reached."""
        with contextlib.suppress(OSError, DurableError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._ownership.take()
            self._ownership.announce(url)

    def remove(self) -> None:
        """Leave no trace. Idempotent."""
        if self._ownership.is_taken:
            # Windows removes no file that is open; there it stays, empty.
            with contextlib.suppress(OSError):
                self._ownership.path.unlink()
            self._ownership.release()
            with contextlib.suppress(OSError):  # it holds something else
                self._folder.rmdir()


def _describe_owner(fd: int) -> str:
    try:
        owner = _owner_in(os.read(fd, _MAX_TEXT))
    except OSError:
        return "another process"
    if owner.pid is None:
        return "another process"
    return f"process {owner.pid}" + (f" ({owner.url})" if owner.url else "")


def _owner_in(text: bytes) -> Owner:
    try:
        told = json.loads(text)
        return Owner(told["pid"], told.get("url"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Owner(None, None)


def _lock_patiently(fd: int) -> bool:
    """Lock, or give up: at once where a host serves, else after a moment.

    A command such as ``func durable`` holds a file for some milliseconds and tells no URL.
    """
    pause = threading.Event()
    for _ in range(_TRIES):
        try:
            _lock(fd)
        except OSError:
            if _owner_in(os.pread(fd, _MAX_TEXT, 0)).url is not None:
                return False
            pause.wait(_PAUSE_S)
        else:
            return True
    return False


def _lock(fd: int) -> None:
    """Lock without waiting; OSError where somebody else has it."""
    try:
        import fcntl  # noqa: PLC0415  absent on Windows
    except ImportError:
        import msvcrt  # noqa: PLC0415  absent elsewhere

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # Windows only
    else:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
