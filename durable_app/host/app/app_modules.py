"""Imports an app's own modules anew, and brings the earlier ones back where that fails.

Its own are those in its folder, without installed packages and without this package. What importing
them has left elsewhere goes with them: converters that were registered with azure-functions, and
bytecode that is older than the source (its time has a resolution of a second, so Python may take it
for fresh when a file is saved twice within one).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from durable_app.functions.builder import converters

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_INSTALLED: Final = frozenset(
    {"site-packages", "dist-packages", ".python_packages", "__pypackages__", ".venv", "venv"}
)
_NOT_OF_APP: Final = frozenset({"durable_app", "__main__"})


@contextlib.contextmanager
def fresh_modules(folder: Path) -> Iterator[None]:
    """Within the block the modules of an app are imported anew; an error undoes it."""
    earlier = app_modules(folder)
    registry = converters()
    earlier_converters = dict(registry)
    for name, module in earlier.items():
        del sys.modules[name]
        _drop_stale_bytecode(module)
    for binding, converter in earlier_converters.items():
        if converter.__module__ in earlier:
            del registry[binding]
    importlib.invalidate_caches()
    try:
        yield
    except BaseException:
        for name in app_modules(folder):
            del sys.modules[name]
        sys.modules.update(earlier)
        registry.clear()
        registry.update(earlier_converters)
        raise


def app_modules(folder: Path) -> dict[str, ModuleType]:
    """Modules that were imported from an app's folder, by name, in the order of their import."""
    roots = {str(folder), str(folder.resolve())}
    return {
        name: module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in _NOT_OF_APP
        and any(_is_within(path, root) for root in roots for path in _paths(module))
    }


def source_of(module: ModuleType) -> Path | None:
    """The file of a module; None for a package without code."""
    found = vars(module).get("__file__")
    return Path(found) if isinstance(found, str) else None


def _paths(module: ModuleType) -> list[str]:
    # Some packages put objects of their own into sys.modules, and None stands for "not there".
    known = getattr(module, "__dict__", {})
    file = known.get("__file__")
    if isinstance(file, str):
        return [file]
    return [path for path in known.get("__path__") or () if isinstance(path, str)]


def _is_within(path: str, root: str) -> bool:
    if not path.startswith(root + os.sep):
        return False
    parts = Path(path[len(root) + 1 :]).parts
    if not _INSTALLED.isdisjoint(parts):
        return False
    # A virtual environment may have any name.
    return len(parts) < 2 or not Path(root, parts[0], "pyvenv.cfg").exists()  # noqa: PLR2004  a folder and a file


def _drop_stale_bytecode(module: ModuleType) -> None:
    source, cached = source_of(module), vars(module).get("__cached__")
    if source is None or not isinstance(cached, str):
        return
    with contextlib.suppress(OSError):
        if Path(cached).stat().st_mtime_ns < source.stat().st_mtime_ns:
            Path(cached).unlink()
