"""Options of ``func durable ...``."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from durable_app.cli.options import CommandParser, command_parser, did_you_mean, global_options

STATUSES: Final = (
    "Running",
    "Completed",
    "ContinuedAsNew",
    "Failed",
    "Canceled",
    "Terminated",
    "Pending",
    "Suspended",
)
_DEFAULT_TOP: Final = 10


def durable_parser() -> CommandParser:
    """The parser; ``command`` of its result is None where none was given."""
    parser = command_parser("func durable", "Start, query and steer orchestrations.")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(metavar="<command>", parser_class=CommandParser)

    def add(name: str, summary: str) -> CommandParser:
        # The command's own parser must not put its defaults over what came before its name.
        command: CommandParser = commands.add_parser(
            name, description=summary, help=summary, parents=[_everywhere()]
        )
        command.set_defaults(command=name)
        return command

    _add_start(add("start-new", "Start an instance of an orchestration."))
    _add_queries(
        add("get-runtime-status", "Show the status of an instance."),
        add("get-history", "Show the history of an instance."),
        add("get-instances", "List instances."),
    )
    _add_raise(add("raise-event", "Send an event to an instance."))
    for name, summary in (
        ("terminate", "End an instance at once."),
        ("suspend", "Hold an instance until it is resumed."),
        ("resume", "Let a suspended instance go on."),
        ("rewind", "Let a failed instance go on from its failure."),
    ):
        command = add(name, summary)
        _add_id(command)
        command.add_argument("--reason", metavar="TEXT", help="kept with the instance")
    restart = add("restart", "Start an instance again with its original input.")
    _add_id(restart)
    restart.add_argument("--keep-id", action="store_true", help="under its own id, not a new one")
    purge = add("purge-history", "Remove finished instances and all that is known of them.")
    _add_filters(purge)
    _add_entities(
        add("get-entities", "List entities."),
        add("read-entity", "Show the state of an entity."),
        add("signal-entity", "Let an entity run an operation."),
        add("clean-entities", "Remove what is left of empty entities, and orphaned locks."),
    )
    delete = add("delete-task-hub", "Remove the task hub with all its instances.")
    delete.add_argument("-y", "--yes", action="store_true", help="do not ask first")
    return parser


def _everywhere() -> CommandParser:
    """Options of every command of ``durable``, among them the global ones."""
    parser = global_options("func durable")
    group = parser.add_argument_group("task hub")
    group.add_argument("--task-hub-name", metavar="NAME", help="the hub (that of the app)")
    group.add_argument(
        "--connection-string-setting",
        metavar="NAME",
        help="setting with the connection string that names the hub (that of host.json)",
    )
    group.add_argument(
        "--store", metavar="WHAT", help="sqlite:PATH of the database (as func start finds it)"
    )
    group.add_argument("--json", action="store_true", help="write JSON only")
    return parser


def _add_id(command: CommandParser, *, required: bool = True) -> None:
    command.add_argument("--id", required=required, metavar="ID", help="of the instance")


def _add_start(command: CommandParser) -> None:
    command.add_argument(
        "--function-name", required=True, metavar="NAME", help="of the orchestrator"
    )
    command.add_argument("--id", metavar="ID", help="of the new instance (a generated one)")
    command.add_argument(
        "--input", type=json_or_file, metavar="JSON", help="its input: JSON, or @FILE that holds it"
    )
    command.add_argument("--version", metavar="TEXT", help="version of the orchestration")


def _add_queries(status: CommandParser, history: CommandParser, several: CommandParser) -> None:
    _add_id(status)
    _add_id(history)
    for command in (status, several):
        command.add_argument("--show-input", action="store_true", help="include the input")
        command.add_argument("--show-output", action="store_true", help="include the output")
    _add_filters(several)
    _add_paging(several)


def _add_paging(command: CommandParser) -> None:
    command.add_argument(
        "--top",
        type=_count,
        default=_DEFAULT_TOP,
        metavar="N",
        help=f"how many at most ({_DEFAULT_TOP})",
    )
    command.add_argument(
        "--continuation-token", metavar="TOKEN", help="go on where the last list ended"
    )


def _add_entities(
    several: CommandParser, read: CommandParser, signal: CommandParser, clean: CommandParser
) -> None:
    several.add_argument("--name", metavar="NAME", help="only those of this name")
    _add_times(several, "modified")
    several.add_argument("--show-state", action="store_true", help="include the states")
    _add_paging(several)
    for command in (read, signal):
        for option in ("--name", "--key"):
            command.add_argument(
                option,
                required=True,
                type=_filled,
                metavar=option[2:].upper(),
                help="of the entity",
            )
    signal.add_argument("--operation", required=True, metavar="NAME", help="what it shall do")
    signal.add_argument(
        "--input", type=json_or_file, metavar="JSON", help="JSON, or @FILE that holds it"
    )
    clean.add_argument("--keep-empty", action="store_true", help="release orphaned locks only")
    clean.add_argument("--keep-locks", action="store_true", help="remove empty entities only")


def _add_raise(command: CommandParser) -> None:
    _add_id(command)
    command.add_argument("--event-name", metavar="NAME", help="of the event (Event_<guid>)")
    command.add_argument(
        "--event-data", type=json_or_file, metavar="JSON", help="JSON, or @FILE that holds it"
    )


def _add_filters(command: CommandParser) -> None:
    _add_times(command, "created")
    command.add_argument(
        "--runtime-status",
        type=_status,
        nargs="+",
        default=[],
        metavar="STATUS",
        help=f"one or several of {', '.join(STATUSES)}",
    )


def _add_times(command: CommandParser, what: str) -> None:
    for name, when in (("after", "at or after"), ("before", "before")):
        command.add_argument(
            f"--{what}-{name}",
            type=_moment,
            metavar="TIME",
            help=f"{what} {when} this time: ISO 8601, UTC unless it has an offset",
        )


def json_or_file(text: str) -> bytes:
    """JSON as it is given or as the file after the ``@`` holds it."""
    source = text
    if text.startswith("@"):
        try:
            source = Path(text[1:]).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise argparse.ArgumentTypeError(f"{text[1:]} cannot be read: {error}") from error
    try:
        json.loads(source)
    except ValueError as error:
        hint = "" if source is not text else """ A text needs its quotes: '"text"'."""
        raise argparse.ArgumentTypeError(f"'{text}' is no JSON: {error}.{hint}") from error
    return source.encode()


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no time such as 2026-01-31T13:00:00Z"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _status(text: str) -> str:
    # Core Tools take a list with commas in it, too.
    names = []
    for name in text.replace(",", " ").split():
        found = [known for known in STATUSES if known.casefold() == name.casefold()]
        if not found:
            hint = did_you_mean(name, STATUSES) or f" It is one of {', '.join(STATUSES)}."
            raise argparse.ArgumentTypeError(f"'{name}' is no status.{hint}")
        names += found
    return ",".join(names)


def _filled(text: str) -> str:
    if text:
        return text
    raise argparse.ArgumentTypeError("it must not be empty")


def _count(text: str) -> int:
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no number above 0")
