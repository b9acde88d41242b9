"""Commands that are not ours: handed over to Azure Functions Core Tools, where they are installed.

Both programs are called ``func``. Ours is told apart by its path and by what its file says, so that
neither this script nor one of another virtual environment is taken for the Core Tools.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from durable_app.cli.options import fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Set for the program that a command is handed to: should that be us again, we stop there.
GUARD: Final = "DURABLE_APP_PASSED_ON"
_OURS: Final = b"durable_app"
# Console scripts are shorter than this, on Windows too; the Core Tools' own program is far longer.
_SCRIPT_BYTES: Final = 1_000_000
_WINDOWS_NAMES: Final = ("func.exe", "func.cmd", "func.bat")

_INSTALL: Final = """\
  npm:      npm install -g azure-functions-core-tools@4 --unsafe-perm true
  macOS:    brew tap azure/functions && brew install azure-functions-core-tools@4
  Ubuntu:   apt-get install azure-functions-core-tools-4 (from packages.microsoft.com)
  Windows:  winget install Microsoft.Azure.FunctionsCoreTools
See https://learn.microsoft.com/azure/azure-functions/functions-run-local"""


def pass_on(arguments: Sequence[str], hint: str = "") -> int:
    """Run the Core Tools with these arguments in place of this process.

    Args:
        hint: for who meant one of our own commands; "" or a sentence with a blank in front.

    Returns:
        Their exit code where the system cannot replace a process; 1 where there are none.
    """
    command = " ".join(arguments[:3])
    if os.environ.get(GUARD):
        return fail(
            f"func: '{command}' is no command of durable-app, nor of what passed it on.{hint}"
        )
    tools = find_core_tools(os.environ)
    if tools is None:
        return fail(
            f"func: '{command}' is a command of Azure Functions Core Tools (if it is any), which"
            f" are not on PATH.{hint} `func --help` lists what works without them. To install"
            f" them:\n{_INSTALL}"
        )
    environ = {**os.environ, GUARD: "1"}
    sys.stdout.flush()
    if os.name == "posix":
        # Replaced, not started: signals, terminal and exit code need no forwarding.
        os.execve(tools, [str(tools), *arguments], environ)  # noqa: S606  no shell is wanted
    return subprocess.call([tools, *arguments], env=environ)  # noqa: S603  the user's own words


def find_core_tools(environ: Mapping[str, str]) -> Path | None:
    """The first ``func`` on PATH that is not ours."""
    ourselves = Path(sys.argv[0]).resolve() if sys.argv and sys.argv[0] else None
    for candidate in _candidates(environ.get("PATH", "")):
        resolved = candidate.resolve()
        if resolved != ourselves and not _is_ours(resolved):
            return candidate
    return None


def _candidates(path: str) -> Iterator[Path]:
    names = ("func",) if os.name == "posix" else _WINDOWS_NAMES
    for folder in filter(None, path.split(os.pathsep)):
        for name in names:
            candidate = Path(folder) / name
            if candidate.is_file() and os.access(candidate, os.X_OK):
                yield candidate


def _is_ours(script: Path) -> bool:
    try:
        if script.stat().st_size > _SCRIPT_BYTES:
            return False
        return _OURS in script.read_bytes()
    except OSError:
        return True  # what cannot be read is not started either
