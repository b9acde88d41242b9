"""The worker processes of a host, for one load of its app.

Theory of operation. The host keeps HTTP, triggers and the task hub; each process runs
orchestrations, activities and entities, and reaches the hub through a server of its own: a Unix
socket in a folder that only this user can enter, or a loopback port where there are none, with a
token in either case.

Each process has a keeper, which starts another one when it ends, after ever longer pauses if that
happens again and again. The keeper alone knows why a process ended, and tells its gate (see
``pool_gate``), which gives back what the process held.

A new load of the app begins with new processes, which import it and wait. Where that works in all
of them they take over at once, and those of the load before finish what they run.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.compose.pool_gate import Gate
from durable_app.errors import DefinitionError
from durable_app.host.console.console import Level
from durable_app.host.processes.child import Ended, WorkerProcess
from durable_app.host.processes.messages import Word
from durable_app.host.processes.restarts import Restarts
from durable_app.host.processes.socket_folder import make_socket_folder
from durable_app.ports import Capacity
from durable_app.rpc.server.server import HubServer
from durable_app.rpc.server.work import WorkLimits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from durable_app.host.config.options import DurableTaskOptions
    from durable_app.host.console.console import Console
    from durable_app.host.processes.messages import WorkerOrder
    from durable_app.ports import Clock
    from durable_app.scheduler.service import TaskHub

_MODULE: Final = "durable_app.compose.pool_worker"
#: Of the time to stop: what is left then is for processes that do not end by themselves.
_DRAIN_SHARE: Final = 0.9
#: A process that was killed is gone by then.
_KILLED_S: Final = 2.0
#: For calls that are going on when a server stops.
_SERVER_GRACE_S: Final = 0.1
_UNLIMITED: Final = 2**31 - 1


class PoolSite(NamedTuple):
    """What worker processes work with.

    Attributes:
        processes: their number, >= 1.
        order: what each process gets to know; target and token are filled in here.
        options: of host.json; its limits are of all processes together.
        environ: of the processes.
    """

    hub: TaskHub
    processes: int
    order: WorkerOrder
    options: DurableTaskOptions
    environ: Mapping[str, str]
    console: Console
    clock: Clock


class WorkerPool:
    """Runs an app in processes of their own. Implements ``Runner``. Belongs to an event loop."""

    def __init__(self, site: PoolSite) -> None:
        """Nothing is started yet."""
        self._site = site
        self._keepers: list[_Keeper] = []
        self._folder: Path | None = None
        self._is_begun = False

    async def prepare(self) -> None:
        """See ``Runner``: all processes have imported the app."""
        try:
            await self._begin()
            await asyncio.gather(*(keeper.loaded() for keeper in self._keepers))
        except BaseException:
            await self.stop(0.0)
            raise

    async def start(self) -> None:
        """See ``Runner``; processes that are not ready yet follow."""
        await self._begin()
        for keeper in self._keepers:
            keeper.go()

    async def stop(self, grace_s: float) -> None:
        """See ``Runner``."""
        keepers, self._keepers = self._keepers, []
        await asyncio.gather(*(keeper.stop(grace_s) for keeper in keepers))
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    async def _begin(self) -> None:
        if self._is_begun:
            return
        self._is_begun = True
        self._folder = await asyncio.to_thread(make_socket_folder)
        for number in range(1, self._site.processes + 1):
            keeper = _Keeper(number, self._site)
            # Before it is opened: what is half open is ended, too.
            self._keepers.append(keeper)
            await keeper.open(self._folder)


class _Keeper:
    """Keeps one process going."""

    def __init__(self, number: int, site: PoolSite) -> None:
        self._number = number
        self._site = site
        self._token = secrets.token_hex(16)
        self._gate = Gate(site.hub, share_of(site.options, site.processes, number))
        self._server = HubServer(
            self._gate,
            site.clock,
            token=self._token,
            limits=WorkLimits(own_bytes=None),
            longest_id=None,
        )
        self._order = site.order
        self._process: WorkerProcess | None = None
        self._stopping = asyncio.Event()
        self._may_work = False
        self._has_loaded = False
        self._loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # At the first start of a host nobody waits for it.
        self._loaded.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._task: asyncio.Task[None] | None = None

    async def open(self, folder: Path | None) -> None:
        """Begin; the process is started at once."""
        address = f"unix:{folder / f'{self._number}.sock'}" if folder else "127.0.0.1:0"
        port = await self._server.start(address)
        self._order = self._order.at(address if folder else f"127.0.0.1:{port}", self._token)
        self._task = asyncio.create_task(self._keep(), name=f"worker-process-{self._number}")

    async def loaded(self) -> None:
        """Wait until the app is imported.

        Raises:
            DefinitionError: the process has ended instead.
        """
        await asyncio.shield(self._loaded)

    def go(self) -> None:
        """Let it work, and those that take its place."""
        self._may_work = True
        if self._process is not None:
            self._process.go()

    async def stop(self, grace_s: float) -> None:
        """End it; what it has not finished by then goes to others."""
        self._stopping.set()
        self._gate.drain()
        if self._process is not None:
            if self._has_loaded and grace_s > 0:
                self._process.drain(grace_s * _DRAIN_SHARE)
            else:
                self._process.kill()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=grace_s)
            if late and self._process is not None:
                self._process.kill()
                await asyncio.wait([self._task], timeout=_KILLED_S)
        self._gate.ended(is_lost=False)
        await self._server.stop(_SERVER_GRACE_S)
        self._loaded.cancel()

    # -- inside ------------------------------------------------------------------------------

    async def _keep(self) -> None:
        restarts = Restarts()
        while not self._stopping.is_set():
            ended = await self._run()
            is_lost = not ended.said_goodbye and not self._stopping.is_set()
            self._gate.ended(is_lost=is_lost)
            if self._stopping.is_set():
                return
            if not self._loaded.done():
                self._loaded.set_exception(_broken(self._number, ended))
            wait_s = restarts.wait_s(ended.lived_s)
            self._tell_end(ended, wait_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stopping.wait()

    async def _run(self) -> Ended:
        site = self._site
        self._has_loaded = False
        process = WorkerProcess(self._number, _MODULE, site.console, site.clock, self._on_word)
        try:
            process.start(self._order, site.environ)
        except OSError as error:
            site.console.always(
                f"Worker process {self._number} cannot be started: {error}.", Level.ERROR
            )
            return Ended(1, 0.0, said_goodbye=True)
        self._process = process
        if self._may_work:
            process.go()
        return await process.ended

    def _on_word(self, word: Word) -> None:
        if word is Word.LOADED:
            self._has_loaded = True
            if not self._loaded.done():
                self._loaded.set_result(None)
        elif word is Word.LEAVING:
            self._gate.drain()
        elif word is Word.CONNECTED and self._process is not None:
            self._site.console.always(
                f"Worker process {self._number} (PID {self._process.pid}) is at work."
            )

    def _tell_end(self, ended: Ended, wait_s: float) -> None:
        pid = 0 if self._process is None else self._process.pid
        rest = "" if ended.said_goodbye else " What it ran is given to others."
        self._site.console.always(
            f"Worker process {self._number} (PID {pid}) {ended}.{rest} Another one is started in"
            f" {wait_s:g} s.",
            Level.WARNING,
        )


def share_of(options: DurableTaskOptions, count: int, number: int) -> Capacity:
    """What one of ``count`` processes may hold at the same time, so that limits hold for all.

    Args:
        number: of the process, from 1; the first ones get what is left over.
    """

    def share(limit: int | None) -> int:
        if not limit:
            return _UNLIMITED  # what the process itself takes for right
        return limit // count + (number <= limit % count)

    return Capacity(
        share(options.max_concurrent_orchestrator_functions),
        share(options.max_concurrent_activity_functions),
        share(options.max_concurrent_entity_functions),
    )


def _broken(number: int, ended: Ended) -> DefinitionError:
    return DefinitionError(
        f"The app was not loaded by worker process {number}, which {ended}; see above."
    )
