"""Whether a world notices that a safeguard is gone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.simulation.world import simulate


class _HangError(BaseException):
    """A world that does not end."""


@contextmanager
def _patience(seconds: int) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise _HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def is_caught(seed: int, folder: Path) -> bool:
    """Run one world in which something is broken."""
    try:
        with _patience(3):
            return simulate(seed, "memory", folder).violation is not None
    except (Exception, _HangError):  # noqa: BLE001  however it goes wrong, the bug was seen
        return True
