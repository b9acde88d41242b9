"""Says what a slow start is waiting for; a quick one shows nothing.

A thread of its own draws, since what takes long is mostly the import of the app, which blocks the
event loop.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from durable_app.host.console.console import Console
    from durable_app.ports import Clock

#: A start that takes less is not worth a word.
QUIET_S: Final = 1.0
_FRAME_S: Final = 0.1
_FRAMES: Final = "|/-\\"


class Progress:
    """A spinner on a terminal, a single line elsewhere; both only after a second.

    Use as a context manager around the start; :meth:`step` names what is being done. Leaving the
    block wipes the spinner out.
    """

    def __init__(self, console: Console, clock: Clock, *, quiet_s: float = QUIET_S) -> None:
        self._console = console
        self._clock = clock
        self._quiet_s = quiet_s
        self._step = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)

    def step(self, what: str) -> None:
        """What is being done from now on, such as ``importing function_app.py``."""
        self._step = what

    def __enter__(self) -> Self:
        self._began = self._clock.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _show(self) -> None:
        if self._over.wait(self._quiet_s):
            return
        if not self._console.is_terminal:
            self._console.line(f"Starting...{self._what()}")
            return
        frame = 0
        while True:
            elapsed_s = self._clock.monotonic() - self._began
            spinner = _FRAMES[frame % len(_FRAMES)]
            self._console.status(f"{spinner} Starting...{self._what()} {elapsed_s:.0f} s")
            if self._over.wait(_FRAME_S):
                break
            frame += 1
        self._console.status(None)

    def _what(self) -> str:
        return f" ({self._step})" if self._step else ""
