"""Threads for functions that are not coroutines.

They are daemons: a function that never returns must not keep a host from exiting, which the
threads of ``concurrent.futures`` would do.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class _Job:
    """A call, and who waits for it."""

    def __init__(self, call: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.call = call
        self.future = future
        self.context = contextvars.copy_context()
        self._claims = [True]

    def claim(self) -> bool:
        """Whether the caller is the first: a thread that begins it, or who gives it up before."""
        try:
            return self._claims.pop()  # atomic
        except IndexError:
            return False


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

        Cancelling the wait does not stop a call that runs already: its outcome is dropped, and
        until it ends another thread takes the place of the one that it holds. A call that has not
        begun never will.
        """
        loop = asyncio.get_running_loop()
        job = _Job(call, loop.create_future())
        self._busy += 1
        self._start_one(loop)
        self._jobs.put(job)
        try:
            return await job.future
        finally:
            if job.future.cancelled():
                self._give_up(job, loop)

    def close(self) -> None:
        """Let idle threads end; busy ones end with what they run."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _start_one(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start a thread if all are at work and more are allowed."""
        if self._busy > self._threads < self._size:
            self._threads += 1
            threading.Thread(
                target=self._work, args=(loop,), name=f"function-{self._threads}", daemon=True
            ).start()

    def _give_up(self, job: _Job, loop: asyncio.AbstractEventLoop) -> None:
        if job.claim():
            self._busy -= 1
        else:
            self._size += 1
            self._start_one(loop)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.claim():
                continue
            result: Any = None
            error: BaseException | None = None
            try:
                result = job.context.run(job.call)
            except BaseException as raised:  # noqa: BLE001  a function may raise anything
                error = raised
            try:
                loop.call_soon_threadsafe(self._finish, job.future, result, error)
            except RuntimeError:
                return  # the loop was closed: nobody waits any more
            # While the thread waits it must not hold an app that was replaced meanwhile.
            del job, result, error

    def _finish(
        self, future: asyncio.Future[Any], result: Any, error: BaseException | None
    ) -> None:
        self._busy -= 1
        if future.cancelled():
            self._dismiss_one()
            return
        if isinstance(error, StopIteration | GeneratorExit):
            # These two would end the coroutines that await the future, instead of reaching them.
            error = RuntimeError(f"the function raised {error!r}")
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def _dismiss_one(self) -> None:
        """The thread of a call that was given up has come back: one less is allowed."""
        self._size -= 1
        if self._threads > self._size:
            self._threads -= 1
            self._jobs.put(None)


def sync_threads() -> int:
    """Threads for sync HTTP functions, as many as Azure's Python worker has."""
    wanted = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    return int(wanted) if wanted.isdigit() and int(wanted) else min(32, (os.cpu_count() or 1) + 4)
