"""``func durable ...``: start, query and steer orchestrations from the command line."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from durable_app.cli.options import GENERAL_ERROR, PARSE_ERROR

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_PATHS: Final = frozenset({"script_root", "store"})


def durable(argv: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    from durable_app.cli.durable.parsing import durable_parser

    parser = durable_parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return 0 if not argv else PARSE_ERROR
    option = _undecoded(args)
    if option is not None:
        parser.error(f"{option}: this is no UTF-8 text, and a task hub takes nothing else")
    from durable_app.errors import DurableError

    if isinstance(sys.stdout, io.TextIOWrapper):
        # Users' texts may hold what the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it (head, less) has seen enough; the interpreter's own flush at its end
        # must not complain either.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  until the end
        return 0
    except DurableError as error:
        if args.debug:
            raise
        return report(str(error), as_json=args.json)
    except KeyboardInterrupt:
        return GENERAL_ERROR
    return code


def _undecoded(args: argparse.Namespace) -> str | None:
    """The option whose value was no UTF-8 on the command line; paths may be what they want."""
    for name, value in vars(args).items():
        if isinstance(value, str) and name not in _PATHS:
            try:
                value.encode()
            except UnicodeEncodeError:
                return f"--{name.replace('_', '-')}"
    return None


def _run(args: argparse.Namespace) -> int:
    import asyncio

    from durable_app.cli.durable.commands import ask, delete_hub
    from durable_app.compose.management import locate_hub

    place = locate_hub(
        Path(args.script_root).resolve(),
        os.environ,
        store=args.store,
        hub=args.task_hub_name,
        connection=args.connection_string_setting,
    )
    if args.command == "delete-task-hub":
        return delete_hub(args, place)
    return asyncio.run(ask(args, place))


def report(message: str, *, as_json: bool) -> int:
    """Write an error to stderr; return the exit code."""
    print(json.dumps({"error": message}) if as_json else message, file=sys.stderr)
    return GENERAL_ERROR
