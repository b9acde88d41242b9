"""Which command is meant.

Nothing heavy is imported here: a command loads what it needs when it runs.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from durable_app.cli.options import GENERAL_ERROR, did_you_mean, split_globals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Command = Callable[[Sequence[str]], int]


class _Verb(NamedTuple):
    """A command.

    Attributes:
        module: below ``durable_app.cli``; its function of that name takes the arguments.
        summary: one line about it.
        actions: what we know of it; the Core Tools get the rest. Empty for all.
    """

    module: str
    function: str
    summary: str
    actions: tuple[str, ...] = ()


_VERBS: Final = {
    "start": _Verb("start", "start", "Run the app of a folder (also: func host start)."),
    "hub": _Verb("hub", "hub", "start: serve task hubs over gRPC."),
    "worker": _Verb("worker", "worker", "Run the durable functions of a folder, without HTTP."),
    "durable": _Verb("durable", "durable", "Start, query and steer orchestrations."),
    "init": _Verb("init", "init", "Create an app in a folder."),
    "new": _Verb("new", "new", "Add functions from a template (also: func function new)."),
    "templates": _Verb("new", "templates", "list: the templates of func new.", ("list",)),
    "settings": _Verb(
        "settings",
        "settings",
        "list, add, delete: values of local.settings.json.",
        ("list", "add", "delete"),
    ),
    "keys": _Verb("keys", "keys", "list: the keys that func start --enableAuth demands."),
    "pack": _Verb("pack", "pack", "Zip the app for deployment."),
}
# Spellings of Core Tools: a context before the verb.
_CONTEXTS: Final = {
    ("host", "start"): "start",
    ("function", "new"): "new",
    ("function", "create"): "new",
    ("create", None): "new",
}
_HELP: Final = frozenset({"-h", "--help", "help"})
_VERSION: Final = frozenset({"-v", "--version", "version"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: without the program's name; None for the process's own.

    Returns:
        The exit code: 0, 1 for an error that was reported on stderr, 3 for a wrong option, or
        that of the Core Tools where the command was passed on to them.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    before, rest = split_globals(arguments)
    if not rest or rest[0] in _HELP:
        return _help(before, rest[1:])
    if rest[0] in _VERSION:
        from durable_app import __version__

        print(__version__)
        return 0
    code = _run(arguments, before, rest)
    if code and "--pause-on-error" in arguments and sys.stdin.isatty():
        input("Press Enter to continue...")
    return code


def _run(arguments: list[str], before: list[str], rest: list[str]) -> int:
    name, taken = _verb(rest)
    if name is None:
        from durable_app.cli.passthrough import pass_on

        return pass_on(arguments, _nearest(rest))
    # What gRPC's own library prints beside our messages says the same, less clearly.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    verb = _VERBS[name]
    command: Command = getattr(
        importlib.import_module(f"durable_app.cli.{verb.module}"), verb.function
    )
    try:
        return command([*before, *rest[taken:]])
    except SystemExit as stop:  # argparse leaves this way, after it has said why
        return stop.code if isinstance(stop.code, int) else GENERAL_ERROR


def _verb(rest: list[str]) -> tuple[str | None, int]:
    """Name of the command and how many words it takes; None for one that is not ours."""
    second = rest[1] if len(rest) > 1 else None
    for key, words in (((rest[0], second), 2), ((rest[0], None), 1)):
        if key in _CONTEXTS:
            return _CONTEXTS[key], words
    verb = _VERBS.get(rest[0])
    if verb is None or (verb.actions and not _is_action(second, verb.actions)):
        return None, 0
    return rest[0], 1


def _nearest(rest: list[str]) -> str:
    verb = _VERBS.get(rest[0])
    if verb is None:
        return did_you_mean(rest[0], _VERBS)
    return did_you_mean(" ".join(rest[:2]), [f"{rest[0]} {action}" for action in verb.actions])


def _is_action(word: str | None, known: tuple[str, ...]) -> bool:
    return word is None or word.startswith("-") or word in known


def _help(before: list[str], topic: list[str]) -> int:
    if topic:  # func help start
        return _run([*topic, "--help"], before, [*topic, "--help"])
    width = max(map(len, _VERBS)) + 2
    print("Usage: func <command> [options]\n\nCommands:")
    for name, verb in _VERBS.items():
        print(f"  {name:<{width}}{verb.summary}")
    print(
        "\nOptions:\n"
        "  -v, --version       Print the version.\n"
        "  -h, --help          Show this text; `func start --help` shows those of a command.\n"
        "  --script-root DIR   Folder of the app (also: --prefix).\n"
        "  --verbose, --debug, --pause-on-error\n"
        "\n"
        "Other commands (azure, extensions, kubernetes, ...) are passed on to Azure Functions\n"
        "Core Tools, if they are installed."
    )
    return 0
