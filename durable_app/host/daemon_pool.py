"""Threads for functions that are not coroutines.

They are daemons: a function that never returns must not keep a host from exiting, which the
threads of ``concurrent.futures`` would do.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

_Job = tuple[Callable[[], Any], asyncio.Future[Any], contextvars.Context]


class DaemonPool:
    """Runs calls on up to ``size`` daemon threads, which are started as they are needed.

    Used from one event loop's thread only.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = 0
        self._busy = 0

    async def run(self, call: Callable[[], Any]) -> Any:
        """Wait for the outcome of ``call``; its context variables are those of the caller.

        Cancelling the wait does not stop a call that runs already; its outcome is dropped.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._busy += 1
        if self._busy > self._threads < self._size:
            self._threads += 1
            threading.Thread(
                target=self._work, args=(loop,), name=f"function-{self._threads}", daemon=True
            ).start()
        self._jobs.put((call, future, contextvars.copy_context()))
        return await future

    def close(self) -> None:
        """Let idle threads end; busy ones end with what they run."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while (job := self._jobs.get()) is not None:
            call, future, context = job
            result: Any = None
            error: BaseException | None = None
            try:
                result = context.run(call)
            except BaseException as raised:  # noqa: BLE001  a function may raise anything
                error = raised
            try:
                loop.call_soon_threadsafe(self._finish, future, result, error)
            except RuntimeError:
                return  # the loop was closed: nobody waits any more

    def _finish(
        self, future: asyncio.Future[Any], result: Any, error: BaseException | None
    ) -> None:
        self._busy -= 1
        if future.cancelled():
            return
        if isinstance(error, StopIteration):
            # A future refuses it, because it would end the coroutine that awaits it.
            error = RuntimeError(f"the function raised {error!r}")
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
