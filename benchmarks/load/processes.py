"""Child processes that never outlive the benchmark, and the folders that they work in."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Where an app has its database. In /tmp, which is memory on many systems, a commit costs nothing.
STATE = ROOT / ".durable"


def end_on_sigterm() -> None:
    """SIGTERM unwinds like Ctrl+C does, so that children are killed and folders are removed."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder on the disk of this repository."""
    STATE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=STATE))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def python(*arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process with its output on a pipe; killed at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environ},
        # Ctrl+C is for the parent, which then kills the child: no second traceback.
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()
