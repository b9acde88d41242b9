"""Which command is meant."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_USAGE = """\
Usage: func <command> [options]

Commands:
  start        Run the app of this folder (also: func host start).

Options:
  -v, --version  Print the version.
  -h, --help     Show this text; `func start --help` shows the options of a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: without the program's name; None for the process's own.

    Returns:
        The exit code: 0, 1 for an error that was reported on stderr, 2 for a wrong option.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(_USAGE, end="")
        return 0
    if arguments[0] in {"-v", "--version", "version"}:
        from durable_app import __version__

        print(__version__)
        return 0
    if arguments[:2] == ["host", "start"]:
        del arguments[0]
    command = _command(arguments[0])
    if command is None:
        print(
            f"func: '{' '.join(arguments[:2])}' is no command of this version."
            " `func --help` lists what there is; for anything else install Azure Functions Core"
            " Tools.",
            file=sys.stderr,
        )
        return 1
    try:
        return command(arguments[1:])
    except SystemExit as stop:  # argparse leaves this way, after it has said why
        return stop.code if isinstance(stop.code, int) else 1


def _command(name: str) -> Callable[[Sequence[str]], int] | None:
    if name == "start":
        from durable_app.cli.start import start

        return start
    return None
