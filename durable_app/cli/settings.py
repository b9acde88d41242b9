"""``func settings``: shows and changes the values of local.settings.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from durable_app.cli.options import CommandParser, command_parser, fail, global_options
from durable_app.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_FILE: Final = "local.settings.json"


def settings(argv: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.run is None:
        parser.print_help()
        return 0
    path = Path(args.script_root).resolve() / _FILE
    try:
        args.run(args, path)
    except ConfigError as error:
        return fail(error)
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}")
    return 0


def _parser() -> CommandParser:
    parser = command_parser("func settings", f"Show and change the values of {_FILE}.")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(metavar="<command>", parser_class=CommandParser)

    def command(name: str, summary: str) -> CommandParser:
        everywhere = [global_options(f"func settings {name}")]
        made: CommandParser = commands.add_parser(
            name, help=summary.lower(), description=f"{summary}.", parents=everywhere
        )
        return made

    listing = command("list", "Show the names")
    listing.add_argument("-a", "--showValue", action="store_true", help="show the values, too")
    listing.set_defaults(run=_list)
    add = command("add", "Set a value")
    add.add_argument("name")
    add.add_argument("value")
    add.set_defaults(run=_add)
    delete = command("delete", "Remove a value")
    delete.add_argument("name")
    delete.set_defaults(run=_delete)
    return parser


def _list(args: argparse.Namespace, path: Path) -> None:
    print("App Settings:")
    for name, value in _read(path)["Values"].items():
        print(f"  -> Name: {name}\n     Value: {value if args.showValue else '*****'}")


def _add(args: argparse.Namespace, path: Path) -> None:
    content = _read(path)
    content["Values"][args.name] = args.value
    _write(path, content)


def _delete(args: argparse.Namespace, path: Path) -> None:
    content = _read(path)
    if content["Values"].pop(args.name, None) is None:
        raise ConfigError(f"{path} has no value '{args.name}'.")
    _write(path, content)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"There is no {path}. Run `func init` there first.")
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise ConfigError(f"{path} is no valid JSON: {error}.") from error
    if not isinstance(content, dict) or not isinstance(content.setdefault("Values", {}), dict):
        raise ConfigError(f"{path} is no JSON object with an object Values.")
    if content.get("IsEncrypted"):
        raise ConfigError(
            f"{path} is encrypted, and only Azure Functions Core Tools hold the key. Run"
            " `func settings decrypt` with them first."
        )
    return content


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
