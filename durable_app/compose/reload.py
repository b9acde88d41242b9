"""Loads the app again while everything else goes on."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

from durable_app.errors import DefinitionError, DurableError, StoreUnavailableError
from durable_app.host.app.watch import SETTINGS_FILES, Watched, saved_files
from durable_app.host.calls.daemon_pool import DaemonPool
from durable_app.host.console.console import Level
from durable_app.host.console.tracebacks import user_traceback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from durable_app.host.app.roster import HostedApp
    from durable_app.host.console.console import Console

_SLOW_S: Final = 10.0
_SLOW: Final = (
    f"The app is being imported for {_SLOW_S:.0f} s now. Until that ends, the one before goes on,"
    " and what is saved meanwhile waits. If it does not end, stop the host and start it again."
)

_BROKEN: Final = (
    "The app was not loaded again: mend it and save. Until then the one before goes on."
)
_NOT_NOW: Final = (
    "The app was not loaded again; the one before goes on. Save once more when that is mended."
)


class Reloader:
    """Brings a new load of the app to work, or keeps the present one where it is broken.

    Args:
        watched: the app's files.
        load: imports the app; called on a thread, since imports may take their time.
        replace: lets a load of the app take over.
    """

    def __init__(
        self,
        watched: Watched,
        load: Callable[[], HostedApp],
        replace: Callable[[HostedApp], Awaitable[None]],
        console: Console,
    ) -> None:
        self._watched = watched
        self._load = load
        self._replace = replace
        self._console = console
        self._busy = asyncio.Lock()
        # A daemon: an import that never ends must not keep the host from its own end.
        self._thread = DaemonPool(1)

    async def reload(self) -> bool:
        """Load the app again; False where it is broken, which is shown, and nothing changes."""
        async with self._busy:
            try:
                await self._replace(await self._loaded())
            except DurableError as error:
                self._console.line(f"{error}", Level.ERROR)
                self._console.always(
                    _NOT_NOW if isinstance(error, StoreUnavailableError) else _BROKEN, Level.ERROR
                )
                return False
            self._console.always("The app was loaded again. Instances in flight go on with it.")
            return True

    def close(self) -> None:
        """Let the thread that imports end; nothing is loaded any more."""
        self._thread.close()

    async def _loaded(self) -> HostedApp:
        loop = asyncio.get_running_loop()
        slow = loop.call_later(_SLOW_S, self._console.always, _SLOW, Level.WARNING)
        try:
            app: HostedApp = await self._thread.run(self._load)
        except DurableError:
            raise
        except BaseException as error:  # the app's code may raise anything, SystemExit included
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise DefinitionError(f"The app failed to load:\n{user_traceback(error)}") from error
        else:
            return app
        finally:
            slow.cancel()

    async def watch(self, stop: asyncio.Event) -> None:
        """Reload after each change of the app's files, until ``stop`` is set."""
        # The time of a cached .pyc has a resolution of a second: two saves within it look the same.
        sys.dont_write_bytecode = True
        async for files in saved_files(self._watched, stop):
            settings = {self._watched.folder / name for name in SETTINGS_FILES}
            code = [path for path in files if path not in settings]
            names = ", ".join(str(path.relative_to(self._watched.folder)) for path in files)
            if len(code) < len(files):
                self._console.always(
                    f"Saved: {names}. Settings are read at the start: stop the host and start it"
                    " again to apply them.",
                    Level.WARNING,
                )
            if code:
                self._console.always(f"Saved: {names}. Loading the app again.")
                await self.reload()
