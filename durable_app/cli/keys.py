"""``func keys``: shows the keys that ``func start --enableAuth`` demands."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from durable_app.cli.options import CommandParser, command_parser, fail, global_options
from durable_app.errors import DurableError

if TYPE_CHECKING:
    from collections.abc import Sequence


def keys(argv: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if not args.listing:
        parser.print_help()
        return 0
    try:
        found = _found(Path(args.script_root).resolve())
    except DurableError as error:
        return fail(error)
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    if not found:
        print("There are no keys yet: `func start --enableAuth` makes them.", file=sys.stderr)
    width = max(map(len, found), default=0)
    for name, value in found.items():
        print(f"{name:<{width}}  {value}")
    return 0


def _found(folder: Path) -> dict[str, str]:
    from durable_app.host.state import STATE_FILE, HostState
    from durable_app.host.web.keys import Keys

    path = folder / STATE_FILE
    if not path.is_file():
        return {}
    state = HostState(path)
    try:
        return Keys(state).all()
    finally:
        state.close()


def _parser() -> CommandParser:
    parser = command_parser("func keys", "Show the keys that func start --enableAuth demands.")
    parser.set_defaults(listing=False)
    commands = parser.add_subparsers(metavar="<command>", parser_class=CommandParser)
    listing = commands.add_parser(
        "list",
        help="show all keys",
        description="Show all keys.",
        parents=[global_options("func keys list")],
    )
    listing.add_argument("--json", action="store_true", help="as a JSON object by name")
    listing.set_defaults(listing=True)
    return parser
