"""Folders for the Unix sockets of worker processes, which only this user can enter."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Final

_PREFIX: Final = "durable-app-"
#: Bytes of the longest path of a socket that every system takes.
_LONGEST_PATH: Final = 100
#: A folder in which nobody has listened for so long belongs to a host that was killed.
_STALE_S: Final = 60.0


def make_socket_folder(parent: Path | None = None) -> Path | None:
    """A new folder; None where sockets cannot be in one: on Windows, or where paths are long.

    Args:
        parent: None for the system's folder of temporary files.
    """
    if not hasattr(socket, "AF_UNIX"):
        return None
    parent = parent or Path(tempfile.gettempdir())
    _tidy(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    if len(os.fsencode(folder / "99.sock")) <= _LONGEST_PATH:
        return folder
    folder.rmdir()
    return None


def _tidy(parent: Path) -> None:
    """Remove what hosts left behind that were killed."""
    for folder in parent.glob(f"{_PREFIX}*"):
        # Those of other users cannot be read, and others may be removed by their hosts meanwhile.
        with contextlib.suppress(OSError):
            age_s = time.time() - folder.stat().st_mtime  # noqa: TID251  of files, by the wall clock
            if age_s > _STALE_S and not any(map(_is_alive, folder.iterdir())):
                shutil.rmtree(folder)


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True
