"""Folders for the Unix sockets of worker processes, which only this user can enter.

Hosts that were killed leave theirs behind, and the next host removes them. The folder of temporary
files is everybody's, and others may well have called a folder of their own by such a name: nothing
is removed but sockets on which nobody listens, and what is empty then.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import tempfile
import time
from pathlib import Path
from typing import Final

_PREFIX: Final = "durable-app-"
#: Bytes of the longest path of a socket that every system takes.
_LONGEST_PATH: Final = 100
#: gRPC reads a path as part of a URI, in which these mean something else.
_MEANS_MORE: Final = re.compile("[#?%,]")
#: A folder in which nobody has listened for so long belongs to a host that was killed.
_STALE_S: Final = 60.0
#: Whoever listens answers at once, unless it hangs; then it is there all the same.
_PROBE_S: Final = 0.5


def make_socket_folder(parent: Path | None = None) -> Path | None:
    """A new folder.

    Args:
        parent: None for the system's folder of temporary files.

    Returns:
        None where sockets cannot be in one: on Windows, where paths are long or have characters
        that gRPC cannot take, or where nothing can be written.
    """
    if not hasattr(socket, "AF_UNIX"):
        return None
    try:
        parent = parent or Path(tempfile.gettempdir())
        _tidy(parent)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError:
        return None
    path = os.fsencode(folder / "99.sock")
    if len(path) <= _LONGEST_PATH and not _MEANS_MORE.search(str(folder)):
        return folder
    folder.rmdir()
    return None


def _tidy(parent: Path) -> None:
    """Remove what hosts left behind that were killed."""
    for folder in parent.glob(f"{_PREFIX}*"):
        # Those of other users cannot be read, and others may be removed by their hosts meanwhile.
        with contextlib.suppress(OSError):
            found = folder.lstat()
            is_mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            age_s = time.time() - found.st_mtime  # noqa: TID251  of files, by the wall clock
            if is_mine and age_s > _STALE_S:
                _remove(folder)


def _remove(folder: Path) -> None:
    paths = list(folder.iterdir())
    if all(path.is_socket() and not _is_alive(path) for path in paths):
        for path in paths:
            path.unlink()
        folder.rmdir()


def _is_alive(path: Path) -> bool:
    """Whether somebody listens; OSError where somebody does who has no time."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True
