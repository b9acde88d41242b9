"""``func start``: runs the app of a folder until a signal comes."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from durable_app.cli.options import (
    LOG_LEVELS,
    CommandParser,
    command_parser,
    log_level,
    port_number,
)
from durable_app.cli.serving import run_until_done

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable_app.compose.plan import HostOptions

# What the Functions host passes to Python's workers; editors put a debugger there.
_DEBUGGER_SETTINGS: Final = (
    "languageWorkers__python__arguments",
    "languageWorkers:python:arguments",
)
# As the plan, which is not imported before the options are read.
_MOST_WORKERS: Final = 64
# Options of Core Tools that scripts pass -> why nothing follows from them here.
_IDLE_OPTIONS: Final = {
    "no_build": "Python apps are not built.",
    "language_worker": "functions run in this process (but `-m debugpy ...` is honoured).",
    "runtime": "there is one host here.",
    "dotnet_isolated_debug": "it is about .NET apps.",
    "timeout": "no language worker has to be waited for.",
}


def start(argv: Sequence[str]) -> int:
    """Run until SIGINT or SIGTERM; return the exit code."""
    args = _parser().parse_args(argv)
    _attach_debugger(argv, args.language_worker)
    for option, reason in _IDLE_OPTIONS.items():
        if getattr(args, option):
            print(f"--{option.replace('_', '-')} has no effect: {reason}", file=sys.stderr)
    return run_until_done(lambda: _serve(_options(args)), debug=args.debug)


def _attach_debugger(argv: Sequence[str], language_worker: str | None) -> None:
    """Run this command under the debugger that an editor asks for; then it does not return.

    VS Code sets the variable when F5 starts a Functions app, and attaches a moment later.

    Args:
        language_worker: the option of that name, which says the same.
    """
    wanted = [language_worker or "", *(os.environ.get(name, "") for name in _DEBUGGER_SETTINGS)]
    found = next((text for text in wanted if "debugpy" in text), None)
    # Where the module is loaded, it is what runs this.
    if found is None or os.name != "posix" or "debugpy" in sys.modules:
        return
    sys.stdout.flush()
    command = [sys.executable, *shlex.split(found), "-m", "durable_app", "start", *argv]
    os.execv(sys.executable, command)  # noqa: S606  no shell is wanted


def _options(args: argparse.Namespace) -> HostOptions:
    from durable_app.compose.plan import HostOptions

    return HostOptions(
        script_root=Path(args.script_root),
        port=args.port,
        address=args.address,
        verbose=args.verbose,
        hub=args.hub,
        store=args.store,
        cors=args.cors,
        cors_credentials=args.cors_credentials,
        enable_auth=args.enable_auth,
        functions=tuple(args.functions),
        user_log_level=args.user_log_level,
        enable_json_output=args.enable_json_output,
        json_output_file=args.json_output_file,
        watch=args.watch,
        https=args.use_https,
        cert=args.cert,
        password=args.password,
        workers=args.workers,
    )


async def _serve(options: HostOptions) -> int:
    from durable_app.compose.host import run_host
    from durable_app.host.lifecycle import Deadline, on_signals

    # asyncio would hold the first Ctrl+C back until the app's imports are over.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    deadline = Deadline()
    async with run_host(options) as host:
        deadline.before_exit = host.console.flush
        on_signals(host.stop.request, deadline)
        await host.stop.wait()
        deadline.begin()
        error = host.stop.error
    if error is not None:
        print(f"The host has stopped: {error}", file=sys.stderr)
        return 1
    deadline.finish(0)
    return 0


def _parser() -> CommandParser:
    parser = command_parser("func start", "Run the app of a folder on this machine.")
    add = parser.add_argument
    add("-p", "--port", type=port_number, metavar="N", help="port of the HTTP server (7071)")
    add("--address", metavar="IP", help="address to listen on (127.0.0.1)")
    add(
        "--functions",
        nargs="+",
        default=[],
        metavar="NAME",
        help="run only these functions (blanks between the names)",
    )
    add(
        "--workers",
        type=_workers,
        metavar="N",
        help="processes for orchestrations, activities and entities; 1: in the host's own"
        " (env FUNCTIONS_WORKER_PROCESS_COUNT; 1)",
    )
    add("--watch", action="store_true", help="load the app again when one of its files is saved")
    add("--hub", metavar="WHERE", help="task hub: auto, embedded or remote (env DURABLE_APP_HUB)")
    add(
        "--store",
        metavar="WHAT",
        help="sqlite:PATH or memory (env DURABLE_APP_STORE; .durable/<hub>.db)",
    )
    _add_web_options(parser)
    _add_log_options(parser)
    _add_idle_options(parser)
    return parser


def _add_web_options(parser: CommandParser) -> None:
    add = parser.add_argument_group("HTTP").add_argument
    add(
        "--cors",
        type=_origins,
        default=(),
        metavar="ORIGINS",
        help="origins whose pages may call the app, with commas between them; * for all",
    )
    add("--cors-credentials", action="store_true", help="let such calls carry credentials")
    add(
        "--enableAuth",
        "--enable-auth",
        action="store_true",
        dest="enable_auth",
        help="demand keys, as Azure does",
    )
    add("--useHttps", "--use-https", action="store_true", dest="use_https", help="serve TLS")
    add("--cert", type=Path, metavar="FILE", help="certificate: PFX or PEM (one of its own)")
    add("--password", metavar="TEXT", help="opens the certificate's file")


def _add_log_options(parser: CommandParser) -> None:
    add = parser.add_argument_group("output").add_argument
    add(
        "--user-log-level",
        type=log_level,
        metavar="LEVEL",
        help=f"lowest level of what the app logs: {', '.join(LOG_LEVELS)}",
    )
    add("--enable-json-output", action="store_true", help="write the log as JSON lines")
    add("--json-output-file", type=Path, metavar="FILE", help="write them to this file, too")


def _add_idle_options(parser: CommandParser) -> None:
    add = parser.add_argument_group("accepted for the sake of Core Tools, no effect").add_argument
    add("--no-build", action="store_true", help=_IDLE_OPTIONS["no_build"])
    add("--language-worker", metavar="ARGS", help=_IDLE_OPTIONS["language_worker"])
    add("--runtime", metavar="NAME", help=_IDLE_OPTIONS["runtime"])
    add("--dotnet-isolated-debug", action="store_true", help=_IDLE_OPTIONS["dotnet_isolated_debug"])
    add("-t", "--timeout", type=int, metavar="S", help=_IDLE_OPTIONS["timeout"])


def _origins(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (origin.strip() for origin in text.split(","))))


def _workers(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= _MOST_WORKERS:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no number of processes: 1 to {_MOST_WORKERS}")
