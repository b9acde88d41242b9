"""What all commands share: how options are parsed, and the options that every command takes."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Exit codes of Core Tools: an error that was reported, and a command line that makes no sense.
GENERAL_ERROR: Final = 1
PARSE_ERROR: Final = 3

#: Options of every command that take no value, and those that take one.
GLOBAL_FLAGS: Final = ("--verbose", "--debug", "--pause-on-error")
GLOBAL_VALUES: Final = ("--script-root", "--prefix")

#: Names of levels as host.json has them.
LOG_LEVELS: Final = ("Trace", "Debug", "Information", "Warning", "Error", "Critical", "None")

_MAX_PORT: Final = 65535
_ARGUMENTS: Final = re.compile(r"unrecognized arguments: (.*)")
_CHOICE: Final = re.compile(r"argument \S+: invalid choice: '(.*?)' \(choose from (.*)\)")


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors end the process with PARSE_ERROR and name the nearest option."""

    def __init__(self, **options: Any) -> None:
        # An abbreviation would silently change its meaning with the next option that is added.
        super().__init__(allow_abbrev=False, **options)

    # Signature of argparse, whose overloads only tell which class the namespace has.
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is unknown here: the parser of a whole command knows its options best."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Write usage and message to stderr, and leave."""
        self.print_usage(sys.stderr)
        self.exit(PARSE_ERROR, f"{self.prog}: error: {self._explain(message)}\n")

    def _explain(self, message: str) -> str:
        wrong = _CHOICE.fullmatch(message)
        if wrong is not None:
            known = re.findall(r"[\w-]+", wrong[2])
            return f"'{wrong[1]}' is none of {', '.join(known)}.{did_you_mean(wrong[1], known)}"
        unknown = _ARGUMENTS.fullmatch(message)
        if unknown is None:
            return message
        first = unknown[1].split()[0]
        if not first.startswith("-"):
            return f"'{first}' is no option. {self.prog} --help shows what there is."
        options = [text for action in self._actions for text in action.option_strings]
        return f"unknown option {first}.{did_you_mean(first.partition('=')[0], options)}"


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A sentence with the nearest known word, or nothing where none is near."""
    by_folded = {word.casefold(): word for word in known}
    near = difflib.get_close_matches(wrong.casefold(), by_folded, n=1)
    return f" Did you mean {by_folded[near[0]]}?" if near else ""


def command_parser(prog: str, description: str, **options: Any) -> CommandParser:
    """A parser with the global options."""
    parser = CommandParser(prog=prog, description=description, **options)
    group = parser.add_argument_group("options of every command")
    group.add_argument("--verbose", action="store_true", help="say more")
    group.add_argument(
        "--script-root",
        "--prefix",
        default=".",
        metavar="DIR",
        help="folder of the app (the current one)",
    )
    group.add_argument("--debug", action="store_true", help="show where an error comes from")
    group.add_argument(
        "--pause-on-error", action="store_true", help="wait for Enter before an error ends it"
    )
    return parser


def global_options(prog: str) -> CommandParser:
    """The global options for parsers of sub-commands, to be given to ``parents``.

    They have no defaults: the sub-command's parser must not put its own over what came before.
    """
    parser = command_parser(prog, "", add_help=False)
    for action in parser._actions:  # noqa: SLF001  argparse has no other way to say "if given"
        action.default = argparse.SUPPRESS
    return parser


def port_number(text: str) -> int:
    """Value of an option that names a port."""
    if text.isdigit() and int(text) <= _MAX_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no port: 0 to {_MAX_PORT}, 0 for a free one")


def log_level(text: str) -> str:
    """Value of an option that names a level, in any case."""
    for level in LOG_LEVELS:
        if level.casefold() == text.casefold():
            return level
    raise argparse.ArgumentTypeError(f"'{text}' is none of {', '.join(LOG_LEVELS)}")


def split_globals(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Global options that stand before the command, and all the rest."""
    at = 0
    while at < len(arguments):
        name, has_value, _ = arguments[at].partition("=")
        if arguments[at] in GLOBAL_FLAGS or (has_value and name in GLOBAL_VALUES):
            at += 1
        elif name in GLOBAL_VALUES:
            at += 2
        else:
            break
    return list(arguments[:at]), list(arguments[at:])


def fail(message: object) -> int:
    """Report an error; returns the exit code."""
    print(message, file=sys.stderr)
    return GENERAL_ERROR
