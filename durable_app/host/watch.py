"""Which files of an app were saved, for ``func start --watch``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from durable_app.errors import ConfigError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

#: Read at the start only: a change of theirs is noticed, and needs a restart.
SETTINGS_FILES: Final = frozenset({"host.json", "local.settings.json"})
# Nothing below these folders is code of the app. What begins with a dot is left out, too.
_OTHER_FOLDERS: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env"})
# Editors save in several steps; these belong to one change.
_GATHER_MS: Final = 300
_QUIET_MS: Final = 60
_INSTALL: Final = (
    "--watch needs the package watchfiles: pip install 'durable-app[local]' brings it along."
)


def is_watched(path: Path, folder: Path) -> bool:
    """Whether a file is part of the app: its code, or its settings.

    Args:
        path: of a file below ``folder``; both absolute.
    """
    try:
        *folders, name = path.relative_to(folder).parts
    except ValueError:
        return False
    if any(part.startswith(".") or part in _OTHER_FOLDERS for part in folders):
        return False
    is_code = path.suffix == ".py" and not name.startswith(".")
    return is_code or (not folders and name in SETTINGS_FILES)


async def saved_files(folder: Path, stop: asyncio.Event) -> AsyncIterator[list[Path]]:
    """Files that were saved, made or removed together; until ``stop`` is set.

    Raises:
        ConfigError: the package that watches is not installed.
    """
    try:
        from watchfiles import awatch  # noqa: PLC0415  an extra, of use here alone
    except ImportError as error:
        raise ConfigError(_INSTALL) from error
    changes = awatch(
        folder,
        watch_filter=lambda _change, path: is_watched(Path(path), folder),
        debounce=_GATHER_MS,
        step=_QUIET_MS,
        stop_event=stop,
    )
    async for change in changes:
        yield sorted({Path(path) for _, path in change})
