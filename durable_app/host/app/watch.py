"""Which files of an app were saved, for ``func start --watch``."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.errors import ConfigError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Collection

#: Read at the start only: a change of theirs is noticed, and needs a restart.
SETTINGS_FILES: Final = frozenset({"host.json", "local.settings.json"})
# Nothing below these folders is code of the app. What begins with a dot is left out, too.
_OTHER_FOLDERS: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env"})
# Editors save in several steps; these belong to one change.
_GATHER_MS: Final = 300
_QUIET_MS: Final = 60
_PACKAGE: Final = "watchfiles"
_INSTALL: Final = (
    "--watch needs the package watchfiles: pip install 'durable-app[local]' brings it along."
)


class Watched(NamedTuple):
    """What is part of an app: its code, its settings, and what host.json adds.

    Attributes:
        folder: of the app, absolute.
        folders: ``watchDirectories`` of host.json: everything below them, relative to the app's.
        files: ``watchFiles`` of host.json: names of further files.
    """

    folder: Path
    folders: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()

    def holds(self, path: Path) -> bool:
        """Whether a file, given by its absolute path, is part of the app."""
        try:
            relative = path.relative_to(self.folder)
        except ValueError:
            return False
        if any(relative.is_relative_to(folder) for folder in self.folders):
            return True
        *folders, name = relative.parts
        if any(part.startswith(".") or part in _OTHER_FOLDERS for part in folders):
            return False
        is_code = path.suffix == ".py" and not name.startswith(".")
        return is_code or name in self.files or (not folders and name in SETTINGS_FILES)


@functools.cache
def _awatch() -> Callable[..., AsyncIterator[Collection[tuple[object, str]]]]:
    from watchfiles import awatch  # noqa: PLC0415  an extra, of use here alone

    return awatch


def require_watching(folder: Path) -> None:
    """Load the package that watches, before the app is loaded.

    A module of the app may have its name, and then is what the app imports under it.

    Args:
        folder: of the app, absolute.

    Raises:
        ConfigError: it is not installed.
    """
    paths = sys.path[:]
    sys.path[:] = [path for path in paths if Path(path or ".").resolve() != folder]
    try:
        _awatch()
    except ImportError as error:
        raise ConfigError(_INSTALL) from error
    finally:
        sys.path[:] = paths
    if (folder / f"{_PACKAGE}.py").exists() or (folder / _PACKAGE).exists():
        for name in [*sys.modules]:
            if name.partition(".")[0] == _PACKAGE:
                del sys.modules[name]


async def saved_files(watched: Watched, stop: asyncio.Event) -> AsyncIterator[list[Path]]:
    """Files that were saved, made or removed together; until ``stop`` is set."""
    changes = _awatch()(
        watched.folder,
        watch_filter=lambda _change, path: watched.holds(Path(path)),
        debounce=_GATHER_MS,
        step=_QUIET_MS,
        stop_event=stop,
    )
    async for change in changes:
        yield sorted({Path(path) for _, path in change})
